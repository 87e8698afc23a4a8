"""How a worker takes up the messages of a run, inside the test's own process."""

import gc
from types import SimpleNamespace
from typing import Any

import pytest

from store.engine import db
from store.executions import runs, transitions
from store.executions import steps as step_rows
from tasks.entrypoints import runs as steps
from tasks.intake import run_start
from tasks.messages import publisher
from tasks.runs import driver, planner
from tests.support.api import Door


def test_what_is_being_planned_is_not_planned_in_parallel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that comes again while this process has long been at the same thing is dropped."""
    begun: list[str] = []
    answers: list[str] = []

    def begin(self: driver.RunDriver, run_id: str) -> None:
        begun.append(run_id)
        if len(begun) == 1:
            answers.append(steps.begin.apply(args=["pexec-1"]).get())
            answers.append(steps.begin.apply(args=["pexec-2"]).get())

    monkeypatch.setattr(steps, "LONG", 0.0)
    monkeypatch.setattr(driver.RunDriver, "begin", begin)
    assert steps.begin.apply(args=["pexec-1"]).get() == "done"
    assert (begun, answers) == (["pexec-1", "pexec-2"], ["stale", "done"])
    assert steps.begin.apply(args=["pexec-1"]).get() == "done"


def start(door: Door, *steps_of: dict[str, Any], **parameters: Any) -> str:
    """A run of a playbook of these steps, taken up by this process."""
    playbook = door.create_playbook(name=f"Decide {len(steps_of)}", steps=list(steps_of))
    request = run_start.RunRequest(
        workspace_id="default", actor="test", playbook_id=playbook["id"], parameters=parameters
    )
    return run_start.start(request).run_id


def status(run_id: str) -> str:
    """Where a run is."""
    with db.read() as connection:
        return transitions.states(connection, [run_id])[run_id][0]


def unfollowed(run_id: str) -> list[str]:
    """Rows of steps after which a message has yet to go on."""
    with db.read() as connection:
        return [row.id for row in step_rows.of_run(connection, run_id) if row.waiting_for == "follow"]


def see_through(run_id: str) -> int:
    """Take the run up and all messages that go on with it; returns how many those were."""
    assert steps.begin.apply(args=[run_id]).get() == "done"
    for count in range(100):
        following = unfollowed(run_id)
        if not following:
            return count
        assert [steps.follow.apply(args=[row_id]).get() for row_id in following] == ["done"] * len(following)
    raise AssertionError("it goes on and on")


def decide(step_id: str, **more: Any) -> dict[str, Any]:
    """A step that takes no time."""
    return {"id": step_id, "type": "condition", "expression": "go", **more}


def test_messages_of_one_run_that_are_under_way_together_read_it_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two drivers of branches share the run; once both have ended nothing of it is kept, its secrets neither."""
    read: list[str] = []
    real = runs.read
    monkeypatch.setattr(runs, "read", lambda connection, run_id: (read.append(run_id), real(connection, run_id))[1])
    run_id = start(door, decide("first"), go=True)

    def under_way() -> driver.RunDriver:
        made = driver.RunDriver(SimpleNamespace(request=SimpleNamespace(id="m", chain=None)), simulate=_never)
        assert made._find_run(run_id)
        return made

    two = [under_way(), under_way()]
    assert two[0].run is two[1].run
    assert read == [run_id]
    two.clear()
    gc.collect()
    under_way()
    assert read == [run_id] * 2


def _never(*_: Any) -> bool:
    raise AssertionError("it is no dry run")


def test_a_run_of_decisions_ends_with_the_message_that_begins_it(door: Door) -> None:
    """Steps that take no time are passed at once; a copy of the message finds nothing to do."""
    run_id = start(door, decide("first"), decide("second"), go=True)
    assert status(run_id) == "pending"
    assert steps.begin.apply(args=[run_id]).get() == "done"
    assert status(run_id) == "completed"
    assert steps.begin.apply(args=[run_id]).get() == "stale"


def test_a_run_that_breaks_by_a_fault_of_ours_fails(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not hang until its deadline, and says that the fault is not the playbook's."""
    run_id = start(door, decide("first"), go=True)

    def break_down(*_: Any) -> None:
        raise KeyError("fault")

    monkeypatch.setattr("tasks.runs.planner.Planner.enter", break_down)
    assert steps.begin.apply(args=[run_id]).get() == "broken"
    with db.read() as connection:
        row = transitions.get(connection, "default", run_id)
    assert row.status == "failed"
    assert transitions.load(row.error)["code"] == "internal_error"


def states(run_id: str) -> dict[str, str]:
    """Step → status."""
    with db.read() as connection:
        return {row.step_id: row.status for row in step_rows.of_run(connection, run_id)}


def test_a_skipped_step_can_be_read_at_once(door: Door) -> None:
    """What was skipped a moment ago is known to the decisions right behind it, by its id and as the step before."""
    skipped = decide("first", when="!go")
    by_id = decide("second", expression="steps.first.status == 'skipped'", on_false="end")
    skipped_again = decide("third", when="!go")
    as_previous = decide("fourth", expression="previous_step.status == 'skipped'", on_false="end")
    run_id = start(door, skipped, by_id, skipped_again, as_previous, decide("last"), go=True)
    steps.begin.apply(args=[run_id])
    expected = ["skipped", "completed", "skipped", "completed", "completed"]
    assert states(run_id) == dict(zip(["first", "second", "third", "fourth", "last"], expected, strict=True))


def test_any_number_of_failures_is_passed_over(door: Door) -> None:
    """A thousand steps that fail one after the other, each of which may, end as one does."""
    failing = [decide(f"s{number}", expression="nothing", continue_on_error=True) for number in range(1000)]
    run_id = start(door, *failing, go=True)
    see_through(run_id)
    assert status(run_id) == "completed"
    assert list(states(run_id).values()) == ["failed"] * 1000


def test_many_decisions_come_in_several_messages(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound the worker stops and publishes what goes on, so that other runs get a turn in between."""
    published: list[Any] = []

    def publish(canvases: list[Any], *, countdown: float | None = None) -> None:
        published.extend(canvases)

    monkeypatch.setattr(publisher, "publish", publish)
    monkeypatch.setattr(planner, "MOST_DECISIONS", 10)
    run_id = start(door, *[decide(f"s{number}") for number in range(25)], go=True)
    steps.begin.apply(args=[run_id])
    assert (len(states(run_id)), status(run_id)) == (10, "running")
    assert unfollowed(run_id) == [f"{run_id}.s9"]
    assert [(message.task, message.execution_id) for message in published] == [("tocsin.follow", f"{run_id}.s9")]
    steps.follow.apply(args=[f"{run_id}.s9"])
    assert steps.follow.apply(args=[f"{run_id}.s9"]).get() == "stale"
    assert (len(states(run_id)), unfollowed(run_id)) == (20, [f"{run_id}.s19"])
    steps.follow.apply(args=[f"{run_id}.s19"])
    assert (len(states(run_id)), status(run_id)) == (25, "completed")


@pytest.mark.parametrize("most", [1, 2, 3, 200])
def test_where_planning_stops_changes_nothing(door: Door, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Decided, skipped and failed steps lead on to the same steps, however many are decided in one go."""
    monkeypatch.setattr(planner, "MOST_DECISIONS", most)
    playbook = [
        decide("no", expression="!go", on_true="wrong", on_false="pick"),
        decide("wrong"),
        {"id": "pick", "type": "switch", "expression": "'b'", "cases": {"a": "wrong", "b": "skipped"}},
        decide("skipped", when="!go"),
        decide("failed", expression="nothing", continue_on_error=True),
        decide("led_away", expression="nothing", on_failure="side"),
        decide("never"),
        {
            "id": "side",
            "type": "parallel",
            "branches": [
                {"steps": [decide("left"), decide("left_2")]},
                {"steps": [decide("right"), decide("right_2")]},
            ],
        },
        decide("last", expression="steps.no.status == 'completed'", on_false="end"),
        decide("very_last", expression="nothing"),
    ]
    run_id = start(door, *playbook, go=True)
    while steps.begin.apply(args=[run_id]).get() != "stale" or unfollowed(run_id) or status(run_id) == "running":
        for row_id in unfollowed(run_id):
            steps.follow.apply(args=[row_id])
        steps.join.apply(args=[f"{run_id}.side"])
    assert status(run_id) == "failed"
    assert states(run_id) == dict.fromkeys(
        ["no", "pick", "side", "left", "left_2", "right", "right_2", "last"], "completed"
    ) | {"skipped": "skipped", "failed": "failed", "led_away": "failed", "very_last": "failed"}


def test_a_link_that_is_not_kept_is_followed_at_once(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a step's id looks like a secret its row does not show where it leads: planning goes on past it."""
    monkeypatch.setattr(planner, "MOST_DECISIONS", 1)
    secret = {"name": "word", "type": "secret"}
    playbook = [
        decide("first", expression="true"),
        decide("hunter2", expression="true"),
        decide("last", expression="true"),
    ]
    made = door.create_playbook(name="Spells a secret", steps=playbook, parameters=[secret])
    request = run_start.RunRequest(
        workspace_id="default", actor="test", playbook_id=made["id"], parameters={"word": "hunter2"}
    )
    run_id = run_start.start(request).run_id
    steps.begin.apply(args=[run_id])
    assert unfollowed(run_id) == [f"{run_id}.hunter2"]
    steps.follow.apply(args=[f"{run_id}.hunter2"])
    assert (len(states(run_id)), status(run_id)) == (3, "completed")
