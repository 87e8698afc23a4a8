"""The Python client against the running product: what it promises, also while the API is killed and started again."""

import asyncio
import contextlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from tocsin import AsyncClient, Client, ExecutionFailed, StillRunning
from tocsin.errors import Conflict, NotFound, Unauthorized

from tests.support.playbooks import Kit, approval, delay
from tests.support.stack import Stack
from tests.support.waiting import eventually


@pytest.fixture
def stack(first_stack: Stack) -> Stack:
    """The running product; nothing here depends on the kind of database."""
    return first_stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A client of an admin."""
    with Client(stack.url, stack.api.key) as made:
        yield made


@contextlib.contextmanager
def restarting(stack: Stack, after: float = 0.0, away: float = 1.0) -> Iterator[None]:
    """Kill the API while what is below goes on, and start it again."""

    def strike() -> None:
        time.sleep(after)
        stack.kill("web")
        time.sleep(away)
        stack.restart("web")

    thread = threading.Thread(target=strike)
    thread.start()
    yield
    thread.join()
    stack.wait_ready("web")


def name() -> str:
    """A name of its own."""
    return f"sdk {uuid.uuid4().hex[:10]}"


def test_an_action_is_defined_triggered_and_its_output_comes(stack, client):
    """Defined, triggered and waited for in four lines; applied again it is the same action in another version."""
    definition = {
        "name": name(),
        "type": "webhook",
        "executor": "webhook",
        "parameters": [{"name": "message", "type": "string", "required": True}],
        "config": {"url": f"{stack.sink.url}/echo", "method": "POST", "body": {"said": "{{ message }}"}},
    }
    action = client.actions.create(definition)
    execution = client.actions.trigger(action.id, {"message": "hello"}, target="web-01")
    assert execution.result(timeout=60) is not None
    assert execution.state.target == "web-01"
    assert execution.state.created_at.utcoffset() is not None
    again = client.actions.apply({**definition, "description": "the same"})
    assert (again.id, again.description) == (action.id, "the same")
    assert client.actions.apply({**definition, "id": f"{action.id}-new", "name": name()}).id == f"{action.id}-new"
    assert [one.execution_id for one in client.actions.executions(action.id)] == [execution.id]
    with pytest.raises(NotFound) as missing:
        client.actions.get("act-nowhere-to-be-found")
    assert missing.value.request_id in str(missing.value)
    with pytest.raises(ExecutionFailed) as failed:
        client.actions.trigger(Kit(stack).action("status/500", retry={"max_attempts": 1})).result(timeout=60)
    assert failed.value.status == "failed"
    assert failed.value.code


def test_a_run_is_waited_for_decided_and_followed(stack, client):
    """A run pauses for a person, goes on when its step is approved, and its events end with it."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"), approval("ask"), kit.act("last"))
    run = client.playbooks.run(playbook, target=name())
    assert run.wait(timeout=60, until="paused").status == "paused"
    with pytest.raises(StillRunning):
        run.wait(timeout=0.2)
    with Client(stack.url, stack.nursery.make_key()) as somebody_else:
        somebody_else.runs.approve(run.id, "ask", note="user told")
    told = [(one.type, one.step, one.status) for one in run.events()]
    assert ("step_changed", "last", "completed") in told
    # the last step and the run end in one transaction, whose messages come in any order
    assert ("run_changed", None, "completed") in told
    assert run.wait().ended
    assert [one.step_id for one in run.steps()] == ["first", "ask", "last"]
    assert [one.step_id for one in run.state.steps] == ["first", "ask", "last"]
    assert run.timeline().completed_at is not None
    with pytest.raises(Conflict):
        run.cancel()
    assert next(iter(client.runs.list(playbook_id=playbook))).execution_id == run.id


def test_a_wrong_key_is_said_at_once(stack):
    """Without a valid key nothing is tried again."""
    begun = time.monotonic()
    with Client(stack.url, "tcn_nobody_nothing") as stranger, pytest.raises(Unauthorized):
        stranger.actions.list().page()
    assert time.monotonic() - begun < 5


def test_a_restart_during_a_wait_goes_unnoticed(stack, client):
    """The API is killed while clients wait for results and follow a run; each gets what it waits for."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"), delay("rest", 3), kit.act("last"))
    run = client.playbooks.run(playbook, target=name())
    other = client.runs.handle(run.id)
    told = []
    with restarting(stack, after=0.5):
        follower = threading.Thread(target=lambda: told.extend(other.events()))
        follower.start()
        run.wait(timeout=90)
        follower.join(90)
    assert run.status == "completed"
    ids = [one.id for one in told]
    assert len(ids) == len(set(ids)), "a message came twice"
    steps = [(one.step, one.status) for one in told if one.type == "step_changed"]
    assert {("first", "completed"), ("rest", "completed"), ("last", "completed")} <= set(steps)
    assert ("run_changed", "completed") in [(one.type, one.status) for one in told]


def test_triggers_under_a_restart_make_one_execution_each(stack, client):
    """200 triggers at once, the API killed among them: each call returns, and there is one execution for each."""
    action = Kit(stack).action("ok")

    async def all_of_them() -> list[str]:
        async with AsyncClient(stack.url, stack.api.key) as many:
            await many.actions.get(action)
            handles = await asyncio.gather(
                *(many.actions.trigger(action, {"message": str(number)}) for number in range(200))
            )
            return [handle.id for handle in handles]

    with restarting(stack, after=0.1):
        ids = asyncio.run(all_of_them())
    assert len(set(ids)) == 200
    found = Counter(int(one.parameters["message"]) for one in client.actions.executions(action))
    assert found == Counter(range(200))


def test_a_list_is_read_once_while_it_grows_and_the_api_is_killed(stack, client):
    """Reading a list in parts over a restart meets none twice and misses none, whatever is added meanwhile."""
    action = Kit(stack).action("ok")
    batch = [client.actions.trigger(action).id for _ in range(60)]
    seen: list[str] = []
    with restarting(stack):
        for one in client.actions.executions(action, limit=3):
            seen.append(one.execution_id)
            if len(seen) % 10 == 0:
                time.sleep(0.2)
                client.actions.trigger(action)
    assert set(batch) <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_lost_answer_is_asked_for_again_with_the_same_key(stack, client):
    """A trigger repeated with one idempotency key is one execution."""
    action = Kit(stack).action("ok")
    key = name()
    first = client.actions.trigger(action, idempotency_key=key)
    assert client.actions.trigger(action, idempotency_key=key).id == first.id
    eventually(lambda: first.refresh().status == "completed", 60, "it has ended")
