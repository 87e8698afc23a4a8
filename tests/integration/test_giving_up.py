"""What a worker does with an attempt that it cannot go on with: it is handed back wherever that can do no harm."""

import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from config.settings import settings
from providers.base import Abandoned
from store.engine import db
from store.engine.db import Row
from store.executions import transitions
from store.ids import new_id
from tasks.attempts import drain, lease
from tasks.attempts.lease import FRESH, HeldLease, LeaseKeeper
from tasks.attempts.perform import give_up
from tasks.fairness import slots
from tasks.messages import requeue
from tests.support.executions import new_execution
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker process of its own, whose leases take a second."""
    monkeypatch.setenv("TOCSIN_LEASE_SECONDS", "1")
    settings.cache_clear()
    monkeypatch.setattr(lease, "_keeper", None)
    yield
    lease.keeper().close()


def _added(**more: object) -> str:
    values = new_execution(idempotent=False) | more
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms() + 600_000)
    return values["id"]


def _claimed(keep: LeaseKeeper, execution_id: str, *, step: bool = False) -> Row:
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, keep.owner, keep.lease_ms, step=step)
    assert row is not None
    return row


def _row(execution_id: str) -> Row:
    with db.read() as connection:
        return connection.execute(
            sa.select(transitions.executions).where(transitions.executions.c.id == execution_id)
        ).one()


def _hold(row: Row) -> object:
    return lease.keeper().hold(row.id, row.attempt, row.timeout_ms, time.monotonic(), repeatable=row.idempotent)


def _handed_back(execution_id: str, attempt: int = 1) -> bool:
    row = _row(execution_id)
    given = (row.status, row.attempt, row.lapses, row.owner) == ("pending", attempt, 0, None)
    return given and row.due_at <= db.now_ms()


def _without_looks(held: HeldLease) -> None:
    """Have the last look be too old for an effect to begin."""
    held.verified = time.monotonic() - FRESH - 0.1


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_look_that_took_long_is_taken_again(database: str) -> None:
    """The answer came late, and the attempt is ours: it goes on."""
    lease.keeper().lease_ms = 60_000
    row = _claimed(lease.keeper(), _added())
    locked, over = threading.Event(), threading.Event()

    def hold_up() -> None:
        with db.write() as connection:
            connection.execute(sa.text("LOCK TABLE executions IN ACCESS EXCLUSIVE MODE"))
            locked.set()
            over.wait(FRESH + 0.2)

    with _hold(row) as held:
        _without_looks(held)
        delaying = threading.Thread(target=hold_up)
        delaying.start()
        locked.wait(10)
        held.checkpoint()
        delaying.join()
        assert held.begun


@pytest.mark.parametrize("idempotent", [True, False])
def test_what_was_never_begun_is_handed_back(database: str, monkeypatch: pytest.MonkeyPatch, idempotent: bool) -> None:
    """The database was away for a lease right before the effect: another worker may claim it at once."""
    row = _claimed(lease.keeper(), _added(idempotent=idempotent))
    with _hold(row) as held:
        with monkeypatch.context() as away:
            nowhere = "sqlite:////nowhere/at.all" if database == "sqlite" else "postgresql+psycopg://@/x?host=/no"
            away.setenv("TOCSIN_DATABASE_URL", nowhere)
            settings.cache_clear()
            db.dispose()
            _without_looks(held)
            with pytest.raises(Abandoned):
                held.checkpoint()
        settings.cache_clear()
        db.dispose()
        give_up(held)
    assert _handed_back(row.id)
    assert _claimed(lease.keeper(), row.id).attempt == 2


def test_an_effect_that_has_begun_is_never_handed_back(database: str) -> None:
    """An effect that must not happen twice stays claimed: tick ends it with an unknown outcome."""
    row = _claimed(lease.keeper(), _added())
    with _hold(row) as held:
        held.checkpoint()
        held.abort()
        give_up(held)
    assert (_row(row.id).status, _row(row.id).owner) == ("running", lease.keeper().owner)


def test_an_overtaken_attempt_hands_nothing_back(database: str) -> None:
    """Another attempt is under way: the one before it changes nothing."""
    row = _claimed(lease.keeper(), _added(idempotent=True))
    with _hold(row) as held:
        with db.write() as connection:
            transitions.transition(connection, row.id, "pending", fence=1, owner=None)
            transitions.claim(connection, row.id, "another", 60_000)
        give_up(held)
    assert (_row(row.id).status, _row(row.id).attempt, _row(row.id).owner) == ("running", 2, "another")


@pytest.mark.parametrize("run", ["running", "paused", "cancelled"])
def test_a_step_is_handed_back_to_a_run_that_goes_on(database: str, run: str) -> None:
    """A step of a run that has ended is released instead, so that nothing waits for its worker."""
    run_id = _added(kind="playbook", id=new_id("pexec"))
    with db.write() as connection:
        transitions.transition(connection, run_id, "running")
    row = _claimed(lease.keeper(), _added(kind="step", type="action", run_id=run_id, id=f"{run_id}.s"), step=True)
    with db.write() as connection:
        connection.execute(
            sa.update(transitions.executions).where(transitions.executions.c.id == run_id).values(status=run)
        )
    with _hold(row) as held:
        give_up(held)
    if run == "cancelled":
        assert (_row(row.id).status, _row(row.id).owner) == ("running", None)
    else:
        assert _handed_back(row.id)


def test_a_worker_that_leaves_hands_back_what_may_be_done_again(database: str) -> None:
    """Of what has begun and must not happen twice the lease ends; nothing begins any more; others keep theirs."""
    keep = lease.keeper()
    begun, waiting, repeatable = (_claimed(keep, _added(idempotent=each)) for each in (False, False, True))
    others = _added(idempotent=True)
    with db.write() as connection:
        transitions.claim(connection, others, f"{lease.owners_of(1)}x", 60_000)
    with _hold(begun) as one, _hold(waiting) as two, _hold(repeatable) as three:
        one.checkpoint()
        three.checkpoint()
        drain.leave([])
        with pytest.raises(Abandoned):
            two.checkpoint()
    assert _handed_back(waiting.id)
    assert _handed_back(repeatable.id)
    assert _row(begun.id).status == "running"
    assert _row(begun.id).due_at <= db.now_ms()
    assert lease.silent(_row(begun.id), keep.lease_ms)
    assert _row(others).owner == f"{lease.owners_of(1)}x"


@pytest.mark.parametrize("when", ["before it is held", "before the effect", "after the effect has begun"])
@pytest.mark.parametrize("idempotent", [True, False])
def test_a_pool_process_that_is_ended_hands_back(
    database: str, monkeypatch: pytest.MonkeyPatch, idempotent: bool, when: str
) -> None:
    """Wherever the signal hits after the claim: only what has begun and must not happen twice is not handed back."""
    keep = lease.keeper()
    execution_id = _added(idempotent=idempotent, queue="scripts")

    def work() -> str:
        row = _claimed(keep, execution_id)
        if when == "before it is held":
            sys.exit()
        with _hold(row) as held:
            if when == "after the effect has begun":
                held.checkpoint()
            sys.exit()

    monkeypatch.setattr(requeue, "queue_of", lambda _request: "scripts")
    with pytest.raises(SystemExit):
        slots.carry_out_single(SimpleNamespace(request=None), work)
    if idempotent or when != "after the effect has begun":
        assert _handed_back(execution_id)
    else:
        assert _row(execution_id).status == "running"
        assert lease.silent(_row(execution_id), keep.lease_ms)


def test_what_was_claimed_in_doubt_is_handed_back(database: str) -> None:
    """The answer to a claim never came: the row says that it is ours, and no slot works on it."""
    keep = lease.keeper()
    doubtful, held, others = (_claimed(keep, _added()) for _ in range(3))
    table = transitions.executions
    with db.write() as connection:
        connection.execute(sa.update(table).values(renewed_at=db.now_ms() - lease.IN_DOUBT - 1))
        connection.execute(sa.update(table).where(table.c.id == others.id).values(owner="another"))
    with _hold(held):
        keep.doubt()
        eventually(lambda: _handed_back(doubtful.id), 30, "the doubtful one is handed back")
    assert _row(held.id).status == "running"
    assert _row(others.id).status == "running"


def test_an_effect_whose_end_was_not_written_is_not_handed_back_in_doubt(database: str) -> None:
    """Its hold is gone, and the row says that it is ours: the outcome is unknown, so it is not repeated."""
    keep = lease.keeper()
    row, doubtful = (_claimed(keep, _added()) for _ in range(2))
    with pytest.raises(ZeroDivisionError), _hold(row) as held:
        held.checkpoint()
        _ = 1 / 0
    with db.write() as connection:
        table = transitions.executions
        connection.execute(sa.update(table).values(renewed_at=db.now_ms() - lease.IN_DOUBT - 1))
    keep.doubt()
    eventually(lambda: _handed_back(doubtful.id), 30, "the doubtful one is handed back")
    assert _row(row.id).status == "running"


def test_a_claim_is_given_time_to_be_held(database: str) -> None:
    """What was claimed a moment ago may be in the hands of a thread that has yet to say so."""
    keep = lease.keeper()
    fresh = _claimed(keep, _added())
    keep.doubt()
    eventually(lambda: _handed_back(fresh.id), 30, "it is handed back later")
    assert db.now_ms() - _row(fresh.id).renewed_at > lease.IN_DOUBT
