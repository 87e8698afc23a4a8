"""Records as simulations read them: when each came and what became of it, then what it carried, a few at once."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store.audit import audit
from store.engine import texts
from store.engine.db import Connection, Row
from store.executions.lists.listing import small
from store.executions.transitions import executions
from store.gateway.payloads import payloads

_BRIEF = ("id", "workspace_id", "at", "began_at", "subject", "outcome", "origin", "namespace", "provider")
_MORE = ("action_type", "rule")
_WHOLE = (*_BRIEF, *_MORE, "details", "given_id", "verdict", "caller")
_OF_EXECUTION = ("kind", "gate", "error", "attempt", "target", "revision_id", "action_id")
_joined = audit.outerjoin(
    executions, sa.and_(executions.c.id == audit.c.subject, executions.c.workspace_id == audit.c.workspace_id)
).outerjoin(payloads, payloads.c.subject == audit.c.subject)
_has_input = executions.c.input.is_not(None).label("has_input")
_has_body = payloads.c.body.is_not(None).label("has_body")
_columns = (
    *(audit.c[name] for name in _WHOLE),
    *(executions.c[name] for name in _OF_EXECUTION),
    payloads.c.members,
    _has_input,
    _has_body,
)


def brief(db: Connection, ids: Sequence[int]) -> list[Row]:
    """What conditions may ask of these records, and when each came."""
    columns = (audit.c[name] for name in (*_BRIEF, *_MORE))
    return _all(db, sa.select(*columns).where(audit.c.id.in_(ids)))


def whole(db: Connection, ids: Sequence[int]) -> list[Row]:
    """These records with what they carried; a large ``input`` or ``body`` is NULL, but ``has_input``, ``has_body``."""
    query = sa.select(*_columns, small(db, executions.c.input), small(db, payloads.c.body))
    return _all(db, query.select_from(_joined).where(audit.c.id.in_(ids)))


def large(db: Connection, record_id: int) -> list[Row]:
    """One record with what it carried, however large."""
    query = sa.select(*_columns, executions.c.input, payloads.c.body).select_from(_joined)
    return _all(db, query.where(audit.c.id == record_id))


def _all(db: Connection, query: sa.Select[Any]) -> list[Row]:
    """The rows, fetched at once."""
    found: list[Row] = texts.read(db, lambda: [*db.execute(query).all()])
    return found
