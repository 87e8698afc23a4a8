"""Executions continue after workers died, and after the database was away.

With the lease that is the default, 30 seconds: these tests take minutes.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.databases import own_database
from tests.support.services import PostgresServer
from tests.support.stack import Stack
from tests.support.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]

#: at most so long after a worker's death, or the repair of what kept it from going on, its work is taken up, seconds
PROMISED = 45
#: between the first and the last of what a worker held, where there is room for all at once, seconds
WIDTH = 20


@pytest.fixture(params=["sqlite", "postgresql"])
def patient_stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The product with the usual lease, on each kind of database."""
    with own_database(request, request.param, "takeover") as url, Stack(url, lease_seconds=30) as product:
        yield product


def call(stack: Stack, path: str, number: int, **more: object) -> list[str]:
    """Trigger a call ``number`` times, and wait until all are under way."""
    action = stack.api.create_action(config={"url": f"{stack.sink.url}{path}"}, timeout_seconds=600, **more)
    executions = [stack.api.trigger(action) for _ in range(number)]
    eventually(lambda: len(stack.sink.arrivals(path)) >= number, 60, "all calls are under way")
    return executions


def second_calls(stack: Stack, path: str) -> dict[str, float]:
    """When each execution was called for the second time (monotonic)."""
    seen, again = set(), {}
    for arrival in stack.sink.arrivals(path):
        if arrival.key in seen:
            again.setdefault(arrival.key, arrival.at)
        seen.add(arrival.key)
    return again


def test_sixty_calls_of_dead_workers_go_on_at_once(patient_stack: Stack) -> None:
    """A killed worker's calls are repeated in time, in parallel, none quarantined."""
    stack, path = patient_stack, "/slow-first?seconds=600&then=5&bereft"
    executions = call(stack, path, 60)
    killed = time.monotonic()
    for name in ("worker", "slow", "scripts", "beat"):
        stack.kill(name)
    for name in ("worker", "slow", "scripts", "beat"):
        stack.start(name)
    rows = stack.wait_ended(executions, 240)
    again = second_calls(stack, path)
    assert {(row["status"], row["lapses"]) for row in rows.values()} == {("completed", 1)}
    assert "quarantine" not in {row["queue"] for row in rows.values()}
    assert len(again) == 60
    print(f"called again after {min(again.values()) - killed:.1f} to {max(again.values()) - killed:.1f} s")
    assert max(again.values()) - min(again.values()) <= WIDTH
    assert max(again.values()) - killed <= PROMISED + WIDTH  # the machine may stand still for a moment


def test_a_frozen_database_makes_no_living_worker_count_as_dead(
    patient_stack: Stack, request: pytest.FixtureRequest
) -> None:
    """Ends during a long freeze are recorded; non-idempotent calls complete.

    What a worker held that died meanwhile goes on within the time promised after the repair.
    """
    stack = patient_stack
    if stack.database_url.startswith("sqlite"):
        pytest.skip("a file cannot be frozen")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    path = "/slow-first?seconds=25&then=1&dying"
    once, ends = (
        stack.api.trigger(
            stack.api.create_action(
                type="script",
                executor="local",
                config={"interpreter": "bash", "script": f"sleep {seconds}"},
                idempotent=idempotent,
            )
        )
        for seconds, idempotent in ((60, False), (15, True))
    )
    eventually(lambda: {stack.row(one)["status"] for one in (once, ends)} == {"running"}, 30, "the scripts run")
    dying = call(stack, path, 10)
    server.send(signal.SIGSTOP)
    try:
        stack.kill("worker")
        time.sleep(40)
    finally:
        server.send(signal.SIGCONT)
    repaired = time.monotonic()
    stack.start("worker")
    rows = stack.wait_ended([once, ends, *dying], 150)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert {(rows[one]["attempt"], rows[one]["lapses"]) for one in (once, ends)} == {(1, 0)}
    assert {(rows[one]["attempt"], rows[one]["lapses"]) for one in dying} == {(2, 1)}
    again = second_calls(stack, path)
    print(
        f"called again {min(again.values()) - repaired:.1f} to {max(again.values()) - repaired:.1f} s after the repair"
    )
    assert max(again.values()) - repaired <= PROMISED + WIDTH


@contextlib.contextmanager
def starving(stack: Stack, *names: str) -> Iterator[None]:
    """Let these processes run 10 of every 600 ms: an overloaded machine."""
    over = threading.Event()

    def starve() -> None:
        while not over.is_set():
            for name in names:
                stack.freeze(name)
            over.wait(0.6)
            for name in names:
                stack.thaw(name)
            time.sleep(0.01)

    starver = threading.Thread(target=starve)
    starver.start()
    try:
        yield
    finally:
        over.set()
        starver.join()


def test_a_starved_worker_fails_nothing_that_it_never_sent(patient_stack: Stack) -> None:
    """A starved worker ends no unsent, non-idempotent call with an unknown outcome."""
    stack = patient_stack
    action = stack.api.create_action(config={"url": f"{stack.sink.url}/ok?starved"}, idempotent=False)
    with starving(stack, "worker", "slow"):
        executions = []
        for _ in range(60):
            executions.append(stack.api.trigger(action))
            time.sleep(0.7)
    rows = stack.wait_ended(executions, 120)
    heard = stack.sink.keys("/ok?starved")
    assert set(heard.values()) == {1}
    failed = {one: row["error"] for one, row in rows.items() if row["status"] != "completed"}
    assert not {one: error for one, error in failed.items() if one not in heard}, failed
