"""The sealed trail in tests: sealed at once, checked as a whole, and altered as only an intruder can."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from store import audit
from store.blocks import checking
from store.blocks.findings import Progress, Want
from store.engine import db
from tasks.clock.duty import TimeSlice
from tasks.clock.trail import sealing


def write(*subjects: str, workspace_id: str = "w") -> None:
    """One transaction with a row for each subject."""
    with db.write() as connection:
        for subject in subjects:
            audit.record(connection, workspace_id, "me", "tested", subject, said='ünusual "text"\n\x01\x7f')


def seal_all() -> int:
    """Seal until nothing is left; returns the rows."""
    rows, more = 0, 1
    while more:
        more = sealing.seal(TimeSlice(math.inf))
        rows += more
    return rows


def checked(want: Want | None = None, number: int = 0) -> Progress:
    """The whole trail, checked; ``number`` is the seal to go on from."""
    done = Progress(number=number)
    while not done.ended:
        with db.read() as connection:
            done = checking.check(connection, done, want or Want())
    return done


def kinds(done: Progress) -> list[str]:
    """What the faults of a check are."""
    return [fault.kind for fault in done.faults]


@contextmanager
def tampering() -> Iterator[sa.Connection]:
    """A connection of one who rules the database: without triggers."""
    with db.engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET session_replication_role = replica")
            yield connection
            return
        kept = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in kept:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        yield connection
        for _, text in kept:
            connection.exec_driver_sql(text)
