"""Named calendars that were made by requests; those of the folder are part of a generation."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms

time_intervals = sa.Table(
    "time_intervals",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    #: JSON: the stored form of ``gateway.calendars``
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("description", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)
#: calendars that requests make
MOST = 500

_table = time_intervals.c


def listed(db: Connection) -> list[Row]:
    """All, by name."""
    return list(db.execute(sa.select(time_intervals).order_by(_table.name)))


def put(db: Connection, name: str, values: Mapping[str, Any], actor: str) -> Row:
    """Make a calendar, or change the one of this name; its row."""
    now = now_ms()
    changed = sa.update(time_intervals).where(_table.name == name).values(**values, updated_at=now)
    row = db.execute(changed.returning(*_table)).first()
    if row is not None:
        return row
    new = {**values, "name": name, "created_by": actor, "created_at": now, "updated_at": now}
    return db.execute(sa.insert(time_intervals).values(new).returning(*_table)).one()


def delete(db: Connection, name: str) -> bool:
    """Delete a calendar; false where there is none of that name."""
    return db.execute(sa.delete(time_intervals).where(_table.name == name)).rowcount == 1
