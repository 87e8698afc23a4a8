"""Quick and small work precedes slow targets, floods and wide runs."""

import contextlib
import http.client
import json
import os
import signal
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.fairness import fair_queue
from tests.support.playbooks import repeated, step_rows
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: threads that post at the same time
POSTING = 8

#: publishes messages with several executions each, as the API does when many are accepted together
_BATCH = """
import sys
from tasks.app import app
for at in sys.argv[1:]:
    action, *ids = at.split(",")
    lanes = [action] * len(ids)
    app.signature("tocsin.run", args=ids, immutable=True).apply_async(queue="steps", headers={"lanes": lanes})
"""

#: accepts many calls for one workspace and then one for another, in one process, as an API process would; the clock of
#: the fair queue stands still, as if all came in the same moment, and the workers complete 400 calls a second
_FLOOD = """
import json, sys
from store import access
from tasks.definitions import actions
from tasks.fairness import fair_queue
from tasks.messages import publisher
from tasks.intake.dispatch import DispatchRequest, dispatch
fair_queue._fair_queue._clock, fair_queue._fair_queue._of = lambda: 0.0, lambda queue: 400.0
url, number = sys.argv[1:]
def accept(workspace, number):
    caller = access.Caller(key_id=workspace, workspace_id=workspace, role="admin", permissions=access.ROLES["admin"])
    name = "lone" if workspace == "small" else "large"
    config = {"url": f"{url}/ok?{name}"}
    wanted = {"name": f"flood {name}", "type": "webhook", "executor": "webhook", "config": config}
    asked = DispatchRequest(caller=caller, action_id=actions.create(caller, wanted).id, parameters={})
    return [dispatch(asked).execution_id for _ in range(number)]
ids = accept("tests", int(number)) + accept("small", 1)
assert publisher.drain(20)
print(json.dumps(ids))
"""


def flood(stack: Stack, action_id: str, number: int) -> list[str]:
    """Trigger an action ``number`` times at full speed; returns the ids."""
    headers = {"Authorization": f"Bearer {stack.api.key}", "Content-Type": "application/json"}

    def post(count: int) -> list[str]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)) as connection:
            return [one_more(connection) for _ in range(count)]

    def one_more(connection: http.client.HTTPConnection) -> str:
        connection.request("POST", f"/api/actions/{action_id}/trigger", '{"parameters": {}}', headers)
        answer = connection.getresponse()
        content = json.load(answer)
        assert answer.status == 202, content
        return content["data"]["execution_id"]

    with ThreadPoolExecutor(POSTING) as pool:
        shares = [number // POSTING + (at < number % POSTING) for at in range(POSTING)]
        return [execution for done in pool.map(post, shares) for execution in done]


def target(stack: Stack, path: str, **more: object) -> str:
    """An action that calls the receiver at this path."""
    return stack.api.create_action(config={"url": f"{stack.sink.url}/{path}"}, **more)


def in_flight(arrivals: Iterable[float], seconds: float) -> int:
    """The receiver's most concurrent calls, if each took ``seconds``."""
    moments = sorted(arrivals)
    return max(sum(moment - seconds < other <= moment for other in moments) for moment in moments)


@pytest.mark.gate
def test_a_slow_target_does_not_hold_up_quick_ones(sqlite_stack: Stack) -> None:
    """Twenty quick calls overtake two hundred earlier calls of two seconds."""
    stack = sqlite_stack
    slow, quick = target(stack, "slow?seconds=2&flooded"), target(stack, "ok?quick")
    crawling = flood(stack, slow, 200)
    hurrying = [stack.api.trigger(quick) for _ in range(20)]
    rows = stack.wait_ended([*crawling, *hurrying], 120)
    assert Counter(row["status"] for row in rows.values()) == {"completed": 220}
    ends = [rows[execution]["completed_at"] for execution in crawling]
    came = [(rows[execution]["created_at"], rows[execution]["completed_at"]) for execution in hurrying]
    ahead = [sum(end >= begun for end in ends) for begun, _ in came]
    waited_for = [sum(begun <= end < ended for end in ends) for begun, ended in came]
    assert max(ahead) >= 20, "they came when the others were through"
    assert sum(waited_for) < sum(ahead) / 2
    assert not repeated(rows.values(), stack.sink.keys())


@pytest.mark.gate
def test_a_single_call_overtakes_a_flood(sqlite_stack: Stack) -> None:
    """The excess of a flood goes to ``bulk``; another workspace's call overtakes."""
    stack = sqlite_stack
    stack.run_once("small", ["python", "-m", "launcher.key", "--workspace", "small"])
    stack.kill("worker")
    accepted = stack.run_once("flood", ["python", "-c", _FLOOD, stack.sink.url, "600"])
    *flooding, lone = json.loads(accepted.strip().splitlines()[-1])
    eventually(lambda: stack.queued("bulk") > 0, 10, "the flood is queued")
    stack.restart("worker")
    rows = stack.wait_ended([*flooding, lone], 120)
    assert Counter(row["status"] for row in rows.values()) == {"completed": 601}
    queues = Counter(rows[one]["queue"] for one in flooding if not rows[one]["lapses"])
    lapsed = len(flooding) - queues.total()
    assert 0 <= fair_queue.OF_FLOW.at_once * 400 - queues["steps"] <= lapsed
    assert set(queues) == {"steps", "bulk"}
    assert rows[lone]["queue"] == "steps"
    order = [call.path for call in stack.sink.arrivals("/ok?l")]
    within_allowance = queues["steps"] * 4 / 3  # a quarter is ensured to bulk
    assert order.index("/ok?lone") < within_allowance + len(order) / 20
    assert not repeated(rows.values(), stack.sink.keys())


@pytest.mark.gate
def test_a_small_run_overtakes_a_wide_one(sqlite_stack: Stack) -> None:
    """A run of three steps overtakes one with five hundred slow branches."""
    stack = sqlite_stack
    slow, quick = target(stack, "slow?seconds=1&wide"), target(stack, "ok?narrow")
    branches = [{"id": f"b{number}", "type": "action", "action_ref": slow} for number in range(500)]
    wide = stack.api.create_playbook(steps=[{"id": "all", "type": "parallel", "steps": branches}])
    steps = [{"id": f"s{number}", "type": "action", "action_ref": quick} for number in range(3)]
    narrow = stack.api.create_playbook(steps=steps)
    first = stack.api.run(wide)
    eventually(lambda: stack.sink.arrivals("/slow?seconds=1&wide"), 20, "the wide run is on its way")
    second = stack.api.run(narrow)
    rows = stack.wait_ended([first, second], 120)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert rows[second]["completed_at"] < rows[first]["completed_at"]
    arrivals = [call.path for call in stack.sink.arrivals() if "narrow" in call.path or "wide" in call.path]
    assert arrivals[-3:] != ["/ok?narrow"] * 3
    steps = [row for row in step_rows(stack, [first])[first] if row["step_id"] != "all"]
    assert len(steps) == 500
    assert not repeated(steps, stack.sink.keys())


@pytest.mark.gate
def test_two_hundred_calls_at_once(sqlite_stack: Stack) -> None:
    """A worker with 200 slots has at least 150 calls open together."""
    stack = sqlite_stack
    slow = target(stack, "slow?seconds=8&many")
    stack.kill("worker")
    executions = flood(stack, slow, 200)
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="200")
    rows = stack.wait_ended(executions, 120)
    assert Counter(row["status"] for row in rows.values()) == {"completed": 200}
    calls = stack.sink.arrivals("/slow?seconds=8&many")
    assert in_flight((call.at for call in calls), 8) >= 150
    assert not repeated(rows.values(), stack.sink.keys())


@pytest.mark.gate
def test_four_hundred_calls_that_hang_hold_up_no_quick_one(sqlite_stack: Stack) -> None:
    """Quick calls come and go while 400 hang; a worker that is asked to stop hands them all back, none lapses."""
    stack = sqlite_stack
    path, quick = "/slow-first?seconds=600&then=0&hanging", target(stack, "ok?beside")
    hanging = target(stack, path[1:], timeout_seconds=900)
    settings = {"TOCSIN_STEPS_CONCURRENCY": "540", "TOCSIN_DRAIN_SECONDS": "2"}  # an action gets three quarters
    stack.kill("worker")
    stack.kill("slow")
    executions = flood(stack, hanging, 400)
    stack.restart("worker", **settings)

    def open_calls() -> set[str]:
        return {call.key for call in stack.sink.arrivals(path)}

    eventually(lambda: len(open_calls()) == 400, 120, "all calls are open")
    threads = len(list(Path(f"/proc/{stack.running['worker'].pid}/task").iterdir()))
    assert threads < 60
    for _ in range(20):
        rows = stack.wait_ended([stack.api.trigger(quick)], 60)
        assert {row["status"] for row in rows.values()} == {"completed"}
    begun = "SELECT id FROM executions WHERE status = 'running'"
    assert {row["id"] for row in stack.rows(begun)} >= {*executions}, "they hang still"
    os.kill(stack.running["worker"].pid, signal.SIGTERM)
    stack.running["worker"].wait(120)
    stack.start("worker", **settings)
    rows = stack.wait_ended(executions, 120)
    ends = Counter((row["status"], row["attempt"], row["lapses"]) for row in rows.values())
    assert ends == {("completed", 2, 0): 400}


def batch(stack: Stack, action_id: str, *batches: list[str]) -> None:
    """Publish one message for each list of executions, without any other."""
    number = sum(map(len, batches))
    eventually(lambda: stack.queued("steps") >= number - 1, 30, "their own messages are there")
    stack.redis.client().delete("steps")
    stack.change("UPDATE executions SET due_at = due_at + 60000 WHERE status = 'pending'")
    stack.run_once("batch", ["python", "-c", _BATCH, *(",".join([action_id, *ids]) for ids in batches)])


def test_several_executions_in_one_message(sqlite_stack: Stack) -> None:
    """Executions in one message end separately, unharmed by failing or missing ones."""
    stack = sqlite_stack
    retry = {"max_attempts": 3, "backoff_seconds": 0.2}
    kinds = {"ok?batched": "completed", "fail-first/1?batched": "completed", "status/404?batched": "failed"}
    actions = {path: target(stack, path, retry=retry) for path in kinds}
    stack.kill("worker")
    executions = {stack.api.trigger(actions[path]): path for path in [*kinds] * 2}
    ids = [*executions]
    batch(stack, actions["ok?batched"], [*ids[:3], "exec-unknown", *ids[3:]])
    stack.restart("worker")
    rows = stack.wait_ended(ids, 30)
    assert {path: rows[one]["status"] for one, path in executions.items()} == kinds
    calls = Counter(call.key for call in stack.sink.arrivals() if "batched" in call.path)
    lapses = {one: rows[one]["lapses"] for one in ids}
    least = {one: 2 if path.startswith("fail") else 1 for one, path in executions.items()}
    assert all(least[one] <= calls[one] <= least[one] + lapses[one] for one in ids), (calls, lapses)


@pytest.mark.gate
def test_slow_members_of_a_batch_leave_room(sqlite_stack: Stack) -> None:
    """A batch of slow members takes one slot and returns the rest."""
    stack = sqlite_stack
    slow = target(stack, "slow?seconds=5&members")
    stack.kill("worker")
    executions = [stack.api.trigger(slow) for _ in range(8)]
    batch(stack, slow, executions)
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="4")
    rows = stack.wait_ended(executions, 90)
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert not repeated(rows.values(), stack.sink.keys())
    calls = stack.sink.arrivals("/slow?seconds=5&members")
    assert in_flight((call.at for call in calls), 5) >= 3


@pytest.mark.gate
def test_one_that_hangs_in_each_batch_leaves_room(sqlite_stack: Stack) -> None:
    """One call hangs in each of five batches of four: the eleven slots that are free carry out what comes next."""
    stack = sqlite_stack
    path, quick = "/slow-first?seconds=600&then=0&stuck", target(stack, "ok?free")
    hanging = target(stack, path[1:], timeout_seconds=900)
    stack.kill("worker")
    stuck = [stack.api.trigger(hanging) for _ in range(5)]
    others = [stack.api.trigger(quick) for _ in range(15)]
    batch(stack, quick, *([one, *others[at * 3 : at * 3 + 3]] for at, one in enumerate(stuck)))
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="16")
    eventually(lambda: len(stack.sink.arrivals(path)) == 5, 60, "five hang")
    rows = stack.wait_ended([*others, *(stack.api.trigger(quick) for _ in range(20))], 60)
    assert {row["status"] for row in rows.values()} == {"completed"}
    begun = "SELECT id FROM executions WHERE status = 'running'"
    assert {row["id"] for row in stack.rows(begun)} >= {*stuck}, "they hang still"


@pytest.mark.gate
def test_a_hundred_slots_die_and_their_calls_go_on_in_parallel(sqlite_stack: Stack) -> None:
    """A killed worker's calls continue from ``steps``, as many as slots."""
    stack = sqlite_stack
    path = "/slow-first?seconds=20&then=5&bereft"
    slow = target(stack, path[1:])
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="100")
    stack.wait_ready("worker")
    executions = flood(stack, slow, 12)
    eventually(lambda: len(stack.sink.arrivals(path)) >= 8, 60, "calls are open")
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="100")
    rows = stack.wait_ended(executions, 60)
    assert {row["status"] for row in rows.values()} == {"completed"}
    bereft = [one for one in executions if rows[one]["lapses"] == 1]
    assert len(bereft) >= 4
    assert {rows[one]["queue"] for one in bereft} == {"steps"}
    seen: Counter[str] = Counter()
    again = []
    for call in stack.sink.arrivals(path):
        seen[call.key] += 1
        if seen[call.key] == 2:
            again.append(call.at)
    assert in_flight(again, 5) > 2
    assert {seen[one] for one in executions if not rows[one]["lapses"]} <= {1}
