"""What is created once under an Idempotency-Key, however often the request comes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import settings
from store.audit import audit
from store.engine import db
from store.executions import idempotency
from tasks.intake import creations
from tests.support import dispatching, recurring
from tests.support.api import PASSWORD, Door, assert_problem
from tests.support.waiting import at_once

pytestmark = pytest.mark.on_both

#: replays are made once by their records, by whatever caller; versions of bundles by their content
NEEDS_NO_KEY = {"replayRecord", "pushBundle"}
_WINDOW = {"times": [{"start_time": "22:00", "end_time": "24:00"}]}
#: kind → where it is created, the body, the member that another body has, and the event in the audit trail
CREATIONS: dict[str, tuple[str, Any, tuple[str, Any], str]] = {
    "action": (
        "/api/actions",
        {"name": "Tell", "type": "webhook", "executor": "webhook", "config": {"url": "http://127.0.0.1:9/"}},
        ("description", "another"),
        "action.created",
    ),
    "playbook": (
        "/api/playbooks",
        {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]},
        ("description", "another"),
        "playbook.created",
    ),
    "import": (
        "/api/playbooks/import",
        {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]},
        ("description", "another"),
        "playbook.created",
    ),
    "key": ("/api/keys", {"name": "deploy", "role": "viewer"}, ("name", "another"), "key.created"),
    "user": (
        "/api/users",
        {"username": "robin", "password": PASSWORD, "role": "viewer"},
        ("role", "operator"),
        "user.created",
    ),
    "silence": (
        "/v1/silences",
        {"matchers": [{"name": "severity", "op": "=", "value": "info"}], "duration_seconds": 60, "comment": "CHG-1"},
        ("comment", "another"),
        "silence.created",
    ),
    "calendar": (
        "/v1/time-intervals",
        {"name": "nights", "time_intervals": [_WINDOW]},
        ("description", "another"),
        "calendar.created",
    ),
    "recurring": ("/v1/recurring", recurring.HOURLY, ("description", "another"), "recurring.created"),
}


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quick_passwords: None) -> Iterator[Door]:
    """The application on each kind of database, with a provider, and a key that covers every tenant."""
    made = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers="providers:\n  drill: {kind: mock}\n")
    made.admin = made.key(grants=[{"tenants": ["*"]}])
    yield made
    dispatching.forget()


def post(door: Door, kind: str, key: str | None = "once", caller: str = "", **more: Any) -> Any:
    """Create one; ``more`` replaces members of the body."""
    path, body, _, _ = CREATIONS[kind]
    headers = {"Authorization": f"Bearer {caller or door.admin}", **({"Idempotency-Key": key} if key else {})}
    return door.app.test_client().post(path, json={**body, **more}, headers=headers)


def events(kind: str) -> list[Any]:
    """The rows of the trail about what was created of a kind."""
    with db.read() as connection:
        return list(connection.execute(sa.select(audit).where(audit.c.event == CREATIONS[kind][3])))


def kept() -> list[Any]:
    """The rows of all keys."""
    with db.read() as connection:
        return list(connection.execute(sa.select(idempotency.idempotency_keys)))


def test_every_request_that_creates_takes_a_key(door: Door) -> None:
    """Each POST that answers 201 or 202, in the document."""
    document = door.call("GET", "/api/openapi.json", key=None).json
    creating, taking = set(), set()
    for path, item in document["paths"].items():
        operation = item.get("post")
        if operation is None:
            continue
        if {"201", "202"} & operation["responses"].keys():
            creating.add(operation["operationId"])
        if "Idempotency-Key" in {one["name"] for one in operation.get("parameters", ())}:
            taking.add(operation["operationId"])
            assert {"409", "422"} & operation["responses"].keys() or path == "/v1/dispatch/batch", path
    assert len(creating) >= 15
    assert creating - taking == NEEDS_NO_KEY


@pytest.mark.parametrize("kind", CREATIONS)
def test_the_same_request_has_the_same_answer(everywhere: Door, kind: str) -> None:
    """To the byte, whatever has become of the thing; the trail has one creation; another request is refused."""
    before = len(events(kind))
    first = post(everywhere, kind)
    assert first.status_code == 201, first.text
    if kind == "action":
        everywhere.call("PATCH", f"/api/actions/{first.json['data']['id']}", json={"description": "changed since"})
    for _ in range(2):
        again = post(everywhere, kind)
        assert (again.status_code, again.text) == (201, first.text)
        assert again.headers["Idempotency-Replayed"] == "true"
        for name in ("Location", "ETag"):
            assert again.headers.get(name) == first.headers.get(name)
    assert "Idempotency-Replayed" not in first.headers
    assert len(events(kind)) == before + 1
    member, value = CREATIONS[kind][2]
    assert assert_problem(post(everywhere, kind, **{member: value}), 422)["code"] == "idempotency_key_reused"
    assert_problem(post(everywhere, kind, key="x" * 256), 400)


@pytest.mark.parametrize("kind", CREATIONS)
def test_of_copies_at_the_same_moment_one_creates(everywhere: Door, kind: str) -> None:
    """The others wait for it, and are answered alike; one that was told to try again does so."""

    def patient() -> Any:
        answer = post(everywhere, kind)
        while answer.status_code == 503 and answer.json["code"] == "busy":  # of passwords few are hashed at once
            answer = post(everywhere, kind)
        return answer

    before = len(events(kind))
    answers = at_once(5, patient)
    assert {answer.status_code for answer in answers} == {201}, [answer.text for answer in answers]
    assert len(events(kind)) == before + 1
    shown = [answer.json.get("data", answer.json) for answer in answers]
    assert len({one.get("key") or one.get("id") or one.get("username") or one["name"] for one in shown}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


@pytest.mark.parametrize("kind", sorted(CREATIONS.keys() - {"key"}))
def test_an_answer_that_was_not_kept_is_made_again(everywhere: Door, kind: str) -> None:
    """As after a process that ended between the creation and its answer: what was created is shown as it is."""
    first = post(everywhere, kind)
    with db.write() as connection:
        connection.execute(sa.update(idempotency.idempotency_keys).values(outcome=None))
    again = post(everywhere, kind)
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.headers.get("Location") == first.headers.get("Location")
    shown, was = (one.json.get("data", one.json) for one in (again, first))
    assert {name: shown[name] for name in shown if name != "applied"} == {
        name: was[name] for name in was if name != "applied"
    }


def test_a_key_belongs_to_its_caller(everywhere: Door) -> None:
    """Another caller's request under the same key is one of its own."""
    other = everywhere.key()
    mine, theirs = post(everywhere, "key"), post(everywhere, "key", caller=other)
    assert mine.json["data"]["id"] != theirs.json["data"]["id"]
    assert "Idempotency-Replayed" not in theirs.headers


def test_a_key_is_of_one_operation(everywhere: Door) -> None:
    """Used for an action it is not taken for a run, a playbook or an import of the same body."""
    playbook = post(everywhere, "playbook").json["data"]["id"]
    for path, body in (
        ("/api/actions", CREATIONS["action"][1]),
        ("/api/playbooks/import", CREATIONS["playbook"][1]),
        (f"/api/playbooks/{playbook}/run", {}),
    ):
        answer = everywhere.call("POST", path, json=body, headers={"Idempotency-Key": "once"})
        assert assert_problem(answer, 422)["code"] == "idempotency_key_reused", path


def test_what_was_refused_may_be_sent_again(everywhere: Door) -> None:
    """A key is used up by what is created alone."""
    assert_problem(post(everywhere, "action", type="nonsense"), 400)
    assert post(everywhere, "action").status_code == 201
    assert_problem(post(everywhere, "action", key="another"), 409)
    everywhere.call("DELETE", "/api/actions/act-tell")
    assert post(everywhere, "action", key="another").status_code == 201


def test_an_import_that_changes_nothing_uses_up_no_key(everywhere: Door) -> None:
    """A dry run, and one of what is there, are answered anew each time."""
    tried = everywhere.call(
        "POST",
        "/api/playbooks/import?dry_run=true",
        json=CREATIONS["import"][1],
        headers={"Idempotency-Key": "once"},
    )
    assert (tried.status_code, tried.json["data"]["dry_run"]) == (200, True)
    assert kept() == []
    assert post(everywhere, "import").status_code == 201
    assert post(everywhere, "import", key=None).json["data"]["outcome"] == "unchanged"


def test_a_large_answer_is_made_again(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only answers up to 64 KiB are kept."""
    monkeypatch.setattr(creations, "MOST_KEPT", 100)
    first = post(everywhere, "playbook")
    assert [row.outcome for row in kept()] == [None]
    assert post(everywhere, "playbook").json == first.json


def test_the_secret_of_a_key_is_sealed_and_kept_for_ten_minutes(
    everywhere: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy has it, no row shows it, and later the copy is told which key was made; no second key is."""
    post(everywhere, "key")
    [until] = [row.created_at for row in kept() if "sealed" in row.key]
    assert until - db.now_ms() + settings().idempotency_hours * 3_600_000 == pytest.approx(600_000, abs=60_000)
    with db.write() as connection:
        connection.execute(sa.delete(idempotency.idempotency_keys))
    monkeypatch.setattr(creations, "KEPT_SECRET", 60_000)
    first = post(everywhere, "key")
    secret, key_id = first.json["data"]["key"], first.json["data"]["id"]
    assert post(everywhere, "key").json["data"]["key"] == secret
    texts = json.dumps([[str(value) for value in row] for row in kept()])
    assert secret not in texts
    assert secret.rpartition("_")[2] not in texts
    with db.write() as connection:  # a minute later
        sealed = idempotency.idempotency_keys.c.key.contains("sealed")
        at = idempotency.idempotency_keys.c.created_at
        connection.execute(sa.update(idempotency.idempotency_keys).where(sealed).values(created_at=at - 60_000))
    late = assert_problem(post(everywhere, "key"), 409)
    assert (late["code"], late["created_id"]) == ("already_created", key_id)
    assert len([row for row in events("key") if row.subject == key_id]) == 1
    gone = {row.key for row in kept()}
    with db.write() as connection:
        idempotency.forget(connection, before=db.now_ms() - settings().idempotency_hours * 3_600_000)
    assert len(gone - {row.key for row in kept()}) == 1, "the sealed answer goes with the next look of the clock"
    assert assert_problem(post(everywhere, "key"), 409)["created_id"] == key_id


@pytest.mark.parametrize("end", ["rotate", "revoke"])
def test_a_secret_that_is_valid_no_more_is_not_shown_again(everywhere: Door, end: str) -> None:
    """A copy that had it would work with a key that opens nothing; what it may be told is which key that is."""
    made = post(everywhere, "key")
    assert made.headers["Cache-Control"] == "no-store"
    key_id, secret = made.json["data"]["id"], made.json["data"]["key"]
    if end == "rotate":
        assert everywhere.call("POST", f"/api/keys/{key_id}/rotate", json={}).status_code == 200
        assert post(everywhere, "key").json["data"]["key"] == secret  # valid for a day
        replaced = everywhere.call("POST", f"/api/keys/{key_id}/rotate", json={"replace": True, "keep_hours": 0})
        assert replaced.status_code == 200
    else:
        assert everywhere.call("DELETE", f"/api/keys/{key_id}").status_code == 204
    again = post(everywhere, "key")
    assert assert_problem(again, 409)["code"] == "already_created"
    assert secret not in again.text
    assert again.json["created_id"] == key_id


def test_a_dispatch_without_an_id_has_the_key_as_its_id(everywhere: Door) -> None:
    """Sent again it is made once, another one under that key is refused; in a batch the place is part of the id."""
    body, headers = dispatching.body(), {"Idempotency-Key": "once", "Prefer": "respond-async"}
    first, again = (everywhere.call("POST", "/v1/dispatch", json=body, headers=headers) for _ in range(2))
    assert first.json["action_id"] == again.json["action_id"] == "once"
    assert first.headers["Location"] == again.headers["Location"]
    other = dispatching.body(payload={"other": True})
    assert (
        assert_problem(everywhere.call("POST", "/v1/dispatch", json=other, headers=headers), 409)["code"] == "id_reused"
    )
    named = everywhere.call("POST", "/v1/dispatch", json=dispatching.body(id="mine"), headers=headers)
    assert named.json["action_id"] == "mine"
    batch = {"actions": [dispatching.body(), dispatching.body(id="third"), dispatching.body(payload={"b": 1})]}
    answers = [everywhere.call("POST", "/v1/dispatch/batch", json=batch, headers=headers).json for _ in range(2)]
    assert answers[0] == answers[1]
    ids = [one["outcome"]["action_id"] for one in answers[0]["results"]]
    assert ids == ["once/0", "third", "once/2"]
    assert_problem(everywhere.call("POST", "/v1/dispatch", json=body, headers={"Idempotency-Key": "x" * 129}), 400)
    assert_problem(
        everywhere.call("POST", "/v1/dispatch/batch", json=batch, headers={"Idempotency-Key": "x" * 124}), 400
    )
