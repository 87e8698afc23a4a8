"""Circuit breakers hold over processes: two or four of them with sixteen threads each send by the same provider."""

import contextlib
import itertools
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from config.settings import settings
from store import audit
from store.engine import db
from store.gateway import breakers
from tests.support import dispatching, forked
from tests.support.api import Door
from tests.support.processes import stop
from tests.support.services import RedisServer
from tests.support.sink import Sink
from tests.support.waiting import eventually

#: how long the receiver takes, seconds, and by how much the times of two calls are blurred
SLOW, BLUR = 0.1, 0.02
PROVIDERS = """\
providers:
  slow: {{kind: http, url: "{url}/slow?seconds={slow}", retry: {{max_attempts: 1}}}}
  ok: {{kind: http, url: "{url}/ok", retry: {{max_attempts: 1}}}}
  bad: {{kind: mock, behaviour: fail, retry: {{max_attempts: 1}}}}
circuit_breakers:
  slow: {{success_threshold: 1000, recovery_timeout_seconds: 1}}
  ok: {{recovery_timeout_seconds: 3600}}
  bad: {{failure_threshold: 100, recovery_timeout_seconds: 3600}}
"""


@pytest.fixture
def door(
    first_database: str, redis_server: RedisServer, sink: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Door]:
    """The application on each kind of database, with providers that have breakers."""
    made = Door()
    made.admin = made.key(grants=({"tenants": ["*"]},))
    text = PROVIDERS.format(url=sink.url, slow=SLOW)
    dispatching.put_in_force(monkeypatch, tmp_path / "config", followed=True, providers=text)
    yield made
    dispatching.forget()


class Note(NamedTuple):
    """A dispatch: when it was begun, how it has ended, and by which process."""

    begun: float
    status: str
    code: str
    word: str


class Probers(NamedTuple):
    """The processes, and what they have noted."""

    processes: list[forked.Child]
    book: Path

    def notes(self) -> list[Note]:
        """Each dispatch that has ended."""
        lines = [line.split() for line in self.book.read_text().split("\n")[:-1]]
        return [Note(float(begun), status, code, word) for _, begun, status, code, word in lines]

    def codes(self) -> list[str]:
        """The codes of what has ended."""
        return [note.code for note in self.notes()]


@contextmanager
def probing(provider: str, directory: Path) -> Iterator[Probers]:
    """Processes that send by a provider, once each has ended a dispatch; killed at the end.

    Two on SQLite, where they write one after the other and cost as much in the default suite as may be; four in the
    gate, on PostgreSQL.
    """
    book = directory / "book"
    book.touch()
    children = [
        forked.start(
            "tests.support.prober",
            *(f"prober-{number}", provider, str(book)),
            output=subprocess.DEVNULL,
            TOCSIN_EGRESS_ALLOW="127.0.0.0/8",
        )
        for number in range(4 if db.engine().dialect.name == "postgresql" else 2)
    ]
    try:
        probers = Probers(children, book)
        eventually(lambda: len({note.word for note in probers.notes()}) == len(children), 60, "all send", every=0.1)
        yield probers
    finally:
        for child in children:
            child.send_signal(signal.SIGKILL)
            child.wait()


def events(provider: str) -> list[str]:
    """What the audit trail says of a breaker that nobody has touched."""
    with db.read() as connection:
        return [row.event for row in audit.of(connection, "", provider)]


def row_of(provider: str) -> sa.Row | None:
    with db.read() as connection:
        return next((row for row in breakers.listed(connection) if row.provider == provider), None)


def stop_between_writes(pid: int) -> None:
    """Freeze a process, but not while it holds the lock of an SQLite file, which would freeze everybody."""
    url = sa.make_url(settings().database_url)
    stop(pid)
    while url.get_backend_name() == "sqlite":
        with contextlib.closing(sqlite3.connect(str(url.database), timeout=1, isolation_level=None)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:  # it does
                os.kill(pid, signal.SIGCONT)
                time.sleep(0.01)
                stop(pid)
                continue
            file.execute("ROLLBACK")
            return


@pytest.mark.gate
def test_never_two_probes(door: Door, sink: Sink, tmp_path: Path) -> None:
    """While it is half open each call has ended before the next arrives, whoever makes it."""
    assert door.call("POST", "/admin/circuit-breakers/slow/trip").status_code == 200
    with probing("slow", tmp_path) as probers:
        eventually(lambda: len(sink.arrivals("/slow")) >= 20, 60, "twenty probes have gone out", every=0.2)
        row = row_of("slow")
        assert row is not None
        assert row.state == "half_open"
        assert "circuit_open" in probers.codes()
    times = [call.at for call in sink.arrivals("/slow")]
    apart = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(apart) >= SLOW - BLUR, sorted(apart)[:5]
    assert max(sink.keys("/slow").values()) == 1


@pytest.mark.gate
def test_it_opens_once_and_counts_exactly(door: Door, tmp_path: Path) -> None:
    """A hundred failures open it, no fewer; those that were under way when it opened change nothing."""
    with probing("bad", tmp_path) as probers:
        eventually(lambda: probers.codes().count("circuit_open") >= 200, 60, "nothing goes out", every=0.2)
        row = row_of("bad")
    assert row is not None
    assert (row.state, row.failures) == ("open", 100)
    assert events("bad") == ["breaker.opened"]
    failed = probers.codes().count("mock_failure")
    assert 100 <= failed <= 100 + 4 * 16, failed


@pytest.mark.gate
def test_nothing_goes_out_once_a_trip_is_answered(door: Door, sink: Sink, tmp_path: Path) -> None:
    """Whichever process begins a call afterwards; one that was frozen meanwhile obeys when it wakes."""
    with probing("ok", tmp_path) as probers:
        eventually(lambda: len(sink.arrivals("/ok")) >= 100, 60, "calls go out", every=0.1)
        frozen = probers.processes[0]
        stop_between_writes(frozen.pid)
        answer = door.call("POST", "/admin/circuit-breakers/ok/trip")
        answered = time.monotonic()
        assert answer.json["state"] == "open"
        time.sleep(1)
        frozen.send_signal(signal.SIGCONT)
        woken = time.monotonic()
        eventually(
            lambda: [note for note in probers.notes() if note.word == "prober-0" and note.begun > woken],
            30,
            "the frozen process has gone on",
            every=0.2,
        )
    late = [note for note in probers.notes() if note.begun > answered]
    assert len(late) > 50
    assert {note.code for note in late} == {"circuit_open"}
