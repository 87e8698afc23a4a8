"""Migrations 0020 and 0022 build indexes beside writers; broken off anywhere they begin again and lose nothing."""

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from store import migrate
from store.engine import db
from store.executions import transitions
from tests.support.api import Door
from tests.support.executions import new_execution
from tests.support.filled import fill_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both

ROOT = Path(__file__).parents[2]
#: the indexes that the migration builds, and the column with which each ends
NEW = {"done_failed": "id", "runs_status": "action_id", "runs_cause": "action_id"}
WRITERS = 3
#: how long a writer may wait, seconds: half of what makes an accept answer 503
MOST_WAIT = db.LOCK_PATIENCE / 2
#: kills in the middle
KILLS = 3


@dataclass
class Written:
    """What the writers wrote, and how long they waited for it."""

    #: execution → its last status
    status: dict[str, str] = field(default_factory=dict)
    longest: float = 0.0
    faults: list[Exception] = field(default_factory=list)


@contextlib.contextmanager
def writing() -> Iterator[Written]:
    """Accept executions and change their statuses until the block ends."""
    written, over, table = Written(), threading.Event(), transitions.executions

    def write(writer: int) -> None:
        for number in itertools.count():
            if over.wait(0.002):
                return
            one, began = f"exec-writer-{writer}-{number}", time.monotonic()
            try:
                with db.write() as connection:
                    transitions.accept(connection, new_execution(id=one, workspace_id="default"), publish_again_at=1)
                written.status[one] = "pending"
                with db.write() as connection:
                    connection.execute(sa.update(table).where(table.c.id == one).values(status="running"))
                written.status[one] = "running"
            except Exception as error:
                written.faults.append(error)
            written.longest = max(written.longest, time.monotonic() - began)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    try:
        yield written
    finally:
        over.set()
        for thread in threads:
            thread.join()


def indexes() -> set[str]:
    """The finished ones of the indexes that the migration builds."""
    asked = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'executions'"
    if db.engine().dialect.name == "postgresql":
        asked = "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        asked += " WHERE i.indrelid = 'executions'::regclass AND i.indisvalid"
    with db.engine().connect() as connection:
        known = {name.removeprefix("ix_executions_"): text for name, text in connection.exec_driver_sql(asked)}
    return {name for name, last in NEW.items() if f", {last}) WHERE" in (known.get(name) or "")}


MIGRATE = "from store import migrate; migrate.upgrade()"
#: the same, but behind each index it waits for ever
MIGRATE_ONE = f"""
import threading
from store.engine import rest
rest.after_bite = lambda began: threading.Event().wait()
{MIGRATE}
"""


def begin_migration(code: str = MIGRATE) -> subprocess.Popen[bytes]:
    """The migration to today's schema, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 - as it is
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def fill(executions: int) -> int:
    """A database of the release before with these many executions; returns their number."""
    migrate.upgrade()
    fill_database(Door(), executions)
    command.downgrade(migrate.configuration(), "0020-1")
    with db.write() as connection:  # the writers are of today: they write a column that a later migration adds
        if "event_id" not in {column["name"] for column in sa.inspect(connection).get_columns("executions")}:
            connection.exec_driver_sql("ALTER TABLE executions ADD COLUMN event_id TEXT")
    assert not indexes()
    with db.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(transitions.executions)).scalar_one())


def lost(written: Written, before: int) -> list[str]:
    """What of the filled and the written rows is not there, through the table and through the new indexes."""
    table = transitions.executions.c
    with db.read() as connection:
        rows = dict(connection.execute(sa.select(table.id, table.status).where(table.id.like("exec-writer-%"))).all())
        number = connection.execute(sa.text("SELECT count(*) FROM executions")).scalar_one()
        pages = "SELECT count(*) FROM executions WHERE workspace_id = 'default' AND kind = 'playbook' AND status = :one"
        off = [
            f"{status}: {through} through the index, {whole} in the table"
            for status in ("completed", "failed", "running", "cancelled")
            for through, whole in [
                (
                    connection.execute(sa.text(pages), {"one": status}).scalar_one(),
                    connection.execute(
                        sa.text(pages.replace("status =", "status || '' =")), {"one": status}
                    ).scalar_one(),
                )
            ]
            if through != whole
        ]
        if connection.dialect.name == "sqlite":
            sound = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
            off += [] if sound == "ok" else [str(sound)]
    if number != before + len(rows):
        off.append(f"{number} rows, {before} + {len(rows)} written")
    return off + [
        f"{one} is {rows.get(one)}, not {status}" for one, status in written.status.items() if rows.get(one) != status
    ]


SIZE = 20_000


@pytest.mark.gate
def test_the_migration_goes_on_after_kills_while_others_write(empty_database: str) -> None:
    """Killed behind its first index and then at random places, it ends with all, and no writer has waited for long."""
    before, dice, seen = fill(SIZE), random.Random(SIZE), list[int]()
    with writing() as written:
        for number in range(KILLS):
            process = begin_migration(MIGRATE_ONE if number == 0 else MIGRATE)
            eventually(lambda: len(indexes()) > number or process.poll() is not None, 300, "it builds")  # noqa: B023
            time.sleep(dice.uniform(0, 0.05))
            kill(process)
            seen.append(len(indexes()))
        assert begin_migration().wait(600) == 0
    assert seen[0] == 1
    assert written.faults == []
    assert len(written.status) > 20
    assert indexes() == NEW.keys()
    print(f"killed at {seen}; {len(written.status)} written, the longest wait {written.longest:.2f} s")
    assert lost(written, before) == []
    assert written.longest < MOST_WAIT


@pytest.mark.gate
@pytest.mark.parametrize("empty_database", ["postgresql"], indirect=True)
def test_an_index_that_is_half_built_is_built_again(empty_database: str) -> None:
    """PostgreSQL keeps a broken-off index as an invalid one; the migration replaces it."""
    before = fill(SIZE)
    with db.engine().connect() as holder:
        holder.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        holder.exec_driver_sql("SELECT count(*) FROM executions")  # an index waits for the end of older snapshots
        process = begin_migration()
        # its last phase: in the first a parallel worker, with the same query, may help the backend
        building = "SELECT coalesce(min(pid), 0) FROM pg_stat_progress_create_index WHERE datname = current_database()"
        pid = eventually(lambda: holder_free(f"{building} AND phase = 'waiting for old snapshots'"), 60, "it waits")
        kill(process)
        holder_free(f"SELECT count(pg_terminate_backend({pid}))")
        # the backend ends when it likes, and finishes the index if the older snapshot ends first
        there = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"
        eventually(lambda: holder_free(there) == 0, 60, "the backend has ended")
        holder.exec_driver_sql("ROLLBACK")
    half = "SELECT count(*) FROM pg_index WHERE indrelid = 'executions'::regclass AND NOT indisvalid"
    assert holder_free(half) == 1
    assert begin_migration().wait(120) == 0
    assert holder_free(half) == 0
    assert indexes() == NEW.keys()
    assert lost(Written(), before) == []


def test_the_index_of_providers_is_built_again_where_that_was_broken_off(empty_database: str) -> None:
    """What PostgreSQL has left half built is replaced; what is finished stays; a downgrade drops it."""
    migrate.upgrade()
    is_sqlite = db.engine().dialect.name == "sqlite"
    there = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('ix_audit_providers') AND indisvalid"
    if is_sqlite:
        there = "SELECT count(*) FROM sqlite_master WHERE name = 'ix_audit_providers'"
    assert holder_free(there) == 1
    command.downgrade(migrate.configuration(), "0022-1")
    assert holder_free(there) == 0
    with db.engine().begin() as connection:
        made = "(workspace_id, provider, at, id) WHERE outcome IS NOT NULL"
        connection.exec_driver_sql(f"CREATE INDEX ix_audit_providers ON audit {made}")
        if not is_sqlite:
            half = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_audit_providers'::regclass"
            connection.exec_driver_sql(half)
    assert holder_free(there) == is_sqlite
    migrate.upgrade()
    assert holder_free(there) == 1


def holder_free(query: str) -> int:
    """The only number that a query finds, on a connection of its own."""
    with db.engine().connect() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())
