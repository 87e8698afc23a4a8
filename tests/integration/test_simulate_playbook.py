"""Drafts are simulated: what they would do, with outcomes that the caller gives; nothing is stored or sent."""

from typing import Any

import pytest

from config.errors import Unprocessable
from store import access
from store.engine import db
from tasks.dry_run import drafts
from tests.support.api import Door, assert_problem

LOOK_UP = {
    "name": "Look up",
    "type": "enrichment",
    "executor": "webhook",
    "config": {"url": "http://192.0.2.1/lookup", "method": "POST", "body_template": "{{ parameters.ip }}"},
    "parameters": [{"name": "ip", "type": "string", "required": True}],
}


def draft(action: str, **more: Any) -> dict[str, Any]:
    """A playbook that decides by what a look-up has found."""
    steps = [
        {"id": "look", "type": "action", "action_ref": action, "parameters": {"ip": "{{ parameters.ip }}"}},
        {
            "id": "bad",
            "type": "condition",
            "expression": "steps.look.output.score > 50",
            "on_true": "block",
            "on_false": "end",
        },
        {"id": "block", "type": "action", "action_ref": action, "parameters": {"ip": "{{ steps.look.output.block }}"}},
    ]
    return {"name": "Draft", "steps": steps, "parameters": [{"name": "ip", "type": "string", "required": True}], **more}


def simulated(door: Door, **body: Any) -> dict[str, Any]:
    """The answer to a simulation."""
    answer = door.call("POST", "/api/playbooks/simulate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def by_id(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The steps of a simulated run."""
    return {step["step_id"]: step for step in found["steps"]}


@pytest.fixture
def action(door: Door) -> str:
    """The id of an action that looks an address up."""
    return door.create(**LOOK_UP)["id"]


def test_a_mock_decides_what_is_else_assumed(door: Door, action: str) -> None:
    """Without one both ways are described; with one the condition is decided by it, and later steps read it."""
    given = {"definition": draft(action), "parameters": {"ip": "203.0.113.50"}}
    open_ = by_id(simulated(door, **given))
    assert "assumed" in " ".join(open_["bad"]["assumed"]) or "hangs on" in " ".join(open_["bad"]["assumed"])
    clean = by_id(simulated(door, **given, mocks={"look": {"output": {"score": 10}}}))
    assert clean["bad"]["output"] == {"result": False, "next": "end"}
    assert (clean["block"]["taken"], clean["block"]["status"]) == (False, "skipped")
    mocked = {"look": {"output": {"score": 90, "block": "203.0.113.0/24"}}}
    bad = simulated(door, **given, mocks=mocked)
    steps = by_id(bad)
    assert steps["bad"]["proved"] == ["the condition is true with the values given"]
    assert steps["block"]["input"] == {"ip": "203.0.113.0/24"}
    assert steps["block"]["output"]["plan"]["body"] == "203.0.113.0/24"
    assert bad["predicted_status"] == "completed"


def test_an_error_that_is_mocked_takes_the_way_of_failures(door: Door, action: str) -> None:
    """As a run would: the link ``on_failure``, else the end of the run."""
    given = {"parameters": {"ip": "203.0.113.50"}, "mocks": {"look": {"error": {"code": "http_error"}}}}
    found = simulated(door, definition=draft(action), **given)
    assert found["predicted_status"] == "failed"
    assert by_id(found)["look"]["error"]["code"] == "http_error"
    assert "look" in found["predicted_error"]["message"]
    steps = draft(action)["steps"]
    steps[0]["on_failure"] = "block"
    steps[2]["parameters"] = {"ip": "{{ parameters.ip }}"}
    other = by_id(simulated(door, definition=draft(action, steps=steps), **given))
    assert (other["look"]["status"], other["block"]["taken"], other["bad"]["taken"]) == ("failed", True, False)


def test_nothing_is_stored(door: Door, action: str) -> None:
    """No playbook, no execution, no row of the trail; the answers to reads are the same as before."""
    with db.read() as connection:
        tables = ("playbooks", "playbook_revisions", "executions", "audit", "idempotency_keys")
        count = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in tables)
        before = connection.exec_driver_sql(count).one()
    simulated(door, definition=draft(action), parameters={"ip": "203.0.113.50"})
    with db.read() as connection:
        assert connection.exec_driver_sql(count).one() == before


def test_a_stored_playbook_is_simulated_as_it_is(door: Door, action: str) -> None:
    """By its id; an unknown one is 404, one of another workspace too."""
    stored = door.create_playbook(**draft(action, name="Stored for a simulation"))
    found = simulated(door, playbook_id=stored["id"], parameters={"ip": "203.0.113.50"})
    assert [step["step_id"] for step in found["steps"]] == ["look", "bad", "block"]
    assert_problem(door.call("POST", "/api/playbooks/simulate", json={"playbook_id": "pb-none"}), 404)
    other = door.key(workspace="elsewhere")
    answer = door.call("POST", "/api/playbooks/simulate", key=other, json={"playbook_id": stored["id"]})
    assert_problem(answer, 404)


def test_an_event_gives_parameters_and_asset(door: Door, action: str) -> None:
    """As it would when it came; one that the conditions refuse says which."""
    trigger = {"event": "finding.new", "conditions": {"severity": "critical"}}
    steps = [{"id": "look", "type": "action", "action_ref": action, "parameters": {"ip": "{{ finding.ip }}"}}]
    definition = {"name": "By event", "steps": steps, "trigger": trigger, "target_required": True}
    event = {"event": "finding.new", "data": {"finding": {"severity": "critical", "ip": "203.0.113.9"}, "asset": "a-1"}}
    found = by_id(simulated(door, definition=definition, event=event))
    assert found["look"]["input"] == {"ip": "203.0.113.9"}
    event["data"]["finding"]["severity"] = "low"
    problem = assert_problem(
        door.call("POST", "/api/playbooks/simulate", json={"definition": definition, "event": event}), 400
    )
    assert problem["code"] == "not_matched"
    assert problem["errors"][0]["pointer"] == "/definition/trigger/conditions/severity"


def test_faults_are_named_where_they_are(door: Door, action: str) -> None:
    """Of the definition, the mocks, the parameters and the body."""

    def refused(status: int, **body: Any) -> list[str]:
        problem = assert_problem(door.call("POST", "/api/playbooks/simulate", json=body), status)
        return [one["pointer"] for one in problem["errors"]]

    wrong = draft(action)
    wrong["steps"][1]["expression"] = "steps.look.output.score >"
    assert refused(400, definition=wrong) == ["/definition/steps/1/expression"]
    assert refused(400, definition=draft("act-none")) != []
    given = {"definition": draft(action), "parameters": {"ip": "203.0.113.50"}}
    assert refused(400, **given, mocks={"lok": {"output": 1}}) == ["/mocks/lok"]
    assert refused(400, **given, mocks={"bad": {"output": 1}}) == ["/mocks/bad"]
    assert refused(400, **given, mocks={"look": {"output": 1, "error": {}}}) != []
    assert refused(422, definition=draft(action), parameters={"ip": 5}) == ["/parameters/ip"]
    assert refused(400, **given, playbook_id="pb-x") == ["/definition"]
    assert refused(400) == ["/definition"]
    assert refused(400, **given, surprise=1) == ["/surprise"]


def test_who_may_not_trigger_an_action_learns_nothing_of_it(door: Door, action: str) -> None:
    """A draft that names it would tell its address and its body: the author of a playbook needs the right."""
    author = door.key(role="operator", scopes=["write:playbooks"])
    body = {"definition": draft(action), "parameters": {"ip": "203.0.113.50"}}
    answer = door.call("POST", "/api/playbooks/simulate", key=author, json=body)
    assert "192.0.2.1" not in assert_problem(answer, 403)["detail"]
    viewer = door.key(role="viewer")
    assert_problem(door.call("POST", "/api/playbooks/simulate", key=viewer, json=body), 403)


def test_secrets_are_masked(door: Door) -> None:
    """A secret parameter is in no part of the answer."""
    config = {**LOOK_UP["config"], "headers": {"Authorization": "Bearer {{ parameters.token }}"}}
    secret = door.create(
        **{**LOOK_UP, "config": config, "parameters": [{"name": "token", "type": "secret", "required": True}]}
    )["id"]
    steps = [{"id": "look", "type": "action", "action_ref": secret, "parameters": {"token": "{{ parameters.token }}"}}]
    definition = {"name": "D", "steps": steps, "parameters": [{"name": "token", "type": "secret", "required": True}]}
    body = {"definition": definition, "parameters": {"token": "canary-4711-canary"}}
    answer = door.call("POST", "/api/playbooks/simulate", json=body)
    assert answer.status_code == 200
    assert "canary-4711" not in answer.text


def test_a_long_simulation_rests_and_ends(door: Door, action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others are served between its bites, and after its time it is given up."""
    key = door.admin
    with db.read() as connection:
        found = access.authenticate(connection, key)
    assert found is not None
    steps = [{"id": f"s{number}", "type": "delay", "seconds": 1} for number in range(400)]
    draft_ = drafts.Draft(definition={"name": "Long", "steps": steps})
    rests: list[float] = []
    monkeypatch.setattr(drafts, "BITE", 0.0)
    assert len(drafts.simulate(found[0], draft_, rests.append).rows) == 400
    assert len(rests) >= 400
    monkeypatch.setattr(drafts, "LONGEST", 0.0)
    with pytest.raises(Unprocessable) as refused:
        drafts.simulate(found[0], draft_, rests.append)
    assert refused.value.code == "simulation_too_long"


@pytest.mark.parametrize("kind", ["for_each", "loop", "parallel"])
def test_what_is_given_up_inside_a_container_is_given_up(
    door: Door, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no failure of the step in which it happens to be: a run has no such limit."""
    inner = [{"id": f"s{number}", "type": "delay", "seconds": 1} for number in range(20)]
    container = {
        "for_each": {"items": "{{ parameters.items }}", "steps": inner},
        "loop": {"while": "true", "steps": inner},
        "parallel": {"branches": [{"steps": inner}]},
    }[kind]
    definition = {
        "name": "Inside",
        "parameters": [{"name": "items", "type": "array", "default": [1, 2]}],
        "steps": [{"id": "all", "type": kind, **container}],
    }
    assert simulated(door, definition=definition)["predicted_status"] == "completed"
    monkeypatch.setattr(drafts, "MOST_WRITTEN", 500)
    refused = door.call("POST", "/api/playbooks/simulate", json={"definition": definition})
    assert assert_problem(refused, 422)["code"] == "simulation_too_long"


def test_a_mock_that_many_steps_read_makes_no_huge_answer(door: Door, action: str) -> None:
    """A small body could ask for hundreds of megabytes, which the process would hold while others wait."""
    child = door.create_playbook()["id"]
    reads = [
        {"id": f"s{number}", "type": "playbook", "playbook_ref": child, "parameters": {"v": "{{ steps.look.output }}"}}
        for number in range(60)
    ]
    look = {"id": "look", "type": "action", "action_ref": action, "parameters": {"ip": "203.0.113.50"}}
    body = {"definition": {"name": "Many", "steps": [look, *reads]}, "mocks": {"look": {"output": "x" * 200_000}}}
    refused = door.call("POST", "/api/playbooks/simulate", json=body)
    assert assert_problem(refused, 422)["code"] == "simulation_too_long"


def test_a_simulation_shows_a_playbook_only_to_who_may_read_it(door: Door, action: str) -> None:
    """The right to write does not include that to read; what a stored playbook and its actions say is shown."""
    stored = door.create_playbook(**draft(action))["id"]
    body = {"playbook_id": stored, "parameters": {"ip": "203.0.113.50"}}
    writer = door.key("operator", scopes=("write:playbooks", "execute:actions", "dispatch"))
    refused = door.call("POST", "/api/playbooks/simulate", key=writer, json=body)
    assert "read:playbooks" in assert_problem(refused, 403)["detail"]
    author = door.key("operator", scopes=("write:playbooks", "read:playbooks", "execute:actions", "dispatch"))
    assert door.call("POST", "/api/playbooks/simulate", key=author, json=body).status_code == 200
