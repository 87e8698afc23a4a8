"""Playbooks in and out over HTTP: CACAO documents, bundles that carry them, definitions in JSON and YAML."""

import base64
import copy
import json
from typing import Any

import pytest
import yaml

from store import db, documents, playbooks
from tests.support.api import Door, assert_problem
from tests.support.cacao import Json, document, http, manual, sid

PASSWORD = "a-secret-that-stays-inside"
STEPS: Json = {
    "start.s": {"on_completion": "action.call"},
    "action.call": {
        **http("POST /block/__ip__:value HTTP/1.1", "http-api.fw", on_completion="action.tell"),
        "name": "Block it",
    },
    "action.tell": {**manual("Tell the owner of __ip__:value", on_completion="end.e"), "name": "Tell"},
    "end.e": {},
}
MEMBERS: Json = {
    "labels": ["firewall"],
    "playbook_variables": {"__ip__": {"type": "ipv4-addr", "external": True}},
    "target_definitions": {
        sid("http-api.fw"): {
            "type": "http-api",
            "name": "Firewall",
            "address": {"dname": ["firewall.example.org"]},
            "authentication_info": sid("http-basic.fw"),
        }
    },
    "authentication_info_definitions": {
        sid("http-basic.fw"): {"type": "http-basic", "user_id": "tocsin", "password": PASSWORD}
    },
}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def given(**members: Any) -> Json:
    return document(STEPS, **{**MEMBERS, **members})


def sent(door: Door, body: Any, query: str = "", status: int = 201, **options: Any) -> Json:
    answer = door.call("POST", f"/api/playbooks/import{query}", json=body, **options)
    assert answer.status_code == status, answer.text
    return answer.json["data"]


def exported(door: Door, playbook_id: str, query: str = "") -> Any:
    answer = door.call("GET", f"/api/playbooks/{playbook_id}/export{query}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="{playbook_id}.')
    return answer


def test_a_document_comes_in_and_goes_out_as_it_came(everywhere: Door) -> None:
    """It becomes a playbook with the actions that it needs; an admin gets back what was sent, value by value."""
    body = given()
    found = sent(everywhere, body)
    assert (found["id"], found["outcome"], found["conformance"], found["dry_run"]) == (
        body["id"],
        "created",
        "valid",
        False,
    )
    assert [(step["type"], step["name"]) for step in found["playbook"]["steps"]] == [
        ("action", "Block it"),
        ("approval", "Tell"),
    ]
    kept = everywhere.call("GET", f"/api/playbooks/{found['id']}").json["data"]
    assert kept["tags"] == ["firewall"]
    assert exported(everywhere, found["id"], "?include_secrets=true").json == body
    reference = found["playbook"]["steps"][0]["action_ref"]
    action = everywhere.call("GET", f"/api/actions/{reference}").json["data"]
    assert action["config"]["url"] == "https://firewall.example.org/block/{{ ip }}"
    assert action["idempotent"] is False


def test_a_password_stays_inside(everywhere: Door) -> None:
    """It is in no answer and in no row in the clear; only an admin who asks for it gets it."""
    found = sent(everywhere, given())
    playbook_id, reference = found["id"], found["playbook"]["steps"][0]["action_ref"]
    shown = [
        json.dumps(found),
        exported(everywhere, playbook_id).text,
        everywhere.call("GET", f"/api/actions/{reference}").text,
        everywhere.call("GET", f"/api/playbooks/{playbook_id}").text,
        json.dumps(sent(everywhere, given(), "?dry_run=true", 200)),
    ]
    encoded = base64.b64encode(f"tocsin:{PASSWORD}".encode()).decode()
    assert not [text for text in shown if PASSWORD in text or encoded in text]
    with db.read() as connection:
        row = connection.execute(documents.documents.select()).one()
        definitions = str(connection.execute(playbooks.playbook_revisions.select()).all())
    assert PASSWORD not in str(row) + definitions
    viewer = everywhere.key("viewer")
    answer = everywhere.call("GET", f"/api/playbooks/{playbook_id}/export?include_secrets=true", key=viewer)
    assert_problem(answer, 403)
    assert (
        exported(everywhere, playbook_id).json["authentication_info_definitions"][sid("http-basic.fw")]["kms"] is True
    )


@pytest.mark.parametrize(
    ("query", "wrap"),
    [
        ("?dry_run=true", lambda body: body),
        ("", lambda body: {**body, "dry_run": True}),
        ("", lambda body: {"playbook": body, "dry_run": True}),
    ],
    ids=["query", "beside", "wrapper"],
)
def test_a_dry_run_shows_and_makes_nothing(everywhere: Door, query: str, wrap: Any) -> None:
    """Wherever it is asked for; the playbook is shown as it would be, and neither it nor its actions are there."""
    found = sent(everywhere, wrap(given()), query, 200)
    assert (found["dry_run"], found["outcome"], found["step_count"]) == (True, "created", 2)
    assert everywhere.call("GET", f"/api/playbooks/{found['id']}").status_code == 404
    assert everywhere.call("GET", "/api/actions?search=CACAO").json["meta"]["total"] == 0


def test_the_same_again_changes_nothing_and_a_newer_one_is_a_version(everywhere: Door) -> None:
    """The same document: unchanged. A later modified: the next version. Other content of the same time: 409."""
    sent(everywhere, given())
    assert sent(everywhere, given(), status=200)["outcome"] == "unchanged"
    newer = given(modified="2026-01-02T00:00:00.000Z", name="Better", labels=["firewall", "new"])
    found = sent(everywhere, newer, status=200)
    assert (found["outcome"], found["name"], found["version"]) == ("revised", "Better", "1.0.1")
    assert exported(everywhere, found["id"], "?include_secrets=true").json == newer
    other = given(modified="2026-01-02T00:00:00.000Z", name="Other")
    refused = everywhere.call("POST", "/api/playbooks/import", json=other)
    assert assert_problem(refused, 409)["code"] == "already_exists"
    assert sent(everywhere, other, "?on_conflict=replace", 200)["name"] == "Other"
    copied = sent(everywhere, given(name="Third"), "?on_conflict=new_id")
    assert copied["id"].startswith(f"{given()['id']}-")
    assert everywhere.call("GET", f"/api/playbooks/{given()['id']}").json["data"]["name"] == "Other"


def test_one_change_here_is_one_difference_there(everywhere: Door) -> None:
    """After a step was renamed, the document differs in that name and its time alone."""
    found = sent(everywhere, given())
    steps = copy.deepcopy(found["playbook"]["steps"])
    steps[1]["name"] = "Tell somebody"
    changed = everywhere.call("PATCH", f"/api/playbooks/{found['id']}", json={"steps": steps})
    assert changed.status_code == 200, changed.text
    out = exported(everywhere, found["id"], "?include_secrets=true").json
    assert out["workflow"][sid("action.tell")].pop("name") == "Tell somebody"
    wanted = given()
    del wanted["workflow"][sid("action.tell")]["name"]
    assert out.pop("modified") > wanted.pop("modified")
    assert out == wanted


def test_faults_are_named_and_can_be_passed_over(everywhere: Door) -> None:
    """A document with faults answers 422 and names each; lenient imports it and says that it does not conform."""
    body = given()
    del body["created_by"]
    refused = assert_problem(everywhere.call("POST", "/api/playbooks/import", json=body), 422)
    assert refused["code"] == "invalid_cacao"
    assert "created_by" in refused["errors"][0]["detail"]
    found = sent(everywhere, body, "?lenient=true")
    assert found["conformance"] == "nonconformant"
    assert exported(everywhere, found["id"], "?include_secrets=true").json == body


def test_a_draft_is_brought_up_to_date(everywhere: Door) -> None:
    """A document of version 1.1 is read in its own words, and each change is said."""
    body = given(spec_version="1.1")
    step = body["workflow"][sid("action.tell")]
    step["type"] = "single"
    step["commands"][0]["command"] = "Tell the owner of $$ip$$:value"
    found = sent(everywhere, body)
    codes = {one["code"] for one in found["warnings"]}
    assert {"draft_version", "draft_single", "draft_variables"} <= codes
    assert "{{ parameters.ip }}" in found["playbook"]["steps"][1]["message"]
    assert exported(everywhere, found["id"]).json["spec_version"] == "cacao-2.0"


@pytest.mark.parametrize("form", ["object", "binary"])
def test_a_bundle_that_carries_one_is_taken(everywhere: Door, form: str) -> None:
    """As an object of its own, or in base64 as playbook_bin of another object."""
    binary = base64.b64encode(json.dumps(given()).encode()).decode()
    carrier = {"type": "x-oca-playbook", "extensions": {"x": {"playbook_bin": binary}}}
    bundle = {
        "type": "bundle",
        "id": "bundle--1",
        "objects": [{"type": "identity"}, given() if form == "object" else carrier],
    }
    assert sent(everywhere, bundle)["id"] == given()["id"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"playbook": 5},
        {"type": "bundle", "objects": []},
        {"type": "bundle", "objects": [{"playbook_bin": "%%%"}]},
        {"type": "bundle", "objects": [{"playbook_bin": base64.b64encode(b'{"a": 1, "a": 2}').decode()}]},
        {"dry_run": "yes", "steps": []},
        {"on_conflict": 5, "steps": []},
        {"type": "playbook"},
        {"type": "playbook", "workflow": [], "lenient": True},
        {"workflow": {}, "spec_version": 7},
    ],
)
def test_nonsense_is_refused_with_what_was_expected(everywhere: Door, body: Json) -> None:
    """What is nothing that could be imported answers 4xx."""
    assert_problem(everywhere.call("POST", "/api/playbooks/import", json=body))


def test_a_definition_goes_out_and_comes_in_in_every_form(everywhere: Door) -> None:
    """JSON, YAML and CACAO each bring back the same playbook after it was deleted."""
    action = everywhere.create()["id"]
    steps = [
        {"id": "call", "type": "action", "action_ref": action, "retry": {"max_attempts": 2}},
        {"id": "wait", "type": "delay", "seconds": 1},
    ]
    trigger = {"event": "finding.new", "conditions": {"severity": "high"}}
    made = everywhere.create_playbook(name="Mine", steps=steps, trigger=trigger, tags=["a"])
    whole = {key: made[key] for key in made if key not in ("created_at", "updated_at", "next_run_at", "step_count")}
    for form in ("native", "yaml", "cacao_v2"):
        answer = exported(everywhere, made["id"], f"?format={form}")
        out = yaml.safe_load(answer.text) if form == "yaml" else answer.json
        if form != "cacao_v2":
            assert out == whole
        assert everywhere.call("DELETE", f"/api/playbooks/{made['id']}").status_code == 204
        assert sent(everywhere, out)["id"] == made["id"]
        again = everywhere.call("GET", f"/api/playbooks/{made['id']}").json["data"]
        assert {key: again[key] for key in whole} == whole
        assert sent(everywhere, out, status=200)["outcome"] == "unchanged"


def test_yaml_is_read_too(everywhere: Door) -> None:
    """A definition written in YAML is imported as it is."""
    text = "name: In YAML\nsteps:\n  - {id: wait, type: delay, duration: 5m}\n"
    headers = {"Content-Type": "application/yaml"}
    answer = everywhere.call("POST", "/api/playbooks/import", data=text, headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == "/api/playbooks/pb-in-yaml"


def test_what_is_missing_here_is_named(everywhere: Door) -> None:
    """A definition whose actions are not there is refused; a document that names another playbook waits for that."""
    step = {"id": "a", "type": "action", "action_ref": "act-elsewhere"}
    refused = everywhere.call("POST", "/api/playbooks/import", json={"name": "X", "steps": [step]})
    assert "act-elsewhere" in assert_problem(refused, 400)["errors"][0]["detail"]
    later = sid("playbook.later")
    steps = {
        "start.s": {"on_completion": "playbook-action.p"},
        "playbook-action.p": {"playbook_id": later, "on_completion": "end.e"},
        "end.e": {},
    }
    assert sent(everywhere, document(steps))["playbook"]["steps"][0]["playbook_ref"] == later


def test_who_may_not_write_may_not_import(door: Door) -> None:
    """Exporting needs read:playbooks, importing write:playbooks; other workspaces see nothing."""
    found = sent(door, given())
    viewer = door.key("viewer")
    assert door.call("GET", f"/api/playbooks/{found['id']}/export", key=viewer).status_code == 200
    assert_problem(door.call("POST", "/api/playbooks/import", key=viewer, json=given()), 403)
    stranger = door.key("admin", workspace="elsewhere")
    assert_problem(door.call("GET", f"/api/playbooks/{found['id']}/export", key=stranger), 404)


def test_who_may_not_make_actions_may_not_bring_them_in(door: Door) -> None:
    """A document that needs new actions is refused to a key that may only write playbooks; others are not."""
    key = door.key("operator", scopes=("read:playbooks", "write:playbooks"))
    assert_problem(door.call("POST", "/api/playbooks/import", key=key, json=given()), 403)
    assert door.call("GET", f"/api/playbooks/{given()['id']}").status_code == 404
    by_hand = {"start.s": {"on_completion": "action.a"}, "action.a": manual(on_completion="end.e"), "end.e": {}}
    assert sent(door, document(by_hand), headers={}, key=key)["outcome"] == "created"


def test_validate_takes_documents_too(everywhere: Door) -> None:
    """A CACAO document is held against its own standard, with pointers into it."""
    answer = everywhere.call("POST", "/api/playbooks/validate", json=given())
    assert answer.json["valid"] is True
    body = given()
    del body["created_by"]
    answer = everywhere.call("POST", "/api/playbooks/validate", json=body).json
    assert answer["valid"] is False
    assert "created_by" in answer["errors"][0]["message"]
