"""Worker processes: which are alive, and whether each takes messages.

Each process writes its row every few seconds (``beat_at``) and whenever a message has reached it (``consumed_at``);
tick sends every process a probe through its own queue, so an idle one has something to take. ``skew_ms`` says how far
the clock of its machine is ahead of the database's, where there are two clocks; ``stalled_ms`` for how long the event
loop of a worker has stood still, at the longest of the last minute. A row that beats but no longer consumes
is a worker that lives and does nothing.
"""

from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms

processes = sa.Table(
    "processes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("queues", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", sa.BigInteger, nullable=False),
    sa.Column("beat_at", sa.BigInteger, nullable=False),
    sa.Column("consumed_at", sa.BigInteger, nullable=False),
    sa.Column("running", sa.Integer, nullable=False),
    sa.Column("skew_ms", sa.BigInteger),
    sa.Column("stalled_ms", sa.Integer),
)

#: a process that has not beaten for this long is gone, ms
GONE_AFTER = 30_000
#: a process that beats but has taken nothing for this long, probes included, is stuck, ms
STUCK_AFTER = 90_000


def beat(db: Connection, name: str, **values: Any) -> None:
    """Write the row of a process, new or known."""
    changed = {**values, "beat_at": now_ms()}
    if db.execute(sa.update(processes).where(processes.c.name == name).values(changed)).rowcount == 0:
        db.execute(sa.insert(processes).values(name=name, **changed))


def try_write(db: Connection, name: str, anything: str) -> None:
    """Write a row that stands for no process, to test writing.

    ``sweep`` deletes it.
    """
    values = {"queues": anything, "pid": 0, "started_at": 0, "beat_at": 0, "consumed_at": 0, "running": 0}
    if db.execute(sa.update(processes).where(processes.c.name == name).values(values)).rowcount == 0:
        db.execute(sa.insert(processes).values(name=name, **values))


def leave(db: Connection, name: str) -> None:
    """Delete the row of a process that stops in good order."""
    db.execute(sa.delete(processes).where(processes.c.name == name))


def living(db: Connection) -> list[Row]:
    """Every process that is alive: it has beaten lately."""
    query = sa.select(processes).where(processes.c.beat_at > now_ms() - GONE_AFTER)
    return list(db.execute(query.order_by(processes.c.name)))


def everyone(db: Connection) -> list[Row]:
    """Every known process, those that are gone too.

    Rows of ``try_write`` are left out.
    """
    return list(db.execute(sa.select(processes).where(processes.c.started_at > 0)))


def get(db: Connection, name: str) -> Row | None:
    """The row of one process."""
    return db.execute(sa.select(processes).where(processes.c.name == name)).first()


def sweep(db: Connection) -> int:
    """Delete processes that have been gone for a day; returns how many."""
    return db.execute(sa.delete(processes).where(processes.c.beat_at < now_ms() - 86_400_000)).rowcount


def state(row: Row) -> str:
    """The state of a process: ``consuming``, ``stuck`` or ``gone``.

    A stuck process lives but takes nothing.
    """
    now = now_ms()
    if row.beat_at <= now - GONE_AFTER:
        return "gone"
    if row.running == 0 and row.consumed_at <= now - STUCK_AFTER:
        return "stuck"
    return "consuming"
