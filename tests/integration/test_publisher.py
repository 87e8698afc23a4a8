"""Executions that wait to be published share messages; a single one has its own."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tasks.app import app
from tasks.broker import Channel
from tasks.messages import canvas, publisher
from tasks.messages.model import Chain, TaskMessage
from tasks.messages.publisher import Publisher
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer
from tests.support.waiting import eventually


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis without another publisher: messages of earlier tests are delivered, their connection is back."""
    ready_to_publish()
    redis_server.client().flushall()
    yield redis_server
    redis_server.client().flushall()


def message(number: int, queue: str = "steps", label: str = "act-one") -> TaskMessage:
    return TaskMessage(execution_id=f"exec-{number:03}", queue=queue, label=label)


def run(number: int) -> Chain:
    run_id = f"pexec-{number:03}"
    begin = TaskMessage(task="tocsin.begin", execution_id=run_id, queue="steps", label="pb-one", run_id=run_id)
    step = TaskMessage(task="tocsin.step", execution_id=f"{run_id}.s1", queue="steps", label="act-one", run_id=run_id)
    return Chain((begin, step))


def queued(server: RedisServer, queue: str) -> list[tuple[dict, list]]:
    """(headers, [args, kwargs, embedded]) of each message on a queue, the first to be taken first."""
    found = [json.loads(text) for text in reversed(server.client().lrange(queue, 0, -1))]
    return [(one["headers"], json.loads(base64.b64decode(one["body"]))) for one in found]


def test_waiting_actions_travel_together(redis: RedisServer) -> None:
    """Fifty-two actions of one queue make three messages, in their order; each says which action each is of."""
    messages = [message(number, label=f"act-{number}") for number in range(52)]
    assert canvas.publish(messages) == []
    found = queued(redis, "steps")
    assert [len(body[0]) for _, body in found] == [24, 24, 4]
    assert [name for _, body in found for name in body[0]] == [one.execution_id for one in messages]
    assert [label for headers, _ in found for label in headers["lanes"]] == [one.label for one in messages]
    assert {headers["task"] for headers, _ in found} == {"tocsin.run"}
    assert len({headers["id"] for headers, _ in found}) == len(found)


def test_one_by_itself_is_its_own_message(redis: RedisServer) -> None:
    """A lone action is a task under its own id, a lone run a chain with the link of its first step."""
    assert canvas.publish([message(1), run(1)]) == []
    (action, action_body), (begin, begin_body) = queued(redis, "steps")
    assert (action["id"], action_body[0]) == ("exec-001", ["exec-001"])
    assert (begin["id"], begin["root_id"], begin_body[0]) == ("pexec-001", "pexec-001", ["pexec-001"])
    assert [link["options"]["task_id"] for link in begin_body[2]["chain"]] == ["pexec-001.s1"]


def test_waiting_runs_begin_together(redis: RedisServer) -> None:
    """Runs in one message leave their links behind: each is of a run of its own."""
    assert canvas.publish([run(number) for number in range(3)]) == []
    ((headers, body),) = queued(redis, "steps")
    assert (headers["task"], body[0]) == ("tocsin.begin", ["pexec-000", "pexec-001", "pexec-002"])
    assert body[2]["chain"] is None


def test_what_may_have_to_be_killed_travels_alone(redis: RedisServer) -> None:
    """Each script has its own message: its time limits are its own."""
    assert canvas.publish([message(number, queue="scripts") for number in range(3)]) == []
    assert [body[0] for _, body in queued(redis, "scripts")] == [["exec-000"], ["exec-001"], ["exec-002"]]


def test_what_lost_its_worker_goes_before_what_waits(redis: RedisServer) -> None:
    """It is taken next, whatever its queue holds, by itself and in a batch with others."""
    assert canvas.publish([message(number) for number in range(3)]) == []
    ahead = [replace(message(number), ahead=True) for number in (10, 11)]
    assert canvas.publish([*ahead, message(4)]) == []
    app.signature("tocsin.run", args=("exec-012",), headers={"ahead": True}).apply_async(queue="steps")
    names = [body[0] for _, body in queued(redis, "steps")]
    assert names == [["exec-012"], ["exec-011"], ["exec-010"], ["exec-000", "exec-001", "exec-002"], ["exec-004"]]


def test_queues_are_not_mixed(redis: RedisServer) -> None:
    """What is urgent shares no message with what is not."""
    assert canvas.publish([message(1, "urgent"), message(2), message(3, "urgent"), message(4)]) == []
    assert [body[0] for _, body in queued(redis, "urgent")] == [["exec-001", "exec-003"]]
    assert [body[0] for _, body in queued(redis, "steps")] == [["exec-002", "exec-004"]]


def test_a_retry_waits_by_itself(redis: RedisServer) -> None:
    """What is to wait is not put together with anything: each waits as long as it has to."""
    assert canvas.publish([message(1), message(2)], countdown=5) == []
    found = queued(redis, "steps")
    assert [body[0] for _, body in found] == [["exec-001"], ["exec-002"]]
    assert all(headers["eta"] for headers, _ in found)


def test_what_the_broker_does_not_take_is_named(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the broker is away every execution of a message counts as missed, so that tick publishes each."""

    def gone(*_: object, **__: object) -> None:
        raise OSError("the broker is away")

    monkeypatch.setattr("celery.canvas.Signature.apply_async", gone)
    assert canvas.publish([message(1), message(2), run(1), run(2)]) == [
        "exec-001",
        "exec-002",
        "pexec-001",
        "pexec-002",
    ]


def test_a_publisher_keeps_its_client(redis: RedisServer) -> None:
    """What is published over a connection goes through one client: making one costs more than using it."""
    with app.producer_or_acquire() as producer:
        channel = producer.channel
    with channel.conn_or_acquire() as one, channel.conn_or_acquire() as other:
        assert one is other


def test_a_queue_is_declared_once(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first message of a connection declares its queue, which RabbitMQ needs; those that follow do not again."""
    declared: list[str] = []
    declare = Channel.queue_declare

    def noting(self: Channel, queue: str, **options: object) -> object:
        declared.append(queue)
        return declare(self, queue, **options)

    monkeypatch.setattr(Channel, "queue_declare", noting)
    with app.producer_or_acquire() as producer:
        producer.connection.declared_entities.clear()
    for number in range(3):
        assert canvas.publish([message(number)]) == []
    assert declared == ["steps"]
    assert len(queued(redis, "steps")) == 3


def test_many_that_come_one_after_the_other_wait_for_each_other(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that come alone are published at once; after ten in a short time the next wait a moment for each other."""
    own = Publisher()

    def gather(_seconds: float) -> None:
        own.put(*map(message, range(11, 18)))

    monkeypatch.setattr(publisher, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=gather))
    for number in range(10):
        own.put(message(number))
        eventually(lambda count=number + 1: len(queued(redis, "steps")) == count, 30, "it is published at once")
    own.put(message(10))
    eventually(lambda: len(queued(redis, "steps")) > 10, 30, "the next is published")
    found = [body[0] for _, body in queued(redis, "steps")]
    assert [len(names) for names in found] == [1] * 10 + [8]
    assert [name for names in found for name in names] == [f"exec-{number:03}" for number in range(18)]
