"""Foreign messages on the broker neither stop the workers nor end one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import messages
from tests.support.flower import Flower
from tests.support.playbooks import Kit, delay, parallel
from tests.support.processes import ROOT, born
from tests.support.stack import WORKERS, Stack
from tests.support.waiting import eventually

#: the parts of a task's name that Celery's control panel would obey, and with what
_COMMANDS: dict[str, dict[str, Any]] = {
    "rate_limit": {"task_name": "tocsin.run", "rate_limit": "1/h"},
    "time_limit": {"task_name": "tocsin.step", "hard": 0.002},
    "cancel_consumer": {"queue": "steps"},
    "add_consumer": {"queue": "elsewhere"},
    "pool_shrink": {"n": 1},
    "pool_restart": {"reload": True},
    "autoscale": {"max": 1, "min": 1},
    "shutdown": {},
    "terminate": {"task_id": "exec-1", "signal": "KILL"},
    "revoke_by_stamped_headers": {"headers": {"a": 1}},
    messages.CANARY: {},
}
_ODD_COMMANDS: tuple[Any, ...] = (
    [1],
    "text",
    {"method": ["revoke"]},
    {"method": "revoke", "arguments": {"task_id": {"a": [1]}, "terminate": True}},
    {"method": "revoke", "arguments": [messages.CANARY]},
    {"method": "ping", "arguments": {messages.CANARY: 1}, "reply_to": 7},
    {"method": "ping", "destination": 7},
)


def workers(stack: Stack) -> dict[str, str]:
    """Worker → the process that it is."""
    names = {worker: name for name, worker in WORKERS.items()}
    pids = {row["name"].partition("@")[0]: row["pid"] for row in stack.rows("SELECT name, pid FROM processes")}
    return {name: f"{pids[name]} {born(pids[name])}" for name in names if name in pids}


def completes(stack: Stack, **definition: Any) -> bool:
    """Whether an action that is triggered now is carried out."""
    action = stack.api.create_action(config={"url": f"{stack.sink.url}/ok"}, **definition)
    return stack.api.ended(stack.api.trigger(action), seconds=30)["status"] == "completed"


@pytest.fixture
def calm(sqlite_stack: Stack) -> Iterator[Stack]:
    """The product; afterwards its workers live, are connected and repeated nothing."""
    before = workers(sqlite_stack)
    logs = {name: len(sqlite_stack.log(name)) for name in WORKERS}
    assert set(before) == set(WORKERS.values())
    yield sqlite_stack
    assert workers(sqlite_stack) == before
    for name, length in logs.items():
        logged = sqlite_stack.log(name)[length:]
        assert messages.CANARY not in logged, name
        assert "onnection to broker lost" not in logged, name
        assert "Traceback" not in logged, name
        assert max(map(len, logged.splitlines()), default=0) < 2000, name


def put(stack: Stack, queue: str, *elements: str) -> None:
    """Put elements on a queue and wait until a worker takes them."""
    redis = stack.redis.client()
    for element in elements:
        redis.lpush(queue, element)
    eventually(lambda: not redis.llen(queue), 30, f"{queue} has been read")


@pytest.mark.parametrize("queue", ["steps", "scripts", "control"])
def test_what_does_not_parse_is_dropped(calm: Stack, queue: str) -> None:
    """Garbage and odd or incomplete messages are dropped; then an action completes."""
    put(calm, queue, *messages.odd_envelopes(queue).values())
    assert completes(calm)


@pytest.mark.parametrize("queue", ["steps", "scripts", "slow"])
def test_what_is_no_message_of_ours_is_dropped(calm: Stack, queue: str) -> None:
    """Foreign headers and bodies are not unpacked, and every message is acknowledged."""
    redis = calm.redis.client()
    before = set(redis.hkeys("unacked"))  # what workers that earlier tests killed had in hand
    odd = [(each, messages.body()) for each in messages.odd_headers().values()]
    odd += [(messages.headers(), each) for each in messages.odd_bodies().values()]
    odd.append((messages.headers(compression="application/x-gzip"), messages.odd_bodies()["compressed"]))
    put(calm, queue, *(json.dumps(messages.envelope(queue, *each)) for each in odd))
    assert completes(calm)
    eventually(lambda: set(redis.hkeys("unacked")) <= before, 30, "nothing is left unacknowledged")


def command(method: Any, **arguments: Any) -> dict[str, Any]:
    """A remote command as Celery broadcasts it."""
    return {"method": method, "arguments": arguments, "destination": None, "pattern": None, "matcher": None}


def test_remote_commands_that_stop_work_are_not_obeyed(calm: Stack) -> None:
    """Limits of rates and times, queue changes and shutdown have no effect."""
    redis, listeners = calm.redis.client(), len(WORKERS)
    odd = [command(method, **arguments) for method, arguments in _COMMANDS.items()] + list(_ODD_COMMANDS)
    for each in odd:
        its_body = json.dumps(each).encode()
        message = json.dumps(messages.envelope("celery.pidbox", {"clock": "x"}, its_body))
        heard = redis.publish("/0.celery.pidbox", message)
        assert heard == listeners, each
    for message in messages.odd_envelopes("celery.pidbox").values():
        redis.publish("/0.celery.pidbox", message)
    for _ in range(4):
        assert completes(calm)


def test_a_revoked_execution_comes_back(calm: Stack) -> None:
    """A revoke delays an unfinished execution and ends no running one."""
    action = calm.api.create_action(config={"url": f"{calm.sink.url}/slow?seconds=3"})
    execution = calm.api.trigger(action)
    eventually(lambda: calm.row(execution)["status"] == "running", 20, "it runs")
    message = command("revoke", task_id=execution, terminate=True, signal="KILL")
    calm.redis.client().publish(
        "/0.celery.pidbox", json.dumps(messages.envelope("celery.pidbox", {}, json.dumps(message).encode()))
    )
    assert calm.api.ended(execution, seconds=60)["status"] == "completed"


def _documented_rules() -> list[str]:
    """What the user of Redis may do according to docs/operations.md."""
    (line,) = [line for line in (ROOT / "docs" / "operations.md").read_text().splitlines() if "user tocsin on" in line]
    return line.partition(">PASSWORD ")[2].split()


@pytest.mark.wide
def test_the_user_of_redis_that_the_docs_propose_is_enough(sqlite_stack: Stack) -> None:
    """These rights suffice for joins, cancels, limits, new workers and Flower."""
    stack, redis = sqlite_stack, sqlite_stack.redis.client()
    redis.execute_command("ACL", "SETUSER", "tests", "on", "nopass", "~*", "&*", "+@all")
    redis.execute_command("AUTH", "tests", "any")
    try:
        redis.execute_command("ACL", "SETUSER", "default", "resetkeys", "resetchannels", *_documented_rules())
        redis.execute_command("ACL", "LOG", "RESET")
        for name in (*WORKERS, "web"):
            stack.restart(name)
        for name in (*WORKERS, "web"):
            stack.wait_ready(name)
        flower = Flower(stack)
        flower.start()
        flower.wait_for_tasks()
        kit = Kit(stack)
        wide = parallel("wide", *([kit.act(f"w{number}")] for number in range(30)))
        steps = (
            kit.act("first"),
            parallel("two", [kit.act("a")], [kit.act("b")]),
            wide,
            delay("rest", 2),
            kit.act("last"),
        )
        run_id = stack.api.run(kit.playbook(*steps))
        assert stack.api.run_ended(run_id)["status"] == "completed"
        execution = stack.api.trigger(kit.action("slow?seconds=30"))
        stack.api.in_status(execution, "running")
        assert stack.api.http.post(f"/api/actions/executions/{execution}/cancel").status_code == 200
        assert completes(stack)
        denied = redis.acl_log()
        # an old Redis lets a client say what it is called only together with what others must not do
        assert {entry["object"].partition("|")[0] for entry in denied} <= {"client"}
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "allkeys", "allchannels", "allcommands")
