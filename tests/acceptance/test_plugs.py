"""Processes and servers that freeze, end and return lose and repeat nothing."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.playbooks import repeated
from tests.support.services import PostgresServer
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: a trigger answers within this time even when Redis is dead or frozen, seconds
PROMPT = 0.3
#: a call during which the worker is frozen is answered after this, seconds
ANSWERS_LATE = 10


def prompt_triggers(stack: Stack, action_id: str) -> list[str]:
    """Check that the median of seven triggers is prompt; returns the executions."""
    executions, times = [], []
    for _ in range(7):
        started = time.monotonic()
        executions.append(stack.api.trigger(action_id))
        times.append(time.monotonic() - started)
    assert sorted(times)[len(times) // 2] <= PROMPT, times
    return executions


@pytest.mark.gate
def test_a_worker_that_wakes_up_late_changes_nothing(first_stack: Stack) -> None:
    """A worker frozen beyond its lease loses its execution and changes nothing."""
    stack = first_stack
    url = f"{stack.sink.url}/slow-first?seconds={ANSWERS_LATE}&late"
    actions = [
        stack.api.create_action(config={"url": url}, timeout_seconds=60, **more) for more in ({}, {"idempotent": False})
    ]
    again, never_again = [stack.api.trigger(action_id) for action_id in actions]
    eventually(lambda: {again, never_again} <= set(stack.sink.keys()), 30, "both calls have arrived")
    stack.freeze("worker")
    before = stack.wait_ended([again, never_again], 60)
    assert before[again]["status"] == "completed"
    assert before[again]["attempt"] == 2
    assert before[never_again]["status"] == "failed"
    assert stack.api.execution(never_again)["error"]["outcome_unknown"] is True
    answered = max(call.at for call in stack.sink.arrivals("/slow-first")) + ANSWERS_LATE
    time.sleep(max(0.0, answered + 1 - time.monotonic()))  # their answers await the frozen worker
    woken = time.time() * 1000
    stack.thaw("worker")
    awake = "SELECT running FROM processes WHERE name LIKE 'steps@%' AND beat_at > :woken AND running = 0"
    eventually(lambda: stack.rows(awake, woken=woken), 20, "the thawed worker has nothing in hand")
    after = stack.wait_ended([again, never_again], 1)
    for execution in (again, never_again):
        assert {**after[execution], "owner": None} == {**before[execution], "owner": None}
    keys = stack.sink.keys("/slow-first")
    assert keys[again] == 2, "the take-over repeats the call, under the same key"
    assert keys[never_again] == 1


def test_triggers_do_not_need_redis(sqlite_stack: Stack) -> None:
    """Without Redis a trigger promptly gets 202, and runs when Redis returns."""
    stack = sqlite_stack
    action_id = stack.api.create_action(config={"url": f"{stack.sink.url}/ok?dead"})
    stack.redis.kill()
    executions = prompt_triggers(stack, action_id)
    stack.redis.start()
    rows = stack.wait_ended(executions, 60)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert not repeated(rows.values(), stack.sink.keys("/ok?dead"))


def test_a_frozen_redis_slows_no_trigger(sqlite_stack: Stack) -> None:
    """With Redis frozen (connections open, no answers) a trigger promptly gets 202."""
    stack = sqlite_stack
    action_id = stack.api.create_action(config={"url": f"{stack.sink.url}/ok?frozen"})
    stack.redis.freeze()
    try:
        executions = prompt_triggers(stack, action_id)
    finally:
        stack.redis.thaw()
    rows = stack.wait_ended(executions, 60)
    assert not repeated(rows.values(), stack.sink.keys("/ok?frozen"))


@contextmanager
def _postgresql_down(stack: Stack, server: PostgresServer) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _sqlite_locked(stack: Stack) -> Iterator[None]:
    lock = sqlite3.connect(stack.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
    lock.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        lock.execute("ROLLBACK")
        lock.close()


def check_outage(stack: Stack, outage: Iterator[None]) -> None:
    """Check 503 during the outage, and recovery without a restart."""
    action_id = stack.api.create_action(config={"url": f"{stack.sink.url}/slow?seconds=0.5&outage"})
    before = stack.api.trigger(action_id)
    pids = {name: process.pid for name, process in stack.running.items()}
    with outage:
        refused = stack.api.post_trigger(action_id, key="during the outage")
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "unavailable"
        assert refused.json()["retryable"] is True
    after = stack.api.insist(action_id, {}, key="during the outage", seconds=15)
    rows = stack.wait_ended([before, after], 45)
    assert {row["status"] for row in rows.values()} == {"completed"}
    stack.heal()
    assert pids == {name: process.pid for name, process in stack.running.items()}, "something had to be restarted"


@pytest.mark.gate
def test_postgresql_goes_away_and_comes_back(postgresql_stack: Stack, request: pytest.FixtureRequest) -> None:
    """While PostgreSQL is down triggers get 503; after its start work continues."""
    server = request.getfixturevalue("postgres_server")
    if not isinstance(server, PostgresServer):
        pytest.skip("the PostgreSQL server is not ours to stop")
    check_outage(postgresql_stack, _postgresql_down(postgresql_stack, server))


@pytest.mark.gate
def test_sqlite_is_locked_and_released(sqlite_stack: Stack) -> None:
    """While SQLite is locked triggers get 503; after the release work continues."""
    check_outage(sqlite_stack, _sqlite_locked(sqlite_stack))


def test_a_second_beat_changes_nothing(first_stack: Stack) -> None:
    """With two schedulers retries, republishing and recovery still happen once each."""
    stack = first_stack
    var = Path(stack.environment["TOCSIN_VAR_DIR"])
    key = (var / "secret.key").read_text().strip()  # of another one its seals would not be this installation's
    stack.start("second beat", "beat", TOCSIN_VAR_DIR=f"{var}/second", TOCSIN_SECRET_KEY=key)
    eventually(lambda: "ready." in stack.log("second beat"), 30, "the second beat runs")
    retry = {"max_attempts": 3, "backoff_seconds": 0.5, "jitter": False}
    flaky = stack.api.create_action(config={"url": f"{stack.sink.url}/fail-first/2?beats"}, retry=retry)
    expiring = stack.api.create_action(type="approval", executor="approval", config={"expires_in_seconds": 1})
    executions = [stack.api.trigger(flaky) for _ in range(10)]
    expired = [stack.api.trigger(expiring) for _ in range(5)]
    rows = stack.wait_ended([*executions, *expired], 90)
    assert {rows[one]["status"] for one in executions} == {"completed"}
    assert stack.sink.keys("/fail-first/2?beats") == dict.fromkeys(executions, 3)
    assert {rows[one]["status"] for one in expired} == {"timeout"}
    for one in expired:
        events = stack.rows("SELECT event FROM audit WHERE subject = :one AND event = 'execution.timeout'", one=one)
        assert len(events) == 1
