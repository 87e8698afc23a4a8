"""The execution that carries out a dispatch: its provider, its values, its row and its message.

A provider of kind ``action`` stands for an action of the tenant: its execution is pinned to the action's revision, so
that timeout, retries, queue and secret parameters are the action's. All others are pinned to their own revision.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.errors import CallerError, Unprocessable
from gateway.facts import PROVIDER_PREFIX, Origin
from gateway.requests import Dispatch
from playbooks.states import Mode, Status, WaitingFor
from store import audit
from store.access import Caller
from store.definitions.actions import Revision
from store.engine import db
from store.executions import rows
from store.executions.rows import NewRow
from store.ids import new_id
from store.sealing.seal import parameters_cell
from tasks.definitions import provided
from tasks.fairness import fair_queue
from tasks.intake.idempotency import Replay
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage
from tasks.messages.routing import URGENT, queue_of
from tasks.secrets.sealing import seal_parameters


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A dispatch that a caller asks for.

    Its tenant is one that the caller may dispatch for.
    """

    caller: Caller
    dispatch: Dispatch
    #: ``traceparent`` and ``tracestate``
    trace: Mapping[str, str] = field(default_factory=dict)
    #: the process that waits for its end
    reply: str | None = None
    request_id: str | None = None
    #: raises if there is room only for urgent requests
    unless_urgent: Callable[[], None] | None = None
    origin: Origin = "dispatch"
    #: the record that it does again
    replays: Replay | None = None
    #: the execution that it makes, or the name under which it is recorded where it makes none
    subject: str = field(default_factory=lambda: new_id("disp"))

    @property
    def action_id(self) -> str:
        """The id of its record: the sender's own, if there is one."""
        return self.dispatch.id or self.subject


def system(tenant: str) -> Caller:
    """Who sends what the gateway itself makes known to a tenant."""
    return Caller(key_id=audit.SYSTEM, workspace_id=tenant, role="operator", permissions=frozenset({"dispatch"}))


class Providers:
    """The providers that some dispatches name, each looked up once."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Revision | CallerError] = {}

    def revision(self, workspace_id: str, name: str) -> Revision:
        """The revision that carries out what is sent by a provider now.

        Raises:
            NotFound, Conflict: as ``tasks.definitions.provided.provider``.
        """
        key = workspace_id, name
        if key not in self._found:
            try:
                self._found[key] = provided.provider(workspace_id, name)
            except CallerError as refusal:
                self._found[key] = refusal
        found = self._found[key]
        if isinstance(found, CallerError):
            raise found
        return found


def row_of(
    asked: Asked, provider: str, revision: Revision, payload: Mapping[str, Any], *, goes_out: bool = True
) -> NewRow:
    """The row of a dispatch, without what the gate says of it.

    One that never ``goes_out`` has its payload as rules have seen it.

    Raises:
        Unprocessable: the payload does not fit the action for which the provider stands. Whatever
        ``asked.unless_urgent`` raises.
    """
    definition, tenant = revision.definition, asked.dispatch.tenant
    queue = queue_of(definition)
    if goes_out and asked.unless_urgent is not None and queue != URGENT:
        asked.unless_urgent()
    stored, sealed = _stored(asked, revision if goes_out else None, payload)
    action_id, now = PROVIDER_PREFIX + provider, db.now_ms()
    return rows.dispatch(
        {
            "id": asked.subject,
            "workspace_id": tenant,
            "action_id": action_id,
            "revision_id": revision.id,
            "queue": fair_queue.queue(queue, tenant, asked.caller.key_id, action_id),
            "mode": Mode.LIVE,
            "idempotent": definition["idempotent"],
            "timeout_ms": int(definition["timeout_seconds"] * 1000),
            "input": stored,
            "sealed": sealed,
            "created_by": asked.caller.key_id,
            "request_id": asked.request_id,
            "created_at": now,
            "due_at": backlog.again_at(queue, now),
        }
    )


def _stored(asked: Asked, revision: Revision | None, payload: Mapping[str, Any]) -> tuple[str, str | None]:
    """The dispatch in its stored form, and its sealed secrets."""
    members, sealed = asked.dispatch.members(), None
    if revision is not None and revision.workspace_id:
        values, problems = revision.declared.resolve(payload)
        if problems:
            raise Unprocessable(problems=[problem.under("/payload") for problem in problems])
        cell = parameters_cell(asked.dispatch.tenant, asked.subject, revision.id)
        text, sealed = seal_parameters(values, revision.declared.secret_names, cell)
        payload = json.loads(text)
    return json.dumps({**members, "payload": payload}, ensure_ascii=False, separators=(",", ":")), sealed


def wait_until(row: NewRow, moment: int) -> None:
    """Let a row wait before it goes out."""
    row.update(
        {
            "status": Status.WAITING,
            "waiting_for": WaitingFor.DELAY,
            "due_at": moment,
            "started_at": row["created_at"],
            "publishes": 0,
        }
    )


def message_of(row: NewRow) -> TaskMessage:
    """The message that brings a row to a worker."""
    return TaskMessage(
        execution_id=row["id"],
        label=row["action_id"],
        queue=row["queue"],
        timeout_ms=row["timeout_ms"],
        workspace_id=row["workspace_id"],
    )
