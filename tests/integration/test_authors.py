"""Who writes a playbook needs the right to trigger each action that it names; who runs it does not."""

from typing import Any

import pytest

from tests.support.api import Door, assert_problem

WRITES = ("read:playbooks", "write:playbooks", "read:actions")
WAIT = {"id": "wait", "type": "delay", "seconds": 1}


def steps() -> list[dict[str, Any]]:
    """Two steps that name an action, one of them inside a block."""
    act = {"type": "action", "action_ref": "act-a", "parameters": {}}
    return [
        WAIT,
        {"id": "one", **act},
        {"id": "all", "type": "for_each", "items": [1], "steps": [{"id": "two", **act}]},
    ]


POINTERS = ["/steps/1/action_ref", "/steps/2/steps/0/action_ref"]


@pytest.mark.parametrize("way", ["create", "replace", "change", "import"])
def test_an_author_without_the_right_to_trigger_is_refused(door: Door, way: str) -> None:
    """However the playbook is written; each step is named, and nothing is stored."""
    door.create(id="act-a")
    door.create_playbook(name="Known")
    author = door.key("operator", scopes=WRITES)
    whole = {"name": "New", "steps": steps()}
    calls = {
        "create": ("POST", "/api/playbooks", whole),
        "replace": ("PUT", "/api/playbooks/pb-known", whole),
        "change": ("PATCH", "/api/playbooks/pb-known", {"steps": steps()}),
        "import": ("POST", "/api/playbooks/import", whole),
    }
    method, path, body = calls[way]
    refused = assert_problem(door.call(method, path, key=author, json=body), 403)
    assert "execute:actions" in refused["detail"]
    assert [problem["pointer"] for problem in refused["errors"]] == POINTERS
    listed = door.call("GET", "/api/playbooks").json["data"]
    assert [(one["id"], one["version"]) for one in listed] == [("pb-known", "1.0.0")]
    may = door.key("operator", scopes=(*WRITES, "execute:actions"))
    assert door.call(method, path, key=may, json=body).status_code in (200, 201)


def test_a_change_that_keeps_the_actions_needs_the_right_too(door: Door) -> None:
    """Parameters, conditions and the trigger decide what an action does; the switch alone does not."""
    door.create(id="act-a")
    door.create_playbook(name="Known", steps=steps())
    author = door.key("operator", scopes=WRITES)
    path = "/api/playbooks/pb-known"
    assert_problem(door.call("PATCH", path, key=author, json={"timeout_minutes": 5}), 403)
    assert door.call("PATCH", path, key=author, json={"enabled": False}).status_code == 200
    assert door.call("POST", f"{path}/enable", key=author).status_code == 200
    assert door.call("PATCH", path, key=author, json={"steps": [WAIT]}).status_code == 200


def test_running_needs_the_right_to_run_only(door: Door) -> None:
    """A key that may trigger no action runs a playbook of actions."""
    door.create(id="act-a")
    door.create_playbook(name="Known", steps=steps())
    runner = door.key("operator", scopes=("playbook:execute",))
    assert_problem(door.call("POST", "/api/actions/act-a/trigger", key=runner, json={"parameters": {}}), 403)
    assert door.call("POST", "/api/playbooks/pb-known/run", key=runner, json={}).status_code == 202


def test_a_playbook_says_what_has_gone_since_it_was_written(door: Door) -> None:
    """Its answer names each step whose action or playbook is gone or disabled; it can be sent back as it is read."""
    door.create(id="act-a")
    door.create(id="act-b")
    door.create_playbook(name="Below")
    call = {"id": "call", "type": "playbook", "playbook_ref": "pb-below"}
    act = {"id": "other", "type": "action", "action_ref": "act-b", "parameters": {}}
    whole = door.create_playbook(name="Known", steps=[*steps(), call, act])
    assert (whole["problems"], whole["last_error"]) == ([], None)
    assert door.call("DELETE", "/api/actions/act-a?force=true").status_code == 204
    assert door.call("POST", "/api/actions/act-b/disable?force=true").status_code == 200
    assert door.call("POST", "/api/playbooks/pb-below/disable").status_code == 200
    shown = door.call("GET", "/api/playbooks/pb-known").json["data"]
    assert shown["problems"] == [
        *({"pointer": one, "detail": "the action 'act-a' is gone: the playbook cannot start"} for one in POINTERS),
        {"pointer": "/steps/4/action_ref", "detail": "the action 'act-b' is disabled: the playbook cannot start"},
        {"pointer": "/steps/3/playbook_ref", "detail": "the playbook 'pb-below' is disabled: the step will fail"},
    ]
    door.create(id="act-a")
    assert door.call("PUT", "/api/playbooks/pb-known", json=shown).status_code == 200
