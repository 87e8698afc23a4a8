"""Delete what the gateway need not remember any more."""

from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection


def forget(db: Connection, table: sa.Table, *, before: int, limit: int) -> int:
    """Delete rows whose ``expires_at`` lies before ``before`` (ms), oldest first.

    At most ``limit`` a call, so that the lock is held briefly; returns how many went.
    """
    is_sqlite = db.dialect.name == "sqlite"
    place: sa.ColumnElement[Any] = sa.literal_column("rowid" if is_sqlite else "ctid")  # found again without a search
    old = sa.select(place).select_from(table).where(table.c.expires_at < before)
    old = old.order_by(table.c.expires_at).limit(limit)
    bite = old.scalar_subquery() if is_sqlite else old.with_for_update(skip_locked=True).scalar_subquery()
    mine = place.in_(bite) if is_sqlite else place == sa.any_(sa.func.array(bite))
    return db.execute(sa.delete(table).where(mine)).rowcount
