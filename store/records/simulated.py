"""Records as simulations read them: when each came and what became of it, then what it carried, a few at once."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store.audit import audit
from store.engine import sets, texts
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.executions.lists.listing import small_in
from store.executions.transitions import executions
from store.gateway.payloads import payloads

_BRIEF = ("id", "workspace_id", "at", "began_at", "subject", "outcome", "origin", "namespace", "provider")
_MORE = ("action_type", "rule")
_CARRIED = ("id", "details", "given_id", "verdict", "caller")
_OF_EXECUTION = ("kind", "gate", "error", "attempt", "target", "revision_id", "action_id")
_joined = audit.outerjoin(
    executions, sa.and_(executions.c.id == audit.c.subject, executions.c.workspace_id == audit.c.workspace_id)
).outerjoin(payloads, payloads.c.subject == audit.c.subject)
_columns = (
    *(audit.c[name] for name in _CARRIED),
    *(executions.c[name] for name in _OF_EXECUTION),
    payloads.c.members,
    executions.c.input.is_not(None).label("has_input"),
    payloads.c.body.is_not(None).label("has_body"),
)
_large = Prepared(
    sa.select(*_columns, executions.c.input, payloads.c.body)
    .select_from(_joined)
    .where(audit.c.id == sa.bindparam("record"))
)


_brief = {
    dialect: Prepared(
        sa.select(*(audit.c[name] for name in (*_BRIEF, *_MORE))).where(sets.is_among(dialect, audit.c.id, "ids"))
    )
    for dialect in sets.DIALECTS
}
_carried = {
    dialect: Prepared(
        sa.select(*_columns, *(small_in(dialect, column) for column in (executions.c.input, payloads.c.body)))
        .select_from(_joined)
        .where(sets.is_among(dialect, audit.c.id, "ids"))
    )
    for dialect in sets.DIALECTS
}


def brief(db: Connection, ids: Sequence[int]) -> list[Any]:
    """What conditions may ask of these records, and when each came."""
    return _some(db, _brief, ids)


def carried(db: Connection, ids: Sequence[int]) -> list[Any]:
    """What these records carried; a large ``input`` or ``body`` is NULL, but ``has_input``, ``has_body``."""
    return _some(db, _carried, ids)


def large(db: Connection, record_id: int) -> list[Any]:
    """What one record carried, however large."""
    return texts.read(db, lambda: _large.run(db, {"record": record_id})[0])


def _some(db: Connection, statements: dict[str, Prepared], ids: Sequence[int]) -> list[Any]:
    dialect = db.dialect.name
    given = {"ids": sets.given(dialect, ids)}
    return texts.read(db, lambda: statements[dialect].run(db, given)[0])
