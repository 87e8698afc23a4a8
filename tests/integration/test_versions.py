"""The history of a definition: listed, read one by one, compared, restored."""

from typing import Any

import pytest

from store.engine import db
from tests.support.api import Door, assert_problem

pytestmark = pytest.mark.on_both

ACTION = {
    "name": "Tell",
    "type": "webhook",
    "executor": "webhook",
    "config": {
        "url": "https://one.example/hook",
        "method": "POST",
        "headers": {"Authorization": "Bearer first-secret"},
    },
}
PLAYBOOK = {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def with_history(door: Door, kind: str) -> str:
    """The address of a definition with three versions, the last of which is disabled."""
    body = ACTION if kind == "actions" else PLAYBOOK
    path = f"/api/{kind}/{door.call('POST', f'/api/{kind}', json=body).json['data']['id']}"
    changes: dict[str, Any] = {"description": "second", "tags": ["new"]}
    if kind == "actions":
        headers = {"Authorization": "Bearer second-secret"}
        changes |= {"config": {"url": "https://two.example/hook", "method": "POST", "headers": headers}}
    else:
        changes |= {"steps": [{"id": "wait", "type": "delay", "seconds": 2}]}
    assert door.call("PATCH", path, json=changes, key=door.key()).status_code == 200
    assert door.call("PATCH", path, json={"description": "third"}).status_code == 200
    assert door.call("POST", f"{path}/disable").status_code == 200
    return path


def sealed_in_force(door: Door, action_id: str) -> dict[str, Any]:
    """The secrets of the present revision of an action, by path."""
    from store.definitions import actions
    from tasks.secrets import sealing

    with db.read() as connection:
        return sealing.opened_config("default", actions.get(connection, "default", action_id).revision)


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
def test_the_history_is_listed_and_read(everywhere: Door, kind: str) -> None:
    """Newest first, whole or without what each version says; each by itself, with who has made it."""
    path = with_history(everywhere, kind)
    whole = everywhere.call("GET", f"{path}/versions").json["data"]
    numbers = [one["version"] for one in whole]
    assert len(numbers) == 3
    assert numbers == sorted(numbers, reverse=True)
    brief = everywhere.call("GET", f"{path}/versions?definitions=false").json
    assert brief["meta"]["total"] == 3
    for short, full in zip(brief["data"], whole, strict=True):
        assert set(short) == {"id", "version", "created_at", "created_by", "created_by_actor"}
        assert short == {name: full[name] for name in short}
        one = everywhere.call("GET", f"{path}/versions/{full['version']}")
        assert one.json["data"] == full
        assert (
            everywhere.call(
                "GET", f"{path}/versions/{full['version']}", headers={"If-None-Match": one.headers["ETag"]}
            ).status_code
            == 304
        )
        assert full["created_by_actor"] == {"id": full["created_by"], "kind": "key", "name": "a test"}
    assert len({one["created_by"] for one in whole}) == 2
    for wrong in ("9.9.9", "1.0", "diff"):
        status = 400 if wrong == "diff" else 404
        assert_problem(everywhere.call("GET", f"{path}/versions/{wrong}"), status)
    other = everywhere.key(workspace="other")
    assert_problem(everywhere.call("GET", f"{path}/versions/{numbers[0]}", key=other), 404)


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
def test_two_versions_are_compared(everywhere: Door, kind: str) -> None:
    """Member by member; with the present one unless another is named."""
    path = with_history(everywhere, kind)
    third, second, first = [one["version"] for one in everywhere.call("GET", f"{path}/versions").json["data"]]
    found = everywhere.call("GET", f"{path}/versions/diff?from={first}&to={second}").json["data"]
    assert (found["from"], found["to"]) == (first, second)
    pointers = {one["pointer"] for one in found["changes"]}
    assert pointers == ({"/description", "/tags/0"} | ({"/config/url"} if kind == "actions" else {"/steps/0/seconds"}))
    present = everywhere.call("GET", f"{path}/versions/diff?from={second}").json["data"]
    assert present["to"] == third
    assert [one["pointer"] for one in present["changes"]] == ["/description"]
    assert_problem(everywhere.call("GET", f"{path}/versions/diff?from=9.9.9"), 404)


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
def test_an_earlier_version_is_restored(everywhere: Door, kind: str) -> None:
    """As the next version, with its secrets; the switch stays; twice makes one version, a late writer makes none."""
    path = with_history(everywhere, kind)
    first = everywhere.call("GET", f"{path}/versions").json["data"][-1]
    before = everywhere.call("GET", path)
    at = f"{path}/versions/{first['version']}/restore"
    assert_problem(everywhere.call("POST", at, headers={"If-Match": '"x"'}), 412)
    answer = everywhere.call("POST", at, headers={"If-Match": before.headers["ETag"]})
    assert answer.status_code == 200, answer.text
    now = answer.json["data"]
    own = ("version", "enabled", "created_at", "updated_at", "created_by", "created_by_actor")
    said = {name: value for name, value in first.items() if name not in own}
    assert {name: now[name] for name in said} == said
    assert now["enabled"] is False
    assert now["version"] > before.json["data"]["version"]
    assert answer.headers["ETag"] == everywhere.call("GET", path).headers["ETag"]
    if kind == "actions":
        [secret] = sealed_in_force(everywhere, now["id"]).values()
        assert "first-secret" in str(secret)
        assert "secret" not in answer.text.replace("secrets", "")
    again = everywhere.call("POST", at)
    assert (again.status_code, again.json["data"]["version"]) == (200, now["version"])
    assert everywhere.call("GET", f"{path}/versions").json["meta"]["total"] == 4
    assert_problem(everywhere.call("POST", f"{path}/versions/9.9.9/restore"), 404)
    assert_problem(everywhere.call("POST", at, json={"version": "1.0.0"}), 400)


def test_what_is_restored_is_checked_again(everywhere: Door) -> None:
    """A playbook that names what is gone is refused, and stays as it is."""
    action_id = everywhere.create()["id"]
    steps = [{"id": "tell", "type": "action", "action_ref": action_id}]
    path = f"/api/playbooks/{everywhere.create_playbook(steps=steps)['id']}"
    assert everywhere.call("PATCH", path, json={"steps": PLAYBOOK["steps"]}).status_code == 200
    assert everywhere.call("DELETE", f"/api/actions/{action_id}").status_code == 204
    refused = assert_problem(everywhere.call("POST", f"{path}/versions/1.0.0/restore"), 400)
    assert [one["pointer"] for one in refused["errors"]] == ["/steps/0/action_ref"]
    assert everywhere.call("GET", path).json["data"]["steps"][0]["id"] == "wait"
