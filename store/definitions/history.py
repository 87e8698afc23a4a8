"""The revisions of a definition as its history: who made which version, and what it said."""

from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from store.definitions.versioned import Definition, DefinitionKind
from store.engine.db import Connection, Row
from store.paging import Found, Order, Part, Total, read


def listed(db: Connection, kind: DefinitionKind[Any], kept: Definition, part: Part, *, whole: bool) -> Found:
    """A part of a definition's revisions, newest first, without secrets; without ``whole`` not what they say."""
    table, its = _table(kind), _its(kind, kept)
    total = None
    if part.counted:
        total = Total(db.execute(sa.select(sa.func.count()).select_from(kind.joined.right).where(its)).scalar_one())
    columns = (table.id, table.version, table.created_at, table.created_by)
    query = sa.select(*columns, *((table.definition,) if whole else ())).where(its)
    order = Order((table.created_at, table.id), (True, True))
    return Found(*read(db, query, order, part, ("created_at", "id")), total)


def at(db: Connection, kind: DefinitionKind[Any], kept: Definition, version: str) -> Row:
    """The revision of that version number, without secrets.

    Raises:
        NotFound: the definition never had one.
    """
    table = _table(kind)
    columns = (table.id, table.version, table.created_at, table.created_by, table.definition)
    row: Any = db.execute(sa.select(*columns).where(_its(kind, kept), table.version == version)).first()
    if row is None:
        raise NotFound(f"The {kind.noun} {kept.id!r} has no version {version!r}.")
    found: Row = row
    return found


def _table(kind: DefinitionKind[Any]) -> Any:
    return kind.joined.right.c


def _its(kind: DefinitionKind[Any], kept: Definition) -> sa.ColumnElement[bool]:
    own: sa.ColumnElement[bool] = _table(kind)[f"{kind.noun}_uid"] == kept.uid
    return own
