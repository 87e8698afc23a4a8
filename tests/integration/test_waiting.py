"""What ``/health`` says of work that waits although nothing is overdue."""

from typing import Any

import pytest
import sqlalchemy as sa

from api.health import LATE, Gauge
from config.settings import settings
from store import worker_processes
from store.engine import db
from store.executions import recovery, transitions
from tests.support.api import Door
from tests.support.executions import new_execution
from tests.support.services import RedisServer

LONG = round(LATE + 5) * 1000


@pytest.fixture
def working(database: str, redis_server: RedisServer) -> Door:
    """The application and a live worker, on each kind of database."""
    redis_server.client().flushall()
    with db.write() as connection:
        now = db.now_ms()
        worker_processes.beat(
            connection, "steps@test", queues="urgent,steps", pid=1, started_at=now, consumed_at=now, running=2
        )
    return Door()


def health(door: Door) -> dict[str, Any]:
    """What is answered now."""
    door.app.extensions["tocsin.gauge"] = Gauge()
    answer: dict[str, Any] = door.call("GET", "/health").json
    return answer


def waiting_since(ago: int, queue: str = "steps", **more: Any) -> str:
    """An execution accepted ``ago`` ms before that is not overdue: the queue before it explains the wait."""
    now = db.now_ms()
    ids = {"id": f"exec-{ago}-{queue}-{len(more)}", "workspace_id": "default"}
    row = new_execution(**ids, queue=queue, created_at=now - ago, **more)
    with db.write() as connection:
        transitions.accept(connection, row, publish_again_at=now + 60_000)
    return str(row["id"])


def test_ordinary_work_that_waits_long_is_shown(working: Door) -> None:
    """Nothing is overdue, and yet the workers are held up: degraded, with the queue and the age of its oldest."""
    waiting_since(1_000)
    waiting_since(LONG, "bulk")
    found = health(working)
    assert found["status"] == "ok", "what exceeds its measure may wait"
    queues = found["metrics"]["queues"]
    assert 1 <= queues["steps"]["oldest_seconds"] < LATE < queues["bulk"]["oldest_seconds"]
    assert queues["urgent"]["oldest_seconds"] == 0
    waiting_since(LONG)
    found = health(working)
    assert (found["status"], found["oldest_overdue_seconds"]) == ("degraded", 0)
    assert found["metrics"]["queues"]["steps"]["oldest_seconds"] > LATE
    text = working.call("GET", "/metrics/prometheus").text
    assert 'tocsin_queue_oldest_seconds{queue="steps"}' in text


def test_what_waits_for_something_else_is_no_sign(working: Door) -> None:
    """An attempt that comes again after its pause, and a step, say nothing about the length of the queue."""
    waiting_since(LONG, attempt=1)
    waiting_since(LONG, kind="step", run_id="pexec-1", step_id="a", iteration="")
    assert health(working)["status"] == "ok"


def test_the_lengths_of_the_queues_are_shown(working: Door, redis_server: RedisServer) -> None:
    """The number of messages in Redis; without Redis, or with another broker, it is unknown."""
    redis_server.client().lpush("steps", *("message",) * 3)
    queues = health(working)["metrics"]["queues"]
    assert (queues["steps"]["messages"], queues["bulk"]["messages"]) == (3, 0)
    assert 'tocsin_queue_messages{queue="steps"} 3.0' in working.call("GET", "/metrics/prometheus").text
    redis_server.client().flushall()


def test_another_broker_keeps_its_lengths_to_itself(working: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ages are shown all the same."""
    monkeypatch.setenv("TOCSIN_BROKER_URL", "amqp://127.0.0.1:1//")
    settings.cache_clear()
    waiting_since(1_000)
    steps = health(working)["metrics"]["queues"]["steps"]
    assert steps["messages"] is None
    assert steps["oldest_seconds"] >= 1
    assert "tocsin_queue_messages{" not in working.call("GET", "/metrics/prometheus").text
    monkeypatch.undo()
    settings.cache_clear()


def test_the_oldest_is_found_without_looking_at_all(working: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a bounded number of rows is read, those that are due first."""
    monkeypatch.setattr(recovery, "MOST_LOOKED_AT", 3)
    for number in range(10):
        waiting_since(10_000 + number)
    oldest = waiting_since(20_000)
    with db.write() as connection:
        table = transitions.executions
        connection.execute(sa.update(table).where(table.c.id == oldest).values(due_at=db.now_ms()))
        found = recovery.oldest_waiting(connection)
        assert db.now_ms() - found["steps"] >= 20_000
