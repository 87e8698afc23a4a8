"""One attempt at an action: claim, perform, conclude.

In order of time: ``claim`` gives the row to this worker, or returns nothing (then the message is stale and ends here);
the executor makes the outside call with no transaction open, under a lease that ``tasks.attempts.lease`` renews;
``conclude`` writes the end in one transaction. A worker that dies or freezes in between leaves a row whose lease
lapses, and ``tasks.clock.recovery`` handles it.
"""

import json
import time
from collections.abc import Callable

from config import logs, spans
from config.errors import Unavailable
from config.types import Json
from gateway import gate_column, traces
from gateway.gate_column import Gate
from playbooks.states import Kind
from providers.base import Abandoned
from store.definitions.actions import Revision
from store.engine import group_commit
from store.engine.db import Row
from store.executions import transitions
from store.sealing.seal import SealBroken
from tasks.attempts import circuits, gated, notices, provider_calls, stop
from tasks.attempts.conclude import Attempt, Ending, Unchanged, conclude, failed
from tasks.attempts.lease import HeldLease, keeper
from tasks.attempts.perform import Work, attempt_at, give_up, perform, prepare
from tasks.definitions import revisions
from tasks.secrets.sealing import opened_parameters

#: Celery delays a retry up to this long, seconds; tick publishes one that waits longer
CARRIED_BY_CELERY = 60

log = logs.logger(__name__)


def attempt(execution_id: str, claimed: Callable[[Row], None] | None = None) -> Ending | Unchanged:
    """Claim an execution, pass its row to ``claimed``, and carry it out."""
    logs.bind(execution_id=execution_id)
    try:
        return _attempt(execution_id, claimed)
    finally:
        logs.unbind("execution_id", "request_id", "trace_id")


def _attempt(execution_id: str, claimed: Callable[[Row], None] | None) -> Ending | Unchanged:
    keep = keeper()
    began = time.monotonic()
    try:
        row = group_commit.commit(
            lambda connection: transitions.claim(connection, execution_id, keep.owner, keep.lease_ms), single=True
        )
    except Unavailable:
        keep.doubt()
        log.warning("execution not claimed: database unavailable; tick will publish it again")
        return Unchanged("unavailable")
    if row is None:
        return Unchanged("stale")
    if claimed is not None:
        claimed(row)
    logs.bind(request_id=row.request_id)
    with keep.hold(execution_id, row.attempt, row.timeout_ms, began, repeatable=row.idempotent) as held:
        return _carry_out(row, held)


def _carry_out(row: Row, held: HeldLease) -> Ending | Unchanged:
    revision = revisions.action_with_patience(row.revision_id)
    this = attempt_at(row, revision.definition["retry"])
    gate = gate_column.read(row.gate)
    if gate is not None and (row.kind == Kind.DISPATCH or gated.is_approved(row)):
        this.trace, this.reply = gate.trace, gate.reply
        if gate.trace:
            logs.bind(trace_id=traces.trace_id(gate.trace))
    with spans.span("attempt", this.trace, kind="consumer") as span:
        this.trace = span.context
        ending = _made(this, revision, held, gate)
        if span.recorded and gate is not None:
            span.tell(execution=row.id, attempt=row.attempt, tenant=row.workspace_id, namespace=gate.namespace)
            provider = gate.provider if this.way is None else this.way.by
            span.tell(provider=provider, action_type=gate.action_type, status=ending.status)
            if isinstance(ending, Ending) and ending.error is not None:
                span.tell(error=ending.error.get("code"))
    return ending


def _made(this: Attempt, revision: Revision, held: HeldLease, gate: Gate | None) -> Ending | Unchanged:
    row = this.row
    try:
        work = stop.waits(row) or gated.asked_again(row) or _work(this, revision, held, gate)
        ending = conclude(this, perform(work, held))
    except Abandoned:
        ending = Unchanged("abandoned")
    if ending.status in ("abandoned", "stale"):
        give_up(held)
        circuits.let_go(this.way, row.id)
    return ending


def _work(this: Attempt, revision: Revision, held: HeldLease, gate: Gate | None) -> Work | Ending:
    try:
        hidden = opened_parameters(this.row)
    except SealBroken as broken:
        return failed("sealed", str(broken))
    given, dispatch, masked = json.loads(this.row.input), None, hidden
    if this.row.kind == Kind.DISPATCH:
        if gate is not None and gate.origin == "approval":
            given, links = notices.filled_in(given)
            masked = {**hidden, "": links}
        dispatch, given = given, provider_calls.parameters_of(revision, this.row.action_id, given)
    elif gate is not None and (sent_to := gate.sent_to) is not None and not provider_calls.is_provider(revision):
        this.sent_to, dispatch = sent_to, _dispatch(this.row, gate)
    return prepare(this, revision, held, {**given, **hidden}, masked, dispatch)


def _dispatch(row: Row, gate: Gate) -> Json:
    """A trigger that a rule sends to a provider, without its payload, as a provider gets it."""
    labels = {} if row.target is None else {"target": row.target}
    return {"action_type": gate.action_type, "labels": labels, "id": row.id, "namespace": gate.namespace}
