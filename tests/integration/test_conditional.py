"""Readers who know the state, and writers who rely on it: ETag, If-None-Match, If-Match."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import runs
from tests.support.api import Door, assert_problem, carry_out
from tests.support.waiting import at_once, eventually

pytestmark = pytest.mark.on_both

ACTION = {
    "name": "Tell",
    "type": "webhook",
    "executor": "webhook",
    "config": {"url": "http://127.0.0.1:9/", "method": "POST"},
}
PLAYBOOK = {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]}
BODIES = {"actions": ACTION, "playbooks": PLAYBOOK}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


@pytest.fixture
def never_waits(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> Door:
    """One in which no reader may wait."""

    def wait(*_: Any) -> bool:
        raise AssertionError("a reader waits")

    monkeypatch.setattr(everywhere.app.extensions["tocsin.watcher"], "wait", wait)
    return everywhere


def tag_of(door: Door, path: str) -> str:
    """The present ETag."""
    answer = door.call("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.headers["ETag"]


def run_of(door: Door) -> str:
    """The id of a new run of a playbook that waits."""
    playbook_id = door.create_playbook(id="pb-wait")["id"]
    return door.call("POST", f"/api/playbooks/{playbook_id}/run", json={}).json["execution_id"]


def paths_of(door: Door) -> list[str]:
    """The addresses of an action, a playbook, an execution and a run."""
    action_id = door.create()["id"]
    execution_id, run_id = door.trigger(action_id), run_of(door)
    ids = {"actions": action_id, "playbooks": "pb-wait", "actions/executions": execution_id}
    return [f"/api/{kind}/{name}" for kind, name in (*ids.items(), ("playbooks/executions", run_id))]


def test_who_knows_the_state_is_told_nothing_twice(never_waits: Door) -> None:
    """304 without a body, with the tag, to any spelling of it; whatever has a body has the tag; HEAD likewise."""
    for path in paths_of(never_waits):
        first = never_waits.call("GET", path)
        tag = first.headers["ETag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            for method in ("GET", "HEAD"):
                same = never_waits.call(method, path, headers={"If-None-Match": known})
                assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag), (path, known)
                assert "Content-Type" not in same.headers
        other = never_waits.call("GET", path, headers={"If-None-Match": f'"{tag[2:]}'})
        assert (other.status_code, other.json, other.headers["ETag"]) == (200, first.json, tag)
        assert_problem(never_waits.call("GET", path, headers={"If-None-Match": "abc"}), 400)
        assert never_waits.call("GET", path, headers={"If-Match": tag}).status_code == 200
        assert assert_problem(never_waits.call("GET", path, headers={"If-Match": '"x"'}), 412)["code"] == "changed"


def test_a_tag_changes_with_what_a_reader_sees(everywhere: Door) -> None:
    """Also where that is no new version: an action that a step lacks, a step of a run that goes on."""
    action_id = everywhere.create()["id"]
    steps = [{"id": "tell", "type": "action", "action_ref": action_id}]
    playbook = f"/api/playbooks/{everywhere.create_playbook(id='pb-tell', steps=steps)['id']}"
    before = tag_of(everywhere, playbook)
    everywhere.call("POST", f"/api/actions/{action_id}/disable?force=true")
    lacking = tag_of(everywhere, playbook)
    assert lacking != before
    everywhere.call("POST", f"/api/actions/{action_id}/enable")
    assert tag_of(everywhere, playbook) == before
    answer = everywhere.call("PATCH", playbook, json={"description": "More"}, headers={"If-Match": lacking})
    assert answer.status_code == 200, "a writer relies on the playbook, not on its actions"
    assert answer.headers["ETag"] == tag_of(everywhere, playbook) != before
    run_id = run_of(everywhere)
    path = f"/api/playbooks/executions/{run_id}"
    tags = [tag_of(everywhere, path)]
    for change in (runs.begin, lambda one: runs.enter(one, "wait", type="delay"), lambda one: runs.end(f"{one}.wait")):
        change(run_id)
        tags.append(tag_of(everywhere, path))
    assert len(set(tags)) == 4


def moved_execution(door: Door) -> tuple[str, Callable[[], Any]]:
    """The address of an execution, and a change to it."""
    execution_id = door.trigger(door.create()["id"])
    return f"/api/actions/executions/{execution_id}", lambda: carry_out(execution_id, "waiting", waiting_for="retry")


def moved_run(door: Door) -> tuple[str, Callable[[], Any]]:
    """The address of a run, and a change to one of its steps."""
    run_id = run_of(door)
    runs.begin(run_id)
    return f"/api/playbooks/executions/{run_id}", lambda: runs.enter(run_id, "wait", type="delay")


@pytest.mark.parametrize("make", [moved_execution, moved_run])
def test_a_change_between_two_looks_is_told_at_once(never_waits: Door, make: Callable[..., Any]) -> None:
    """Who names the tag of before is not kept waiting for the next change."""
    path, change = make(never_waits)
    known = tag_of(never_waits, path)
    change()
    answer = never_waits.call("GET", f"{path}?wait=30", headers={"If-None-Match": known})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == tag_of(never_waits, path) != known


@pytest.mark.parametrize("make", [moved_execution, moved_run])
def test_who_knows_the_state_hears_of_the_next(everywhere: Door, make: Callable[..., Any]) -> None:
    """The answer comes with the change; without one it is 304 when the time is over."""
    path, change = make(everywhere)
    known = tag_of(everywhere, path)
    same = everywhere.call("GET", f"{path}?wait=0.3", headers={"If-None-Match": known})
    assert (same.status_code, same.headers["ETag"]) == (304, known)
    answers: list[Any] = []
    headers = {"If-None-Match": known, "Authorization": f"Bearer {everywhere.admin}"}
    client = everywhere.app.test_client()
    reader = threading.Thread(target=lambda: answers.append(client.get(f"{path}?wait=30", headers=headers)))
    reader.start()
    watcher = everywhere.app.extensions["tocsin.watcher"]
    eventually(lambda: watcher._waiters, 10, "the reader waits", every=0.01)
    change()
    reader.join(25)
    assert [answer.status_code for answer in answers] == [200]
    assert answers[0].headers["ETag"] == tag_of(everywhere, path) != known


def test_a_change_that_a_reader_does_not_see_ends_no_wait(everywhere: Door) -> None:
    """Steps inside a step are counted by what waits, and show nothing new: the reader waits on, and is told 304."""
    run_id = run_of(everywhere)
    runs.begin(run_id)
    runs.enter(run_id, "wait", "waiting", type="delay", waiting_for="delay")
    path = f"/api/playbooks/executions/{run_id}"
    known = tag_of(everywhere, path)
    watcher, woken = everywhere.app.extensions["tocsin.watcher"], []
    wait = watcher.wait

    def once(execution_id: str, seen: Any, seconds: float, who: str) -> bool:
        woken.append(seconds)
        return wait(execution_id, ("pending", -1) if len(woken) == 1 else seen, seconds, who)

    watcher.wait = once
    try:
        answer = everywhere.call("GET", f"{path}?wait=0.5", headers={"If-None-Match": known})
    finally:
        del watcher.wait
    assert (answer.status_code, len(woken)) == (304, 1), "an unchanged state is a sign to stop, not to spin"


def test_a_reader_of_what_has_ended_is_told_304_at_once(never_waits: Door) -> None:
    """Nothing will change any more."""
    execution_id = never_waits.trigger(never_waits.create()["id"])
    carry_out(execution_id)
    path = f"/api/actions/executions/{execution_id}"
    headers = {"If-None-Match": tag_of(never_waits, path)}
    assert never_waits.call("GET", f"{path}?wait=30", headers=headers).status_code == 304


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
def test_a_writer_who_comes_too_late_changes_nothing(everywhere: Door, kind: str) -> None:
    """PUT, PATCH, enable, disable and DELETE with a tag of before: 412 changed, and all is as it was."""
    whole = BODIES[kind]
    definition_id = everywhere.call("POST", f"/api/{kind}", json=whole).json["data"]["id"]
    path = f"/api/{kind}/{definition_id}"
    old = tag_of(everywhere, path)
    present = everywhere.call("PATCH", path, json={"description": "2"}, headers={"If-Match": old}).headers["ETag"]
    shown = everywhere.call("GET", path).json
    ways: list[tuple[str, str, Any]] = [
        ("PUT", "", {**whole, "description": "3"}),
        ("PUT", "", {**whole, "description": "2"}),  # which would change nothing
        ("PATCH", "", {"description": "3"}),
        ("PATCH", "", {"enabled": False}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
        ("DELETE", "", None),
    ]
    for method, below, body in ways:
        for tag in (old, f"W/{present}", '"x"', f'"x", {old}'):
            answer = everywhere.call(method, path + below, json=body, headers={"If-Match": tag})
            assert assert_problem(answer, 412)["code"] == "changed", (method, below, tag)
        for unless in (present, f"W/{present}"):
            refused = everywhere.call(method, path + below, json=body, headers={"If-None-Match": unless})
            assert_problem(refused, 412)
        assert_problem(everywhere.call(method, path + below, json=body, headers={"If-Match": "old"}), 400)
    assert everywhere.call("GET", path).json == shown
    for method, below, body in ways:
        answer = everywhere.call(method, path + below, json=body, headers={"If-Match": f'"x", {present}'})
        assert answer.status_code in (200, 204), (method, below, answer.text)
        if method != "DELETE":
            present = answer.headers["ETag"]
            assert present == tag_of(everywhere, path)
    assert_problem(everywhere.call("DELETE", path, headers={"If-Match": "*"}), 404)


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
@pytest.mark.parametrize("way", ["PATCH", "PUT", "enabled", "disable", "DELETE", "all"])
def test_of_sixteen_writers_with_the_same_tag_one_wins(everywhere: Door, kind: str, way: str) -> None:
    """The others are told changed, whatever they wanted; one change is kept."""
    whole = BODIES[kind]
    definition_id = everywhere.call("POST", f"/api/{kind}", json=whole).json["data"]["id"]
    path = f"/api/{kind}/{definition_id}"
    tag = tag_of(everywhere, path)
    numbers = iter(range(16))
    ways: dict[str, Callable[[int], tuple[str, str, Any]]] = {
        "PATCH": lambda number: ("PATCH", path, {"description": f"{number}"}),
        "PUT": lambda number: ("PUT", path, {**whole, "description": f"{number}"}),
        "enabled": lambda _: ("PATCH", path, {"enabled": False}),
        "disable": lambda _: ("POST", f"{path}/disable", None),
        "DELETE": lambda _: ("DELETE", path, None),
    }

    def write() -> int:
        number = next(numbers)
        method, at, body = list(ways.values())[number % 5](number) if way == "all" else ways[way](number)
        headers = {"If-Match": tag, "Authorization": f"Bearer {everywhere.admin}"}
        return everywhere.app.test_client().open(at, method=method, json=body, headers=headers).status_code

    found = Counter(at_once(16, write))
    won = found[200] + found[204]
    assert won == 1, found
    assert found[412] + found[404] == 15, found
    assert not found[404] or found[204], "it is gone for those who come after its deletion"


@pytest.mark.parametrize("kind", ["actions", "playbooks"])
def test_put_creates_what_is_not_there_once(everywhere: Door, kind: str) -> None:
    """With If-None-Match: * the first of sixteen creates it (201), the others change nothing (412)."""
    path, whole = f"/api/{kind}/applied", BODIES[kind]
    assert_problem(everywhere.call("PUT", path, json=whole), 404)
    assert_problem(everywhere.call("PUT", path, json={**whole, "id": "another"}, headers={"If-None-Match": "*"}), 400)

    def create() -> Any:
        headers = {"If-None-Match": "*", "Authorization": f"Bearer {everywhere.admin}"}
        return everywhere.app.test_client().put(path, json=whole, headers=headers)

    answers = at_once(16, create)
    assert Counter(answer.status_code for answer in answers) == {201: 1, 412: 15}
    [created] = [answer for answer in answers if answer.status_code == 201]
    assert created.headers["Location"] == path
    assert created.headers["ETag"] == tag_of(everywhere, path)
    assert created.json["data"] == everywhere.call("GET", path).json["data"]
    codes = {assert_problem(answer, 412)["code"] for answer in answers if answer.status_code == 412}
    assert codes == {"already_exists"}
    late = everywhere.call("PUT", path, json=whole, headers={"If-None-Match": "*"})  # held against the document, too
    assert assert_problem(late, 412)["code"] == "already_exists"
    changed = everywhere.call(
        "PUT", path, json={**whole, "description": "2"}, headers={"If-Match": tag_of(everywhere, path)}
    )
    assert changed.status_code == 200


def test_the_document_says_which_operations_are_conditional(everywhere: Door) -> None:
    """Readers of executions, runs and definitions take If-None-Match, writers of definitions If-Match, PUT both."""
    document = everywhere.call("GET", "/api/openapi.json", key=None).json
    found: dict[str, set[str]] = {"If-None-Match": set(), "If-Match": set()}
    for item in document["paths"].values():
        assert not [one for one in item.get("parameters", ()) if one["in"] != "path"], (
            "which all of its operations have"
        )
        for method, operation in item.items():
            if method == "parameters":
                continue
            for one in operation.get("parameters", ()):
                if one["name"] in found:
                    found[one["name"]].add(operation["operationId"])
                    assert ("304" if method == "get" else "412") in operation["responses"]
    of_definitions = {
        f"{verb}{noun}"
        for noun in ("Action", "Playbook")
        for verb in ("replace", "change", "delete", "enable", "disable")
    } | {"restoreActionVersion", "restorePlaybookVersion"}
    readers = {"getAction", "getPlaybook", "getExecution", "getRun", "replaceAction", "replacePlaybook"}
    readers |= {"getActionVersion", "getPlaybookVersion"}
    assert found == {"If-None-Match": readers, "If-Match": of_definitions}
