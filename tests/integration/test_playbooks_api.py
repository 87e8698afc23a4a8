"""Playbooks as things to keep: created from JSON and YAML, checked, changed, versioned, found again."""

from typing import Any

import pytest

from config.errors import Conflict
from playbooks.definitions.events import names
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from tests.support.api import Door, assert_problem

YAML = {"Content-Type": "application/yaml"}
WAIT = {"id": "wait", "type": "delay", "seconds": 1}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def stored(door: Door, playbook_id: str) -> Playbook:
    """The playbook as the store has it."""
    with db.read() as connection:
        return playbooks.get(connection, "default", playbook_id)


def pointers(answer: Any) -> list[str]:
    """Where the faults are that an answer names."""
    return [fault["pointer"] for fault in answer["errors"]]


def test_a_playbook_is_created_and_read(door: Door) -> None:
    """The answer says where it is; reading it shows the whole definition, defaults included."""
    action = door.create(parameters=[{"name": "host"}])["id"]
    definition = {
        "name": "Triage & Response",
        "description": "From the first look to the ticket.",
        "trigger": {"event": "finding.new", "conditions": {"severity": {"$in": ["critical", "high"]}}},
        "variables": [{"name": "host", "type": "String", "required": True}],
        "steps": [
            {"id": "ask", "type": "approval", "message": "Go on?", "timeout_minutes": 5},
            {
                "id": "both",
                "type": "parallel",
                "branches": [
                    [{"id": "block", "type": "action", "action": action, "parameters": {"host": "{{ host }}"}}]
                ],
            },
        ],
        "tags": ["incident-response"],
    }
    answer = door.call("POST", "/api/playbooks", json=definition)
    assert answer.status_code == 201, answer.text
    made = answer.json["data"]
    assert (made["id"], made["version"], made["step_count"]) == ("pb-triage-response", "1.0.0", 3)
    assert answer.headers["Location"] == "/api/playbooks/pb-triage-response"
    read = door.call("GET", answer.headers["Location"]).json["data"]
    assert read == made
    assert read["parameters"] == [{"name": "host", "type": "string", "required": True}]
    assert read["trigger"] == definition["trigger"]
    assert (read["on_failure"], read["timeout_minutes"], read["enabled"]) == ("abort", 10080, True)
    assert read["steps"][0]["timeout_seconds"] == 300
    assert read["next_run_at"] is None


def test_what_was_read_may_be_sent_back(door: Door) -> None:
    """The members that are only shown are passed over; nothing changes."""
    made = door.create_playbook(trigger="manual")
    for method in ("PUT", "PATCH"):
        assert door.call(method, f"/api/playbooks/{made['id']}", json=made).json["data"] == made


def test_a_playbook_may_be_written_as_yaml(door: Door) -> None:
    """Creating, replacing and validating take YAML; dates and words such as no stay text."""
    text = """
# the on-call team
name: Wait a moment
version: 1.2.0
description: 2026-04-28
trigger:
  event: schedule
  cron: "0 8 * * 1"
steps:
  - id: wait
    type: delay
    duration: 5m
    on_success: which
  - {id: which, type: switch, expression: "'no'", cases: {no: next, 200: end}}
tags: [no, on]
"""
    answer = door.call("POST", "/api/playbooks", data=text, headers=YAML)
    assert answer.status_code == 201, answer.text
    made = answer.json["data"]
    assert (made["version"], made["description"], made["tags"]) == ("1.2.0", "2026-04-28", ["no", "on"])
    assert made["steps"][0]["seconds"] == 300
    assert made["steps"][1]["cases"] == {"no": "next", "200": "end"}
    assert door.call("POST", "/api/playbooks/validate", data=text, headers=YAML).json["valid"] is True
    path = f"/api/playbooks/{made['id']}"
    replaced = door.call("PUT", path, data="name: Other\nsteps: [{id: wait, type: delay, seconds: 1}]", headers=YAML)
    assert replaced.json["data"]["name"] == "Other"
    assert_problem(door.call("PATCH", path, data="name: Third", headers=YAML), 415)


_BEGIN = "name: X\nsteps: [{id: wait, type: delay, seconds: 1}]\n"
BAD_YAML = {
    "no YAML": "name: [",
    "a tab": "name:\n\t- x",
    "a list": "- name: X",
    "text": "name",
    "nothing": "# only a comment",
    "an anchor": _BEGIN + "description: &a x",
    "an alias": "name: &a X\ndescription: *a",
    "a bomb": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
    "a tag": _BEGIN + "description: !!python/object/apply:os.getcwd []",
    "a plain tag": _BEGIN + "description: !!str 5",
    "a key twice": _BEGIN + "name: Y",
    "a key twice inside": _BEGIN + "trigger: {event: manual, event: manual}",
    "a list as a key": _BEGIN + "? [a]\n: b",
    "two documents": _BEGIN + "---\nname: Y",
    "infinity": _BEGIN + "timeout_minutes: .inf",
    "not a number": _BEGIN + "timeout_minutes: .NaN",
    "beyond a double": _BEGIN + "timeout_minutes: 1e999",
    "an endless number": _BEGIN + "timeout_minutes: " + "9" * 5000,
    "NUL": _BEGIN + 'description: "a\\0b"',
    "half a surrogate pair": _BEGIN + 'description: "\\ud800"',
    "a control character": _BEGIN + "description: a\x01b",
    "33 levels": "name: " + "[" * 32 + "]" * 32,
    "100000 levels": "name: " + "[" * 100_000,
    "100000 levels of lines": "- " * 100_000 + "x",
    "bad UTF-8": b"name: \xff",
    "very many values": "name: [" + "1," * 250_000 + "]",
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_unstrict_yaml_is_a_bad_request(door: Door, name: str) -> None:
    """What is no YAML, would grow, or could not be stored is 400, here and where it is only checked."""
    for path in ("/api/playbooks", "/api/playbooks/validate"):
        assert_problem(door.call("POST", path, data=BAD_YAML[name], headers=YAML), 400)
    assert door.call("GET", "/api/playbooks").json["data"] == []


def test_yaml_faults_say_where(door: Door) -> None:
    """The line and the column of what is wrong are in the message."""
    problem = assert_problem(door.call("POST", "/api/playbooks", data="name: X\nname: Y", headers=YAML), 400)
    assert "'name' is there twice (line 2, column 1)" in problem["detail"]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("name: {{ host }}", 'put templates in quotes: "{{ host }}" (line 1, column 8)'),
        ("name:\n\t- x", "indent with blanks, not tabs (line 2, column 1)"),
        ("name: a: b", "wrong indentation, or text with ': ' in it that needs quotes (line 1, column 8)"),
        ("name: {channel: #sec}", '# begins a comment: quote "#x"'),
        ("name: [x #sec]", '# begins a comment: quote "#x"'),
        ("", "A playbook is a mapping that begins with name: and steps:."),
        ("- name: X", "A playbook is a mapping that begins with name: and steps:."),
    ],
)
def test_common_yaml_faults_say_what_helps(door: Door, text: str, remedy: str) -> None:
    """A template or a # without quotes, a tab, a wrong indentation, no mapping at all: the message has the remedy."""
    problem = assert_problem(door.call("POST", "/api/playbooks", data=text, headers=YAML), 400)
    assert remedy in problem["detail"]


@pytest.mark.parametrize("text", ["name: [", "name: @x", "? [a]\n: b"])
def test_other_yaml_faults_suggest_nothing(door: Door, text: str) -> None:
    """A fault of another kind is reported without a remedy that does not fit."""
    problem = assert_problem(door.call("POST", "/api/playbooks", data=text, headers=YAML), 400)
    assert ";" not in problem["detail"]


def test_large_yaml_and_other_kinds_are_refused(door: Door) -> None:
    """More than 1 MiB is 413; text/yaml and a compressed body are 415."""
    assert_problem(door.call("POST", "/api/playbooks", data="#" * (1024 * 1024 + 1), headers=YAML), 413)
    assert_problem(door.call("POST", "/api/playbooks", data=_BEGIN, headers={"Content-Type": "text/yaml"}), 415)
    packed = {**YAML, "Content-Encoding": "gzip"}
    assert_problem(door.call("POST", "/api/playbooks", data=_BEGIN, headers=packed), 415)


def test_every_fault_is_named_at_once(door: Door) -> None:
    """Faults of the trigger, of the steps and unknown members, each with its pointer; nothing is stored."""
    definition = {
        "name": "Bad",
        "trigger": {"event": "finding.new", "conditions": {"severity": {"$inn": ["high"]}}},
        "parameters": [{"name": "token", "type": "secret", "default": "s3cret"}],
        "steps": [{"id": "wait", "type": "delay", "seconds": 1, "on_success": "wiat"}, {"id": "x", "type": "nothing"}],
        "stepz": [],
    }
    problem = assert_problem(door.call("POST", "/api/playbooks", json=definition), 400)
    assert problem["code"] == "invalid_playbook"
    assert {
        "/trigger/conditions/severity/$inn",
        "/parameters/0/default",
        "/steps/0/on_success",
        "/steps/1/type",
        "/stepz",
    } <= set(pointers(problem))
    assert door.call("GET", "/api/playbooks").json["data"] == []


def test_actions_and_playbooks_that_are_called_must_be_there(everywhere: Door) -> None:
    """A misspelt reference is a fault that names the nearest; what another workspace has does not count."""
    door = everywhere
    door.create(name="Block IP", id="act-block-ip")
    other = door.create_playbook(name="Tell")["id"]
    steps = [
        {"id": "one", "type": "action", "action_ref": "act-blok-ip"},
        {"id": "two", "type": "playbook", "playbook_ref": "pb-tel"},
    ]
    problem = assert_problem(door.call("POST", "/api/playbooks", json={"name": "X", "steps": steps}), 400)
    assert pointers(problem) == ["/steps/0/action_ref", "/steps/1/playbook_ref"]
    assert "act-block-ip" in problem["errors"][0]["detail"]
    assert other in problem["errors"][1]["detail"]
    steps = [{"id": "one", "type": "action", "action_ref": "act-block-ip"}]
    stranger = door.key(workspace="elsewhere")
    problem = assert_problem(door.call("POST", "/api/playbooks", key=stranger, json={"name": "X", "steps": steps}), 400)
    assert "did you mean" not in problem["errors"][0]["detail"]


def test_the_parameters_of_an_action_are_checked(door: Door) -> None:
    """Literal values must fit what the action declares, and what it requires must be given."""
    action = door.create(parameters=[{"name": "hours", "type": "integer", "required": True}])["id"]
    for given in ({}, {"hours": "many"}, {"hours": 1, "days": 2}):
        step = {"id": "one", "type": "action", "action_ref": action, "parameters": given}
        problem = assert_problem(door.call("POST", "/api/playbooks", json={"name": "X", "steps": [step]}), 400)
        assert all(pointer.startswith("/steps/0/parameters") for pointer in pointers(problem))


def test_a_secret_is_not_written_into_a_step(door: Door) -> None:
    """A literal for a secret parameter is refused at its pointer, on every way in; handing one on is fine."""
    token = [{"name": "token", "type": "secret"}]
    action = door.create(parameters=token)["id"]
    below = door.create_playbook(name="Below", parameters=token)["id"]
    calls = [
        {"id": "one", "type": "action", "action_ref": action, "parameters": {"token": "{{ token }}"}},
        {"id": "two", "type": "playbook", "playbook_ref": below, "parameters": {"token": "{{ token }}"}},
    ]
    good = {"name": "Good", "parameters": token, "steps": calls}
    path = f"/api/playbooks/{door.create_playbook(**good)['id']}"
    for number in range(2):
        steps = [
            {**call, "parameters": {"token": "LITERAL-SECRET-14"}} if call is calls[number] else call for call in calls
        ]
        ways = [("POST", "/api/playbooks"), ("PUT", path), ("PATCH", path), ("POST", "/api/playbooks/import")]
        for method, where in ways:
            answer = door.call(method, where, json={**good, "name": f"Bad {number}", "steps": steps})
            problem = assert_problem(answer, 400)
            assert pointers(problem) == [f"/steps/{number}/parameters/token"], (method, where)
            assert "run parameter of type secret" in problem["errors"][0]["detail"]
        verdict = door.call("POST", "/api/playbooks/validate", json={**good, "steps": steps}).json
        assert [one["pointer"] for one in verdict["errors"]] == [f"/steps/{number}/parameters/token"]


def test_validate_stores_nothing_and_warns(door: Door) -> None:
    """The verdict is 200 either way, with JSON paths; what is doubtful is a warning."""
    verdict = door.call("POST", "/api/playbooks/validate", json={"name": "X", "steps": [{**WAIT, "seconds": -1}]}).json
    assert (verdict["valid"], verdict["errors"][0]["path"]) == (False, "$.steps[0].seconds")
    action = door.create()["id"]
    door.call("POST", f"/api/actions/{action}/disable")
    steps = [{"id": "one", "type": "action", "action_ref": action}]
    verdict = door.call("POST", "/api/playbooks/validate", json={"name": "X", "steps": steps}).json
    assert (verdict["valid"], verdict["errors"]) == (True, [])
    assert [warning["pointer"] for warning in verdict["warnings"]] == ["/steps/0/action_ref"]
    assert door.call("GET", "/api/playbooks").json["data"] == []


def test_ids_are_unique_and_never_change(door: Door) -> None:
    """A taken id is 409, a word of our own paths 400, another id in a change 400."""
    made = door.create_playbook(id="pb-mine")
    definition = {"name": "X", "steps": [WAIT]}
    again = door.call("POST", "/api/playbooks", json={**definition, "id": "pb-mine"})
    problem = assert_problem(again, 409)
    assert problem["code"] == "already_exists"
    assert "change it with PUT /api/playbooks/pb-mine." in problem["detail"]
    for word in ("executions", "validate", "a/b", 7):
        assert pointers(assert_problem(door.call("POST", "/api/playbooks", json={**definition, "id": word}), 400)) == [
            "/id"
        ]
    for method in ("PUT", "PATCH"):
        answer = door.call(method, "/api/playbooks/pb-mine", json={**definition, "id": "pb-other"})
        assert pointers(assert_problem(answer, 400)) == ["/id"]
    assert door.call("GET", "/api/playbooks/pb-mine").json["data"] == made


def test_versions_go_up_by_themselves(everywhere: Door) -> None:
    """Behaviour raises the minor number, words the patch number; a version given must be higher; all are kept."""
    door = everywhere
    path = f"/api/playbooks/{door.create_playbook()['id']}"
    assert door.call("PATCH", path, json={"description": "why"}).json["data"]["version"] == "1.0.1"
    assert door.call("PATCH", path, json={"description": "why"}).json["data"]["version"] == "1.0.1"
    assert door.call("PATCH", path, json={"timeout_minutes": 5}).json["data"]["version"] == "1.1.0"
    assert door.call("PATCH", path, json={"inputs": [{"name": "a"}]}).json["data"]["version"] == "1.2.0"
    assert door.call("PATCH", path, json={"tags": ["x"], "version": "3.0.0"}).json["data"]["version"] == "3.0.0"
    assert pointers(assert_problem(door.call("PATCH", path, json={"version": "2.0.0"}), 400)) == ["/version"]
    replaced = door.call("PUT", path, json={"name": "Wait", "steps": [WAIT], "version": None}).json["data"]
    assert (replaced["version"], replaced["description"], replaced["parameters"]) == ("3.1.0", "", [])
    listed = door.call("GET", f"{path}/versions").json
    assert [one["version"] for one in listed["data"]] == ["3.1.0", "3.0.0", "1.2.0", "1.1.0", "1.0.1", "1.0.0"]
    assert listed["data"][1]["tags"] == ["x"]
    assert listed["data"][0]["created_by"] == door.admin.split("_")[1]
    assert listed["meta"]["total"] == 6


def test_versions_can_be_compared(door: Door) -> None:
    """What was added, removed and changed; by default against the present version; unknown versions are 404."""
    path = f"/api/playbooks/{door.create_playbook()['id']}"
    more = {"id": "more", "type": "delay", "seconds": 2}
    door.call("PATCH", path, json={"steps": [more, WAIT], "tags": ["a"]})
    found = door.call("GET", f"{path}/versions/diff?from=1.0.0").json["data"]
    assert (found["from"], found["to"]) == ("1.0.0", "1.1.0")
    assert {(one["op"], one["pointer"]) for one in found["changes"]} == {("added", "/steps/0"), ("added", "/tags/0")}
    back = door.call("GET", f"{path}/versions/diff?from=1.1.0&to=1.0.0").json["data"]
    assert {(one["op"], one["pointer"]) for one in back["changes"]} == {("removed", "/steps/0"), ("removed", "/tags/0")}
    assert door.call("GET", f"{path}/versions/diff?from=1.1.0&to=1.1.0").json["data"]["changes"] == []
    assert_problem(door.call("GET", f"{path}/versions/diff?from=9.9.9"), 404)
    for query in ("", "?from=latest", "?from=1.0.0&to=x", "?from=1.0.0&since=2"):
        assert_problem(door.call("GET", f"{path}/versions/diff{query}"), 400)


def test_the_list_is_filtered_sorted_and_paged(everywhere: Door) -> None:
    """By text, tag, trigger and switch; items have what a list shows and no steps."""
    door = everywhere
    door.create_playbook(name="Alpha", tags=["web", 'a"b'], trigger={"event": "finding.new"})
    door.create_playbook(name="Beta", description="100% of alpha", tags=["web-app"], trigger="finding.*", enabled=False)
    door.create_playbook(name="Gamma", tags=["prod", "web"], steps=[WAIT, {**WAIT, "id": "again"}])

    def names(query: str) -> list[str]:
        return [
            item["name"] for item in door.call("GET", f"/api/playbooks?sort_by=name&sort_order=asc{query}").json["data"]
        ]

    assert names("") == ["Alpha", "Beta", "Gamma"]
    assert names("&search=ALPHA") == ["Alpha", "Beta"]
    assert names("&search=%25") == ["Beta"]
    assert names("&tag=web") == ["Alpha", "Gamma"]
    assert names("&tag=a%22b") == ["Alpha"]
    assert names("&tag=b") == names("&tag=we") == []
    assert names("&enabled=false") == ["Beta"]
    assert names("&trigger=finding.new") == ["Alpha"]
    assert names("&trigger=manual&tag=prod") == ["Gamma"]
    listed = door.call("GET", "/api/playbooks?per_page=1&page=2&sort_by=step_count&sort_order=desc").json
    place = {"total": 3, "total_is_estimate": False, "page": 2, "per_page": 1, "total_pages": 3}
    assert {name: listed["meta"][name] for name in place} == place
    first = door.call("GET", "/api/playbooks?sort_by=step_count").json["data"][0]
    assert (first["name"], first["step_count"]) == ("Gamma", 2)
    assert first["trigger"] == {"event": "manual", "conditions": {}}
    assert set(first) == {
        *("id", "name", "version", "description", "trigger", "step_count", "tags"),
        *("enabled", "created_at", "updated_at"),
    }
    assert [item["name"] for item in door.call("GET", "/api/playbooks").json["data"]][-1] == "Alpha"
    for query in ("sort_by=id", "sort_order=up", "per_page=101", "enabled=yes", "tag=", "tags=x", "trigger=%00"):
        assert_problem(door.call("GET", f"/api/playbooks?{query}"), 400)


def test_schedules_are_set_with_the_switch(door: Door) -> None:
    """The next time is known while it is enabled; switching makes no version; other triggers have none."""
    made = door.create_playbook(trigger={"event": "schedule", "cron": "0 8 * * 1", "timezone": "Europe/Berlin"})
    path = f"/api/playbooks/{made['id']}"
    assert made["next_run_at"].endswith(":00:00.000Z")
    off = door.call("POST", f"{path}/disable").json["data"]
    assert (off["enabled"], off["next_run_at"], off["version"]) == (False, None, "1.0.0")
    changed = door.call("PATCH", path, json={"trigger": {"event": "schedule", "cron": "0 9 * * 1"}}).json["data"]
    assert (changed["enabled"], changed["next_run_at"]) == (False, None)
    on = door.call("POST", f"{path}/enable").json["data"]
    assert (on["enabled"], on["version"]) == (True, "1.1.0")
    assert "T09:00:00" in on["next_run_at"]
    assert door.call("PATCH", path, json={"enabled": False}).json["data"]["version"] == "1.1.0"
    assert stored(door, made["id"]).fire_at is None
    manual = door.call("PATCH", path, json={"enabled": True, "trigger": "manual"}).json["data"]
    assert (manual["next_run_at"], manual["trigger"]) == (None, {"event": "manual", "conditions": {}})


def test_due_schedules_fire_once(everywhere: Door) -> None:
    """Due ones come earliest first; the process that moves the time on from what it read wins, others do not."""
    door = everywhere
    trigger = {"event": "schedule", "cron": "* * * * *"}
    first, second = (door.create_playbook(name=name, trigger=trigger)["id"] for name in ("First", "Second"))
    at = stored(door, first).fire_at
    assert at is not None
    with db.write() as connection:
        assert playbooks.set_fire_at(connection, "default", second, at - 1, stored(door, second).fire_at)
        assert playbooks.due_schedules(connection, at - 2, 10) == []
        assert [one.id for one in playbooks.due_schedules(connection, at, 10)] == [second, first]
        assert [one.id for one in playbooks.due_schedules(connection, at, 1)] == [second]
        assert playbooks.set_fire_at(connection, "default", first, at + 60_000, at)
        assert not playbooks.set_fire_at(connection, "default", first, at + 120_000, at)
        assert playbooks.set_fire_at(connection, "default", first, None, at + 60_000)
        assert [one.id for one in playbooks.due_schedules(connection, at + 60_000, 10)] == [second]


def test_playbooks_that_wait_for_an_event(everywhere: Door) -> None:
    """The enabled playbooks of the workspace that wait for it by name or wildcard."""
    door = everywhere
    exact = door.create_playbook(name="Exact", trigger="finding.new")["id"]
    family = door.create_playbook(name="Family", trigger="finding.*")["id"]
    door.create_playbook(name="Off", trigger="finding.new", enabled=False)
    door.create_playbook(name="Other", trigger="scan.*")
    with db.read() as connection:
        found = playbooks.listening(connection, "default", names("finding.new"))
        assert [one.id for one in found] == [exact, family]
        assert found[0].revision.definition["trigger"] == {"event": "finding.new", "conditions": {}}
        assert [one.id for one in playbooks.listening(connection, "default", names("finding.closed"))] == [family]
        assert playbooks.listening(connection, "elsewhere", names("finding.new")) == []


def test_changes_at_the_same_time_do_not_overrule_each_other(everywhere: Door) -> None:
    """A change of a playbook that has changed meanwhile is refused with the reason."""
    door = everywhere
    made = door.create_playbook()["id"]
    seen = stored(door, made)
    door.call("PATCH", f"/api/playbooks/{made}", json={"description": "first"})
    definition = {**seen.revision.definition, "version": "5.0.0"}
    with pytest.raises(Conflict, match="changed by another caller"), db.write() as connection:
        playbooks.revise(connection, seen, playbooks.new_revision(definition, step_count=1, fire_at=None), "me")
    with pytest.raises(Conflict, match="changed by another caller"), db.write() as connection:
        playbooks.set_enabled(connection, seen, enabled=False, fire_at=None, actor="me")
    used = playbooks.new_revision({**definition, "version": "1.0.1"}, step_count=1, fire_at=None)
    with pytest.raises(Conflict, match=r"Version 1\.0\.1"), db.write() as connection:
        playbooks.revise(connection, stored(door, made), used, "me")
    assert stored(door, made).revision.version == "1.0.1"


def test_deleting_frees_the_id_and_keeps_the_history(everywhere: Door) -> None:
    """A deleted playbook is 404; its revisions can still be read; a new one of the id begins again."""
    door = everywhere
    made = door.create_playbook(name="Gone")["id"]
    revision_id = stored(door, made).revision.id
    assert door.call("DELETE", f"/api/playbooks/{made}").status_code == 204
    assert_problem(door.call("GET", f"/api/playbooks/{made}"), 404)
    assert_problem(door.call("DELETE", f"/api/playbooks/{made}"), 404)
    again = door.create_playbook(name="Gone")
    with db.read() as connection:
        assert playbooks.revision(connection, revision_id).definition["name"] == "Gone"
        assert playbooks.versions(connection, [revision_id]) == {revision_id: "1.0.0"}
        events = [row.event for row in audit.of(connection, "default", made)]
    assert door.call("GET", f"/api/playbooks/{again['id']}/versions").json["meta"]["total"] == 1
    assert events == ["playbook.created", "playbook.deleted", "playbook.created"]


def test_a_caller_that_may_execute_may_not_write(door: Door) -> None:
    """Every spelling of the permission to run is known; writing carries running."""
    body = {"name": "Connector", "scopes": ["playbook:execute", "playbooks:execute", "execute:playbooks"]}
    assert door.call("POST", "/api/keys", json=body).status_code == 201
    key = door.key("operator", scopes=("playbook:execute",))
    assert_problem(door.call("POST", "/api/playbooks", key=key, json={"name": "X", "steps": [WAIT]}), 403)


def test_the_playbook_of_the_documentation_is_created(door: Door) -> None:
    """The example of the API's own documentation, once its actions exist."""
    from api.playbooks.examples import DEFINITION

    for action_id, expected in (
        ("act-slack-notify", ("channel", "message")),
        ("act-jira-create", ("project", "summary", "priority")),
    ):
        door.create(id=action_id, parameters=[{"name": name} for name in expected])
    answer = door.call("POST", "/api/playbooks", json=DEFINITION)
    assert answer.status_code == 201, answer.text
    made = answer.json["data"]
    assert (made["id"], made["step_count"]) == ("pb-critical-finding-alert", 2)
    assert {name: made[name] for name in DEFINITION} == DEFINITION
