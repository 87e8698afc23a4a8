"""What tick does with a running execution whose worker is silent, or whose time is up."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
import time_machine

from config.settings import settings
from store.engine import db
from store.executions import leases, transitions
from tasks.attempts.lease import renewal_ms
from tasks.clock import duty, recovery, sweep
from tasks.clock.reach import Reach
from tasks.entrypoints import tick
from tests.support.executions import new_execution
from tests.support.services import ForeignPostgres, PostgresServer

pytestmark = pytest.mark.on_both


@pytest.fixture(autouse=True)
def _no_outage_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests did to their databases is no outage here."""
    fresh = Reach(time.time)
    for module in (recovery, duty, sweep, tick):
        monkeypatch.setattr(module, "reach", fresh)


def _running(queue: str, timeout_seconds: int, *, idempotent: bool = True) -> str:
    """An execution that a worker has just claimed."""
    values = new_execution(queue=queue, idempotent=idempotent, timeout_ms=timeout_seconds * 1000)
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms() + 30_000)
    with db.write() as connection:
        assert transitions.claim(connection, values["id"], "owner", settings().lease_seconds * 1000) is not None
    return values["id"]


def _row(execution_id: str):
    with db.read() as connection:
        return transitions.get(connection, "w", execution_id)


@pytest.mark.parametrize("timeout_seconds", [2, 5, 20, 45, 300])
def test_a_dead_worker_is_no_time_out(database: str, timeout_seconds: int) -> None:
    """However short the action's time is: when its worker dies at once, the action is tried again."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", timeout_seconds)
        clock.shift(max(timeout_seconds, settings().lease_seconds) + 3)
        messages, _, _ = sweep.handle_batch({})
        assert [message.execution_id for message in messages] == [execution_id]
        row = _row(execution_id)
        assert (row.status, row.queue, row.lapses) == ("pending", "steps", 1)


@pytest.mark.parametrize("timeout_seconds", [2, 5, 20, 45])
def test_a_living_worker_whose_time_is_up_has_timed_out(database: str, timeout_seconds: int) -> None:
    """When the lease was renewed all along, the end of the action's time is a time-out."""
    lease_ms = settings().lease_seconds * 1000
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", timeout_seconds)
        step, gone = renewal_ms(timeout_seconds * 1000, lease_ms) / 1000, 0.0
        while gone < timeout_seconds + 3:
            clock.shift(step)
            gone += step
            with db.write() as connection:
                leases.extend(connection, "owner", [execution_id], lease_ms)
            sweep.handle_batch({})
        assert _row(execution_id).status == "timeout"


def test_an_at_most_once_action_is_never_tried_again(database: str) -> None:
    """Its worker died within its time: it ends failed, with an unknown outcome."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("steps", 20, idempotent=False)
        clock.shift(23)
        assert sweep.handle_batch({})[0] == []
        row = _row(execution_id)
        assert row.status == "failed"
        assert transitions.load(row.error)["outcome_unknown"] is True


def test_silence_of_a_killable_process_is_a_timeout(database: str) -> None:
    """A Python action stuck in C keeps its process from renewing: at the end of its time it has timed out."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running("scripts", 10)
        clock.shift(13)
        sweep.handle_batch({})
        assert _row(execution_id).status == "timeout"


@pytest.mark.parametrize("queue", ["steps", "urgent", "scripts"])
def test_only_what_was_lost_twice_is_tried_apart(database: str, queue: str) -> None:
    """The first time its worker dies an execution goes on where all the others do; after the third it is given up."""
    lease_ms = settings().lease_seconds * 1000
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        execution_id = _running(queue, 300)
        went = []
        for _ in range(3):
            clock.shift(lease_ms / 1000 + 3)
            sweep.handle_batch({})
            row = _row(execution_id)
            went.append((row.status, row.queue, row.lapses))
            with db.write() as connection:
                transitions.claim(connection, execution_id, "another", lease_ms)
        assert went == [("pending", queue, 1), ("pending", "quarantine", 2), ("failed", "quarantine", 2)]
        assert transitions.load(_row(execution_id).error)["code"] == "attempts_exhausted"


@contextmanager
def _database_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The database cannot be reached by this process."""
    with monkeypatch.context() as patch:
        away = (
            "sqlite:////nowhere/at.all" if db.engine().dialect.name == "sqlite" else "postgresql+psycopg://@/x?host=/no"
        )
        patch.setenv("TOCSIN_DATABASE_URL", away)
        settings.cache_clear()
        db.dispose()
        yield
    settings.cache_clear()
    db.dispose()


@pytest.mark.parametrize("idempotent", [True, False])
def test_no_worker_is_taken_for_dead_because_the_database_was_away(
    database: str, monkeypatch: pytest.MonkeyPatch, idempotent: bool
) -> None:
    """After an outage a live worker has a whole lease to renew what lapsed; a dead one is found after that."""
    lease_ms = settings().lease_seconds * 1000
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        living = _running("steps", 600, idempotent=idempotent)
        dead = _running("steps", 600, idempotent=idempotent)
        with _database_away(monkeypatch):
            clock.shift(2 * lease_ms / 1000)
            tick.tick()
        assert sweep.handle_batch({})[0] == []
        assert {(row.status, row.lapses) for row in map(_row, (living, dead))} == {("running", 0)}
        for _ in range(4):
            with db.write() as connection:
                leases.extend(connection, "owner", [living], lease_ms)
            clock.shift(lease_ms / 3000 + 1)
            sweep.handle_batch({})
        assert (_row(living).status, _row(living).lapses) == ("running", 0)
        assert (_row(dead).status, _row(dead).lapses) == (("pending", 1) if idempotent else ("failed", 0))


def test_a_database_that_did_not_answer_was_away(database: str) -> None:
    """It was frozen and thawed: the look that had to wait for it counts as an outage, a quick one does not."""
    seen = Reach(time.time)
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        asked = seen.clock()
        seen.reached(asked)
        assert seen.respite_ms() == 0
        clock.shift(40)
        seen.reached(asked)
        assert seen.respite_ms() == settings().lease_seconds * 1000
        clock.shift(settings().lease_seconds)
        assert seen.respite_ms() == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_tick_that_met_a_frozen_database_takes_no_worker_for_dead(
    database: str, postgres_server: PostgresServer | ForeignPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in its work it had to wait: what lapsed meanwhile is left for a lease."""
    if isinstance(postgres_server, ForeignPostgres):
        pytest.skip("somebody else's server is not frozen")
    monkeypatch.setenv("TOCSIN_LEASE_SECONDS", "3")
    settings.cache_clear()
    execution_id, begins = _running("steps", 300), threading.Event()
    with db.write() as connection:
        connection.execute(sa.update(transitions.executions).values(due_at=1, renewed_at=1))

    def tick_once() -> None:
        begins.set()
        tick.tick()

    ticking = threading.Thread(target=tick_once)
    postgres_server.send(signal.SIGSTOP)
    try:
        ticking.start()
        begins.wait()
        time.sleep(2)
    finally:
        postgres_server.send(signal.SIGCONT)
        ticking.join()
    assert (_row(execution_id).status, _row(execution_id).lapses) == ("running", 0)
    assert _row(execution_id).due_at > 1


@pytest.mark.parametrize(("seconds", "respite"), [(3600, 30_000), (-3600, 0), (2, 0)])
def test_a_clock_that_was_put_forward_kills_no_worker(seconds: float, respite: int) -> None:
    """All leases lapse at once when a machine wakes up or its clock is set: each worker is given time to renew."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        seen = Reach(lambda: 100.0)
        seen.reached(100.0)
        clock.shift(seconds)
        seen.reached(100.0)
        assert seen.respite_ms() == respite
