"""Ends what an ended run leaves behind, in batches.

In order of time: a run is ended with a mark (``waiting_for`` "clear"), and in the same transaction the runs it has
started: from then on no step of them can be claimed, and no step has successors any more. Then their steps are ended in
batches, by the process that ended the run as far as that is soon done, and by tick as long as the mark is there. The
mark is cleared when, some time after the end, no step is live: what was being written while the run ended is found
then.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from playbooks.states import Kind, Status, WaitingFor
from store import audit
from store.engine.db import Connection, now_ms
from store.engine.prepared import words
from store.executions.transitions import LIVE, SOURCES, TERMINAL, executions
from store.gateway import end_record

#: rows that are ended in one transaction
BITE = 500
#: how long after its end a run is checked for the last time, ms
LAST_LOOK = 3_000

_table = executions.c
_goes_on = _table.status.not_in(words(tuple(sorted(TERMINAL))))


def mark() -> dict[str, Any]:
    """Columns of an ended run with live steps or runs below."""
    return {"waiting_for": WaitingFor.CLEAR, "due_at": now_ms()}


def end_below(db: Connection, run_ids: Sequence[str], actor: str) -> list[str]:
    """End every live run below these runs; returns them.

    Below a run are the runs that it started, directly and through others.
    """
    living = [row.id for row in _below(set(run_ids), _families(db, run_ids)) if row.status in LIVE]
    _end_runs(db, living, actor)
    return living


def _families(db: Connection, run_ids: Sequence[str]) -> list[Any]:
    """The runs that these runs, or their roots, have started."""
    roots = sa.select(sa.func.coalesce(_table.root_id, _table.id)).where(_table.id.in_(run_ids))
    query = sa.select(_table.id, _table.parent_id, _table.status).where(_table.root_id.in_(roots))
    return list(db.execute(query))


def _below(run_ids: set[str], family: Sequence[Any]) -> list[Any]:
    """The runs of a family below these runs.

    The id of a step begins with that of its run.
    """
    found, ahead = [], run_ids
    while ahead:
        started = [row for row in family if row.parent_id.partition(".")[0] in ahead]
        found += started
        ahead = {row.id for row in started}
    return found


def _end_runs(db: Connection, run_ids: Sequence[str], actor: str) -> None:
    for at in range(0, len(run_ids), BITE):
        _cancel(db, run_ids[at : at + BITE], actor, **mark())


def clear(db: Connection, run_ids: Sequence[str], actor: str) -> int:
    """End a batch of live steps of these runs.

    Returns how many there were, ``BITE`` if there may be more.
    """
    query = sa.select(_table.id).where(_table.run_id.in_(run_ids), _goes_on).limit(BITE)
    return _cancel(db, [row.id for row in db.execute(query)], actor)


def cleared(db: Connection, run_ids: Sequence[str]) -> None:
    """Clear the mark of runs without live steps.

    Before the time of the last check, set when it is due instead.
    """
    mine = sa.and_(_table.id.in_(run_ids), _table.waiting_for == WaitingFor.CLEAR)
    last_look = _table.completed_at + LAST_LOOK
    early = last_look > now_ms()
    later = {"waiting_for": sa.case((early, _table.waiting_for)), "due_at": sa.case((early, last_look))}
    db.execute(sa.update(executions).where(mine).values(later))


def end_held(db: Connection, run_id: str, container: str, actor: str) -> None:
    """End all that a container contains, and the runs started by it.

    That includes the runs which the steps inside it have started.
    """
    query = sa.select(_table.id, _table.type, _table.parent_id, _table.status)
    rows = list(db.execute(query.where(_table.run_id == run_id, _table.kind == Kind.STEP)))
    parents = {row.id: row.parent_id for row in rows}
    living = [row for row in rows if row.status not in TERMINAL and _is_held(row.id, container, parents)]
    for at in range(0, len(living), BITE):
        _cancel(db, [row.id for row in living[at : at + BITE]], actor)
    starting = {container, *(row.id for row in living if row.type == "playbook")}
    family = _families(db, [run_id])
    started = [row for row in family if row.parent_id in starting]
    started += _below({row.id for row in started}, family)
    _end_runs(db, [row.id for row in started if row.status in LIVE], actor)


def _is_held(row_id: str, container: str, parents: Mapping[str, str | None]) -> bool:
    above = parents.get(row_id)
    while above is not None and above != container:
        above = parents.get(above)
    return above is not None


def _cancel(db: Connection, ids: Sequence[str], actor: str, **marks: Any) -> int:
    """Cancel the executions among these that have not ended.

    What was done stays done, and a worker that holds one releases it. They are locked in the order of ids, as a
    heartbeat does (``store.executions.leases``), so they never deadlock.
    """
    if not ids:
        return 0
    mine = sa.and_(_table.id.in_(ids), _table.status.in_(words(SOURCES[Status.CANCELLED])))
    in_order = sa.select(_table.id).where(mine).order_by(_table.id).with_for_update()
    changes = {"status": Status.CANCELLED, "due_at": None, "waiting_for": None, "completed_at": now_ms(), **marks}
    sealed = sa.case((_table.kind == Kind.PLAYBOOK, _table.sealed), else_=sa.null())
    record = end_record.columns(executions, Status.CANCELLED)
    ended = db.execute(
        sa.update(executions)
        .where(_table.id.in_(in_order), mine)
        .values(**changes, sealed=sealed)
        .returning(_table.id, _table.workspace_id, _table.attempt, *record),
        {"ended_": end_record.word(Status.CANCELLED, None)},
    ).all()
    if ended:
        entries = [
            {
                **audit.entry(row.workspace_id, actor, "execution.cancelled", row.id, attempt=row.attempt),
                **end_record.of_row(row),
            }
            for row in ended
        ]
        audit.record_ends(db, entries)
    return len(ids)
