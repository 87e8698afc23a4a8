"""What a worker that died had taken off its queues is published again, however long the queue behind it is."""

import base64
import json
from collections.abc import Iterator

import pytest
import time_machine

from store import worker_processes
from store.engine import db
from store.executions import transitions
from store.ids import new_id
from tasks.clock import deaths, losses, recovery
from tasks.clock.deaths import Deaths
from tasks.entrypoints import tick
from tasks.messages import canvas
from tasks.messages.model import TaskMessage
from tests.support.executions import new_execution
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer

START = "2026-11-22T10:00:00Z"


@pytest.fixture
def redis(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    """An empty Redis, and a tick that knows no worker yet and looks each time."""
    ready_to_publish()
    redis_server.client().flushall()
    monkeypatch.setattr(deaths, "EVERY", 0)
    fresh = Deaths()
    for module in (recovery, losses):
        monkeypatch.setattr(module, "deaths", fresh)
    yield redis_server
    redis_server.client().flushall()


def _accept(number: int) -> list[str]:
    """Executions whose queue explains a long wait, with their messages."""
    ids = [new_id("exec") for _ in range(number)]
    with db.write() as connection:
        for each in ids:
            transitions.accept(connection, new_execution(id=each), publish_again_at=db.now_ms() + 900_000)
    assert canvas.publish([TaskMessage(execution_id=each, queue="steps", label="act") for each in ids]) == []
    return ids


def _beat(name: str, started_at: int) -> None:
    with db.write() as connection:
        worker_processes.beat(
            connection,
            name,
            queues="urgent,steps",
            pid=1,
            started_at=started_at,
            consumed_at=started_at,
            running=0,
        )


def _next(redis: RedisServer, number: int) -> set[str]:
    """The executions of the messages that are taken next."""
    texts = redis.client().lrange("steps", -number, -1)
    return {name for text in texts for name in json.loads(base64.b64decode(json.loads(text)["body"]))[0]}


@pytest.mark.parametrize(
    "text", ["}", "7", "[]", '{"headers": {}}', '{"headers": 7}', '{"headers": {"id": 7}}', "[" * 100_000]
)
def test_a_foreign_message_on_the_queue_of_a_dead_worker_is_passed_over(redis: RedisServer, text: str) -> None:
    """When the next execution was accepted is read from the messages around it."""
    redis.client().rpush("steps", text)
    assert deaths._accepted_next("steps") is None
    execution = new_id("exec")
    redis.client().lpush("steps", json.dumps({"headers": {"id": execution}}))
    assert deaths._accepted_next("steps") == int(execution[5:17], 16)


@pytest.mark.parametrize("way", ["another comes in its place", "it says nothing any more"])
def test_what_a_dead_worker_had_in_hand_goes_on(database: str, redis: RedisServer, way: str) -> None:
    """Only that, and at once, before all that waits."""
    with time_machine.travel(START, tick=False) as clock:
        _beat("steps@here", 1)
        tick.tick()
        taken = _accept(5)
        redis.client().delete("steps")  # all of them are in its hands
        clock.shift(1)
        waiting = _accept(80)
        before = redis.client().llen("steps")
        tick.tick()
        assert redis.client().llen("steps") == before, "it lives"
        if way.startswith("another"):
            _beat("steps@here", 2)
        else:
            clock.shift(deaths.SILENT / 1000 + 1)
        tick.tick()
        assert redis.client().llen("steps") == before + 5
        assert _next(redis, 5) == set(taken)
        with db.read() as connection:
            publishes = {each: transitions.get(connection, "w", each).publishes for each in (*taken, *waiting)}
        assert {publishes[each] for each in taken} == {2}
        assert {publishes[each] for each in waiting} == {1}
        tick.tick()
        assert redis.client().llen("steps") == before + 5, "once is enough"


def test_a_worker_that_leaves_in_good_order_is_not_missed(database: str, redis: RedisServer) -> None:
    """It has given back what it had."""
    with time_machine.travel(START, tick=False) as clock:
        _beat("steps@here", 1)
        tick.tick()
        _accept(5)
        redis.client().delete("steps")
        with db.write() as connection:
            worker_processes.leave(connection, "steps@here")
        clock.shift(5)
        tick.tick()
        assert redis.client().llen("steps") == 0
