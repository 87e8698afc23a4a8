"""What playbooks use is not taken away from them unless the caller forces it."""

import json
import threading
from typing import Any

import pytest

from config.errors import Conflict, InUse
from store import audit
from store.access import ROLES, Caller
from store.definitions import playbooks
from store.engine import db
from tasks.definitions import actions as catalogue
from tasks.definitions import in_use
from tasks.definitions import playbooks as library
from tests.support.api import Door, assert_problem

EVERY_HOUR = {"event": "schedule", "cron": "0 * * * *"}
CALLER = Caller(key_id="test", workspace_id="default", role="admin", permissions=ROLES["admin"])


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def step(action_id: str, step_id: str = "act") -> dict[str, Any]:
    """A step that names an action."""
    return {"id": step_id, "type": "action", "action_ref": action_id, "parameters": {}}


def used_by(door: Door, method: str, path: str, **more: Any) -> list[dict[str, Any]]:
    """The users that a refusal names."""
    refused = assert_problem(door.call(method, path, **more), 409)
    assert refused["code"] == "in_use"
    assert "?force=true" in refused["detail"]
    users: list[dict[str, Any]] = refused["used_by"]
    return users


def test_an_action_that_playbooks_use_is_kept(everywhere: Door) -> None:
    """Each user is named with its steps, those inside blocks too, and with its schedule."""
    door = everywhere
    action = door.create(id="act-a")["id"]
    inner = {"id": "each", "type": "for_each", "items": [1], "steps": [step(action, "inner")]}
    door.create_playbook(name="Nightly", trigger=EVERY_HOUR, steps=[step(action), inner])
    door.create_playbook(name="Off", enabled=False, steps=[step(action)])
    door.create_playbook(name="Other", steps=[step(door.create(id="act-b")["id"])])
    nightly, off = used_by(door, "DELETE", f"/api/actions/{action}")
    assert (nightly["playbook_id"], nightly["name"], nightly["enabled"]) == ("pb-nightly", "Nightly", True)
    assert (nightly["trigger"], nightly["scheduled"]) == ("schedule", True)
    assert nightly["next_run_at"].endswith(":00:00.000Z")
    assert nightly["steps"] == [
        {"pointer": "/steps/0/action_ref", "step_id": "act"},
        {"pointer": "/steps/1/steps/0/action_ref", "step_id": "inner"},
    ]
    assert (off["playbook_id"], off["enabled"], off["scheduled"], off["next_run_at"]) == ("pb-off", False, False, None)
    detail = door.call("DELETE", f"/api/actions/{action}").json["detail"]
    assert "the playbook 'pb-nightly' (runs on a schedule, next at " in detail
    assert "the playbook 'pb-off' (disabled) in step 'act'" in detail
    assert door.call("GET", f"/api/actions/{action}").json["data"]["enabled"] is True


@pytest.mark.parametrize("way", ["disable", "PATCH", "PUT", "PATCH with more", "DELETE"])
def test_every_way_to_take_an_action_away_is_refused_and_can_be_forced(everywhere: Door, way: str) -> None:
    """Whatever request would do it; the audit trail notes the playbooks that a forced one has hurt."""
    door = everywhere
    action = door.create(id="act-a")
    door.create_playbook(steps=[step("act-a")])
    path = "/api/actions/act-a"
    whole = {name: action[name] for name in ("name", "type", "executor", "config")}
    calls: dict[str, tuple[str, str, dict[str, Any]]] = {
        "disable": ("POST", f"{path}/disable", {}),
        "PATCH": ("PATCH", path, {"json": {"enabled": False}}),
        "PUT": ("PUT", path, {"json": {**whole, "enabled": False}}),
        "PATCH with more": ("PATCH", path, {"json": {"enabled": False, "description": "new"}}),
        "DELETE": ("DELETE", path, {}),
    }
    method, target, body = calls[way]
    assert [user["playbook_id"] for user in used_by(door, method, target, **body)] == ["pb-wait"]
    assert door.call("GET", path).json["data"] == {**action, "updated_at": action["updated_at"]}
    assert door.call(method, f"{target}?force=true", **body).status_code in (200, 204)
    if way == "DELETE":
        assert_problem(door.call("GET", path), 404)
    else:
        assert door.call("GET", path).json["data"]["enabled"] is False
    if way in ("disable", "PATCH", "PUT", "DELETE"):
        with db.read() as connection:
            noted = audit.of(connection, "default", "act-a")[-1]
        assert json.loads(noted.details) == {"forced": True, "used_by": ["pb-wait"]}


def test_a_playbook_that_others_start_is_kept(everywhere: Door) -> None:
    """Its own schedule is no user; to disable it stays allowed, as those who start it then fail with a reason."""
    door = everywhere
    door.create_playbook(name="Below", trigger=EVERY_HOUR)
    call = {"id": "call", "type": "playbook", "playbook_ref": "pb-below"}
    door.create_playbook(name="Above", steps=[call])
    (above,) = used_by(door, "DELETE", "/api/playbooks/pb-below")
    assert (above["playbook_id"], above["steps"]) == (
        "pb-above",
        [{"pointer": "/steps/0/playbook_ref", "step_id": "call"}],
    )
    assert door.call("POST", "/api/playbooks/pb-below/disable").status_code == 200
    assert door.call("DELETE", "/api/playbooks/pb-above").status_code == 204
    assert door.call("DELETE", "/api/playbooks/pb-below").status_code == 204


def test_only_what_playbooks_name_now_counts(everywhere: Door) -> None:
    """An earlier revision, a deleted playbook and one of another workspace keep nothing."""
    door = everywhere
    action = door.create(id="act-a")["id"]
    door.create_playbook(name="Revised", steps=[step(action)])
    door.create_playbook(name="Deleted", steps=[step(action)])
    stranger = door.key(workspace="elsewhere")
    theirs = {"id": "act-a", "name": "x", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}}
    assert door.call("POST", "/api/actions", key=stranger, json=theirs).status_code == 201
    whole = {"name": "Theirs", "steps": [step(action)]}
    assert door.call("POST", "/api/playbooks", key=stranger, json=whole).status_code == 201
    assert len(used_by(door, "DELETE", f"/api/actions/{action}")) == 2
    waits = [{"id": "wait", "type": "delay", "seconds": 1}]
    assert door.call("PATCH", "/api/playbooks/pb-revised", json={"steps": waits}).status_code == 200
    assert door.call("DELETE", "/api/playbooks/pb-deleted").status_code == 204
    assert door.call("DELETE", f"/api/actions/{action}").status_code == 204
    assert len(used_by(door, "DELETE", f"/api/actions/{action}", key=stranger)) == 1


def test_the_names_of_many_users_are_bounded(door: Door) -> None:
    """The body names 50, the sentence five."""
    action = door.create(id="act-a")["id"]
    for number in range(52):
        door.create_playbook(name=f"User {number}", steps=[step(action)])
    refused = assert_problem(door.call("DELETE", f"/api/actions/{action}"), 409)
    assert len(refused["used_by"]) == 50
    assert refused["detail"].count("the playbook ") == 5
    assert "and more than 45 others" in refused["detail"]


def test_what_the_release_before_has_written_counts(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It records nothing; what its playbooks name is found all the same, in any number of bites."""
    door = everywhere
    action = door.create(id="act-a")["id"]
    monkeypatch.setattr(in_use, "BATCH", 2)
    for number in range(5):
        door.create_playbook(name=f"User {number}", steps=[step(action)])
    with db.write() as connection:
        connection.execute(playbooks.references.references.delete())
        connection.execute(playbooks.playbooks.update().values(references_of=None))
    assert len(used_by(door, "DELETE", f"/api/actions/{action}")) == 5
    assert door.call("PATCH", "/api/playbooks/pb-user-0", json={"description": "new"}).status_code == 200
    assert len(used_by(door, "DELETE", f"/api/actions/{action}")) == 5


def test_a_playbook_written_at_the_same_moment_is_found(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deletion waits for a playbook that is being written and names the action."""
    everywhere.create(id="act-a")
    held, answers = threading.Event(), list[Any]()
    plain = playbooks.create

    def slowly(*args: Any) -> Any:
        held.set()
        deleter.join(0.3)
        assert deleter.is_alive()
        return plain(*args)

    def delete() -> None:
        held.wait(10)
        try:
            catalogue.delete(CALLER, "act-a")
        except InUse as refusal:
            answers.append(refusal.members["used_by"][0]["playbook_id"])

    deleter = threading.Thread(target=delete)
    deleter.start()
    monkeypatch.setattr(playbooks, "create", slowly)
    library.create(CALLER, {"name": "Wait", "steps": [step("act-a")]})
    deleter.join()
    assert answers == ["pb-wait"]


def test_a_playbook_finds_out_what_was_deleted_meanwhile(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the check of a definition and its writing its action goes: it is refused, with the step."""
    everywhere.create(id="act-a")
    monkeypatch.setattr(library.meaning, "slug", lambda _: catalogue.delete(CALLER, "act-a") or "pb-late")
    with pytest.raises(Conflict) as caught:
        library.create(CALLER, {"name": "Late", "steps": [step("act-a")]})
    assert caught.value.code == "changed"
    assert [problem.pointer for problem in caught.value.problems] == ["/steps/0/action_ref"]
