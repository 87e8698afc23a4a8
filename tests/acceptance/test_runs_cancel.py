"""After a cancel or a pause is answered, no step begins."""

import random
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.playbooks import Kit, approval, child, children, delay, for_each, loop, parallel, step_rows
from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none

#: a cancel is answered within this time, and what it interrupts, which takes minutes, is let go of within that, seconds
ANSWERED, LET_GO = 1.5, 30.0
#: a call during which the worker is frozen is answered after this, seconds
ANSWERS_LATE = 10
#: after this nothing can be on its way any more, seconds
QUIET = 1.0


def scenes(kit: Kit) -> dict[str, tuple[str, str]]:
    """Kind of step → a playbook that waits there, and its step.

    Each has a call after the step, which must never come.
    """
    late, tail = kit.act("late"), kit.playbook(kit.act("c1"), kit.slow("c2", 200), kit.act("c3"))
    waiting = kit.playbook(kit.act("w1"), approval("c2"), kit.act("w3"))
    flaky = kit.act("here", "status/503", retry={"max_attempts": 5, "backoff_seconds": 100})
    once = kit.slow("here", 200)
    once["action_ref"] = kit.action("slow?seconds=200", idempotent=False)
    branches = parallel("p", [kit.slow("here", 200), kit.act("y")], [delay("r", 1), kit.act("z")])
    items = for_each("e", [1, 2, 3, 4], kit.slow("here", 200), kit.act("y"), max_concurrency=2)
    many = for_each("e", [1, 2], child("here", tail), max_concurrency=2)
    return {
        "call": (kit.playbook(kit.act("a"), kit.slow("here", 200), late), "here"),
        "call once": (kit.playbook(kit.act("a"), once, late), "here"),
        "retry": (kit.playbook(flaky, late), "here"),
        "delay": (kit.playbook(kit.act("a"), delay("here", 60), late), "here"),
        "approval": (kit.playbook(approval("here"), late), "here"),
        "parallel": (kit.playbook(branches, late), "here"),
        "loop": (kit.playbook(loop("l", 5, kit.slow("here", 200), kit.act("y")), late), "here.0"),
        "interval": (kit.playbook(loop("l", 5, kit.act("here"), interval_seconds=60), late), "here.0"),
        "for_each": (kit.playbook(items, late), "here.1"),
        "child": (kit.playbook(child("here", tail), late), "here"),
        "waiting child": (kit.playbook(child("here", waiting), late), "here"),
        "grandchild": (kit.playbook(child("here", kit.playbook(child("inner", tail))), late), "here"),
        "child in a loop": (kit.playbook(many, late), "here.1"),
    }  # fmt: skip


def stands(stack: Stack, run_id: str, step: str) -> bool:
    """Whether a run, or its innermost run, has reached its waiting step."""
    found = stack.rows("SELECT * FROM executions WHERE id = :id", id=f"{run_id}.{step}")
    if not found or found[0]["type"] != "playbook":
        return bool(found) and found[0]["status"] != "pending"
    below = [row for row in children(stack, run_id) if row["parent_id"].startswith(f"{run_id}.")]
    return any(stands(stack, row["id"], "c2") or stands(stack, row["id"], "inner") for row in below)


def family(stack: Stack, run_id: str) -> list[str]:
    """A run, and all that it has started."""
    return [run_id, *(row["id"] for row in children(stack, run_id))]


def still_open(stack: Stack, run_ids: list[str]) -> list[dict]:
    """The rows of these runs that are unfinished or held by workers."""
    rows = [stack.row(run_id) for run_id in run_ids] + [
        row for mine in step_rows(stack, run_ids).values() for row in mine
    ]
    return [row for row in rows if row["due_at"] is not None or row["owner"] is not None]


def under_way(stack: Stack, run_ids: Iterable[str]) -> list[dict]:
    """The calls and delays of these runs that go on."""
    rows = [row for mine in step_rows(stack, run_ids).values() for row in mine]
    return [row for row in rows if row["owner"] is not None or row["waiting_for"] == "delay"]


def test_a_cancel_ends_a_run_at_every_kind_of_step(first_stack: Stack) -> None:
    """A cancel at any step ends steps and started runs; then 409."""
    stack = first_stack
    kit = Kit(stack)
    made = scenes(kit)
    runs = {kind: stack.api.run(playbook) for kind, (playbook, _) in made.items()}
    for kind, (_, step) in made.items():
        eventually(lambda k=kind, s=step: stands(stack, runs[k], s), 60, f"{kind} stands at its step")
    answered, took = {}, []
    for kind, run_id in runs.items():
        asked = time.monotonic()
        answer = stack.api.post_to_run(run_id, "cancel")
        answered[kind] = time.monotonic()
        assert answer.status_code == 200, (kind, answer.text)
        took.append(answered[kind] - asked)
        assert answer.json()["data"]["status"] == "cancelled"
    assert sorted(took)[len(took) // 2] < ANSWERED, took  # the machine may be slow for a moment, not every time
    families = {kind: family(stack, run_id) for kind, run_id in runs.items()}
    for kind, ids in families.items():
        eventually_none(lambda i=ids: still_open(stack, i), LET_GO, f"all of {kind} has ended and is let go of")
    time.sleep(QUIET)
    for kind, ids in families.items():
        late = [call for call in kit.calls() if call.key.partition(".")[0] in ids and call.at > answered[kind]]
        assert not late, f"{kind}: {late[0].key} was called {late[0].at - answered[kind]:.3f} s after the answer"
        assert {stack.row(one)["status"] for one in ids} == {"cancelled"}, kind
        steps = [row for rows in step_rows(stack, ids).values() for row in rows]
        assert {row["status"] for row in steps} <= {"completed", "cancelled"}, kind
        assert "cancelled" in {row["status"] for row in steps}, kind
        again = stack.api.post_to_run(runs[kind], "cancel")
        assert again.status_code == 409, kind
    assert len(families["grandchild"]) == 3
    assert len(families["child in a loop"]) == 3


def test_what_has_completed_stays_completed(sqlite_stack: Stack) -> None:
    """A cancel keeps ended steps; the run shows which are not reached."""
    stack = sqlite_stack
    kit = Kit(stack)
    run_id = stack.api.run(kit.playbook(kit.act("a"), kit.act("b"), approval("ask"), kit.act("late")))
    eventually(lambda: stands(stack, run_id, "ask"), 15, "it waits")
    assert stack.api.post_to_run(run_id, "cancel").status_code == 200
    states = {step["step_id"]: step["status"] for step in stack.api.steps(run_id)}
    assert states == {"a": "completed", "b": "completed", "ask": "cancelled", "late": "cancelled"}
    assert stack.api.decide_step(run_id, "ask", "approve").status_code == 409
    assert kit.called(run_id) == ["a", "b"]


def test_a_run_is_cancelled_before_it_began(sqlite_stack: Stack) -> None:
    """A pending run cancelled while every worker is frozen never begins."""
    stack = sqlite_stack
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("a"), kit.act("b"))
    stack.freeze("worker")
    run_id = stack.api.run(playbook)
    assert stack.api.post_to_run(run_id, "cancel").status_code == 200
    stack.thaw("worker")
    other = stack.api.run(playbook)
    assert stack.wait_ended([other], 20)[other]["status"] == "completed"
    assert stack.row(run_id)["status"] == "cancelled"
    assert kit.called(run_id) == []
    assert stack.api.post_to_run(other, "cancel").status_code == 409


def cancel_at_random(stack: Stack, number: int, seed: int) -> Counter[int]:
    """Cancel runs at random moments, also at the end; check every promise.

    Returns how often each status was answered.
    """
    kit, rng = Kit(stack), random.Random(seed)
    quick = [kit.act(f"s{index}") for index in range(6)]
    tail = kit.playbook(kit.act("c1"), kit.act("c2"), kit.act("c3"))
    playbooks = [
        kit.playbook(*quick),
        kit.playbook(parallel("p", [kit.act("x1"), kit.act("x2")], [kit.act("y1"), kit.act("y2")]), kit.act("z")),
        kit.playbook(loop("l", 4, kit.act("b1"), kit.act("b2")), kit.act("z")),
        kit.playbook(for_each("e", [1, 2, 3, 4], kit.act("w1"), kit.act("w2"), max_concurrency=3), kit.act("z")),
        kit.playbook(kit.act("a"), child("sub", tail), kit.act("b"), child("sub2", tail), kit.act("z")),
        kit.playbook(kit.act("a"), delay("r", 0), kit.act("b"), delay("r2", 0), kit.act("z")),
    ]
    moments = [rng.choice([0, rng.uniform(0, 0.1), rng.uniform(0, 0.3), rng.uniform(0, 0.8)]) for _ in range(number)]

    def one(index: int) -> tuple[str, int, float, float]:
        run_id = stack.api.run(playbooks[index % len(playbooks)])
        time.sleep(moments[index])
        asked = time.monotonic()
        status = stack.api.post_to_run(run_id, "cancel").status_code
        answered = time.monotonic()
        return run_id, status, answered - asked - stack.api.pace(), answered

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(number)))
    rows = stack.wait_ended([run_id for run_id, *_ in answers], 60)
    families = {run_id: family(stack, run_id) for run_id, *_ in answers}
    everyone = [member for members in families.values() for member in members]
    eventually_none(lambda: still_open(stack, everyone), LET_GO, "all has ended and is let go of", every=0.2)
    time.sleep(QUIET)
    calls = kit.calls()
    for run_id, status, _, answered in answers:
        late = [call for call in calls if call.key.partition(".")[0] in families[run_id] and call.at > answered]
        if status == 200:
            assert {stack.row(member)["status"] for member in families[run_id]} <= {"cancelled", "completed"}
            assert rows[run_id]["status"] == "cancelled"
            assert not late, f"{late[0].key} was called {late[0].at - answered:.3f} s after the answer"
        else:
            assert status == 409
            assert rows[run_id]["status"] == "completed", "409 is for what has ended by itself"
    times = sorted(took for _, _, took, _ in answers)
    assert times[number // 2] <= ANSWERED, times  # the machine may be slow, the product may not
    return Counter(status for _, status, *_ in answers)


@pytest.mark.gate
def test_nothing_begins_after_a_cancel_was_answered(first_stack: Stack) -> None:
    """After 18 cancels at random moments no call and no open row."""
    assert cancel_at_random(first_stack, 18, seed=5)[200] >= 6, "enough were cancelled for this to tell anything"


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_nothing_begins_after_a_cancel_was_answered_at_length(stack: Stack) -> None:
    """The same with 200."""
    assert cancel_at_random(stack, 200, seed=6)[200] >= 66, "enough were cancelled for this to tell anything"


@pytest.mark.gate
def test_nothing_begins_while_a_run_is_paused(first_stack: Stack) -> None:
    """A paused run begins no step until it is resumed, then completes."""
    stack = first_stack
    kit = Kit(stack)
    tail = kit.playbook(kit.act("c1"))
    playbooks = {
        "sequence": kit.playbook(kit.slow("a", 8), kit.act("late")),
        "parallel": kit.playbook(parallel("p", [kit.slow("a", 8), kit.act("x")], [kit.act("y")]), kit.act("late")),
        "loop": kit.playbook(loop("l", 2, kit.slow("a", 8)), kit.act("late")),
        "delay": kit.playbook(kit.act("a"), delay("r", 8), kit.act("late")),
        "child": kit.playbook(kit.slow("a", 8), child("sub", tail), kit.act("late")),
        "before a delay": kit.playbook(kit.slow("a", 8), delay("r", 8), kit.act("late")),
        "before an approval": kit.playbook(kit.slow("a", 8), approval("ask"), kit.act("late")),
        "approval": kit.playbook(kit.act("a"), approval("ask"), kit.act("late")),
    }
    runs = {kind: stack.api.run(playbook) for kind, playbook in playbooks.items()}
    for kind, run_id in runs.items():
        first = {"a", "y"} if kind == "parallel" else {"a.0"} if kind == "loop" else {"a"}
        eventually(lambda r=run_id, f=first: f <= set(kit.called(r)), 60, f"{kind} has begun")
    for kind, step in [("approval", "ask"), ("delay", "r")]:
        eventually(lambda k=kind, s=step: stands(stack, runs[k], s), 60, f"{kind} stands at its step")
    for kind, run_id in runs.items():
        answer = stack.api.post_to_run(run_id, "pause")
        assert answer.status_code == 200, (kind, answer.text)
        assert answer.json()["data"]["status"] == "paused"
    before = {kind: Counter(kit.called(run_id)) for kind, run_id in runs.items()}
    assert stack.api.decide_step(runs["approval"], "ask", "approve").status_code == 200
    assert stack.api.post_to_run(runs["sequence"], "pause").status_code == 409
    eventually_none(lambda: under_way(stack, runs.values()), 60, "what was under way has ended")
    time.sleep(QUIET)
    for kind, run_id in runs.items():
        assert stack.row(run_id)["status"] == "paused", kind
        assert Counter(kit.called(run_id)) == before[kind], f"{kind}: a step began while its run was paused"
        begun = [call.key for row in children(stack, run_id) for call in kit.calls(row["id"])]
        assert not begun, f"{kind}: {begun} began while the run above was paused"
    assert stack.api.decide_step(runs["before an approval"], "ask", "approve").status_code == 200
    for run_id in runs.values():
        assert stack.api.post_to_run(run_id, "resume").status_code == 200
    rows = stack.wait_ended(list(runs.values()), 90)
    assert {row["status"] for row in rows.values()} == {"completed"}, rows
    for kind, run_id in runs.items():
        assert kit.called(run_id)[-1] == "late", kind
        assert max(Counter(kit.called(run_id)).values()) == 1, kind
        assert stack.api.post_to_run(run_id, "resume").status_code == 409


@pytest.mark.gate
def test_a_paused_run_is_cancelled(sqlite_stack: Stack) -> None:
    """Cancelled while paused, nothing of it begins any more."""
    stack = sqlite_stack
    kit = Kit(stack)
    run_id = stack.api.run(kit.playbook(kit.slow("a", 6), kit.act("late")))
    eventually(lambda: kit.calls(run_id), 15, "the first call has arrived")
    assert stack.api.post_to_run(run_id, "pause").status_code == 200
    eventually(lambda: stack.row(f"{run_id}.a")["status"] == "completed", 60, "what was under way has ended")
    assert stack.api.post_to_run(run_id, "cancel").status_code == 200
    assert stack.api.post_to_run(run_id, "resume").status_code == 409
    time.sleep(QUIET)
    assert kit.called(run_id) == ["a"]


@pytest.mark.chaos
def test_a_worker_that_wakes_up_late_changes_nothing_of_a_run(postgresql_stack: Stack) -> None:
    """A worker frozen in a step loses its run and changes nothing."""
    stack = postgresql_stack
    kit = Kit(stack)
    run_id = stack.api.run(
        kit.playbook(kit.act("a"), kit.act("b", f"slow-first?seconds={ANSWERS_LATE}"), kit.act("c"), kit.act("d"))
    )
    eventually(lambda: "b" in kit.called(run_id), 15, "the second call has arrived")
    stack.freeze("worker")
    eventually(lambda: stack.row(f"{run_id}.b")["status"] == "completed", 60, "the step was taken over")
    first = next(call.at for call in kit.calls(run_id) if call.key.endswith(".b"))
    time.sleep(max(0.0, first + ANSWERS_LATE + 1 - time.monotonic()))  # its answer awaits the frozen worker
    stack.thaw("worker")
    woken = time.time() * 1000
    assert stack.wait_ended([run_id], 20)[run_id]["status"] == "completed"
    before = step_rows(stack, [run_id])[run_id]
    awake = "SELECT running FROM processes WHERE name LIKE 'steps@%' AND beat_at > :woken AND running = 0"
    eventually(lambda: stack.rows(awake, woken=woken), 20, "the thawed worker has nothing in hand")
    assert step_rows(stack, [run_id])[run_id] == before
    assert Counter(kit.called(run_id)) == {"a": 1, "b": 2, "c": 1, "d": 1}, "the take-over repeats one call"
    assert stack.row(f"{run_id}.b")["attempt"] == 2
