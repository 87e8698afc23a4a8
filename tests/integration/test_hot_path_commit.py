"""Changes that share a transaction, when the process is killed in the middle of it or one of them is bad.

What was reported to a caller is there, what was not is there whole or not at all: an execution and the audit rows of
everything that was done to it, neither without the other.
"""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import settings
from store import audit
from store.engine import db
from store.engine.db import Connection
from store.executions import transitions
from tests.support import committer
from tests.support.executions import new_execution
from tests.support.processes import ROOT, clean_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both

#: what PostgreSQL calls the process that is killed
CHILD = "tocsin-tests-committer"
#: status → the events of an execution that was accepted, claimed and finished that far
TRAILS = {
    "pending": ["accepted"],
    "running": ["accepted", "running"],
    "completed": ["accepted", "running", "completed"],
}


@contextmanager
def child(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The committer as a process of its own on this test's database."""
    names = ("TOCSIN_ENV", "TOCSIN_VAR_DIR", "TOCSIN_REDIS_URL", "TOCSIN_DATABASE_URL")
    environment = clean_environment(PGAPPNAME=CHILD, **{name: os.environ[name] for name in names})  # noqa: TID251
    command = [sys.executable, "-m", "tests.support.committer", *words]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def reported(lines: list[str]) -> dict[str, str]:
    """Execution → the last that was said about it; a line that was cut off by the end says nothing."""
    return dict(reversed(line.split()) for line in lines if line.endswith("\n"))


def settle() -> None:
    """Wait until the server has done what the killed process had still sent it."""
    if db.engine().dialect.name == "postgresql":
        theirs = sa.text("SELECT 1 FROM pg_stat_activity WHERE application_name = :name")
        with db.read() as connection:
            gone = lambda: not connection.execute(theirs, {"name": CHILD}).all()  # noqa: E731
            eventually(gone, 60, "nothing of it is under way in the database")


def rows() -> dict[str, str]:
    """Execution → status, as the database holds them."""
    with db.read() as connection:
        return dict(connection.execute(sa.select(transitions.executions.c.id, transitions.executions.c.status)).all())


def trails() -> dict[str, list[str]]:
    """Execution → its audit rows, oldest first."""
    found: dict[str, list[str]] = {}
    with db.read() as connection:
        for row in connection.execute(sa.select(audit.audit).order_by(audit.audit.c.id)):
            found.setdefault(row.subject, []).append(row.event.removeprefix("execution."))
    return found


def assert_whole() -> None:
    """Row by row: each execution has exactly the audit rows of its status, and no audit row is about anything else."""
    assert trails() == {execution_id: TRAILS[status] for execution_id, status in rows().items()}
    if db.engine().dialect.name == "sqlite":
        with closing(sqlite3.connect(settings().database_url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.gate
def test_a_kill_in_a_burst_loses_nothing_that_was_answered(database: str) -> None:
    """Processes killed one after the other while 16 threads commit: all that was reported is there, nothing is half."""
    stages = list(TRAILS)
    for number in range(3):
        with child("burst", f"burst{number}") as process:
            lines = [process.stdout.readline() for _ in range(200 + 77 * number)]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
        settle()
        assert len(lines) >= 200, "it was killed in the middle of its work"
        found = rows()
        for execution_id, event in reported(lines).items():
            status = "pending" if event == "accepted" else event
            assert stages.index(found[execution_id]) >= stages.index(status), f"{execution_id} was {event}"
        assert_whole()


@pytest.mark.parametrize("at", ["", "a-row"], ids=["anywhere", "at one row"])
def test_a_process_killed_in_the_middle_of_a_batch_leaves_nothing_of_it(database: str, at: str) -> None:
    """What had been answered stays; what shared a transaction with the kill is gone; the next process goes on."""
    for word in ("one", "two"):
        with child("batch", word, at) as process:
            lines = process.stdout.readlines()
        settle()
        assert process.returncode == -signal.SIGKILL
        answered = {f"exec-{word}-before-{number}" for number in range(3)}
        assert set(reported(lines)) == answered
        found = {name for name in rows() if f"-{word}-" in name}
        assert found >= answered
        assert f"exec-{word}-dying" not in found
        if database == "sqlite" or at:  # elsewhere each is committed by itself
            assert found == answered
        assert_whole()


def _raise(connection: Connection) -> None:
    committer.accept(connection, "exec-poisoned")
    raise ValueError("no")


def _take_a_taken_id(connection: Connection) -> None:
    committer.accept(connection, "exec-taken")


def _break_a_constraint(connection: Connection) -> None:
    committer.accept(connection, "exec-poisoned")
    _take_a_taken_id(connection)


def _leave_out_a_column(connection: Connection) -> None:
    values = {**new_execution(id="exec-poisoned"), "queue": None}
    transitions.accept(connection, values, publish_again_at=0)


POISONS: dict[str, tuple[Callable[[Connection], Any], type[Exception], bool]] = {
    "raises after a statement": (_raise, ValueError, False),
    "an id that is taken": (_take_a_taken_id, db.IntegrityError, True),
    "an id that is taken, after a statement": (_break_a_constraint, db.IntegrityError, False),
    "a column that must not be empty": (_leave_out_a_column, db.IntegrityError, True),
}


@pytest.mark.parametrize("at", ["", "a-row"], ids=["anywhere", "at one row"])
@pytest.mark.parametrize("poison", POISONS)
def test_a_poisoned_change_fails_alone(database: str, poison: str, at: str) -> None:
    """Of sixteen in a batch fifteen are made; only the caller of the bad one gets its error; nothing is left of it."""
    change, error, single = POISONS[poison]
    with db.write() as connection:
        committer.accept(connection, "exec-taken")
    innocent = [partial(committer.accept, execution_id=f"exec-{number:02d}") for number in range(15)]
    outcomes = committer.together([*innocent[:7], change, *innocent[7:]], at=at, single=single)
    names = [f"exec-{number:02d}" for number in range(15)]
    assert outcomes[:7] + outcomes[8:] == names
    assert isinstance(outcomes[7], error)
    assert rows() == dict.fromkeys([*names, "exec-taken"], "pending")
    assert_whole()


def test_one_of_many_copies_is_accepted_and_the_others_hear_of_it(database: str) -> None:
    """Sixteen changes of one batch want the same id: one has it, fifteen are refused, and others are not disturbed."""
    copies = [partial(committer.accept, execution_id="exec-same") for _ in range(16)]
    others = [partial(committer.accept, execution_id=f"exec-{number}") for number in range(4)]
    outcomes = committer.together([*copies[:8], *others, *copies[8:]], single=True)
    assert outcomes[8:12] == ["exec-0", "exec-1", "exec-2", "exec-3"]
    of_copies = outcomes[:8] + outcomes[12:]
    assert of_copies.count("exec-same") == 1
    assert len([one for one in of_copies if isinstance(one, db.IntegrityError)]) == 15
    assert set(rows()) == {"exec-same", "exec-0", "exec-1", "exec-2", "exec-3"}
    assert_whole()


def test_poison_after_poison_stops_no_other_change(database: str) -> None:
    """A hundred changes of which every fifth is bad, again and again: the good ones are made, once each."""
    for turn in range(3):
        changes: list[Callable[[Connection], Any]] = []
        for number in range(100):
            name = f"exec-{turn}-{number:03d}"
            changes.append(_raise if number % 5 == 0 else partial(committer.accept, execution_id=name))
        outcomes = committer.together(changes)
        assert [isinstance(one, ValueError) for one in outcomes] == [number % 5 == 0 for number in range(100)]
    assert len(rows()) == 240
    assert_whole()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_process_killed_within_a_statement_for_many_leaves_all_or_nothing(database: str) -> None:
    """Killed while the server waits for one row of the eight that it claims: all are claimed or none, and on record."""
    names = [f"exec-{number}" for number in range(8)]
    committer.together([partial(committer.accept, execution_id=name) for name in names], single=True)
    waits = "SELECT 1 FROM pg_stat_activity WHERE application_name = :name AND wait_event_type = 'Lock'"
    with db.engine().connect() as other, db.engine().connect() as onlooker:
        other.exec_driver_sql("BEGIN")
        other.execute(sa.text("UPDATE executions SET publishes = 7 WHERE id = :id"), {"id": names[5]})
        with child("claims", *names) as process:
            eventually(lambda: onlooker.execute(sa.text(waits), {"name": CHILD}).first(), 60, "it waits for the row")
            process.kill()
            assert process.stdout is not None
            assert process.stdout.read() == "", "no caller has an answer"
        other.exec_driver_sql("ROLLBACK")
    settle()
    (status,) = set(rows().values())
    assert status in ("pending", "running")
    assert trails() == dict.fromkeys(names, TRAILS[status])
