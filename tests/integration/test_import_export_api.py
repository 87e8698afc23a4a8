"""Playbooks in and out over HTTP: CACAO documents, bundles that carry them, definitions in JSON and YAML."""

import base64
import copy
import hashlib
import json
import resource
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from cacao.reading.importer import convert
from config.settings import SettingsError, load, settings
from store.definitions import actions, documents, playbooks
from store.engine import db
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


def test_no_document_writes_a_secret_into_a_step(door: Door) -> None:
    """What a registered action takes in secret is not taken from the text of a document."""
    door.create(id="cacao.ssh", parameters=[{"name": "command", "type": "secret"}])
    steps = {
        "start.s": {"on_completion": "action.call"},
        "action.call": {"commands": [{"type": "ssh", "command": "login s3cret"}], "on_completion": "end.e"},
        "end.e": {},
    }
    problem = assert_problem(door.call("POST", "/api/playbooks/import?lenient=true", json=document(steps)), 400)
    assert [one["pointer"] for one in problem["errors"]] == ["/steps/0/parameters/command"]


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
    """It becomes a playbook with the actions that it needs; an admin gets the same document back, value by value."""
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
    ids=["query", "body", "wrapper"],
)
def test_a_dry_run_shows_and_makes_nothing(everywhere: Door, query: str, wrap: Any) -> None:
    """Wherever the request asks for it, the answer shows the playbook, and neither it nor its actions are created."""
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
    assert copied["id"] != given()["id"]
    assert exported(everywhere, copied["id"]).json["derived_from"] == [given()["id"]]
    assert everywhere.call("GET", f"/api/playbooks/{given()['id']}").json["data"]["name"] == "Other"


def test_what_is_later_is_a_matter_of_time_and_not_of_letters(door: Door) -> None:
    """Half a second is later than none; what has no time, or comes on top of what was changed here, is a conflict."""
    sent(door, given(modified="2026-01-02T00:00:00.500Z"))
    for modified in ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00.100Z", "later", None):
        body = given(modified=modified, name="Other")
        refused = door.call("POST", "/api/playbooks/import?lenient=true", json=body)
        assert assert_problem(refused, 409)["code"] == "already_exists", modified
    changed = door.call("PATCH", f"/api/playbooks/{given()['id']}", json={"name": "Ours"})
    assert changed.status_code == 200
    newer = given(modified="2026-01-03T00:00:00.000Z", name="Theirs")
    assert_problem(door.call("POST", "/api/playbooks/import", json=newer), 409)
    assert door.call("GET", f"/api/playbooks/{given()['id']}").json["data"]["name"] == "Ours"
    assert sent(door, newer, "?on_conflict=replace", 200)["name"] == "Theirs"


def test_a_document_needs_an_id(door: Door) -> None:
    """Two that have none are not versions of each other."""
    for wrong in ({}, {"id": 5}, {"id": None}):
        body = given()
        del body["id"]
        refused = door.call("POST", "/api/playbooks/import?lenient=true", json={**body, **wrong})
        assert assert_problem(refused, 422)["code"] == "invalid_cacao"


def test_a_copy_is_a_playbook_of_its_own(door: Door) -> None:
    """What is exported of it, changed or not, comes back to it and not to what it was copied from."""
    sent(door, given())
    copied = sent(door, given(name="Copy"), "?on_conflict=new_id")
    assert door.call("PATCH", f"/api/playbooks/{copied['id']}", json={"name": "Copy edited"}).status_code == 200
    out = exported(door, copied["id"], "?include_secrets=true").json
    assert sent(door, out, "?on_conflict=replace", 200)["id"] == copied["id"]
    names = [door.call("GET", f"/api/playbooks/{one['id']}").json["data"]["name"] for one in (given(), copied)]
    assert names == ["Test", "Copy edited"]


def test_an_action_of_that_name_that_does_something_else_is_not_trusted(door: Door) -> None:
    """Whether it was changed or created before: the playbook is disabled and says why."""
    reference = sent(door, given(), "?dry_run=true", 200)["playbook"]["steps"][0]["action_ref"]
    parameters = [{"name": "ip", "type": "string", "default": ""}]
    door.create(id=reference, config={"url": "https://elsewhere.example.net/"}, parameters=parameters)
    found = sent(door, given())
    assert [one["code"] for one in found["warnings"]].count("action_changed") == 1
    assert (found["enabled"], found["playbook"]["enabled"]) == (False, False)
    assert door.call("DELETE", f"/api/playbooks/{found['id']}").status_code == 204
    assert door.call("DELETE", f"/api/actions/{reference}").status_code == 204
    again = sent(door, given())
    assert (again["enabled"], [one["code"] for one in again["warnings"]]) == (True, [])


def test_the_name_of_an_action_does_not_reveal_its_password(door: Door) -> None:
    """It is made with the installation's key, so guesses cannot be tried on it."""
    reference = sent(door, given(), "?dry_run=true", 200)["playbook"]["steps"][0]["action_ref"]
    document = json.loads(json.dumps(given()))
    converted = convert(document, now="2026-11-23T00:00:00.000Z")
    ((name, action),) = converted.actions.items()
    assert name == reference
    content = {key: action[key] for key in ("type", "executor", "config", "parameters", "idempotent")}
    plain = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    assert not name.endswith(plain[:20])


def test_a_refused_import_leaves_nothing_behind(door: Door) -> None:
    """No action is made for a playbook that could not be kept."""
    body = given(id="playbook of nobody")
    assert_problem(door.call("POST", "/api/playbooks/import?lenient=true", json=body), 400)
    assert door.call("GET", "/api/actions?search=CACAO").json["meta"]["total"] == 0


def test_imports_of_the_same_document_at_once_make_one_playbook(everywhere: Door) -> None:
    """One makes it, the others find it as they would have made it."""
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: everywhere.call("POST", "/api/playbooks/import", json=given()), range(8)))
    assert {answer.status_code for answer in answers} == {200, 201}, [answer.text for answer in answers]
    outcomes = sorted(answer.json["data"]["outcome"] for answer in answers)
    assert outcomes == ["created", *["unchanged"] * 7]


def test_an_action_made_between_two_looks_has_parameters_all_the_same(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another import makes the action after it was found missing, and before ids are looked up to suggest one."""
    dry = sent(door, given(), "?dry_run=true", status=200)
    needed = [step["action_ref"] for step in dry["playbook"]["steps"] if "action_ref" in step]
    monkeypatch.setattr(actions, "ids", lambda *_, **__: needed)
    assert needed
    assert sent(door, given())["outcome"] == "created"


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


def _broken(change: str) -> Json:
    """A document with a workflow that leads nowhere, or has no end."""
    body = copy.deepcopy(given())
    steps = body["workflow"]
    if change == "a link to no step":
        steps[sid("action.tell")]["on_completion"] = sid("end.other")
    if change == "no start":
        body["workflow_start"] = sid("action.call")
        del steps[sid("start.s")]
    if change == "no work":
        body["workflow"] = {sid("start.s"): {**steps[sid("start.s")], "on_completion": sid("end.e")}}
        body["workflow"][sid("end.e")] = steps[sid("end.e")]
    if change == "an unknown type":
        steps[f"wizard--{uuid.uuid4()}"] = {"type": "wizard", "on_completion": sid("end.e")}
    if change == "a circle":
        steps[sid("action.tell")]["on_completion"] = sid("action.call")
    return body


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a link to no step", "is not in 'workflow'"),
        ("no start", "a workflow needs a step of type start"),
        ("no work", "a workflow needs a step of type action"),
        ("an unknown type", "there is no type of step 'wizard'"),
        ("a circle", "leads back to a step that came before"),
    ],
)
def test_a_broken_workflow_is_refused_or_comes_in_disabled(door: Door, change: str, words: str) -> None:
    """422 names the fault; with lenient the playbook is there for a review, and nothing starts it."""
    refused = assert_problem(door.call("POST", "/api/playbooks/import", json=_broken(change)), 422)
    assert refused["code"] == "invalid_cacao"
    assert [one for one in refused["errors"] if words in one["detail"]], refused["errors"]
    assert "lenient=true" in refused["detail"]
    checked = door.call("POST", "/api/playbooks/validate", json=_broken(change)).json
    assert not checked["valid"]
    found = sent(door, _broken(change), "?lenient=true")
    assert (found["enabled"], found["conformance"]) == (False, "nonconformant")


@pytest.mark.parametrize("query", ["", "?include_secrets=true"])
def test_an_export_of_the_present_playbook_is_unchanged(everywhere: Door, query: str) -> None:
    """Also without its credentials, after changes here, and signed or not; a changed one is a conflict."""
    playbook_id = sent(everywhere, given())["id"]
    assert sent(everywhere, exported(everywhere, playbook_id, query).json, "", 200)["outcome"] == "unchanged"
    changed = everywhere.call("PATCH", f"/api/playbooks/{playbook_id}", json={"description": "Changed here."})
    assert changed.status_code == 200
    document_ = exported(everywhere, playbook_id, query).json
    assert sent(everywhere, document_, "", 200)["outcome"] == "unchanged"
    assert_problem(everywhere.call("POST", "/api/playbooks/import", json={**document_, "name": "Another"}), 409)
    with db.read() as connection:
        assert len(connection.execute(playbooks.playbook_revisions.select()).all()) == 2


def test_a_draft_is_brought_up_to_date(everywhere: Door) -> None:
    """A document of version 1.1 is read in its own terms, and each change is reported."""
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
        *(
            {"type": "bundle", "objects": [{"playbook_bin": base64.b64encode(text).decode()}]}
            for text in (
                b'{"a": 1, "a": 2}',
                b'{"type": "playbook", "workflow": {}, "id": "\\ud800"}',
                b'{"type": "playbook", "workflow": {}, "x": 1e999}',
                b'{"type": "playbook", "spec_version": "1.1", "workflow": ' + b"[" * 500 + b"]" * 500 + b"}",
                b"\xff",
                b"[]",
            )
        ),
        {"dry_run": "yes", "steps": []},
        {"on_conflict": 5, "steps": []},
        {"type": "playbook"},
        {"type": "playbook", "workflow": [], "lenient": True},
        {"workflow": {}, "spec_version": 7},
    ],
)
def test_nonsense_is_refused_with_what_was_expected(everywhere: Door, body: Json) -> None:
    """A body that cannot be recognised answers 4xx."""
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
    shown = ("created_at", "updated_at", "next_run_at", "step_count", "last_error", "problems")
    whole = {key: made[key] for key in made if key not in shown}
    for form in ("native", "yaml", "cacao_v2"):
        answer = exported(everywhere, made["id"], f"?format={form}")
        out = yaml.safe_load(answer.text) if form == "yaml" else answer.json
        if form != "cacao_v2":
            assert out == whole
        assert sent(everywhere, out, status=200)["outcome"] == "unchanged"
        assert everywhere.call("DELETE", f"/api/playbooks/{made['id']}").status_code == 204
        assert sent(everywhere, out)["id"] == made["id"]
        again = everywhere.call("GET", f"/api/playbooks/{made['id']}").json["data"]
        assert {key: again[key] for key in whole} == whole
        assert sent(everywhere, out, status=200)["outcome"] == "unchanged"


def test_yaml_is_read_too(everywhere: Door) -> None:
    """A definition written in YAML is imported unchanged."""
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


def test_a_caller_that_may_not_write_may_not_import(door: Door) -> None:
    """Exporting needs read:playbooks, importing write:playbooks; other workspaces see nothing."""
    found = sent(door, given())
    viewer = door.key("viewer")
    assert door.call("GET", f"/api/playbooks/{found['id']}/export", key=viewer).status_code == 200
    assert_problem(door.call("POST", "/api/playbooks/import", key=viewer, json=given()), 403)
    stranger = door.key("admin", workspace="elsewhere")
    assert_problem(door.call("GET", f"/api/playbooks/{found['id']}/export", key=stranger), 404)


def test_a_caller_that_may_not_make_actions_may_not_import_them(door: Door) -> None:
    """A document that needs new actions is refused to a key that may only write playbooks; others are not."""
    key = door.key("operator", scopes=("read:playbooks", "write:playbooks"))
    assert_problem(door.call("POST", "/api/playbooks/import", key=key, json=given()), 403)
    assert door.call("GET", f"/api/playbooks/{given()['id']}").status_code == 404
    by_hand = {"start.s": {"on_completion": "action.a"}, "action.a": manual(on_completion="end.e"), "end.e": {}}
    assert sent(door, document(by_hand), headers={}, key=key)["outcome"] == "created"


def test_validate_takes_documents_too(everywhere: Door) -> None:
    """A CACAO document is checked against its own standard, with pointers into it."""
    answer = everywhere.call("POST", "/api/playbooks/validate", json=given())
    assert answer.json["valid"] is True
    body = given()
    del body["created_by"]
    answer = everywhere.call("POST", "/api/playbooks/validate", json=body).json
    assert answer["valid"] is False
    assert "created_by" in answer["errors"][0]["message"]


@pytest.fixture
def signing_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A key that the operator has named, and its public half as documents carry it."""
    key = ed25519.Ed25519PrivateKey.generate()
    kinds = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(*kinds))
    monkeypatch.setenv("TOCSIN_CACAO_SIGNING_KEY", str(path))
    settings.cache_clear()
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield base64.b64encode(public).decode()
    settings.cache_clear()


def test_an_export_is_signed_where_that_is_asked(door: Door, signing_key: str) -> None:
    """An import reports that the signature fits; a caller without write:playbooks gets none."""
    own = door.create_playbook(name="Mine", steps=[{"id": "wait", "type": "delay", "seconds": 1}])["id"]
    out = exported(door, own, "?sign=true").json
    assert [one["public_key"] for one in out["signatures"]] == [signing_key]
    assert door.call("DELETE", f"/api/playbooks/{own}").status_code == 204
    assert [one["code"] for one in sent(door, out)["warnings"]] == ["signature_valid"]
    assert "signatures" not in exported(door, own).json or exported(door, own).json == out
    assert_problem(door.call("GET", f"/api/playbooks/{own}/export?sign=true", key=door.key("viewer")), 403)
    assert_problem(door.call("GET", f"/api/playbooks/{own}/export?sign=true&format=yaml"), 422)


def test_without_a_key_nothing_is_signed(door: Door) -> None:
    """The answer names the setting."""
    own = door.create_playbook(name="Mine", steps=[{"id": "wait", "type": "delay", "seconds": 1}])["id"]
    refused = assert_problem(door.call("GET", f"/api/playbooks/{own}/export?sign=true"), 422)
    assert (refused["code"], "TOCSIN_CACAO_SIGNING_KEY" in refused["detail"]) == ("no_signing_key", True)


@pytest.mark.parametrize("content", [None, "no key"])
def test_a_key_that_cannot_be_read_stops_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """At its start, and not at the first export."""
    if content is not None:
        (tmp_path / "key.pem").write_text(content)
    settings()  # kept: what threads of earlier tests read meanwhile
    monkeypatch.setenv("TOCSIN_CACAO_SIGNING_KEY", str(tmp_path / "key.pem"))
    with pytest.raises(SettingsError, match="TOCSIN_CACAO_SIGNING_KEY"):
        load()


def test_what_an_export_leaves_out_is_said(door: Door) -> None:
    """Signatures that no longer fit, because secrets were masked or the playbook changed, are removed and named."""
    signature = {"type": "jss", "value": "AAAA"}
    found = sent(door, given(signatures=[signature]), "?lenient=true")
    whole = exported(door, found["id"], "?include_secrets=true")
    assert (whole.json["signatures"], whole.headers.get("X-Tocsin-Notices")) == ([signature], None)
    answer = exported(door, found["id"])
    assert answer.headers["X-Tocsin-Notices"] == "signatures-dropped, credentials-replaced"
    assert "signatures" not in answer.json


#: what a document may cost its reader, by the size of what it unfolds to or asks to be thought through
BOMBS: dict[str, Any] = {}


def bomb(make: Any) -> Any:
    BOMBS[make.__name__] = make
    return make


@bomb
def ten_thousand_steps() -> str:
    chain = {f"action.{n}": manual(on_completion=f"action.{n + 1}") for n in range(10_000)}
    steps = {"start.s": {"on_completion": "action.0"}, **chain, "action.10000": manual(on_completion="end.e")}
    return json.dumps(document({**steps, "end.e": {}}))


@bomb
def as_many_steps_as_a_request_holds() -> str:
    chain = {f"action.{n}": manual("a", on_completion=f"action.{n + 1}") for n in range(2_500)}
    steps = {"start.s": {"on_completion": "action.0"}, **chain, "action.2500": manual(on_completion="end.e")}
    return json.dumps(document({**steps, "end.e": {}}), separators=(",", ":"))


@bomb
def diamonds() -> str:
    """Each condition leads to two steps that lead to the next condition, and each way ends elsewhere."""
    steps: Json = {"start.s": {"on_completion": "if-condition.0"}, "end.e": {}}
    for n in range(300):
        after = f"if-condition.{n + 1}" if n < 299 else "end.e"
        steps[f"if-condition.{n}"] = {
            "condition": "__x__:value = 1",
            "on_true": f"action.a{n}",
            "on_false": f"action.b{n}",
        }
        steps[f"action.a{n}"] = manual(on_success=after, on_failure="end.e")
        steps[f"action.b{n}"] = manual(on_success=after, on_failure=f"action.a{n}")
    return json.dumps(document(steps, playbook_variables={"__x__": {"type": "integer", "value": "1"}}))


@bomb
def circles() -> str:
    steps: Json = {"start.s": {"on_completion": "action.0"}, "end.e": {}}
    for n in range(400):
        steps[f"action.{n}"] = manual(on_success=f"action.{(n + 1) % 400}", on_failure=f"action.{n * 7 % 400}")
    return json.dumps(document(steps))


@bomb
def fans() -> str:
    """Every step of a parallel leads to a parallel of all the others."""
    names = [f"parallel.{n}" for n in range(60)]
    steps: Json = {"start.s": {"on_completion": names[0]}, "end.e": {}}
    for n, name in enumerate(names):
        steps[name] = {"next_steps": [one for one in names if one > name] or ["end.e"], "on_completion": names[-n]}
    return json.dumps(document(steps))


@bomb
def deep() -> str:
    return '{"type": "playbook", "workflow": ' + '{"a":' * 50_000 + "1" + "}" * 50_001


@bomb
def five_megabytes() -> str:
    return json.dumps(given(description="x" * 5_000_000))


@bomb
def a_long_condition() -> str:
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {"condition": " AND ".join(["__x__:value = 1"] * 40_000), "on_true": "end.e"},
        "end.e": {},
    }
    return json.dumps(document(steps, playbook_variables={"__x__": {"type": "integer", "value": "1"}}))


@bomb
def brackets_in_a_condition() -> str:
    steps = {
        "start.s": {"on_completion": "if-condition.c"},
        "if-condition.c": {"condition": "(" * 300_000 + "x" + ")" * 300_000, "on_true": "end.e"},
        "end.e": {},
    }
    return json.dumps(document(steps))


@bomb
def countersignatures() -> str:
    signature: Json = {"type": "jss"}
    for _ in range(50):
        signature = {"type": "jss", "signature": signature}
    return json.dumps(given(signatures=[signature] * 600))


@bomb
def twice_the_same_name() -> str:
    return json.dumps(given())[:-1] + ', "name": "Another"}'


@bomb
def half_a_letter() -> str:
    return json.dumps(given(name="\ud800", description="\udfff" * 9))


@bomb
def a_number_without_end() -> str:
    return json.dumps(given(priority=0))[:-1] + ', "x": 1' + "0" * 100_000 + "}"


#: what the process may grow by over one request
MEMORY_KIB = 200 * 1024


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("query", ["?dry_run=true", pytest.param("?lenient=true", marks=pytest.mark.gate)])
def test_a_bomb_is_answered(door: Door, name: str, query: str) -> None:
    """Refused, or imported as far as the limits let it, without taking the process with it."""
    text = BOMBS[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = door.call("POST", f"/api/playbooks/import{query}", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code < 500, answer.text[:500]
    if answer.status_code > 201:
        assert_problem(answer)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY_KIB


def test_a_document_that_was_moved_is_not_given_out(everywhere: Door) -> None:
    """Documents swapped in the database are refused with the reason; imported again they are whole."""
    one, other = (sent(everywhere, given(id=f"playbook--{uuid.uuid4()}")) for _ in range(2))
    with db.write() as connection:
        table = documents.documents
        (first, held), (second, taken) = connection.execute(sa.select(table.c.playbook_uid, table.c.sealed)).all()
        for uid, sealed in ((first, taken), (second, held)):
            connection.execute(sa.update(table).where(table.c.playbook_uid == uid).values(sealed=sealed))
    for playbook_id in (one["id"], other["id"]):
        answer = everywhere.call("GET", f"/api/playbooks/{playbook_id}/export?include_secrets=true")
        assert_problem(answer, 409)
        assert answer.json["code"] == "sealed"
        assert PASSWORD not in answer.text
        body = given(id=playbook_id)
        assert_problem(everywhere.call("POST", "/api/playbooks/import", json=body), 409)
        assert everywhere.call("DELETE", f"/api/playbooks/{playbook_id}").status_code == 204
        sent(everywhere, body)
        assert exported(everywhere, playbook_id, "?include_secrets=true").json == body
