"""What Tocsin emits about runs and approvals starts the playbooks that listen, once and in no circle."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from playbooks.states import Status, WaitingFor
from store.engine import db
from store.executions import announcements, transitions
from tasks.attempts.conclude import Attempt, Ending, conclude
from tasks.clock import announce, sweep
from tasks.entrypoints import runs as steps
from tasks.messages import publisher
from tasks.secrets.redact import Redactor
from tests.support import runs
from tests.support.api import Door, assert_problem
from tests.support.listeners import announced, forgotten, runs_of, waiting
from tests.support.waiting import at_once

PASS = {"id": "pass", "type": "condition", "expression": "true"}
BREAK = {"id": "break", "type": "condition", "expression": "nothing"}
ASK = {"id": "ask", "type": "approval", "message": "Isolate?", "approvers": ["ana"]}
RETRY = {"max_attempts": 1, "backoff_seconds": 1, "jitter": False}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Each test looks for listening playbooks again."""
    forgotten()
    yield
    forgotten()


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def run(door: Door, playbook_id: str, **body: Any) -> str:
    """Run a playbook as far as it goes without an outside call; returns the run's id."""
    answer = door.call("POST", f"/api/playbooks/{playbook_id}/run", json=body)
    assert answer.status_code == 202, answer.text
    return begun(answer.json["execution_id"])


def begun(run_id: str) -> str:
    """Take up a run as a worker does; returns its id."""
    steps.begin.apply(args=[run_id]).get()
    return run_id


def row_of(execution_id: str) -> Any:
    """The row."""
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def event_of(row: Any) -> dict[str, Any]:
    """The event that a run has."""
    event: dict[str, Any] = json.loads(row.context)["event"]
    return event


@pytest.mark.parametrize(("step", "status"), [(PASS, "completed"), (BREAK, "failed")])
def test_the_end_of_a_run_starts_what_listens(everywhere: Door, step: dict[str, Any], status: str) -> None:
    """The run that it starts knows the playbook, the run and its error, and is about the same asset."""
    door = everywhere
    door.create_playbook(name="Work", tags=["night"], steps=[step])
    conditions = {"playbook.tags": {"$contains": "night"}, "id": "pb-work"}
    door.create_playbook(name="Tell", steps=[PASS], trigger={"event": f"playbook.{status}", "conditions": conditions})
    door.create_playbook(name="Deaf", trigger={"event": f"playbook.{status}", "conditions": {"id": "pb-other"}})
    run_id = run(door, "pb-work", target_asset_id="a-1")
    assert (row_of(run_id).status, waiting(run_id)) == (status, [f"playbook.{status}"])
    assert announced(run_id) == "announced"
    assert waiting(run_id) == []
    (told,) = runs_of("pb-tell")
    event = event_of(told)
    assert (told.target, told.cause, told.created_by, event["event"]) == (
        "a-1",
        "event",
        "system",
        f"playbook.{status}",
    )
    assert event["data"]["playbook"] == {"id": "pb-work", "name": "Work", "version": "1.0.0", "tags": ["night"]}
    shown = event["data"]["execution"]
    assert (shown["id"], shown["status"], shown["trigger"], shown["target"]) == (run_id, status, "api", "a-1")
    assert ("error" in shown) is (status == "failed")
    assert runs_of("pb-deaf") == []
    assert announced(run_id) == "stale"


def test_an_end_costs_nothing_where_no_playbook_listens(everywhere: Door) -> None:
    """A listener to other ends, and a disabled one, leave no row."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.failed", steps=[PASS])
    door.create_playbook(name="Off", trigger="playbook.*", steps=[PASS], enabled=False)
    door.create_playbook(name="Work", steps=[PASS])
    run_id = run(door, "pb-work")
    assert (row_of(run_id).status, waiting(run_id)) == ("completed", [])


def test_many_workers_announce_an_end_once(everywhere: Door) -> None:
    """However many messages there are at the same time."""
    everywhere.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    everywhere.create_playbook(name="Work", steps=[PASS])
    run_id = run(everywhere, "pb-work")
    assert sorted(at_once(4, lambda: announced(run_id))) == ["announced", "stale", "stale", "stale"]
    assert len(runs_of("pb-tell")) == 1


def test_a_lost_message_is_made_up_for_by_tick(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tick publishes the announcement after five seconds, and again later, until it is made."""
    published: list[Any] = []
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        everywhere.create_playbook(name="Tell", trigger="playbook.completed", steps=[PASS])
        everywhere.create_playbook(name="Work", steps=[PASS])
        run_id = run(everywhere, "pb-work")
        monkeypatch.setattr(publisher, "publish", published.extend)
        assert announce.publish_due() == 0
        for pause in (announcements.PATIENCE, 2 * announcements.PATIENCE):
            clock.shift(pause / 1000 + 1)
            assert announce.publish_due() == 1
            assert announce.publish_due() == 0
        assert [(one.task, one.execution_id) for one in published] == [("tocsin.announce", run_id)] * 2
        announced(run_id)
        clock.shift(600)
        assert announce.publish_due() == 0
        assert len(runs_of("pb-tell")) == 1


def test_a_cancel_and_a_pause_are_announced(everywhere: Door) -> None:
    """Each as it is written; a pause that is over is announced all the same."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    door.create_playbook(name="Work", steps=[{"id": "wait", "type": "delay", "seconds": 600}])
    run_id = run(door, "pb-work")
    for word in ("pause", "resume", "pause", "cancel"):
        assert door.call("POST", f"/api/playbooks/executions/{run_id}/{word}").status_code == 200
    assert waiting(run_id) == ["playbook.paused", "playbook.paused", "playbook.cancelled"]
    announced(run_id)
    events = [event_of(row) for row in runs_of("pb-tell")]
    assert sorted(event["data"]["execution"]["status"] for event in events) == ["cancelled", "paused", "paused"]
    assert len({event["id"] for event in events}) == 3


def test_a_run_that_tick_ends_is_announced(everywhere: Door) -> None:
    """Its time is up: the announcement is written with its end."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        door = everywhere
        door.create_playbook(name="Tell", trigger="playbook.failed", steps=[PASS])
        door.create_playbook(name="Work", timeout_minutes=1, steps=[{"id": "wait", "type": "delay", "seconds": 600}])
        run_id = run(door, "pb-work")
        clock.shift(90)
        sweep.handle_batch({})
        assert (row_of(run_id).status, waiting(run_id)) == ("failed", ["playbook.failed"])
        announced(run_id)
        (told,) = runs_of("pb-tell")
        assert event_of(told)["data"]["execution"]["error"]["code"] == "timeout"


def test_a_run_that_breaks_by_a_fault_of_ours_is_announced(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails like any other."""
    door.create_playbook(name="Tell", trigger="playbook.failed", steps=[PASS])
    door.create_playbook(name="Work", steps=[PASS])
    with monkeypatch.context() as broken:
        broken.setattr("tasks.runs.planner.Planner.enter", lambda *_, **__: 1 / 0)
        run_id = run(door, "pb-work")
    assert (row_of(run_id).status, waiting(run_id)) == ("failed", ["playbook.failed"])


def test_the_end_after_an_exception_step_is_announced_as_what_it_is(everywhere: Door) -> None:
    """The run fails although its exception step has completed."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    tidy = {"id": "tidy", "type": "condition", "expression": "true"}
    door.create_playbook(name="Work", exception_step="tidy", steps=[BREAK, tidy])
    run_id = run(door, "pb-work")
    assert waiting(run_id) == ["playbook.failed"]


def test_a_trigger_that_cannot_start_is_announced(everywhere: Door) -> None:
    """The failed run of an event starts what listens for failures."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.failed", steps=[PASS])
    door.create_playbook(name="Aimless", trigger="finding.new", target_required=True)
    outcome = door.call("POST", "/api/events", json={"event": "finding.new"}).json["data"]
    run_id = outcome["not_started"][0]["execution_id"]
    assert waiting(run_id) == ["playbook.failed"]
    announced(run_id)
    (told,) = runs_of("pb-tell")
    assert event_of(told)["data"]["execution"]["error"]["code"] == "target_required"


def test_no_circle_of_playbooks(everywhere: Door) -> None:
    """What an event of a run has started announces nothing: not even a playbook that cannot start."""
    door = everywhere
    for number in range(3):
        door.create_playbook(name=f"Echo {number}", trigger="playbook.*", steps=[[PASS, BREAK][number % 2]])
    door.create_playbook(name="Aimless", trigger="playbook.*", target_required=True)
    door.create_playbook(name="Work", steps=[BREAK])
    run_id = run(door, "pb-work")
    announced(run_id)
    for number in range(3):
        (echo,) = runs_of(f"pb-echo-{number}")
        begun(echo.id)
        assert row_of(echo.id).status in ("completed", "failed")
        assert waiting(echo.id) == []
    (aimless,) = runs_of("pb-aimless")
    assert (aimless.status, waiting(aimless.id)) == ("failed", [])


def test_the_run_of_an_action_event_is_announced(everywhere: Door) -> None:
    """An alarm on failures covers the playbooks that go on where an action has ended."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.failed", steps=[PASS])
    door.create_playbook(name="Follow", trigger="action.completed", steps=[BREAK])
    execution_id = door.trigger(door.create()["id"])
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, "steps@test", 30_000)
    conclude(Attempt(row=row, owner="steps@test", retry=RETRY, redact=Redactor(())), Ending(Status.COMPLETED))
    announced(execution_id)
    (follow,) = runs_of("pb-follow")
    begun(follow.id)
    assert waiting(follow.id) == ["playbook.failed"]


def test_a_dry_run_is_not_announced(door: Door) -> None:
    """It has done nothing."""
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    door.create_playbook(name="Work", steps=[PASS])
    run_id = run(door, "pb-work", dry_run=True)
    assert (row_of(run_id).status, waiting(run_id)) == ("completed", [])


def test_a_run_that_a_step_starts_is_not_announced(everywhere: Door) -> None:
    """It is part of the run that starts it, which is."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    door.create_playbook(name="Below", steps=[PASS])
    door.create_playbook(name="Above", steps=[{"id": "call", "type": "playbook", "playbook_ref": "pb-below"}])
    run_id = run(door, "pb-above")
    (below,) = runs_of("pb-below")
    begun(below.id)
    steps.join.apply(args=[f"{run_id}.call"]).get()
    assert (row_of(below.id).status, waiting(below.id)) == ("completed", [])
    assert (row_of(run_id).status, waiting(run_id)) == ("completed", ["playbook.completed"])


def test_an_approval_of_a_run_is_announced(everywhere: Door) -> None:
    """With its question, and the run; a playbook that asks on its own account starts no circle."""
    door = everywhere
    door.create_playbook(name="Notify", trigger="approval.requested", steps=[{**ASK, "id": "seen"}])
    door.create_playbook(name="Work", steps=[ASK])
    run_id = run(door, "pb-work", target_asset_id="a-1")
    assert waiting(f"{run_id}.ask") == ["approval.requested"]
    assert announced(f"{run_id}.ask") == "announced"
    (notify,) = runs_of("pb-notify")
    data = event_of(notify)["data"]
    asked = data["approval"]
    assert (asked["message"], asked["approvers"], asked["step_id"]) == ("Isolate?", ["ana"], "ask")
    assert asked["expires_at"] is not None
    assert (data["playbook"]["id"], data["execution"]) == ("pb-work", {"id": run_id, "target": "a-1"})
    begun(notify.id)
    assert (row_of(f"{notify.id}.seen").waiting_for, waiting(f"{notify.id}.seen")) == (WaitingFor.APPROVAL, [])


def test_an_approval_of_an_action_is_announced(everywhere: Door) -> None:
    """An action that asks by itself."""
    door = everywhere
    door.create_playbook(name="Notify", trigger="approval.*", steps=[PASS])
    action = door.create(name="Ask", type="approval", executor="approval", config={"message": "Go?"})["id"]
    execution_id = door.trigger(action)
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, "steps@test", 30_000)
    asking = Ending(Status.WAITING, output={"message": "Go?"}, waiting_for=WaitingFor.APPROVAL, wait_seconds=60)
    conclude(Attempt(row=row, owner="steps@test", retry=RETRY, redact=Redactor(())), asking)
    assert (row_of(execution_id).status, waiting(execution_id)) == ("waiting", ["approval.requested"])
    announced(execution_id)
    data = event_of(runs_of("pb-notify")[0])["data"]
    assert (data["approval"]["message"], data["action"]["id"]) == ("Go?", action)


def test_an_announcement_of_what_is_gone_goes_too(door: Door) -> None:
    """Retention may delete a run before a worker comes to announce it."""
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    door.create_playbook(name="Work", steps=[PASS])
    run_id = run(door, "pb-work")
    with db.write() as connection:
        connection.execute(transitions.executions.delete().where(transitions.executions.c.id == run_id))
    announced(run_id)
    assert (waiting(run_id), runs_of("pb-tell")) == ([], [])


def test_nothing_is_announced_when_the_end_is_not_written(everywhere: Door) -> None:
    """A run that has ended meanwhile announces what became of it, and nothing else."""
    door = everywhere
    door.create_playbook(name="Tell", trigger="playbook.*", steps=[PASS])
    door.create_playbook(name="Work", steps=[ASK])
    run_id = run(door, "pb-work")
    runs.end(f"{run_id}.ask", "completed", waiting_for="follow", due_at=db.now_ms())
    assert door.call("POST", f"/api/playbooks/executions/{run_id}/cancel").status_code == 200
    steps.follow.apply(args=[f"{run_id}.ask"]).get()
    assert waiting(run_id) == ["playbook.cancelled"]


UNKNOWN = {
    "playbook.finished": "did you mean",
    "playbook.errored": "nothing emits playbook.errored",
    "action.cancelled": "action.completed, action.failed, action.timeout",
    "approval.granted": "approval.requested",
    "action.completed.x": "nothing emits",
    "finding": "an event's name has a dot, such as finding.new or finding.status_changed",
}


@pytest.mark.parametrize(("event", "words"), UNKNOWN.items(), ids=UNKNOWN)
def test_a_trigger_that_nothing_fires_is_refused(door: Door, event: str, words: str) -> None:
    """With the list of what there is; names of one's own, of other families, are taken."""
    whole = {"name": "Listen", "trigger": event, "steps": [PASS]}
    refused = assert_problem(door.call("POST", "/api/playbooks", json=whole), 400)
    assert [problem["pointer"] for problem in refused["errors"]] == ["/trigger"]
    assert words in refused["errors"][0]["detail"]


@pytest.mark.parametrize("event", ["ticket.closed", "finding.reopened", "playbook.*", "approval.*", "playbooks.done"])
def test_names_of_ones_own_are_taken(door: Door, event: str) -> None:
    """Any dotted name outside of the families of Tocsin, and the wildcards of those."""
    assert door.create_playbook(name="Listen", trigger=event)["trigger"]["event"] == event


def test_an_unusual_event_of_a_usual_family_draws_a_warning(door: Door) -> None:
    """It can be sent, but may be a slip of the pen."""
    whole = {"name": "Listen", "trigger": "finding.created", "steps": [PASS]}
    verdict = door.call("POST", "/api/playbooks/validate", json=whole).json
    assert verdict["valid"] is True
    (warning,) = verdict["warnings"]
    assert warning["pointer"] == "/trigger"
    assert "finding.created is none of the usual events" in warning["message"]
