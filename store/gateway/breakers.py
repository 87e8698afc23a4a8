"""Circuit breakers: one row for each provider whose breaker was ever anything but closed without failures.

A row is read for a change (``locked``) and written (``put``) in one transaction, which is that of the attempt's end
where a call is counted. Who changes the edition of the configuration as well does so after the row, never before.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from store.engine.db import Connection, Row, metadata
from store.engine.prepared import Prepared

breakers = sa.Table(
    "breakers",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    #: closed, open, half_open
    sa.Column("state", sa.Text, nullable=False),
    #: consecutive failures that may pass, and successes since it was half open
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("successes", sa.Integer, nullable=False),
    sa.Column("opened_at", sa.BigInteger),
    #: when a probe may go out
    sa.Column("recover_at", sa.BigInteger),
    #: the execution whose call is the one probe, and until when it may take
    sa.Column("probe_by", sa.Text),
    sa.Column("probe_until", sa.BigInteger),
    #: who opened it by hand
    sa.Column("forced_by", sa.Text),
    #: goes up with every change
    sa.Column("version", sa.BigInteger, nullable=False),
)

_locked = Prepared(sa.select(breakers).where(breakers.c.provider == sa.bindparam("wanted")).with_for_update())
_values: dict[str, sa.BindParameter[Any]] = {column.name: sa.bindparam(column.name) for column in breakers.c}
_update = Prepared(
    sa.update(breakers)
    .where(breakers.c.provider == sa.bindparam("wanted"))
    .values({name: value for name, value in _values.items() if name != "provider"})
)


def locked(connection: Connection, provider: str) -> Row | None:
    """The row of a provider, which no other process changes until this transaction ends; None without one."""
    found: Row | None = _locked.first(connection, {"wanted": provider})
    return found


def put(connection: Connection, provider: str, values: Mapping[str, Any], *, new: bool) -> bool:
    """Write what ``locked`` has given; false where another process has added a ``new`` row meanwhile."""
    if not new:
        _update.run(connection, {"wanted": provider, **values})
        return True
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    adding = dialect.insert(breakers).values(provider=provider, **values)
    added = adding.on_conflict_do_nothing().returning(breakers.c.provider)
    return connection.execute(added).first() is not None


def listed(connection: Connection) -> list[Row]:
    """All rows."""
    return list(connection.execute(sa.select(breakers)))
