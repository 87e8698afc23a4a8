"""Playbooks that go on where a triggered action has ended well."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from config.settings import settings
from playbooks.states import Status
from store import audit
from store.engine import db
from store.executions import completions, transitions
from tasks.attempts.conclude import Attempt, Ending, conclude, failed
from tasks.clock import sweep
from tasks.definitions import listeners
from tasks.entrypoints.completions import announce as task
from tasks.secrets.redact import MASK, Redactor
from tests.support.api import Door, at_rest
from tests.support.waiting import at_once

LISTENS = {"event": "action.completed"}
RETRY = {"max_attempts": 1, "backoff_seconds": 1, "jitter": False}


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Each test looks for listening playbooks again."""
    listeners._remembered.clear()
    yield
    listeners._remembered.clear()


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def end(execution_id: str, ending: Ending | None = None) -> str:
    """What a worker does to an execution's row, without the outside call; returns the id."""
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, "steps@test", 30_000)
    assert row is not None
    attempt = Attempt(row=row, owner="steps@test", retry=RETRY, redact=Redactor(("hidden",)))
    conclude(attempt, ending or Ending("completed", output={"ticket": "T-1", "token": "hidden"}))
    return execution_id


def row_of(execution_id: str) -> Any:
    """The row."""
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def is_marked(execution_id: str) -> bool:
    """Whether an end has yet to be announced."""
    row = row_of(execution_id)
    assert (row.waiting_for == "announce") is (row.due_at is not None)
    return row.due_at is not None


def runs_of(playbook_id: str) -> list[Any]:
    """The rows of a playbook's runs."""
    table = transitions.executions
    with db.read() as connection:
        mine = table.select().where(table.c.action_id == playbook_id, table.c.kind == "playbook").order_by(table.c.id)
        return list(connection.execute(mine))


def test_a_completed_action_starts_what_listens(everywhere: Door) -> None:
    """The run knows the action, the execution and its output, secrets taken out, and is about the same asset."""
    door = everywhere
    action = door.create(name="Open ticket")
    door.create_playbook(trigger={**LISTENS, "conditions": {"id": action["id"], "output.ticket": "T-1"}})
    door.create_playbook(name="Other", trigger={**LISTENS, "conditions": {"id": "act-other"}})
    execution_id = end(door.trigger(action["id"], target="a-1"))
    assert (row_of(execution_id).status, is_marked(execution_id)) == ("completed", True)
    assert task(execution_id) == "announced"
    assert not is_marked(execution_id)
    (run,) = runs_of("pb-wait")
    context = json.loads(run.context)
    assert (run.target, run.created_by, run.cause, context["hops"]) == ("a-1", "system", "event", 1)
    assert context["event"] == {
        "event": "action.completed",
        "id": execution_id,
        "data": {
            "action": {"id": action["id"], "name": "Open ticket", "type": "webhook"},
            "execution": {"id": execution_id, "status": "completed", "target": "a-1"},
            "output": {"ticket": "T-1", "token": MASK},
        },
    }
    assert runs_of("pb-other") == []


def test_it_is_announced_once(everywhere: Door) -> None:
    """However many messages there are, also at the same time."""
    everywhere.create_playbook(trigger=LISTENS)
    execution_id = end(everywhere.trigger(everywhere.create()["id"]))
    assert sorted(at_once(4, lambda: task(execution_id))) == ["announced", "stale", "stale", "stale"]
    assert task(execution_id) == "stale"
    assert len(runs_of("pb-wait")) == 1


def test_an_end_costs_nothing_where_no_playbook_listens(everywhere: Door) -> None:
    """Without a playbook that listens, and is enabled, an end leaves no mark."""
    everywhere.create_playbook(trigger="finding.new")
    everywhere.create_playbook(name="Off", trigger=LISTENS, enabled=False)
    execution_id = end(everywhere.trigger(everywhere.create()["id"]))
    assert not is_marked(execution_id)
    assert task(execution_id) == "stale"


def test_listening_playbooks_are_read_every_two_seconds(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """In between the answer is remembered; a playbook made meanwhile starts on later ends."""
    monkeypatch.setattr(listeners, "FRESH", 600)
    action = door.create()["id"]
    assert not is_marked(end(door.trigger(action)))
    door.create_playbook(trigger={"event": "action.*"})
    assert not is_marked(end(door.trigger(action)))
    listeners._remembered.clear()
    assert is_marked(end(door.trigger(action)))


@pytest.mark.parametrize("mode", ["dry_run", "sandbox"])
def test_what_was_not_done_in_earnest_is_not_announced(door: Door, mode: str) -> None:
    """Neither dry runs nor sandbox runs start anything."""
    door.create_playbook(trigger=LISTENS)
    assert not is_marked(end(door.trigger(door.create()["id"], **{mode: True})))


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_what_failed_has_an_event_of_its_own(everywhere: Door, status: str) -> None:
    """A listener to completed actions does not start; one to this end does, and reads the error."""
    door = everywhere
    door.create_playbook(trigger=LISTENS)
    unmarked = end(door.trigger(door.create()["id"]), failed("http_error", "no", status=Status(status)))
    assert (row_of(unmarked).status, is_marked(unmarked)) == (status, False)
    door.create_playbook(name="Alarm", trigger=f"action.{status}")
    listeners._remembered.clear()
    execution_id = end(door.trigger("act-tell-the-sink"), failed("http_error", "no", status=Status(status)))
    assert is_marked(execution_id)
    assert task(execution_id) == "announced"
    assert runs_of("pb-wait") == []
    (run,) = runs_of("pb-alarm")
    event = json.loads(run.context)["event"]
    assert (event["event"], event["data"]["execution"]["status"]) == (f"action.{status}", status)
    assert event["data"]["execution"]["error"]["code"] == "http_error"
    assert "output" not in event["data"]


def test_an_action_that_tick_ends_is_announced(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time is up while no worker says anything: tick marks its end, and publishes the message."""
    monkeypatch.setattr(sweep.reach, "_offset", math.inf)  # the clock that this test puts forward is no outage
    monkeypatch.setattr(sweep.reach, "_back_at", None)
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        door = everywhere
        door.create_playbook(name="Alarm", trigger="action.timeout")
        execution_id = door.trigger(door.create(timeout_seconds=10)["id"])
        assert at_rest(20)  # a row that the publisher holds is skipped
        with db.write() as connection:
            assert transitions.claim(connection, execution_id, "scripts@test", 30_000) is not None
            queue = transitions.executions.update().where(transitions.executions.c.id == execution_id)
            connection.execute(queue.values(queue="scripts"))
        clock.shift(60)
        messages, _, _ = sweep.handle_batch({})
        assert [(message.task, message.execution_id) for message in messages] == [("tocsin.announce", execution_id)]
        assert row_of(execution_id).status == "timeout"
        assert task(execution_id) == "announced"
        assert len(runs_of("pb-alarm")) == 1


def test_a_lost_message_is_made_up_for_by_tick(everywhere: Door) -> None:
    """Tick asks again after five seconds, and again later, until it has been announced."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        everywhere.create_playbook(trigger=LISTENS)
        execution_id = end(everywhere.trigger(everywhere.create()["id"]))
        assert at_rest(20)  # a row that the publisher holds is skipped
        assert sweep.handle_batch({})[0] == []
        for pause in (completions.PATIENCE, 2 * completions.PATIENCE):
            clock.shift(pause / 1000 + 1)
            messages, _, _ = sweep.handle_batch({})
            assert [(message.task, message.execution_id) for message in messages] == [("tocsin.announce", execution_id)]
            assert sweep.handle_batch({})[0] == []
        assert task(execution_id) == "announced"
        clock.shift(settings().lease_seconds)
        assert execution_id not in [message.execution_id for message in sweep.handle_batch({})[0]]
        assert len(runs_of("pb-wait")) == 1


def test_one_playbook_that_cannot_start_stops_no_other(everywhere: Door) -> None:
    """The audit trail says why it was not started, and by which execution it should have been."""
    door = everywhere
    door.create_playbook(trigger=LISTENS)
    door.create_playbook(name="Aimless", trigger=LISTENS, target_required=True)
    execution_id = end(door.trigger(door.create()["id"]))
    assert task(execution_id) == "announced"
    assert len(runs_of("pb-wait")) == 1
    with db.read() as connection:
        trail = audit.of(connection, "default", "pb-aimless")
    noted = json.loads(trail[-1].details)
    assert (trail[-1].event, noted["code"]) == ("playbook.not_fired", "target_required")
    assert (noted["event_name"], noted["event_id"]) == ("action.completed", execution_id)
    (failed_run,) = runs_of("pb-aimless")
    assert (failed_run.id, failed_run.status) == (noted["run"], "failed")


def test_a_playbook_switched_off_meanwhile_is_not_started(door: Door) -> None:
    """The playbooks that listen when the end is announced count; the mark goes all the same."""
    door.create_playbook(trigger=LISTENS)
    execution_id = end(door.trigger(door.create()["id"]))
    door.call("POST", "/api/playbooks/pb-wait/disable")
    assert task(execution_id) == "announced"
    assert (runs_of("pb-wait"), is_marked(execution_id)) == ([], False)


def test_an_execution_of_another_workspace_starts_nothing_here(door: Door) -> None:
    """Only playbooks of the workspace in which the action ended start on it."""
    door.create_playbook(trigger=LISTENS)
    stranger = door.key(workspace="elsewhere")
    action = {"name": "Tell", "type": "webhook", "executor": "webhook", "config": {"url": "http://127.0.0.1:9/"}}
    made = door.call("POST", "/api/actions", key=stranger, json=action).json["data"]["id"]
    answer = door.call("POST", f"/api/actions/{made}/trigger", key=stranger, json={"parameters": {}})
    end(answer.json["data"]["execution_id"])
    assert runs_of("pb-wait") == []
    with db.read() as connection:
        assert completions.read(connection, answer.json["data"]["execution_id"]) is None
