"""Slots and permits of a worker: batches of executions, and messages that are requeued unclaimed."""

import base64
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Task

from event_loop.waiting import Event, sleep
from store import access
from store.access import Caller
from store.engine import db
from store.executions import transitions
from tasks.app import app
from tasks.attempts import action as attempts_action
from tasks.attempts.conclude import Ending
from tasks.definitions import actions as catalogue
from tasks.definitions import playbooks as library
from tasks.entrypoints import actions as run
from tasks.entrypoints import runs
from tasks.fairness import concurrency, slots
from tasks.intake.dispatch import DispatchRequest, dispatch
from tasks.intake.run_start import RunRequest, start
from tasks.messages.model import TaskMessage
from tasks.runs.driver import RunDriver
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer
from tests.support.waiting import eventually

CALLER = Caller(key_id="key", workspace_id="slots", role="admin", permissions=access.ROLES["admin"])


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """An empty Redis."""
    ready_to_publish()
    redis_server.client().flushall()
    yield redis_server
    redis_server.client().flushall()


@contextmanager
def worker(number: int) -> Iterator[concurrency.Permits]:
    """Have this process be a worker with a number of slots; yields its permits."""
    before, slots._slots = concurrency._process, None
    concurrency.open_permits(number, refusing=True)
    try:
        yield concurrency.of_process()
    finally:
        concurrency._process, slots._slots = before, None


def carry_out(task: Task, ids: list[str], **more: Any) -> tuple[str, Any]:
    """The result of a task for a message with these executions, and its request afterwards."""
    delivered = {"exchange": "", "routing_key": "steps"}
    task.push_request(id=ids[0], args=ids, kwargs={}, root_id=ids[0], delivery_info=delivered, **more)
    try:
        return task.run(*ids), task.request
    finally:
        task.request_stack.pop()


def messages(server: RedisServer, queue: str) -> list[tuple[dict, list]]:
    """(headers, [args, kwargs, embedded]) of each message on a queue."""
    found = [json.loads(text) for text in server.client().lrange(queue, 0, -1)]
    return [(one["headers"], json.loads(base64.b64decode(one["body"]))) for one in found]


def links(*ids: str) -> list[dict]:
    """The links of a chain as a message carries them: the last comes next."""
    return [dict(app.signature("tocsin.step", args=(one,), options={"task_id": one})) for one in reversed(ids)]


def test_a_requeued_message_keeps_its_chain(redis: RedisServer) -> None:
    """The copy on ``slow`` is the same message with the rest of its chain; Celery publishes nothing after ours."""
    with worker(1) as permits:
        assert permits.take("act-other", wait=False)
        word, request = carry_out(
            runs.step, ["pexec-1.a"], lanes=["act-a"], argsrepr="('act-a', 'pexec-1.a')", chain=links("b", "c")
        )
    assert word == slots.HANDED_ON
    [(headers, (args, _, embedded))] = messages(redis, "slow")
    assert (args, headers["id"], headers["root_id"]) == (["pexec-1.a"], "pexec-1.a", "pexec-1.a")
    assert headers["lanes"] == ["act-a"]
    assert headers["argsrepr"] == "('act-a', 'pexec-1.a')"
    assert [link["options"]["task_id"] for link in embedded["chain"]] == ["c", "b"]
    assert not request.chain


def test_a_requeued_member_of_a_chord_is_counted_when_it_has_run(redis: RedisServer) -> None:
    """The copy keeps the place in the chord, and ours loses it."""
    body = dict(app.signature("tocsin.join", args=("pexec-1.all",)))
    with worker(1) as permits:
        assert permits.take("act-other", wait=False)
        _, request = carry_out(runs.step, ["pexec-1.a"], argsrepr="('act-a', '')", chord=body, group="pexec-1.all")
    [(headers, (_, _, embedded))] = messages(redis, "slow")
    assert embedded["chord"]["args"] == ["pexec-1.all"]
    assert headers["group"] == "pexec-1.all"
    assert not request.chord


def test_a_message_with_a_permit_is_not_requeued(sqlite_database: str, redis: RedisServer) -> None:
    """With room the worker looks for the step at once (there is none here), and the permit is returned."""
    with worker(1) as permits:
        word, _ = carry_out(runs.step, ["pexec-1.a"], lanes=["act-a"])
        assert not permits._held
    assert word != slots.HANDED_ON
    assert messages(redis, "slow") == []


def test_members_of_a_batch_are_independent(
    sqlite_database: str, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that breaks and one that does not exist change nothing for the others."""
    monkeypatch.setattr(slots, "INTERVAL", 30)
    with db.write() as connection:
        access.ensure_workspace(connection, CALLER.workspace_id, "Slots")
    wanted = {"name": "batched", "type": "webhook", "executor": "webhook", "config": {"url": "http://192.0.2.1/"}}
    action = catalogue.create(CALLER, wanted).id
    request = DispatchRequest(caller=CALLER, action_id=action, parameters={}, mode="dry_run")
    good = [dispatch(request).execution_id for _ in range(3)]
    attempt = attempts_action.attempt

    def breaking(execution_id: str, *more: Any) -> Ending:
        if execution_id == "exec-broken":
            raise RuntimeError
        return attempt(execution_id, *more)

    monkeypatch.setattr(run, "attempt", breaking)
    with worker(8):
        word, _ = carry_out(run.run, [*good[:2], "exec-broken", "exec-unknown", good[2]], lanes=[action] * 5)
    assert word == "1 broken, 3 completed, 1 stale"
    with db.read() as connection:
        assert {transitions.get(connection, CALLER.workspace_id, one).status for one in good} == {"completed"}


def test_members_that_have_not_begun_return_to_their_queue(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a call takes long, the members after it return in a message of their own; only the call is waited for."""
    answered, begun = Event(), []

    def waiting(execution_id: str, *_: Any) -> Ending:
        begun.append(execution_id)
        assert answered.wait(20)
        return Ending("completed")

    monkeypatch.setattr(run, "attempt", waiting)
    ids = ["exec-1", "exec-2", "exec-3"]
    with worker(4), ThreadPoolExecutor(1) as thread:  # a batch takes one slot of four
        message = thread.submit(carry_out, run.run, ids, lanes=["act-1", "act-2", "act-3"])
        eventually(lambda: messages(redis, "steps"), 10, "the others return to the queue")
        assert not message.done()
        answered.set()
        word, _ = message.result(10)
    assert word == "1 completed, 2 put back"
    assert begun == ["exec-1"]
    [(headers, (args, _, _))] = messages(redis, "steps")
    assert (headers["task"], args, headers["lanes"]) == ("tocsin.run", ids[1:], ["act-2", "act-3"])


def test_members_without_a_permit_are_requeued_together(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of one slow action go to ``slow`` in one message; the quick one among them is carried out."""
    monkeypatch.setattr(slots, "INTERVAL", 30)
    begun = []

    def noting(execution_id: str, *_: Any) -> Ending:
        begun.append(execution_id)
        return Ending("completed")

    monkeypatch.setattr(run, "attempt", noting)
    monkeypatch.setattr(concurrency, "PATIENCE", 0.0)
    with worker(4) as permits:
        for _ in range(3):
            assert permits.take("act-slow", wait=False)
        word, _ = carry_out(
            run.run, ["exec-1", "exec-2", "exec-3", "exec-4"], lanes=["act-slow", "act-slow", "act-quick", "act-slow"]
        )
    assert word == "1 completed, 3 handed on"
    assert begun == ["exec-3"]
    [(headers, (args, _, _))] = messages(redis, "slow")
    assert (args, headers["lanes"]) == (["exec-1", "exec-2", "exec-4"], ["act-slow"] * 3)


def test_a_branch_requeued_alone_is_a_step(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone member returns as the message that it would have by itself, under its own id."""
    monkeypatch.setattr(slots, "INTERVAL", 30)
    monkeypatch.setattr(runs, "_drive", lambda *_: "completed")
    monkeypatch.setattr(concurrency, "PATIENCE", 0.0)
    with worker(4) as permits:
        for _ in range(3):
            assert permits.take("act-slow", wait=False)
        word, _ = carry_out(runs.branches, ["pexec-1.a", "pexec-1.b"], lanes=["act-slow", "act-quick"])
    assert word == "1 completed, 1 handed on"
    [(headers, (args, _, _))] = messages(redis, "slow")
    assert (headers["task"], headers["id"], args) == ("tocsin.step", "pexec-1.a", ["pexec-1.a"])
    assert headers["root_id"] == "pexec-1"


def test_a_worker_carries_out_no_more_than_it_has_slots(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many executions come, single or in batches, four slots carry out four at a time."""
    lock, running, most, done = threading.Lock(), 0, 0, []

    def counting(execution_id: str, *_: Any) -> Ending:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        sleep(0.005)
        with lock:
            running -= 1
            done.append(execution_id)
        return Ending("completed")

    monkeypatch.setattr(run, "attempt", counting)
    monkeypatch.setattr(slots, "INTERVAL", 10)
    single = [[f"exec-{number}"] for number in range(20)]
    batches = [[f"exec-{number}-{member}" for member in range(8)] for number in range(5)]
    with worker(4) as permits, ThreadPoolExecutor(12) as threads:
        permits.refusing = False
        words = list(threads.map(lambda ids: carry_out(run.run, ids, lanes=["act"] * len(ids))[0], [*single, *batches]))
    assert words == ["completed"] * 20 + ["8 completed"] * 5
    assert sorted(done) == sorted(one for ids in [*single, *batches] for one in ids)
    assert most == 4


def test_hanging_calls_do_not_hold_up_single_messages(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every slot hangs in a call that was quick until now: an action goes to ``slow``, a run begins nevertheless."""
    monkeypatch.setattr(runs, "_drive", lambda *_: "completed")
    with worker(2):
        assert [slots._of_process().take() for _ in range(2)] == [True, True]
        action, _ = carry_out(run.run, ["exec-1"], lanes=["act-quick"], argsrepr="('act-quick', 'exec-1')")
        begun, _ = carry_out(runs.begin, ["pexec-1"], lanes=["pb-one"])
    assert (action, begun) == (slots.HANDED_ON, "completed")
    [(headers, (args, _, _))] = messages(redis, "slow")
    assert (headers["id"], args) == ("exec-1", ["exec-1"])


def test_batches_make_way_for_single_messages(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One slot, and a batch of eight: an action that comes meanwhile waits for one of them, not for all."""
    monkeypatch.setattr(concurrency, "LONG", 600)
    done, first = [], threading.Event()

    def until_it_waits(execution_id: str, *_: Any) -> Ending:
        first.set()
        if execution_id == "exec-0":
            while not slots._of_process().wanted:  # on the loop a test waits as everything there does
                sleep(0.01)
        done.append(execution_id)
        return Ending("completed")

    monkeypatch.setattr(run, "attempt", until_it_waits)
    monkeypatch.setattr(slots, "INTERVAL", 10)
    ids = [f"exec-{number}" for number in range(8)]
    with worker(1), ThreadPoolExecutor(1) as thread:
        batch = thread.submit(carry_out, run.run, ids, lanes=["act"] * 8)
        assert first.wait(10)
        assert carry_out(run.run, ["exec-single"], lanes=["act"])[0] == "completed"
        assert batch.result(10)[0] == "8 completed"
    assert done == ["exec-0", "exec-single", *ids[1:]]


@pytest.mark.usefixtures("sqlite_database")
def test_actions_of_one_id_in_two_workspaces_need_permits_of_their_own(redis: RedisServer) -> None:
    """Every message names its action with the workspace: a flood of one takes no permit from the other's."""
    seen = {}
    for workspace in ("one", "two"):
        redis.client().flushall()
        caller = replace(CALLER, workspace_id=workspace)
        with db.write() as connection:
            access.ensure_workspace(connection, workspace, workspace)
        wanted = {"name": "Call", "type": "webhook", "executor": "webhook", "config": {"url": "https://a.example.com"}}
        action = catalogue.create(caller, wanted)
        steps = [{"id": each, "type": "action", "action_ref": action.id} for each in ("s1", "s2")]
        playbook = library.create(caller, {"name": "P", "steps": steps})
        dispatch(DispatchRequest(caller=caller, action_id=action.id, parameters={}))
        start(RunRequest(workspace_id=workspace, actor="key", playbook_id=playbook.id))
        found = eventually(lambda: two if len(two := messages(redis, "steps")) == 2 else None, 10, "both are published")
        lanes = [headers.get("lanes") for headers, _ in found if headers["task"] == "tocsin.run"]
        links_ = [link for _, (_, _, embedded) in found for link in embedded["chain"] or []]
        seen[workspace] = lanes + [link["options"]["headers"]["lanes"] for link in links_]
    assert seen == {name: [[f"{name}/act-call"]] * 3 for name in ("one", "two")}
    with worker(4) as permits:
        held = [permits.take("one/act-call", wait=False) for _ in range(3)]
        assert all(held)
        word, _ = carry_out(runs.step, ["pexec-1.a"], lanes=["one/act-call"], argsrepr="('act-call', 'pexec-1.a')")
        assert word == slots.HANDED_ON
        word, _ = carry_out(runs.step, ["pexec-2.a"], lanes=["two/act-call"], argsrepr="('act-call', 'pexec-2.a')")
        assert word != slots.HANDED_ON
    [(headers, _)] = messages(redis, "slow")
    assert (headers["lanes"], headers["argsrepr"]) == (["one/act-call"], "('act-call', 'pexec-1.a')")


def test_a_step_in_place_needs_the_permit_of_its_own_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that goes on with a run asks for the same permit as a message of that step would."""
    asked: list[str] = []
    monkeypatch.setattr(concurrency, "move_on", lambda action: asked.append(action) or False)
    monkeypatch.setattr(RunDriver, "__init__", lambda _self: None)
    driver = RunDriver()
    driver.run, driver.queue = SimpleNamespace(workspace_id="two"), "steps"
    driver.handoff = SimpleNamespace(may_go_on=lambda: True)
    row = {"type": "action", "status": "pending", "queue": "steps", "action_id": "act-call"}
    assert driver._choose(SimpleNamespace(moves=SimpleNamespace(rows=[row], runs=[]))) is None
    assert asked == [TaskMessage(execution_id="e", queue="steps", label="act-call", workspace_id="two").permit]
