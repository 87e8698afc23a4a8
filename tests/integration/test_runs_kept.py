"""What is kept of runs: no secret, no text that would spoil a list, no word in the audit trail that is not true."""

from typing import Any

import pytest

from store import audit
from store.engine import db
from store.executions import runs, transitions
from store.executions import steps as step_rows
from tasks.entrypoints import runs as steps
from tasks.intake import run_start as starting
from tasks.runs import budget, errors
from tasks.runs import run as runs_run
from tests.support.api import Door

SECRET = "Zq9-very-secret-77"
TOKEN = [{"name": "token", "type": "secret"}]


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def started(door: Door, *steps_of: dict[str, Any], declared: Any = (), event: Any = None, **parameters: Any) -> str:
    """A run of a new playbook of these steps, carried out by this process as far as it goes."""
    definition = {"name": f"Kept {len(steps_of)}", "steps": list(steps_of), "parameters": list(declared)}
    playbook = door.create_playbook(**definition)
    request = starting.RunRequest(
        workspace_id="default", actor="test", playbook_id=playbook["id"], parameters=parameters, event=event
    )
    run_id = starting.start(request).run_id
    steps.begin.apply(args=[run_id])
    return run_id


def everything() -> str:
    """All that the table of executions holds, but for what is sealed."""
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select()).mappings().all()
    return str([{name: value for name, value in row.items() if name != "sealed"} for row in rows])


def test_a_secret_handed_on_inside_something_stays_one(door: Door) -> None:
    """A sub-playbook that gets a secret in an object or in a longer text keeps it as well as the one that gave it."""
    switch = {"id": "look", "type": "switch", "expression": "config.token", "cases": {"x": "end"}, "default": "next"}
    ask = {"id": "ask", "type": "approval", "message": "{{ config.header }} with {{ config.token }}"}
    child = door.create_playbook(name="Child", steps=[switch, ask], parameters=[{"name": "config", "type": "object"}])
    given = {"config": {"token": "{{ token }}", "header": "Bearer {{ token }}"}}
    call = {"id": "call", "type": "playbook", "playbook_ref": child["id"], "parameters": given}
    run_id = started(door, call, declared=TOKEN, token=SECRET)
    with db.read() as connection:
        (below,) = runs.children(connection, run_id)
    steps.begin.apply(args=[below.id])
    with db.read() as connection:
        assert {row.step_id for row in step_rows.of_run(connection, below.id)} == {"look", "ask"}
    assert SECRET not in everything()


def test_a_target_is_no_place_for_a_secret(door: Door) -> None:
    """A step's target is shown to every reader: a step that would put a secret there fails."""
    child = door.create_playbook(name="Aimed", steps=[{"id": "a", "type": "delay", "seconds": 1}])
    call = {"id": "call", "type": "playbook", "playbook_ref": child["id"], "target": "{{ token }}"}
    run_id = started(door, call, declared=TOKEN, token=SECRET)
    with db.read() as connection:
        (row,) = step_rows.of_run(connection, run_id)
    assert (row.status, transitions.load(row.error)["code"]) == ("failed", "bad_template")
    assert SECRET not in everything()


def test_no_event_spoils_the_list_of_runs(everywhere: Door) -> None:
    """Whatever text an event brought: the runs can be listed, also by what started them."""
    event = {"event": "action.completed", "data": {"output": "a\0b", "half": "\ud800"}}
    run_id = started(everywhere, {"id": "a", "type": "delay", "seconds": 60}, event=event)
    for query in ("", "?trigger=api", "?status=paused"):
        answer = everywhere.call("GET", f"/api/playbooks/executions{query}")
        assert [item["execution_id"] for item in answer.json["data"]] == [run_id], query


def test_the_trail_says_what_a_retry_took_over(everywhere: Door) -> None:
    """A step that a retry takes over was carried, not completed, by the caller of the retry, at its time."""
    wait = {"id": "wait", "type": "delay", "seconds": 0}
    fails = {"id": "fails", "type": "condition", "expression": "nothing.here == 1"}
    run_id = started(everywhere, wait, fails, nothing={})
    with db.write() as connection:
        transitions.transition(connection, f"{run_id}.wait", "completed", **step_rows.follow_mark())
    steps.follow.apply(args=[f"{run_id}.wait"])
    answer = everywhere.call("POST", f"/api/playbooks/executions/{run_id}/retry", json={"from": "failed"})
    assert answer.status_code == 202, answer.json
    again = answer.json["execution_id"]
    with db.read() as connection:
        first, *_ = audit.of(connection, "default", f"{again}.wait")
        accepted, *_ = audit.of(connection, "default", again)
    assert first.event == "execution.carried"
    assert first.at >= accepted.at


def test_playbooks_that_start_each_other_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs that a run starts are bounded, directly and through those that it has started."""
    monkeypatch.setattr(budget, "MOST_RUNS", 2)
    child = door.create_playbook(name="Many", steps=[{"id": "a", "type": "delay", "seconds": 60}])
    calls = {"id": "c", "type": "playbook", "playbook_ref": child["id"]}
    branches = {"id": "p", "type": "parallel", "branches": [{"steps": [{**calls, "id": f"c{n}"}]} for n in range(2)]}
    run_id = started(door, branches)
    with db.read() as connection:
        assert len(runs.children(connection, run_id)) == 2
        assert runs.descendants(connection, run_id) == 2
    with db.read() as connection:
        run = runs_run.loaded(runs.read(connection, run_id))
    with pytest.raises(errors.StepError, match="at most 2"):
        budget.refuse_too_many_runs(run)
