"""Accept triggers of actions.

In order of time: the action is looked up, the values are checked against the declared parameters, the rules are asked
(``tasks.intake.verdicts``), secrets are sealed, the execution is committed together with its idempotency key, its audit
row and what the rules remember, and only then a message is published. Once ``dispatch`` has returned, nothing can lose
the execution.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from config.errors import Conflict, Unprocessable
from gateway import gate_column
from gateway.facts import TRIGGER, Attempted, Cause, Key, of_trigger, trigger_key
from gateway.gate_column import Gate
from gateway.rules.written import NEVER_ASKED
from playbooks.definitions import parameters
from playbooks.states import Mode, Status, WaitingFor
from store.access import Caller
from store.definitions import actions
from store.engine import db, group_commit, shared_reads
from store.engine.db import IntegrityError
from store.executions import rows, transitions
from store.executions.rows import NewRow
from store.ids import new_id
from store.sealing.seal import parameters_cell
from tasks.attempts import completion
from tasks.definitions import revisions
from tasks.fairness import fair_queue
from tasks.intake import idempotency, verdicts
from tasks.intake.idempotency import Replay
from tasks.intake.verdicts import Form, Settled
from tasks.messages import publisher
from tasks.messages.backlog import backlog
from tasks.messages.model import TaskMessage
from tasks.messages.routing import URGENT, queue_of
from tasks.policy import checks, judge
from tasks.policy.judge import Decision
from tasks.secrets.redact import masked
from tasks.secrets.sealing import seal_parameters


@dataclass(frozen=True, kw_only=True)
class DispatchRequest:
    """One request to run an action now."""

    caller: Caller
    action_id: str
    parameters: Mapping[str, Any]
    target: str | None = None
    mode: Mode = Mode.LIVE
    idempotency_key: str | None = None
    #: the record that it does again
    replays: Replay | None = None
    request_id: str | None = None
    #: raises if there is room only for urgent requests
    unless_urgent: Callable[[], None] | None = None
    #: what has it carried out
    cause: Cause = TRIGGER


@dataclass(frozen=True, kw_only=True)
class AcceptedExecution:
    """The execution of a request.

    ``replayed`` if an earlier copy of it made the execution.
    """

    execution_id: str
    action_id: str
    mode: Mode
    created_at: int
    replayed: bool = False
    #: what it is like when it is accepted; not ``pending`` where a rule ends it at once or makes it wait
    status: str = Status.PENDING
    #: the account of the gate; None where no rule concerns it
    gate: str | None = None


@idempotency.clashes_audited()
def dispatch(request: DispatchRequest) -> AcceptedExecution:
    """Accept a request to run an action.

    Raises:
        NotFound: no such action. Conflict: it is switched off, or no agent could carry it out.
        Unprocessable: values that do not fit its parameters, or a key that was used for something else.
        Unavailable: the database is away; nothing was accepted. Whatever ``request.unless_urgent`` raises.
    """
    workspace_id = request.caller.workspace_id
    if _is_once(request) and (earlier := db.read_one(_earlier, request)) is not None:
        return earlier
    ready = prepared(request)
    row, form = ready.row, ready.form
    try:
        again_at = backlog.again_at(row["queue"], row["created_at"])
        accept = functools.partial(_accept, request=request, form=form, row=row, again_at=again_at)
        single = form.is_single and not _is_once(request)
        settled = group_commit.commit(accept, single=single, at=form.meets_at)
    except IntegrityError:  # a concurrent copy of this request was faster
        earlier = db.read_one(_earlier, request)
        if earlier is None:
            raise
        return earlier
    row = settled.row
    if (message := to_publish(row, ready.message)) is not None:
        publisher.publish_after_commit(message)
    if settled.messages:
        publisher.publish_after_commit(*settled.messages)
    if settled.refused is not None:
        checks.learn(workspace_id, settled.refused)
    return AcceptedExecution(
        execution_id=row["id"],
        action_id=request.action_id,
        mode=request.mode,
        created_at=row["created_at"],
        status=row["status"],
        gate=row.get("gate"),
    )


class ReadyExecution(NamedTuple):
    """An execution to accept: what the rules leave of it, its row and its message."""

    form: Form
    row: NewRow
    message: TaskMessage


def prepared(request: DispatchRequest) -> ReadyExecution:
    """The execution of a request, outside of any transaction.

    Raises:
        As ``dispatch``.
    """
    workspace_id = request.caller.workspace_id
    head = shared_reads.look_up(actions.head, workspace_id, request.action_id)
    revision = revisions.action(head.revision_id)
    definition = revision.definition
    _refuse_the_impossible(definition, request, enabled=head.enabled)
    if request.unless_urgent is not None and queue_of(definition) != URGENT:
        request.unless_urgent()
    values, problems = revision.declared.resolve(request.parameters)
    if problems:
        raise Unprocessable(problems=[problem.under("/parameters") for problem in problems])
    form = Form(revision=revision, values=values, secret_names=revision.declared.secret_names)
    execution_id = new_id("exec")
    form = verdicts.judged(
        form,
        request.action_id,
        workspace_id,
        request.mode,
        lambda: _attempted(request, form, execution_id),
        request.cause,
    )
    form = verdicts.with_chain(form, request.mode, request.caller.key_id, request.request_id)
    row, message = _new_execution(form, request, execution_id)
    if request.cause.origin not in NEVER_ASKED:
        form = verdicts.with_questions(form, row)
    return ReadyExecution(form, row, message)


def to_publish(row: NewRow, message: TaskMessage) -> TaskMessage | None:
    """What a worker has to do now: carry it out, or announce its end."""
    if row["status"] == Status.PENDING:
        return message
    if row.get("waiting_for") == WaitingFor.ANNOUNCE:
        return completion.message(row["id"], row["action_id"])
    return None


def _accept(connection: db.Connection, *, request: DispatchRequest, form: Form, row: NewRow, again_at: int) -> Settled:
    if request.idempotency_key:
        idempotency.remember(
            connection,
            request.caller.workspace_id,
            request.caller.key_id,
            request.idempotency_key,
            _fingerprint_parts(request),
            execution_id=row["id"],
            created_at=row["created_at"],
        )
    settled = verdicts.settled(connection, form, row)
    if request.replays is not None:
        workspace_id, actor = request.caller.workspace_id, request.caller.key_id
        idempotency.remember_replay(connection, workspace_id, actor, request.replays, made=row["id"])
        settled = settled._replace(row=_marked(settled.row, form, request, request.replays))
    transitions.accept(connection, settled.row, publish_again_at=again_at)
    if settled.run is not None:
        transitions.add(connection, [settled.run], settled.run["created_by"])
    return settled


def _is_once(request: DispatchRequest) -> bool:
    return bool(request.idempotency_key or request.replays)


def _marked(row: NewRow, form: Form, request: DispatchRequest, replays: Replay) -> NewRow:
    """The row of a replay, whose account names the record."""
    gate = gate_column.read(row.get("gate"))
    if gate is None:  # no rule concerns it
        key = trigger_key(form.revision.definition, request.action_id, request.caller.workspace_id)
        gate = Gate(origin=key[0], namespace=key[1], provider=key[3], action_type=key[4])
    return {**row, "gate": replace(gate, replayed_from=replays.action_id).text()}


def _attempted(request: DispatchRequest, form: Form, execution_id: str) -> Attempted:
    """What the rules read of a request; secrets are masked."""
    return Attempted(
        request.caller.workspace_id,
        db.now_ms(),
        masked(form.values, form.secret_names),
        target=request.target,
        caller=request.caller.key_id,
        execution_id=execution_id,
    )


def _refuse_the_impossible(definition: Mapping[str, Any], request: DispatchRequest, *, enabled: bool) -> None:
    if not enabled:
        raise Conflict(f"The action {request.action_id!r} is disabled; enable it first.", code="action_disabled")
    if definition["executor"] == "opservant" and request.mode == Mode.LIVE:
        text = f"The action {request.action_id!r} needs an agent (executor opservant), and none is connected."
        raise Conflict(text, code="no_agent")


def _new_execution(form: Form, request: DispatchRequest, execution_id: str) -> tuple[NewRow, TaskMessage]:
    revision, definition = form.revision, form.revision.definition
    cell = parameters_cell(request.caller.workspace_id, execution_id, revision.id)
    stored, sealed = seal_parameters(form.values, form.secret_names, cell)
    row = rows.action(
        {
            "id": execution_id,
            "workspace_id": request.caller.workspace_id,
            "action_id": request.action_id,
            "revision_id": revision.id,
            "queue": fair_queue.queue(
                queue_of(definition), request.caller.workspace_id, request.caller.key_id, request.action_id
            ),
            "mode": request.mode,
            "idempotent": definition["idempotent"],
            "timeout_ms": int(definition["timeout_seconds"] * 1000),
            "target": request.target,
            "input": stored,
            "sealed": sealed,
            "created_by": request.caller.key_id,
            "request_id": request.request_id,
            "cause": _cause(request),
        }
    )
    message = TaskMessage(
        execution_id=row["id"],
        label=request.action_id,
        queue=row["queue"],
        timeout_ms=row["timeout_ms"],
        workspace_id=row["workspace_id"],
    )
    return row, message


def _cause(request: DispatchRequest) -> str | None:
    """What has it carried out, unless it is a request for just that."""
    if request.cause.origin == rows.RECURRING:
        return rows.RECURRING
    return rows.REPLAY if request.replays is not None else None


def _fingerprint_parts(request: DispatchRequest) -> list[Any]:
    """The parts that are equal in two copies of a request."""
    return [request.action_id, request.target, request.mode, dict(request.parameters)]


def _earlier(connection: db.Connection, request: DispatchRequest) -> AcceptedExecution | None:
    """The execution made before under the same idempotency key."""
    if request.replays is not None:
        known = idempotency.replayed(connection, request.caller.workspace_id, request.replays)
    else:
        known = idempotency.earlier(
            connection,
            request.caller.workspace_id,
            request.caller.key_id,
            request.idempotency_key,
            _fingerprint_parts(request),
        )
    if known is None:
        return None
    decided = idempotency.decided(connection, known)
    return AcceptedExecution(
        execution_id=known.execution_id,
        action_id=request.action_id,
        mode=request.mode,
        created_at=known.created_at,
        replayed=True,
        status=decided.status if decided is not None else Status.PENDING,
        gate=decided.gate if decided is not None else None,
    )


def judged(request: DispatchRequest) -> tuple[Key, Decision | None]:
    """The key of a trigger, and what the rules say of it; nothing is accepted, and no state is touched.

    Raises:
        NotFound: no such action. Unavailable: the database is away.
    """
    workspace_id = request.caller.workspace_id
    head = db.read_one(actions.head, workspace_id, request.action_id)
    definition = revisions.action(head.revision_id).definition
    values, problems = parameters.resolve(definition["parameters"], request.parameters)  # defaults are read, too
    given = request.parameters if problems else values
    shown = masked(given, parameters.secret_names(definition["parameters"]))
    attempted = Attempted(workspace_id, db.now_ms(), shown, request.target, request.caller.key_id)
    key = trigger_key(definition, request.action_id, workspace_id)
    return key, judge.judge(key, lambda: of_trigger(definition, request.action_id, attempted))
