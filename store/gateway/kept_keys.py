"""What the end of an attempt means for the deduplication keys of its execution, written in the same transaction.

The end of an execution frees its keys if it certainly had no effect: it has failed, no attempt may have had its effect,
or it was cancelled before its first attempt. A run, whose steps have effects of their own, frees its keys if it ends
before it has begun. An attempt that may have had its effect and is followed by another marks the keys, so that no later
failure frees them. All other keys are kept until their time. Only executions with a ``gate`` may hold keys.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import sqlalchemy as sa

from playbooks.states import Kind, Status
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.gateway import dedup

#: what becomes of the keys: nothing, they are freed unless they are marked, or they are marked
Fate = Literal["", "freed", "marked"]

_FAILING = frozenset({Status.FAILED, Status.TIMEOUT})
_id = sa.bindparam("id_", type_=sa.Text)
_statements = {
    "freed": Prepared(dedup.freeing(dedup.dedup_keys.c.execution_id == _id)),
    "marked": Prepared(dedup.marking(dedup.dedup_keys.c.execution_id == _id)),
}


def fate(to: Status, changes: Mapping[str, Any], *, in_doubt: bool = False) -> Fate:
    """What a change of status that sets these columns means for the keys.

    ``in_doubt`` says that the attempt which ends with it may have had its effect; a stored error says so by itself.
    """
    if to == Status.CANCELLED:
        return "freed"
    if to in _FAILING:
        return "" if in_doubt or _is_in_doubt(changes) else "freed"
    again = to in (Status.PENDING, Status.WAITING)
    return "marked" if again and (in_doubt or _is_in_doubt(changes)) else ""


def _is_in_doubt(changes: Mapping[str, Any]) -> bool:
    text = changes.get("error")
    error = json.loads(text) if text is not None else {}
    return bool(error.get("effect_possible") or error.get("outcome_unknown"))


def mark(becomes: Fate, to: Status, table: Any) -> Any:
    """The column that says of a changed row whether its keys change.

    In what an update returns, SQLite 3.40 takes no column for NULL: IS NULL and IS NOT NULL do not help here.
    """
    may_hold = sa.func.coalesce(table.gate, "") != ""
    if becomes == "marked":
        return may_hold.label("keys_change")
    is_run, not_begun = table.kind == Kind.PLAYBOOK, sa.func.coalesce(table.started_at, 0) == 0
    others = sa.and_(~is_run, table.attempt == 0) if to == Status.CANCELLED else ~is_run
    return sa.and_(may_hold, sa.or_(sa.and_(is_run, not_begun), others)).label("keys_change")


def change(db: Connection, becomes: Fate, row: Any) -> None:
    """Free or mark the keys of a changed row."""
    if becomes and row.keys_change:
        _statements[becomes].run(db, {"id_": row.id})


def changing(becomes: Fate, moved: sa.FromClause) -> list[sa.CTE]:
    """The part of a statement that frees or marks the keys of the rows which ``moved`` has changed."""
    if not becomes:
        return []
    theirs = dedup.dedup_keys.c.execution_id.in_(sa.select(moved.c.id).where(moved.c.keys_change))
    return [(dedup.freeing(theirs) if becomes == "freed" else dedup.marking(theirs)).cte("keys")]
