"""The sealed trail under load: many writers, several control workers, kills, and a restore elsewhere."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from config.settings import settings
from store import audit, trail
from store.blocks.seals import audit_seals
from store.engine import db
from tests.support.processes import ROOT, clean_environment
from tests.support.sealed import checked, seal_all, tampering, write
from tests.support.services import PostgresServer

WRITERS, SEALERS = 8, 2


def sealers(number: int) -> list[subprocess.Popen[bytes]]:
    """Processes that seal, all at once."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}  # noqa: TID251 - passed on
    words = [sys.executable, "-m", "tests.support.sealer"]
    return [subprocess.Popen(words, stdin=subprocess.PIPE, cwd=ROOT, env=environment) for _ in range(number)]


def hold(number: int, rows: int) -> int:
    """Write transactions as it comes: some are held open, some rolled back; returns the rows that stay."""
    dice, kept = random.Random(number), 0
    engine = sa.create_engine(settings().database_url, poolclass=sa.NullPool, connect_args=_waits())
    with engine.connect() as connection:
        while kept < rows:
            size = min(dice.choice((1, 2, 5, 40, 120)), rows - kept)
            entries = [audit.entry("w", f"writer-{number}", "tested", f"{number}.{kept + one}") for one in range(size)]
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            first, second = entries[: size // 2], entries[size // 2 :]
            for part in (first, second):
                if part:
                    connection.execute(sa.insert(audit.audit), part)
                time.sleep(dice.choice((0,) * 40 + (0.001, 0.02)) if connection.dialect.name != "sqlite" else 0)
            if dice.random() < 0.05:
                connection.rollback()
            else:
                connection.commit()
                kept += size
    engine.dispose()
    return kept


def _waits() -> dict[str, int]:
    return {"timeout": 60} if settings().database_url.startswith("sqlite") else {}


@pytest.mark.parametrize(
    "rows", [2_000, pytest.param(100_000, marks=[pytest.mark.gate, pytest.mark.timeout(900)])], ids=["few", "many"]
)
def test_every_row_of_many_writers_is_in_one_seal(first_database: str, rows: int) -> None:
    """Whatever is held open and however often two workers meet: no row is left out, none is sealed twice."""
    false_alarms, faults, (written, present, sealed, verified) = load(rows)
    assert (false_alarms, faults) == ([], [])
    assert written == present == sealed == verified


@pytest.mark.gate
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_every_row_of_many_writers_is_in_one_seal_on_sqlite(database: str) -> None:
    """The same with one writer at a time."""
    false_alarms, faults, (written, present, sealed, verified) = load(100_000)
    assert (false_alarms, faults) == ([], [])
    assert written == present == sealed == verified


def load(rows: int) -> tuple[list[object], list[object], tuple[int, int, int, int]]:
    """Write this many rows while others seal and check.

    Returns the faults that checks meanwhile have found, those of the last check, and the numbers of rows: written,
    present, in seals, and verified.
    """
    write("first")
    working = sealers(SEALERS)
    alarms: list[object] = []
    kept: list[int] = []
    writers = [
        threading.Thread(target=lambda one=one: kept.append(hold(one, rows // WRITERS))) for one in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):  # checks meanwhile raise no false alarm
        alarms += checked().faults
        time.sleep(0.2)
        if len(working) == SEALERS:  # one is killed, and another takes its place
            working[0].kill()
            working.append(sealers(1)[0])
    for process in working:
        process.communicate()
    seal_all()
    done = checked()
    with db.read() as connection:
        count = connection.scalar(sa.select(sa.func.count()).select_from(audit.audit))
        sealed = connection.execute(sa.select(sa.func.sum(audit_seals.c.row_count), sa.func.max(audit_seals.c.number)))
        total, newest = sealed.one()
    assert done.seals == newest
    return alarms, list(done.faults), (sum(kept) + 1, count, total, done.records)


@pytest.mark.gate
def test_a_dump_restored_into_another_cluster_verifies_and_goes_on(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The seals of before fit the rows of before; what was not sealed is sealed there, and so is what is written."""
    from store import migrate

    here, there = postgres_server.create_database("before"), PostgresServer()
    there.start()
    try:
        use(monkeypatch, here)
        migrate.upgrade()
        for number in range(5):
            write(*(f"{number}.{one}" for one in range(20)))
            seal_all()
        write("not sealed", "neither")
        db.dispose()
        dump = tmp_path / "dump.sql"
        with dump.open("wb") as file:
            words = [there.binaries / "pg_dump", "-h", postgres_server.directory, "-U", "tocsin", "before"]
            subprocess.run(words, stdout=file, check=True, env=clean_environment())
        use(monkeypatch, there.create_database("after"))
        words = [there.binaries / "psql", "-q", "-h", there.directory, "-U", "tocsin", "-d", "after"]
        with dump.open("rb") as file:
            subprocess.run([*words, "-v", "ON_ERROR_STOP=1"], stdin=file, check=True, env=clean_environment())
        assert seal_all() == 0  # until the new epoch has begun
        with db.write() as connection:
            trail.begin_epoch(connection)
        write("written there")
        assert seal_all() == 3
        done = checked()
        assert (done.faults, done.records, done.seals) == ([], 103, 7)
        with tampering() as connection:
            connection.exec_driver_sql("UPDATE audit SET actor = 'x' WHERE subject IN ('2.7', 'neither')")
        assert [one.seal for one in checked().faults] == [3, 6]
    finally:
        db.dispose()
        postgres_server.drop_database("before")
        there.remove()


def use(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Let this process use another database."""
    db.dispose()
    monkeypatch.setenv("TOCSIN_DATABASE_URL", url)
    settings.cache_clear()


def test_a_copied_file_verifies(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A backup of SQLite is a whole trail, which goes on where it was made."""
    write(*(f"thing-{number}" for number in range(20)))
    seal_all()
    write("not sealed")
    source = settings().database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(tmp_path / "copy.db")) as other:
        one.backup(other)
    use(monkeypatch, f"sqlite:///{tmp_path / 'copy.db'}")
    assert seal_all() == 1
    assert (checked().faults, checked().records) == ([], 21)
    db.dispose()
