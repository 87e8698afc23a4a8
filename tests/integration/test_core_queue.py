"""The database and the queue together, inside one process: what is published when, and that copies do no harm."""

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import time_machine

from config.errors import Unprocessable
from config.settings import settings
from store import access, worker_processes
from store import redis as redis_store
from store.access import Caller
from store.engine import db
from store.executions import idempotency, transitions
from store.executions.lists import listing
from tasks.attempts import action as attempts_action
from tasks.definitions import actions as catalogue
from tasks.entrypoints import maintenance, tick
from tasks.fairness import fair_queue
from tasks.intake.dispatch import AcceptedExecution, DispatchRequest, dispatch
from tasks.messages import backlog
from tests.support import services
from tests.support.duties import unlimited
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.on_both

CALLER = Caller(key_id="key", workspace_id="queue", role="admin", permissions=access.ROLES["admin"])
START = 1_800_000_000.0


@pytest.fixture
def action(database: str, redis_server: RedisServer) -> Iterator[str]:
    """An action in an empty database, with an empty Redis."""
    ready_to_publish()
    redis_server.client().flushall()
    redis_store.set_mark()
    with db.write() as connection:
        access.ensure_workspace(connection, CALLER.workspace_id, "Queue")
    config = {"url": "http://192.0.2.1/", "body": {"n": "{{ n }}"}}
    parameters = [{"name": "n", "type": "integer", "required": False, "default": 0}]
    wanted = {"name": "queued", "type": "webhook", "executor": "webhook", "config": config, "parameters": parameters}
    yield catalogue.create(CALLER, wanted).id
    redis_server.client().flushall()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues that drain slowly and are uncounted so far, and a caller without earlier requests."""
    monkeypatch.setattr(fair_queue, "queue", fair_queue.FairQueue(of=lambda _queue: 400).queue)
    monkeypatch.setattr(backlog, "SLOWEST_DRAIN", 1)
    monkeypatch.setattr(backlog.backlog, "_good_until", -1.0)
    # however long a test takes: the first accept counts, those that follow do not, the first tick does
    monkeypatch.setattr(backlog, "time", SimpleNamespace(monotonic=lambda: 0.0))
    unlimited(monkeypatch)


def accept(action_id: str, n: int = 0, key: str | None = None) -> AcceptedExecution:
    """Dispatch in dry-run mode: everything but the call itself."""
    request = DispatchRequest(
        caller=CALLER, action_id=action_id, parameters={"n": n}, mode="dry_run", idempotency_key=key
    )
    return dispatch(request)


def row(execution_id: str) -> db.Row:
    with db.read() as connection:
        return transitions.get(connection, CALLER.workspace_id, execution_id)


def change(execution_id: str, **values: object) -> None:
    with db.write() as connection:
        table = transitions.executions
        connection.execute(sa.update(table).where(table.c.id == execution_id).values(**values))


def queued(server: RedisServer) -> int:
    """How many executions have been published; several may share a message, and what is too much waits on ``bulk``."""
    return services.queued(server, "steps", "bulk")


def wait_queued(server: RedisServer, number: int) -> None:
    eventually(lambda: queued(server) == number, 30, f"{number} executions are queued")


def test_twenty_keys_times_eight_copies_make_twenty_executions(action: str) -> None:
    """Concurrent copies of a request with one Idempotency-Key all get the same execution."""
    barrier = threading.Barrier(8)

    def copy(_: int) -> list[AcceptedExecution]:
        made = []
        for number in range(20):
            barrier.wait(timeout=30)
            made.append(accept(action, number, key=f"key-{number}"))
        return made

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(copy, range(8)))
    for number in range(20):
        assert len({made[number].execution_id for made in answers}) == 1
        assert sorted(made[number].replayed for made in answers) == [False] + [True] * 7
    with db.read() as connection:
        assert listing.counts(connection) == {"pending": 20}


def test_a_key_used_for_something_else_is_refused(action: str) -> None:
    """The same key with other values is refused as a mistake of the caller, and makes nothing."""
    accept(action, 1, key="same")
    with pytest.raises(Unprocessable) as refused:
        accept(action, 2, key="same")
    assert refused.value.code == "idempotency_key_reused"
    with db.read() as connection:
        assert listing.counts(connection) == {"pending": 1}


def test_one_message_delivered_eight_times_is_carried_out_once(action: str) -> None:
    """Of eight deliveries at the same moment one does the work; the others find nothing to do."""
    execution_id = accept(action).execution_id
    with ThreadPoolExecutor(8) as pool:
        endings = list(pool.map(lambda _: attempts_action.attempt(execution_id).status, range(8)))
    assert Counter(endings) == {"completed": 1, "stale": 7}
    assert row(execution_id).attempt == 1


def test_what_the_backlog_explains_is_not_published_again(action: str, redis_server: RedisServer, slow: None) -> None:
    """An execution that waits for its turn is left alone as long as the queue needs; then its message is lost."""
    number, lease = 100, settings().lease_seconds
    with time_machine.travel(START, tick=False) as clock:
        ids = [accept(action).execution_id for _ in range(number)]
        wait_queued(redis_server, number)
        clock.shift(lease)
        assert tick.tick() == {}
        clock.shift(number - lease - 1)
        assert tick.tick() == {}, "published before its time"
        for copies in range(2, 5):
            clock.shift(1)
            assert tick.tick() == {"recovery": number}
            assert queued(redis_server) == copies * number
            assert row(ids[0]).due_at - db.now_ms() == number * 1000
            clock.shift(number - 1)
            assert tick.tick() == {}, "published before its time"


def test_an_execution_on_a_long_queue_is_due_when_its_turn_may_have_come(
    action: str, redis_server: RedisServer, slow: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a queue that needs longer than a lease, the wait is known from the first; on all others it is a lease."""
    lease = settings().lease_seconds
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(60):
            accept(action)
        clock.shift(lease - 1)
        monkeypatch.setattr(backlog.backlog, "_good_until", -1.0)
        late = accept(action).execution_id
        assert row(late).due_at - db.now_ms() == 60_000


def test_a_backlog_explains_nothing_on_another_queue(action: str, redis_server: RedisServer, slow: None) -> None:
    """An unanswered message on an empty queue is published again after a lease, whatever waits elsewhere."""
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(100):
            accept(action)
        alone = accept(action).execution_id
        change(alone, queue="quarantine")
        wait_queued(redis_server, 101)
        clock.shift(settings().lease_seconds)
        assert tick.tick() == {"recovery": 1}
        assert len(redis_server.client().lrange("quarantine", 0, -1)) == 1


def test_a_run_that_waits_for_its_turn_still_ends_in_time(action: str, redis_server: RedisServer, slow: None) -> None:
    """A long queue explains that a run has not begun, and not that its time goes by unnoticed."""
    with time_machine.travel(START, tick=False) as clock:
        ids = [accept(action).execution_id for _ in range(100)]
        expires_at = db.now_ms() + 50_000
        change(ids[0], expires_at=expires_at)
        clock.shift(settings().lease_seconds)
        assert tick.tick() == {}
        assert row(ids[0]).due_at == expires_at


def test_a_lone_pending_row_is_published_every_lease(action: str, redis_server: RedisServer) -> None:
    """With nothing before it in the queue, a message that was not answered by a claim must have been lost."""
    with time_machine.travel(START, tick=False) as clock:
        execution_id = accept(action).execution_id
        wait_queued(redis_server, 1)
        for copies in range(2, 8):
            clock.shift(settings().lease_seconds)
            assert tick.tick() == {"recovery": 1}
            assert queued(redis_server) == copies
            assert row(execution_id).due_at - db.now_ms() == settings().lease_seconds * 1000


def test_an_emptied_redis_is_noticed_at_the_next_tick(action: str, redis_server: RedisServer) -> None:
    """After a flush every pending row is published again at once, and only once."""
    for _ in range(30):
        accept(action)
    wait_queued(redis_server, 30)
    tick.tick()
    assert queued(redis_server) == 30
    redis_server.client().flushall()
    assert tick.tick() == {"broker": 30, "recovery": 30}
    assert queued(redis_server) == 30
    assert tick.tick() == {}


def test_an_accepted_trigger_waits_for_a_dead_redis(action: str, redis_server: RedisServer) -> None:
    """With Redis down a dispatch is accepted all the same, and tick publishes it once Redis is back."""
    redis_server.kill()
    try:
        execution_id = accept(action).execution_id
        eventually(lambda: row(execution_id).due_at <= db.now_ms() + 1000, 30, "the row is due soon")
        assert row(execution_id).status == "pending"
        tick.tick()
    finally:
        redis_server.start()

    def published() -> bool:
        tick.tick()
        return queued(redis_server) > 0

    eventually(published, 30, "the message is queued", every=0.3)


def test_retention_forgets_what_has_ended_long_ago_and_nothing_else(action: str) -> None:
    """Maintenance deletes ended executions and idempotency keys past their time; open ones stay, however old."""
    day = 86_400
    with time_machine.travel(START, tick=False) as clock:
        old_and_ended, old_and_open = (accept(action, key=key).execution_id for key in ("ended", "open"))
        assert attempts_action.attempt(old_and_ended).status == "completed"
        clock.shift((settings().retention_days - 1) * day)
        young = accept(action, key="young").execution_id
        assert attempts_action.attempt(young).status == "completed"
        clock.shift(day / 2)
        assert "executions" not in maintenance.maintain()
        with db.read() as connection:
            known = connection.execute(sa.select(idempotency.idempotency_keys.c.key)).scalars().all()
        assert known == [f"{CALLER.key_id}\x1fyoung"]
        clock.shift(day)
        assert maintenance.maintain()["executions"] == 1
        with db.read() as connection:
            left = transitions.states(connection, [old_and_ended, old_and_open, young])
    assert left == {old_and_open: ("pending", 0), young: ("completed", 1)}


@pytest.mark.parametrize(
    ("silent", "idle", "running", "state"),
    [
        (0, 0, 0, "consuming"),
        (0, 89_000, 0, "consuming"),
        (0, 91_000, 0, "stuck"),
        (0, 91_000, 3, "consuming"),
        (31_000, 31_000, 0, "gone"),
        (31_000, 91_000, 3, "gone"),
    ],
)
def test_a_worker_that_lives_but_takes_nothing_is_reported(
    database: str, silent: int, idle: int, running: int, state: str
) -> None:
    """Heartbeat and consumption are separate: silent workers are gone, idle ones stuck in spite of probes."""
    now = db.now_ms()
    with db.write() as connection:
        worker_processes.beat(
            connection,
            "steps@test",
            queues="steps",
            pid=1,
            started_at=now - 200_000,
            consumed_at=now - idle,
            running=running,
        )
        connection.execute(worker_processes.processes.update().values(beat_at=now - silent))
        known = worker_processes.get(connection, "steps@test")
        assert worker_processes.state(known) == state
        assert [one.name for one in worker_processes.living(connection)] == ([] if state == "gone" else ["steps@test"])


def test_ids_follow_time(action: str) -> None:
    """Executions sort by the moment of their acceptance, which retention and paging rely on."""
    ids = []
    with time_machine.travel(START, tick=False) as clock:
        for _ in range(5):
            ids.append(accept(action).execution_id)
            clock.shift(1)
    assert all(earlier < later for earlier, later in itertools.pairwise(ids))
