"""The one way in: whatever is to be done, by whomever it was asked, is accepted here.

In order of time: the action is looked up, the gateway's verdict is taken (until rules exist it lets everything
through), the values are checked against the declared parameters, secrets are sealed, the execution is committed
together with its idempotency key and its audit row, and only then a message is published. Once ``dispatch`` has
returned nothing can lose the execution.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from config.errors import Conflict, Unprocessable
from playbooks.definitions import parameters
from providers.base import Mode
from store.access import Caller
from store.definitions import actions
from store.definitions.actions import Revision
from store.engine import db, group_commit
from store.engine.db import IntegrityError
from store.executions import rows, transitions
from store.executions.rows import NewRow
from store.ids import new_id
from store.sealing.seal import parameters_cell
from tasks.definitions import revisions
from tasks.fairness import fair_queue
from tasks.intake import idempotency
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage
from tasks.messages.routing import URGENT, queue_of
from tasks.secrets.sealing import hide


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """One request to perform something now."""

    caller: Caller
    action_id: str
    parameters: Mapping[str, Any]
    target: str | None = None
    mode: Mode = "live"
    idempotency_key: str | None = None
    request_id: str | None = None
    #: raises where there is room only for what is urgent
    unless_urgent: Callable[[], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The execution a dispatch has made, or, when ``replayed``, had made before under the same key."""

    execution_id: str
    action_id: str
    mode: Mode
    created_at: int
    replayed: bool = False


@idempotency.clashes_audited()
def dispatch(wish: Dispatch) -> Accepted:
    """Accept a request to perform an action.

    Raises:
        NotFound: no such action. Conflict: it is switched off, or nobody could carry it out.
        Unprocessable: values that do not fit its parameters, or a key that was used for something else.
        Unavailable: the database is away; nothing was accepted. Whatever ``wish.unless_urgent`` raises.
    """
    workspace_id = wish.caller.workspace_id
    if wish.idempotency_key and (earlier := db.look(_earlier, wish)) is not None:
        return earlier
    head = db.look(actions.head, workspace_id, wish.action_id)
    revision = revisions.action(head.revision_id)
    definition = revision.definition
    _refuse_the_impossible(definition, wish, enabled=head.enabled)
    if wish.unless_urgent is not None and queue_of(definition) != URGENT:
        wish.unless_urgent()
    values, problems = parameters.resolve(definition["parameters"], wish.parameters)
    if problems:
        raise Unprocessable(problems=[problem.under("/parameters") for problem in problems])
    row, message = _new_execution(revision, wish, values)
    try:
        again_at = backlog.again_at(row["queue"], row["created_at"])
        accept = functools.partial(_accept, wish=wish, row=row, again_at=again_at)
        group_commit.commit(accept, single=not wish.idempotency_key)
    except IntegrityError:  # a concurrent copy of this request was faster
        earlier = db.look(_earlier, wish)
        if earlier is None:
            raise
        return earlier
    publisher.publish_after_commit(message)
    return Accepted(execution_id=row["id"], action_id=wish.action_id, mode=wish.mode, created_at=row["created_at"])


def _accept(connection: db.Connection, *, wish: Dispatch, row: NewRow, again_at: int) -> None:
    if wish.idempotency_key:
        idempotency.remember(
            connection,
            wish.caller.workspace_id,
            wish.caller.key_id,
            wish.idempotency_key,
            _same(wish),
            execution_id=row["id"],
            created_at=row["created_at"],
        )
    transitions.accept(connection, row, publish_again_at=again_at)


def _refuse_the_impossible(definition: Mapping[str, Any], wish: Dispatch, *, enabled: bool) -> None:
    if not enabled:
        raise Conflict(f"The action {wish.action_id!r} is disabled; enable it first.", code="action_disabled")
    if definition["executor"] == "opservant" and wish.mode == "live":
        raise Conflict("No agent is connected that could carry this out.", code="no_agent")


def _new_execution(revision: Revision, wish: Dispatch, values: Mapping[str, Any]) -> tuple[NewRow, TaskMessage]:
    definition = revision.definition
    execution_id = new_id("exec")
    cell = parameters_cell(wish.caller.workspace_id, execution_id, revision.id)
    masked, sealed = hide(values, parameters.secret_names(definition["parameters"]), cell)
    row = rows.action(
        {
            "id": execution_id,
            "workspace_id": wish.caller.workspace_id,
            "action_id": wish.action_id,
            "revision_id": revision.id,
            "queue": fair_queue.queue(
                queue_of(definition), wish.caller.workspace_id, wish.caller.key_id, wish.action_id
            ),
            "mode": wish.mode,
            "idempotent": definition["idempotent"],
            "timeout_ms": int(definition["timeout_seconds"] * 1000),
            "target": wish.target,
            "input": masked,
            "sealed": sealed,
            "created_by": wish.caller.key_id,
            "request_id": wish.request_id,
        }
    )
    message = TaskMessage(
        execution_id=row["id"], label=wish.action_id, queue=row["queue"], timeout_ms=row["timeout_ms"]
    )
    return row, message


def _same(wish: Dispatch) -> list[Any]:
    """What makes two requests the same."""
    return [wish.action_id, wish.target, wish.mode, dict(wish.parameters)]


def _earlier(connection: db.Connection, wish: Dispatch) -> Accepted | None:
    """What the same idempotency key made before."""
    known = idempotency.earlier(
        connection, wish.caller.workspace_id, wish.caller.key_id, wish.idempotency_key, _same(wish)
    )
    if known is None:
        return None
    return Accepted(
        execution_id=known.execution_id,
        action_id=wish.action_id,
        mode=wish.mode,
        created_at=known.created_at,
        replayed=True,
    )
