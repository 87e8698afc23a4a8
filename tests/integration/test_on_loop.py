"""On the event loop of a worker: commits, calls and leases of many executions on one thread."""

import contextlib
import functools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from config.errors import Unavailable
from config.settings import settings
from event_loop import loop, waiting
from gateway import circuits
from gateway.breakers import CLOSED
from providers.base import Call
from providers.egress import client
from providers.egress.client import Request
from store import audit
from store.engine import db, group_commit, rest
from store.executions import leases, transitions
from store.ids import new_id
from tasks.attempts.lease import LeaseKeeper
from tasks.generations import breaker_rows
from tests.support.executions import new_execution
from tests.support.services import RedisServer

_END_ALL = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def together(works: list[Callable[[], Any]]) -> list[Any]:
    """What each work returns or raises, all begun in one turn of the loop."""
    outcomes: list[Any] = [None] * len(works)

    def all_of_them() -> None:
        left, over = [len(works)], waiting.Event()

        def one(number: int) -> None:
            try:
                outcomes[number] = works[number]()
            except Exception as error:
                outcomes[number] = error
            left[0] -= 1
            if not left[0]:
                over.set()

        for number in range(len(works)):
            loop.of_process().spawn(functools.partial(one, number))
        assert over.wait(60)

    loop.call(all_of_them)
    return outcomes


def note(number: int) -> Callable[[db.Connection], int]:
    """A change that returns its number."""

    def change(connection: db.Connection) -> int:
        audit.record(connection, "w", "me", "tested", f"thing-{number}")
        return number

    return change


def broken(connection: db.Connection) -> None:
    """A change that writes and then raises."""
    audit.record(connection, "w", "me", "tested", "broken")
    raise ValueError("no")


def events(subject: str) -> int:
    """How many rows of the audit trail are about this."""
    with db.read() as connection:
        return len(audit.of(connection, "w", subject))


def test_greenlets_of_one_turn_share_a_transaction(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite all that are ready at once commit in one; each has the result of its own change."""
    used, real = [], db.write

    def counted(**options: Any) -> Any:
        used.append(options)
        return real(**options)

    monkeypatch.setattr(db, "write", counted)
    changes = [functools.partial(group_commit.commit, note(number)) for number in range(20)]
    assert together(changes) == list(range(20))
    assert len(used) == 1


@pytest.mark.on_both
@pytest.mark.parametrize("how", [{}, {"at": "row"}], ids=["apart", "in turn"])
def test_a_poisoned_change_harms_no_other(database: str, how: dict[str, str]) -> None:
    """The change that raises leaves nothing behind; all others of its list are committed once."""
    changes: list[Callable[[], Any]] = [
        functools.partial(group_commit.commit, broken if number == 7 else note(number), **how) for number in range(40)
    ]
    outcomes = together(changes)
    assert isinstance(outcomes.pop(7), ValueError)
    assert outcomes == [number for number in range(40) if number != 7]
    assert [events(f"thing-{number}") for number in range(40)] == [number != 7 for number in range(40)]
    assert events("broken") == 0


@pytest.mark.on_both
def test_greenlets_and_threads_commit_and_read_beside_each_other(database: str) -> None:
    """More greenlets than connections, with threads among them: all are served, nobody waits for ever."""

    def read_and_write(number: int) -> int:
        events(f"thing-{number}")
        done: int = group_commit.commit(note(number), at="row" if number % 2 else "")
        return done + events(f"thing-{number}") - 1

    threads = [threading.Thread(target=read_and_write, args=(1000 + number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert together([functools.partial(read_and_write, number) for number in range(100)]) == list(range(100))
    for thread in threads:
        thread.join(60)
    assert [events(f"thing-{1000 + number}") for number in range(8)] == [1] * 8


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a server that takes connections and says nothing."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    with contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=1000)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    settings.cache_clear()


def test_calls_that_hang_hold_up_nothing(silent: str) -> None:
    """Four hundred calls wait for a server that says nothing, in no thread; greenlets beside them go on at once."""
    order: list[str] = []
    before = threading.active_count()

    def hangs(number: int) -> str:
        call = Call(execution_id=f"exec-{number}", idempotency_key="", config={}, parameters={}, context={})
        call.expires_at = time.monotonic() + 3
        try:
            client.send(Request("POST", silent, body=b"x"), call)
        finally:
            order.append("hung")
        return "answered"

    def quick() -> int:
        for _ in range(50):
            waiting.sleep(0.001)
        order.append("quick")
        return threading.active_count()

    outcomes = together([*(functools.partial(hangs, number) for number in range(400)), *[quick] * 20])
    assert order[:20] == ["quick"] * 20
    assert {getattr(error, "code", error) for error in outcomes[:400]} == {"timeout"}
    assert max(outcomes[400:]) <= before + 4  # the loop, its watchdog; none for a call


def told_of_a_breaker() -> None:
    """Tell the others of a circuit breaker that has opened."""
    breaker_rows.told({"siem": breaker_rows.Change(CLOSED, replace(CLOSED, state="open", opened_at=1), edition=7)})


def a_pause() -> None:
    """Pause as long as a bite of half a second asks for."""
    rest.after_bite(time.monotonic() - 0.5)


@pytest.mark.parametrize("waits", [told_of_a_breaker, a_pause])
def test_what_waits_holds_up_no_other_greenlet(
    sqlite_database: str, redis_server: RedisServer, waits: Callable[[], None]
) -> None:
    """Redis that stands still, and the pause after a bite: the greenlets beside it go on and end before it does."""
    order: list[str] = []

    def waiting_for_it() -> None:
        waits()
        order.append("waited")

    def quick() -> None:
        for _ in range(20):
            waiting.sleep(0.001)
        order.append("quick")
        redis_server.thaw()

    redis_server.freeze()
    try:
        together([waiting_for_it, quick])
    finally:
        redis_server.thaw()
        circuits.replace({})
    assert order == ["quick", "waited"]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_greenlets_outlive_their_connections(database: str) -> None:
    """PostgreSQL ends all connections time and again, in the middle of pipelines too: nothing hangs or is lost.

    A change that returned is made once. One that found the database away is made once or not at all.
    """
    done, away, ended = Counter[str](), Counter[str](), list[int]()

    def ends_them() -> None:
        for _ in range(5):
            waiting.sleep(0.1)
            with contextlib.suppress(Unavailable), db.write(single=True) as connection:
                connection.execute(_END_ALL)
        ended.append(5)

    def works(number: int) -> None:
        ways: list[dict[str, Any]] = [{}, {"at": "row"}]
        while not ended:
            for at, way in enumerate(ways):
                subject = f"thing-{number * 2 + at}"
                try:
                    group_commit.commit(note(number * 2 + at), **way)
                    done[subject] += 1
                except Unavailable:
                    away[subject] += 1
                    waiting.sleep(0.01)

    assert together([ends_them, *[functools.partial(works, number) for number in range(30)]]) == [None] * 31
    db.dispose()  # the last of them may end only now
    for number in range(60):
        subject = f"thing-{number}"
        assert done[subject] <= events(subject) <= done[subject] + away[subject]
    assert done.total() > 0 < away.total()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_serves_greenlets_and_threads(database: str) -> None:
    """On the loop its greenlet alone waits; a thread uses the same one, and closes it under a greenlet that waits."""
    from store.engine.watchers import WatchedConnection

    one = WatchedConnection.connect(settings().database_url.replace("+psycopg", ""), autocommit=True)
    answers, began = list[Any](), threading.Event()

    def asks(statement: str) -> None:
        answers.append(one.execute(statement).fetchone())

    def waits() -> None:
        began.set()
        one.execute("SELECT pg_sleep(60)")

    others: list[int] = []

    def goes_on() -> None:
        while not answers:
            others.append(len(others))
            waiting.sleep(0.01)

    assert together([functools.partial(asks, "SELECT 1 FROM pg_sleep(0.5)"), goes_on]) == [None] * 2
    assert len(others) > 3, "others went on"
    asks("SELECT 2")
    loop.call(functools.partial(asks, "SELECT 3"))
    assert answers == [(1,), (2,), (3,)]
    closing = threading.Thread(target=lambda: (began.wait(60), one.close()))
    closing.start()
    (outcome,) = together([waits])
    closing.join(60)
    assert isinstance(outcome, psycopg.OperationalError)
    with pytest.raises(psycopg.OperationalError):
        asks("SELECT 4")


@pytest.mark.on_both
def test_leases_hold_while_the_loop_stands_still(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A greenlet blocks the thread for twice the length of a lease: no other worker gets the execution."""
    monkeypatch.setenv("TOCSIN_LEASE_SECONDS", "1")
    settings.cache_clear()
    keeper, execution = LeaseKeeper(), new_id("exec")
    with db.write() as connection:
        transitions.accept(connection, new_execution(id=execution), publish_again_at=db.now_ms())
        row = transitions.claim(connection, execution, keeper.owner, keeper.lease_ms)
    assert row is not None
    found: list[Any] = []

    def holds() -> None:
        with keeper.hold(execution, row.attempt, row.timeout_ms, time.monotonic(), repeatable=True) as held:
            waiting.sleep(0.1)  # the other one blocks meanwhile
            held.checkpoint()
            with db.read() as connection:
                ours = leases.still_held(connection, keeper.owner, [execution])
            found.append(((execution, row.attempt) in ours, held.aborted()))

    def blocks() -> None:
        time.sleep(2)

    assert together([holds, blocks]) == [None, None]
    assert found == [(True, False)]
    settings.cache_clear()
