"""Runs and their steps for readers: lists, results, logs, status history.

A live run is shown as ``paused`` while an operator has paused it, and while it only waits: for an approval or for a
delay. Nothing is stored for that; it is read off the steps.

Queries for many steps leave out values that are large (``store.executions.lists.listing``): a run may have thousands.
"""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from playbooks.states import Kind, Mode, Status, WaitingFor
from store.audit import audit
from store.definitions.playbooks import playbook_revisions
from store.engine.db import Connection, Row
from store.engine.prepared import Prepared, quoted, words
from store.executions import transitions as rows
from store.executions.lists.listing import small, small_in
from store.executions.lists.walks import Filter, Walk, created_between, is_one_of, key_of, unindexed
from store.paging import Condition, Found, Part, cut

#: the statuses a run is shown in
SHOWN = (Status.PENDING, Status.RUNNING, Status.PAUSED, Status.COMPLETED, Status.FAILED, Status.CANCELLED)
#: what may start a run
TRIGGERS = ("api", "event", "schedule", "playbook", "retry", "dispatch", "chain")

_table = rows.executions.c
_step = rows.executions.alias("step")
_run = rows.executions.alias("run")
#: the step that has started a run
_parent = rows.executions.alias("parent")
_its = _step.c.run_id == _run.c.id
_waits = sa.exists().where(
    _its,
    _step.c.status == Status.WAITING,
    _step.c.waiting_for.in_(words((WaitingFor.APPROVAL, WaitingFor.GATE, WaitingFor.DELAY))),
)
_goes_on = sa.or_(
    sa.and_(_step.c.status.in_(words((Status.PENDING, Status.RUNNING))), _step.c.open.is_(None)),
    _step.c.waiting_for.in_(words((WaitingFor.RETRY, WaitingFor.FOLLOW))),
)
_only_waits = sa.and_(_run.c.status == Status.RUNNING, _waits, ~sa.exists().where(_its, _goes_on))
_shown = sa.case((_only_waits, Status.PAUSED), else_=_run.c.status)


def shown_status(db: Connection, run: Row) -> str:
    """The status in which a run is shown."""
    if run.status != Status.RUNNING:
        return str(run.status)
    return str(_shown_of.first(db, {"id_": run.id}).shown)


_shown_of = Prepared(sa.select(_shown.label("shown")).where(_run.c.id == sa.bindparam("id_", type_=sa.Text)))


def search(db: Connection, workspace_id: str, *, filters: Mapping[str, Any], part: Part) -> Found:
    """A part of the workspace's runs, newest first.

    ``filters``: ``playbook_id``, ``status`` (list, as shown), ``target``, ``trigger``, ``dry_run``, ``event_id``,
    ``parent_id`` (the run that has started them), ``since`` and ``until`` (milliseconds).
    """
    mine = [
        _run.c.workspace_id == workspace_id,
        _run.c.kind == sa.literal_column(quoted(Kind.PLAYBOOK)),
        *created_between(_run.c.created_at, filters),
    ]
    walk = Walk(table=_run, mine=mine, first=_matching(filters))
    if filters.get("parent_id"):
        steps = sa.select(_parent.c.id).where(_parent.c.run_id == filters["parent_id"])
        walk = walk.among(_run.c.parent_id.in_(steps), _run.c.parent_id.is_not(None))
    ids, total = walk.part(db, key_of("runs", workspace_id, filters), part)
    columns = (
        _run.c.id,
        _run.c.action_id,
        _run.c.mode,
        _run.c.target,
        _run.c.error,
        _run.c.created_by,
        _run.c.created_at,
        _run.c.started_at,
        _run.c.completed_at,
        _run.c.expires_at,
        _shown.label("status"),
        _run.c.cause.label("trigger"),
        _run.c.retry_of,
        _run.c.parent_id,
        _parent.c.run_id.label("parent_run_id"),
        _parent.c.step_id.label("parent_step_id"),
        playbook_revisions.c.version,
        _member(db, playbook_revisions.c.definition, "name").label("name"),
        small(db, _run.c.input),
    )
    joined = sa.join(_run, playbook_revisions, _run.c.revision_id == playbook_revisions.c.id)
    joined = joined.outerjoin(_parent, _parent.c.id == _run.c.parent_id)
    page = sa.select(*columns).select_from(joined).where(_run.c.id.in_(ids))
    rows = db.execute(page.order_by(_run.c.created_at.desc(), _run.c.id.desc())).all()
    return Found(*cut(rows, part, ("created_at", "id")), total)


def _matching(filters: Mapping[str, Any]) -> list[Filter]:
    found = []
    columns = {"target": _run.c.target, "playbook_id": _run.c.action_id, "trigger": _run.c.cause}
    for name, column in {**columns, "event_id": _run.c.event_id}.items():
        if filters.get(name):
            found.append(is_one_of(column, [filters[name]]))
    if filters.get("status"):
        found.append(_is_shown_as(filters["status"]))
    if filters.get("dry_run") is not None:
        modes = [mode for mode in Mode if (mode == Mode.DRY_RUN) == filters["dry_run"]]
        found.append(is_one_of(_run.c.mode, modes))
    return found


def _is_shown_as(statuses: Iterable[str]) -> Filter:
    """The filter on the shown status, in terms of the stored one.

    Only a run that is stored as running may be shown as another: as paused while it only waits.
    """
    wanted = set(statuses)
    shows_paused, shows_running = Status.PAUSED in wanted, Status.RUNNING in wanted
    stored = sorted(wanted | {Status.RUNNING} if shows_paused else wanted)
    walks: dict[str, Condition] = {status: _run.c.status == status for status in stored}
    otherwise: Condition = unindexed(_run.c.status).in_(stored)
    if shows_paused != shows_running:
        walks[Status.RUNNING] = sa.and_(walks[Status.RUNNING], _only_waits if shows_paused else ~_only_waits)
        otherwise = sa.and_(otherwise, _shown.in_(wanted))
    return Filter(list(walks.values()), otherwise)


def parent_of(db: Connection, run: Row) -> Row | None:
    """The run and the step that have started a run, if a step has."""
    return None if run.parent_id is None else _parent_of.first(db, {"id_": run.parent_id})


_parent_of = Prepared(
    sa.select(_parent.c.run_id.label("parent_run_id"), _parent.c.step_id.label("parent_step_id")).where(
        _parent.c.id == sa.bindparam("id_", type_=sa.Text)
    )
)


def given(db: Connection, run_ids: Collection[str]) -> list[Row]:
    """What some runs of a list were started with; NULL where that is large."""
    columns = (_table.id, _table.workspace_id, _table.action_id, small(db, _table.input))
    return list(db.execute(sa.select(*columns).where(_table.id.in_(run_ids))))


def _member(db: Connection, text: sa.ColumnElement[str], name: str) -> sa.ColumnElement[str]:
    """A text from a JSON column that may be large."""
    document = sa.cast(text, sa.JSON) if db.dialect.name == "postgresql" else sa.type_coerce(text, sa.JSON)
    found: sa.ColumnElement[str] = document[name].as_string()
    return found


def of_run(db: Connection, run_id: str) -> list[Row]:
    """The state of every step of a run that has begun.

    Without its input and results.
    """
    rows, _ = _of_run.run(db, {"run_id_": run_id})
    return rows


_of_run = Prepared(
    sa.select(
        _table.id,
        _table.step_id,
        _table.iteration,
        _table.parent_id,
        _table.type,
        _table.status,
        _table.waiting_for,
        _table.attempt,
        _table.created_at,
        _table.started_at,
        _table.completed_at,
    ).where(_table.run_id == sa.bindparam("run_id_", type_=sa.Text))
)


def outcomes(db: Connection, step_row_ids: Sequence[str], *, outputs: bool = True) -> dict[str, Row]:
    """Row id → output and error of the step, as ``step_results`` has them."""
    places = min(_MOST_PLACES, 1 << max(0, len(step_row_ids) - 1).bit_length())
    found: dict[str, Row] = {}
    for start in range(0, len(step_row_ids), places):
        some = step_row_ids[start : start + places]
        wanted = [*some, *[some[-1]] * (places - len(some))]  # one statement for each power of two
        rows, _ = _outcomes_of(db.dialect.name, places, outputs).run(
            db, {f"id_{place}": name for place, name in enumerate(wanted)}
        )
        found.update({row.id: row for row in rows})
    return found


#: ids in one prepared query
_MOST_PLACES = 256


@functools.cache
def _outcomes_of(dialect: str, places: int, outputs: bool) -> Prepared:
    ids = [sa.bindparam(f"id_{place}", type_=sa.Text) for place in range(places)]
    columns = (
        _table.id,
        _table.error,
        small_in(dialect, _table.output) if outputs else sa.null().label("output"),
        _table.output.is_not(None).label("has_output"),
    )
    return Prepared(sa.select(*columns).where(_table.id.in_(ids)))


def step_results(db: Connection, step_row_ids: Iterable[str], *, outputs: bool = True) -> dict[str, Row]:
    """Row id → input and results of the step.

    A value that is too large for a list is NULL, without ``outputs`` every one; ``has_output`` says whether there is
    an output.
    """
    large = (_table.vars, _table.input, _table.output, _table.report)
    columns = (
        _table.id,
        _table.action_id,
        _table.target,
        _table.error,
        _table.due_at,
        _table.gate,
        *(small(db, each) if outputs else sa.null().label(each.name) for each in large),
        _table.output.is_not(None).label("has_output"),
    )
    found: dict[str, Row] = {}
    ids = list(step_row_ids)
    for start in range(0, len(ids), _AT_ONCE):
        some = sa.select(*columns).where(_table.id.in_(ids[start : start + _AT_ONCE]))
        found.update({row.id: row for row in db.execute(some)})
    return found


#: ids in one query
_AT_ONCE = 1_000


def logs(db: Connection, run_id: str) -> list[Row]:
    """The logs of every step of a run: step_id, iteration, logs."""
    columns = (_table.step_id, _table.iteration, _table.logs)
    return list(db.execute(sa.select(*columns).where(_table.run_id == run_id, _table.logs.is_not(None))))


def status_history(db: Connection, workspace_id: str, row_ids: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Row id → (status, when it was entered, ms), oldest first."""
    found: dict[str, list[tuple[str, int]]] = {}
    for start in range(0, len(row_ids), _AT_ONCE):
        mine = sa.and_(audit.c.workspace_id == workspace_id, audit.c.subject.in_(row_ids[start : start + _AT_ONCE]))
        query = sa.select(audit.c.subject, audit.c.event, audit.c.at).where(mine).order_by(audit.c.id)
        for row in db.execute(query):
            status = row.event.removeprefix("execution.")
            found.setdefault(row.subject, []).append((Status.PENDING if status == "accepted" else status, row.at))
    return found
