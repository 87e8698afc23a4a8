"""The end of an execution frees the deduplication keys that it holds, in the same transaction.

A failure does, unless it is in doubt whether the call had its effect; so does a cancel before the first attempt. After
any other end the keys are kept until their time. Only executions with a ``gate`` may hold keys.
"""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from playbooks.states import Status
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.gateway import dedup

_FAILING = frozenset({Status.FAILED, Status.TIMEOUT})
_freeing = Prepared(dedup.of_holder(sa.bindparam("id_")))


def ends_with(to: Status, changes: Mapping[str, Any]) -> bool:
    """Whether keys end with a change of status that sets these columns."""
    if to == Status.CANCELLED:
        return True
    if to not in _FAILING:
        return False
    error = changes.get("error")
    return error is None or not json.loads(error).get("outcome_unknown")


def mark(to: Status, gate: Any, attempt: Any) -> Any:
    """The column that says of a changed row whether it may hold keys that end now."""
    untouched = attempt == 0 if to == Status.CANCELLED else sa.true()
    return sa.and_(gate.is_not(None), untouched).label("keeps_keys")


def free(db: Connection, row: Any) -> None:
    """Free the keys of a changed row that has the mark."""
    if row.keeps_keys:
        _freeing.run(db, {"id_": row.id})


def freed(moved: sa.FromClause, name: str = "freed") -> list[sa.CTE]:
    """The part of a statement that frees the keys of the rows which ``moved`` has changed."""
    if "keeps_keys" not in moved.c:
        return []
    holders = sa.select(moved.c.id).where(moved.c.keeps_keys)
    return [dedup.of_holders(holders).cte(name)]
