"""Executions, one row each, and the one function that changes their status.

A row begins ``pending``. A worker claims it (``running``, attempt + 1, a lease), makes the outside call with no
transaction open, and finishes it. Two rules make that safe:

* ``transition`` is the only way to change ``status`` (``store.executions.ending``: of many). It names the states it may
  come from and, where a worker acts, the attempt it acts for; when the row is elsewhere by now it changes nothing.
* ``due_at`` is the time at which tick handles the row if nothing else happens: pending → when to publish it (again) ·
  running → when the lease lapses (heartbeats move it) or the attempt's time is up · waiting → when the back-off, the
  delay or the approval ends · a run → its deadline · terminal → never (NULL), except a step whose successors are
  unplanned (``waiting_for`` "follow"), an action whose end playbooks listen for ("announce") and a run whose steps have
  to be ended ("clear").

A row is an ``action`` that was triggered, a ``dispatch``, a run of a ``playbook`` (``store.executions.runs``), or a
``step`` of a run (``store.executions.steps``).
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from playbooks.states import Kind, Status, WaitingFor
from store import audit
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared, words
from store.executions import rows
from store.executions.rows import TIMEOUT_GRACE, NewRow
from store.gateway import end_record, kept_keys

executions = sa.Table(
    "executions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("idempotent", sa.Boolean, nullable=False),
    sa.Column("timeout_ms", sa.BigInteger, nullable=False),
    #: how often a worker claimed it; every later write of that attempt is guarded by it (the fence)
    sa.Column("attempt", sa.Integer, nullable=False),
    #: attempts that ended in a retryable failure
    sa.Column("failures", sa.Integer, nullable=False),
    #: attempts whose worker died or froze
    sa.Column("lapses", sa.Integer, nullable=False),
    #: how often it was published since it last became pending
    sa.Column("publishes", sa.Integer, nullable=False),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
    #: when its worker last renewed it: the claim, then every renewal of the lease
    sa.Column("renewed_at", sa.BigInteger),
    sa.Column("waiting_for", sa.Text),
    #: the worker process that holds it; a cancelled one keeps it until that worker has released it
    sa.Column("owner", sa.Text),
    sa.Column("target", sa.Text),
    sa.Column("input", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text),
    sa.Column("output", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("report", sa.Text),
    sa.Column("logs", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("completed_at", sa.BigInteger),
    #: the run a step belongs to
    sa.Column("run_id", sa.Text),
    #: of a step: its container (a parallel, a loop); of a run: the step that started it
    sa.Column("parent_id", sa.Text),
    sa.Column("step_id", sa.Text),
    #: which iteration of the loops around it, "3.1"; "" outside of loops
    sa.Column("iteration", sa.Text),
    sa.Column("type", sa.Text),
    #: the step that led here
    sa.Column("previous_id", sa.Text),
    #: what the step's ``outputs`` set
    sa.Column("vars", sa.Text),
    #: of a run: the event that started it, and the revisions of the actions it began with
    sa.Column("context", sa.Text),
    #: of a run: its trigger (api, event, schedule, playbook, retry), and the run it tries again; of an action its cause
    sa.Column("cause", sa.Text),
    sa.Column("retry_of", sa.Text),
    #: of a run that a run has started: the first run of that chain
    sa.Column("root_id", sa.Text),
    #: of a container: how many branches or iterations are under way, and how many have been begun
    sa.Column("open", sa.Integer),
    sa.Column("cursor", sa.Integer),
    #: what the gate has decided about it (``gateway.gate_column``); NULL where no rule concerns it
    sa.Column("gate", sa.Text),
    #: of a run: the id of the event that has started it
    sa.Column("event_id", sa.Text),
)

#: a run in one of these is live
LIVE = (Status.PENDING, Status.RUNNING, Status.PAUSED)


def partial_index(name: str, *columns: sa.Column[Any], where: Any, unique: bool = False) -> sa.Index:
    """An index of some rows only, spelled for both databases."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


#: status → the states it may be entered from; a terminal state has no way out
SOURCES: dict[Status, tuple[Status, ...]] = {
    Status.PENDING: (Status.RUNNING, Status.WAITING, Status.PAUSED),
    Status.RUNNING: (Status.PENDING, Status.WAITING, Status.PAUSED),
    Status.WAITING: (Status.RUNNING, Status.WAITING),  # an approval may lead to another one, or to a delay
    Status.PAUSED: (Status.PENDING, Status.RUNNING),
    Status.COMPLETED: (Status.RUNNING, Status.WAITING, Status.PAUSED),
    Status.FAILED: (Status.PENDING, Status.RUNNING, Status.WAITING, Status.PAUSED),
    Status.TIMEOUT: (Status.RUNNING, Status.WAITING),
    Status.CANCELLED: (Status.PENDING, Status.RUNNING, Status.WAITING, Status.PAUSED),
    Status.SKIPPED: (Status.RUNNING,),  # a step that the gate stops
}
TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.TIMEOUT, Status.CANCELLED, Status.SKIPPED})
#: the statuses an action's execution may have; a step that the gate stops is skipped
STATUSES = (Status.PENDING, Status.RUNNING, Status.WAITING, *sorted(TERMINAL))

#: a retry that Celery carries may come this much before tick would start it, ms
RETRY_GRACE = 3_000


def transition(
    db: Connection,
    execution_id: str,
    to: Status,
    *,
    actor: str = audit.SYSTEM,
    fence: int | None = None,
    guard: str = "",
    parameters: Mapping[str, Any] | None = None,
    in_doubt: bool = False,
    **changes: Any,
) -> Any:
    """Change an execution's status, with its audit row, or do nothing.

    ``fence`` restricts it to the worker that holds that attempt, ``guard`` names further conditions (``_GUARDS``, with
    their ``parameters``; ``said_`` among these is what the audit row tells besides), ``changes`` are other columns to
    set. ``in_doubt``: the attempt that ends may have had its effect. Returns the row as it is now, None when it was
    not in a state from which ``to`` may be entered.
    """
    changes = with_end(to, changes)
    values = {"id_": execution_id, "fence_": fence, **(parameters or {}), **changes, **end_record.given(to, changes)}
    shape, said = (to, guard, tuple(changes), fence is not None), values.get("said_") or {}
    event, keys = f"execution.{to}", kept_keys.fate(to, changes, in_doubt=in_doubt)
    if db.dialect.name == "postgresql":
        values |= {"at_": now_ms(), "actor_": actor, "event_": event}
        if said:
            values["said_"] = f",{_encode(said)[1:]}"
        return _audited(*shape, keys, bool(said)).first(db, values)
    row = _plain(*shape, keys).first(db, values)
    if row is not None:
        entry = audit.entry(row.workspace_id, actor, event, row.id, attempt=row.attempt, **said)
        audit.record_ends(db, [{**entry, **end_record.of_row(row)}])
        kept_keys.change(db, keys, row)
    return row


def with_end(to: Status, changes: dict[str, Any]) -> dict[str, Any]:
    """The columns to change, with those that every end changes."""
    return {"due_at": None, "waiting_for": None, "completed_at": now_ms(), **changes} if to in TERMINAL else changes


@functools.cache
def _plain(to: Status, guard: str, changed: tuple[str, ...], fenced: bool, keys: kept_keys.Fate) -> Prepared:
    """The transition alone; the audit row is a statement of its own."""
    return Prepared(moving(to, guard, changed, fenced, keys=keys))


@functools.cache
def _audited(
    to: Status, guard: str, changed: tuple[str, ...], fenced: bool, keys: kept_keys.Fate, says: bool
) -> Prepared:
    """The transition and its audit row in one statement: one round trip."""
    moved = moving(to, guard, changed, fenced, keys=keys).cte("moved")
    noted = end_record.noting(moved, attempt_of(moved, says=says)).cte("noted")
    statement = sa.select(*end_record.others(moved)).add_cte(noted, *kept_keys.changing(keys, moved))
    return Prepared(statement, keys=("id_",))


def attempt_of(moved: sa.FromClause, *, says: bool = False) -> sa.ColumnElement[str]:
    """The audit details of a transition; where it ``says`` more, ``said_`` has the rest of the object."""
    rest: sa.ColumnElement[str] = sa.bindparam("said_", type_=sa.Text) if says else sa.literal("}")
    return sa.literal('{"attempt":') + sa.cast(moved.c.attempt, sa.Text) + rest


def action_of(added: sa.FromClause) -> sa.ColumnElement[str]:
    """The audit details of an added execution."""
    return sa.case((added.c.action_id != "", sa.literal('{"action":"') + added.c.action_id + sa.literal('"}')))


def moving(to: Status, guard: str, changed: tuple[str, ...], fenced: bool, *, keys: kept_keys.Fate = "") -> Any:
    """The transition as a statement; ``transition`` explains the parameters."""
    table = executions.c
    where = [table.id == sa.bindparam("id_"), table.status.in_(words(SOURCES[to]))]
    conditions, expressions, more = _GUARDS[guard]
    where += conditions
    if fenced:
        where.append(table.attempt == sa.bindparam("fence_"))
    values = {"status": to, **{name: sa.bindparam(name) for name in changed}, **expressions}
    if to in TERMINAL:  # a run keeps its secrets for a retry, as long as the run itself is kept
        values["sealed"] = sa.case((table.kind == Kind.PLAYBOOK, table.sealed), else_=sa.null())
        more = (*more, *end_record.columns(executions, to))
    if keys:
        more = (*more, kept_keys.mark(keys, to, table))
    return sa.update(executions).where(*where).values(values).returning(*_MOVED, *more)


_MOVED = (executions.c.id, executions.c.workspace_id, executions.c.attempt, executions.c.owner)
_CLAIMED_NAMES = (
    "kind action_id revision_id mode queue timeout_ms failures idempotent target "
    "input sealed logs request_id gate created_by"
)
_CLAIMED = tuple(executions.c[name] for name in _CLAIMED_NAMES.split())

_now, _lease = sa.bindparam("now_", type_=sa.BigInteger), sa.bindparam("lease_", type_=sa.BigInteger)
_time_up = executions.c.timeout_ms + TIMEOUT_GRACE

_run = executions.alias("run")
#: the status of a step's run; a run that was cancelled, paused or has ended lets no step begin
run_status: Any = sa.literal_column(  # spelled out: for SQLite the library leaves out the names of tables here
    "(SELECT run.status FROM executions AS run WHERE run.id = executions.run_id)", sa.Text
)
_under_way = words((Status.PENDING, Status.RUNNING))
#: "" for NULL: else PostgreSQL sees that only steps count, and may read the index of all of them to find the one
_its_run = sa.func.coalesce(executions.c.run_id, sa.literal_column("''"))
_run_goes_on = sa.exists().where(_run.c.id == _its_run, _run.c.status.in_(_under_way))

_goes_on_around = sa.or_(executions.c.run_id.is_(None), run_status.in_(words(LIVE)))
_to_be_had = sa.or_(
    executions.c.status == Status.PENDING,
    sa.and_(executions.c.waiting_for == WaitingFor.RETRY, executions.c.due_at <= _now + RETRY_GRACE),
)
_taken: dict[str, Any] = {
    "attempt": executions.c.attempt + 1,
    "waiting_for": sa.null(),
    # not before the row was there: the clock of another process may be milliseconds ahead
    "started_at": sa.func.coalesce(
        executions.c.started_at, sa.case((executions.c.created_at > _now, executions.c.created_at), else_=_now)
    ),
    "expires_at": _now + executions.c.timeout_ms,
    "renewed_at": _now,
    "due_at": sa.case((_time_up < _lease, _now + _time_up), else_=_now + _lease),
}
_STEP = tuple(executions.c[name] for name in ("run_id", "parent_id", "step_id", "iteration", "type", "previous_id"))

#: guard → further conditions, columns that are computed from the row, further columns to return
_GUARDS: dict[str, tuple[list[Any], dict[str, Any], tuple[Any, ...]]] = {
    "": ([], {}, ()),
    "is running": ([executions.c.status == Status.RUNNING], {}, ()),
    "may be handed back": ([executions.c.status == Status.RUNNING, _goes_on_around], {}, ()),
    "awaits approval": ([executions.c.waiting_for == WaitingFor.APPROVAL, executions.c.due_at > _now], {}, ()),
    "awaits gate": ([executions.c.waiting_for == WaitingFor.GATE, executions.c.due_at > _now], {}, ()),
    "may be claimed": ([_to_be_had, executions.c.kind.in_(words((Kind.ACTION, Kind.DISPATCH)))], _taken, _CLAIMED),
    "step may be claimed": ([_to_be_had, executions.c.kind == Kind.STEP, _run_goes_on], _taken, (*_CLAIMED, *_STEP)),
    "step is running": ([executions.c.status == Status.RUNNING], {}, (*_STEP, run_status.label("run_status"))),
    "all arms have ended": ([executions.c.open == 0], {}, (run_status.label("run_status"),)),
    "run has not begun": ([executions.c.status == Status.PENDING], {}, ()),
}


def accept(db: Connection, values: NewRow, *, publish_again_at: int) -> None:
    """Add a pending execution; once this commits it is never lost."""
    add(db, [rows.action({"due_at": publish_again_at, **values})], values["created_by"])


def add(db: Connection, new: Sequence[NewRow], actor: str) -> None:
    """Add executions in the status they name, each with its audit row.

    ``event_`` and ``at_`` of a row replace what is audited.
    """
    values: list[dict[str, Any]] = [
        {**_NOTHING, "at_": row["created_at"], "actor_": actor, "event_": entered(row["status"]), **row} for row in new
    ]
    records = any(row["status"] in TERMINAL for row in new)
    if records:
        for value, row in zip(values, new, strict=True):
            value.update({f"record_{name}": column for name, column in end_record.of_new(row).items()})
            value["details_"] = audit.written(_what(row))
    if db.dialect.name == "postgresql":
        insert = _recorded_insert if records else _audited_insert
        insert.many(db, values) if len(values) > 1 else insert.run(db, values[0])
        return
    _insert.many(db, values)
    events = [(row["workspace_id"], actor, row["event_"], row["id"], _what(row)) for row in values]
    entries = [audit.entry(*event, **what) for *event, what in events]
    if records:
        more = [{name: value[f"record_{name}"] for name in audit.RECORD} for value in values]
        audit.record_ends(db, [{**one, **record} for one, record in zip(entries, more, strict=True)])
    else:
        audit.record_all(db, entries)


def entered(status: Status) -> str:
    """The event of an execution that is added in this status."""
    return "execution.accepted" if status == Status.PENDING else f"execution.{status}"


def _what(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**({"action": row["action_id"]} if row["action_id"] else {}), **end_record.told_of_new(row)}


_NOTHING = dict.fromkeys(executions.c.keys())
_insert = Prepared(sa.insert(executions).values({name: sa.bindparam(name) for name in _NOTHING}).inline())
_values = sa.select(*(sa.bindparam(column.name, type_=column.type) for column in executions.c))
_adding = sa.insert(executions).from_select(list(_NOTHING), _values)
_added = _adding.returning(executions.c.id, executions.c.workspace_id, executions.c.action_id).cte("added")
_audited_insert = Prepared(audit.noting(_added, details=action_of(_added), of="id"), keys=("id",))
_record = {name: sa.bindparam(f"record_{name}", type_=audit.audit.c[name].type) for name in audit.RECORD}
_details = sa.bindparam("details_", type_=sa.Text)
_recorded_insert = Prepared(audit.noting(_added, details=_details, record=_record, of="id"), keys=("id",))


def claim(db: Connection, execution_id: str, owner: str, lease_ms: int, *, step: bool = False) -> Any:
    """Claim an execution: ``running``, one attempt more, a lease.

    None when it can no longer be claimed. ``step`` says that it is a step of a run.
    """
    return transition(
        db,
        execution_id,
        Status.RUNNING,
        actor=owner,
        guard="step may be claimed" if step else "may be claimed",
        parameters={"now_": now_ms(), "lease_": lease_ms},
        owner=owner,
    )


def finish(
    db: Connection,
    execution_id: str,
    to: Status,
    *,
    owner: str,
    attempt: int,
    record: Mapping[str, Any],
    **changes: Any,
) -> bool:
    """End an attempt; false when it was no longer the owner's.

    ``record`` has output, error, report, logs (JSON values). Where it is false nothing was changed.
    """
    stored: dict[str, Any] = {name: dump(value) for name, value in record.items()}
    changes = {"owner": None, **stored, **changes}
    return transition(db, execution_id, to, actor=owner, fence=attempt, guard="is running", **changes) is not None


def dump(value: Any) -> str | None:
    """A JSON column's text; None stays NULL.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    return None if value is None else _encode(value)


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # made once: making it costs more


def load(text: str | None, default: Any = None) -> Any:
    """The value of a JSON column; ``default`` for NULL."""
    return default if text is None else json.loads(text)


def get(db: Connection, workspace_id: str, execution_id: str) -> Row:
    """The execution.

    Raises:
        NotFound: this workspace has none of that id.
    """
    mine = sa.and_(executions.c.workspace_id == workspace_id, executions.c.id == execution_id)
    row = db.execute(sa.select(executions).where(mine)).first()
    if row is None:
        raise NotFound(f"There is no execution {execution_id!r}.")
    return row


def states(db: Connection, execution_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """(status, attempt) of each: what a waiting reader watches.

    Of a run the attempts of its steps are counted, each so that whatever happens to a step changes the number.
    """
    table = executions.c
    query = sa.select(table.id, table.status, table.attempt + _changes).where(table.id.in_(list(execution_ids)))
    return {row[0]: (row[1], row[2]) for row in db.execute(query)}


_step = executions.alias("step")
_rank = sa.case({Status.PENDING: 1, Status.RUNNING: 2, Status.WAITING: 3}, value=_step.c.status, else_=4)
_changes = sa.func.coalesce(
    sa.select(sa.func.sum(_step.c.attempt * 4 + _rank)).where(_step.c.run_id == executions.c.id).scalar_subquery(), 0
)
