"""Waiting runs survive a stop of the product until the next day.

The clock is not touched. While everything is stopped each point in time that the database keeps of executions is
moved back by a day, which is the same seen from the rows: all that was due within a day is due when the product
starts, what was due later is not. Redis is stopped too, and comes back as its disk has kept it, or empty.
"""

import pytest

from tests.support.playbooks import Kit, approval, broken, child, delay, for_each, loop, parallel, step_rows
from tests.support.stack import NAMES, Stack
from tests.support.waiting import eventually

_HOUR, _DAY = 3_600, 86_400
_TIMES = ("created_at", "started_at", "completed_at", "due_at", "expires_at", "renewed_at")


def sleep_over_night(stack: Stack, *, empty: bool) -> None:
    """Stop everything, let a day pass, start everything."""
    for name in NAMES:
        stack.kill(name)
    stack.redis.kill()
    if empty:
        stack.redis.forget()
    stack.change(f"UPDATE executions SET {', '.join(f'{name} = {name} - :day' for name in _TIMES)}", day=_DAY * 1000)
    stack.redis.start()
    for name in NAMES:
        stack.start(name)
    for name in NAMES:
        stack.wait_ready(name)


def waiting(stack: Stack, run_ids: list[str], count: int) -> None:
    """Wait until ``count`` steps of these runs wait for clock or approval."""
    query = "SELECT run_id FROM executions WHERE kind = 'step' AND waiting_for IN ('delay', 'approval')"

    def look() -> bool:
        return len([row for row in stack.rows(query) if row["run_id"] in run_ids]) == count

    eventually(look, 20, f"{count} steps wait")


def states(stack: Stack, run_id: str) -> set[str]:
    """The statuses of a run's steps."""
    return {row["status"] for row in step_rows(stack, [run_id])[run_id]}


def check_next_day(stack: Stack, *, empty: bool) -> None:
    """Check runs in every kind of wait, before and after the night."""
    kit = Kit(stack)
    hour, two_days = delay("rest", _HOUR), delay("rest", 2 * _DAY)
    asked = approval("ask", timeout_seconds=2 * _DAY)
    hurried = approval("ask", timeout_seconds=_HOUR, on_timeout="nobody")
    branches = parallel("p", [kit.act("x"), hour, kit.act("y")], [approval("ask"), kit.act("z")])
    tail = kit.playbook(kit.act("c1"), hour, kit.act("c2"))
    runs = {
        kind: stack.api.run(kit.playbook(*steps, **more))
        for kind, steps, more in [
            ("rested", [kit.act("a"), hour, kit.act("b")], {}),
            ("rests", [kit.act("a"), two_days, kit.act("b")], {}),
            ("asked", [kit.act("a"), asked, kit.act("b")], {}),
            ("refused", [kit.act("a"), {**asked, "on_failure": "no"}, kit.act("b"), kit.act("no")], {}),
            ("expired", [hurried, kit.act("b"), kit.act("nobody")], {}),
            ("expired unheard", [approval("ask", timeout_seconds=_HOUR), kit.act("b")], {}),
            ("late", [kit.act("a"), two_days, kit.act("b")], {"timeout_minutes": 60}),
            ("late at an approval", [approval("ask"), kit.act("b")], {"timeout_minutes": 60}),
            ("branches", [branches, kit.act("b")], {}),
            ("loop", [loop("l", 3, kit.act("x"), interval_seconds=_HOUR), kit.act("b")], {}),
            ("for_each", [for_each("e", [1, 2], hour, kit.act("x"), max_concurrency=2), kit.act("b")], {}),
            ("child", [child("sub", tail), kit.act("b")], {}),
        ]
    }  # fmt: skip
    below = eventually(
        lambda: stack.rows("SELECT id FROM executions WHERE parent_id = :p", p=f"{runs['child']}.sub"),
        15,
        "the child is there",
    )
    everyone = [*runs.values(), below[0]["id"]]
    waiting(stack, everyone, 13)
    eventually(lambda: stack.row(f"{runs['loop']}.l")["open"] == 0, 10, "the loop is between two iterations")
    paused = stack.api.run(kit.playbook(approval("ask"), kit.act("b")))
    waiting(stack, [*everyone, paused], 14)
    assert stack.api.post_to_run(paused, "pause").status_code == 200

    sleep_over_night(stack, empty=empty)

    for kind, word in [("asked", "approve"), ("refused", "reject"), ("branches", "approve")]:
        assert stack.api.decide_step(runs[kind], "ask", word).status_code == 200, kind
    assert stack.api.decide_step(runs["expired"], "ask", "approve").status_code == 409
    rests = ("rests", "loop")
    rows = stack.wait_ended([run_id for kind, run_id in runs.items() if kind not in rests], 90)
    ended = {kind: rows[run_id]["status"] for kind, run_id in runs.items() if kind not in rests}
    failed = {"late", "late at an approval", "expired unheard"}
    assert ended == {kind: "failed" if kind in failed else "completed" for kind in ended}
    for kind in ("late", "late at an approval"):
        assert stack.api.run_row(runs[kind])["error"]["code"] == "timeout", kind
        eventually(lambda k=kind: states(stack, runs[k]) <= {"completed", "cancelled", "timeout"}, 30, kind)
    assert stack.api.run_row(runs["expired unheard"])["error"]["cause"] == "approval_expired"
    calls = {
        "rested": ["a", "b"],
        "rests": ["a"],
        "asked": ["a", "b"],
        "refused": ["a", "no"],
        "expired": ["nobody"],
        "expired unheard": [],
        "late": ["a"],
        "late at an approval": [],
        "loop": ["x.0", "x.1"],
        "child": ["b"],
    }
    eventually(lambda: len(kit.called(runs["loop"])) == 2, 15, "the loop has made its second pass")
    assert {kind: kit.called(runs[kind]) for kind in calls} == calls
    assert kit.called(runs["branches"])[-1] == "b"
    assert sorted(kit.called(runs["for_each"])) == ["b", "x.0", "x.1"]
    assert kit.called(below[0]["id"]) == ["c1", "c2"]
    assert not [fault for mine in step_rows(stack, everyone).values() for fault in broken(mine, kit.calls())]
    assert stack.row(runs["rests"])["status"] == "running"
    assert stack.row(f"{runs['rests']}.rest")["status"] == "waiting"
    assert stack.row(paused)["status"] == "paused"
    assert stack.api.post_to_run(paused, "resume").status_code == 200
    assert stack.api.decide_step(paused, "ask", "approve").status_code == 200
    assert stack.wait_ended([paused], 60)[paused]["status"] == "completed"
    for kind in rests:
        assert stack.api.post_to_run(runs[kind], "cancel").status_code == 200, kind


@pytest.mark.gate
def test_waiting_runs_go_on_the_next_day(sqlite_stack: Stack) -> None:
    """Ended delays continue, others wait; approvals are open or timed out."""
    check_next_day(sqlite_stack, empty=True)


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("empty", [False, True], ids=["redis kept", "redis empty"])
def test_waiting_runs_go_on_the_next_day_wherever_they_are_kept(stack: Stack, empty: bool) -> None:
    """Waiting runs continue on both databases, with Redis's messages kept or lost."""
    check_next_day(stack, empty=empty)
