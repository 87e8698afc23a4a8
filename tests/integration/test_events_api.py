"""Events that other systems send, and the playbooks they start."""

import json
import threading
from typing import Any

import pytest
from werkzeug.test import TestResponse

from store import audit
from store.engine import db
from store.executions import transitions
from tests.support.api import Door, assert_problem

FINDING = {"id": "f-1", "title": "Open port", "severity": "critical", "asset": {"id": "a-1", "tags": ["production"]}}


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def send(door: Door, event: str = "finding.new", key: str | None = "", **more: Any) -> TestResponse:
    """Send an event."""
    headers = more.pop("headers", {})
    return door.call("POST", "/api/events", key=key, json={"event": event, **more}, headers=headers)


def sent(door: Door, event: str = "finding.new", **more: Any) -> dict[str, Any]:
    """Send an event that must be accepted; returns its outcome."""
    answer = send(door, event, **more)
    assert answer.status_code == 202, answer.text
    return answer.json["data"]


def started(outcome: dict[str, Any]) -> list[str]:
    """The playbooks that an event has started."""
    return [one["playbook_id"] for one in outcome["started"]]


def run_row(outcome: dict[str, Any], index: int = 0, workspace: str = "default") -> Any:
    """The row of a run that an event has started."""
    with db.read() as connection:
        return transitions.get(connection, workspace, outcome["started"][index]["execution_id"])


def runs_of(playbook_id: str, workspace: str = "default") -> int:
    """How many runs a playbook has."""
    with db.read() as connection:
        table = transitions.executions
        mine = (table.c.workspace_id == workspace) & (table.c.action_id == playbook_id) & (table.c.kind == "playbook")
        return len(list(connection.execute(table.select().where(mine))))


def test_the_answer_says_how_many_playbooks_wait(everywhere: Door) -> None:
    """Enabled ones count, whatever their conditions; where none waits, the answer suggests a similar usual name."""
    door = everywhere
    door.create_playbook(name="Any", trigger="finding.*")
    door.create_playbook(name="Light", trigger={"event": "finding.new", "conditions": {"severity": "low"}})
    door.create_playbook(name="Off", trigger="finding.new", enabled=False)
    outcome = sent(door)
    assert (outcome["considered"], outcome["note"], started(outcome)) == (2, None, ["pb-any"])
    outcome = sent(door, "scan.complete")
    expected = "No enabled playbook waits for 'scan.complete'; did you mean 'scan.completed'?"
    assert (outcome["considered"], outcome["note"]) == (0, expected)
    for event in ("scan.completed", "ticket.closed"):
        assert (sent(door, event)["considered"], sent(door, event)["note"]) == (0, None)


def test_an_event_starts_what_listens_to_it(everywhere: Door) -> None:
    """By its name or a wildcard above it, when its conditions are met and it is enabled; the others stay."""
    door = everywhere
    door.create_playbook(name="Exact", trigger="finding.new")
    door.create_playbook(name="Any", trigger="finding.*")
    door.create_playbook(name="Grave", trigger={"event": "finding.new", "conditions": {"severity": "critical"}})
    door.create_playbook(name="Light", trigger={"event": "finding.new", "conditions": {"severity": "low"}})
    door.create_playbook(name="Other", trigger="scan.completed")
    door.create_playbook(name="By hand")
    door.create_playbook(name="Off", trigger="finding.new", enabled=False)
    outcome = sent(door, data={"finding": FINDING})
    assert started(outcome) == ["pb-any", "pb-exact", "pb-grave"]
    assert outcome["not_started"] == []
    assert (outcome["event"], outcome["event_id"][:6]) == ("finding.new", "event-")
    row = run_row(outcome)
    context = json.loads(row.context)
    assert (row.kind, row.status, row.target, row.cause) == ("playbook", "pending", "a-1", "event")
    assert context["event"] == {"event": "finding.new", "id": outcome["event_id"], "data": {"finding": FINDING}}


def test_an_event_without_a_waiting_playbook_is_no_error(door: Door) -> None:
    """Any name of the right form is accepted; nothing is started. The data may be left out."""
    outcome = sent(door, "backup.finished")
    assert (outcome["started"], outcome["not_started"]) == ([], [])


BAD_EVENTS: dict[str, Any] = {
    "no event": {},
    "not text": {"event": 5},
    "one word": {"event": "finding"},
    "manual": {"event": "manual"},
    "schedule": {"event": "schedule"},
    "our own": {"event": "action.completed"},
    "one of our own runs": {"event": "playbook.failed"},
    "of a family of ours": {"event": "approval.granted"},
    "a wildcard": {"event": "finding.*"},
    "upper case": {"event": "Finding.New"},
    "a line feed": {"event": "finding.new\n"},
    "too long": {"event": "finding." + "x" * 128},
    "data that is a list": {"event": "finding.new", "data": []},
    "data that is null": {"event": "finding.new", "data": None},
    "data of great depth": {"event": "finding.new", "data": json.loads('{"a":' * 20 + "1" + "}" * 20)},
    "data of great size": {"event": "finding.new", "data": {"text": "x" * 300_000}},
    "an empty id": {"event": "finding.new", "id": ""},
    "an id with a line feed": {"event": "finding.new", "id": "x\n"},
    "a long id": {"event": "finding.new", "id": "x" * 256},
    "an id beyond ASCII": {"event": "finding.new", "id": "ü"},
    "an unknown member": {"event": "finding.new", "payload": {}},
}


@pytest.mark.parametrize("body", BAD_EVENTS.values(), ids=BAD_EVENTS)
def test_what_is_no_event_is_refused(door: Door, body: dict[str, Any]) -> None:
    """400, and nothing starts; schedule, manual and action.completed happen by themselves."""
    door.create_playbook(trigger="finding.new")
    assert_problem(door.call("POST", "/api/events", json=body), 400)
    assert runs_of("pb-wait") == 0


def test_an_event_starts_nothing_of_another_workspace(door: Door) -> None:
    """Each workspace has events of its own."""
    door.create_playbook(trigger="finding.new")
    outcome = send(door, key=door.key(workspace="elsewhere"), id="same").json["data"]
    assert outcome["started"] == []
    assert started(sent(door, id="same")) == ["pb-wait"]


def test_the_same_id_starts_nothing_twice(everywhere: Door) -> None:
    """Sent again it is answered with the same run; another id makes another run."""
    door = everywhere
    door.create_playbook(trigger="finding.new")
    first = send(door, id="e-1", data={"a": 1})
    again = send(door, id="e-1", data={"a": 1})
    assert first.json["data"]["repeated"] is False
    assert again.json["data"] == {**first.json["data"], "repeated": True}
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert runs_of("pb-wait") == 1
    assert sent(door, id="e-2")["started"] != first.json["data"]["started"]
    assert runs_of("pb-wait") == 2


def test_an_idempotency_key_serves_as_the_id(door: Door) -> None:
    """The header names the event where the body does not; a key that is none is refused."""
    door.create_playbook(trigger="finding.new")
    first = {**sent(door, headers={"Idempotency-Key": "k-1"}), "repeated": True}
    assert first["event_id"] == "k-1"
    assert sent(door, headers={"Idempotency-Key": "k-1"}) == first
    assert sent(door, id="k-1") == first
    assert sent(door, id="own", headers={"Idempotency-Key": "k-1"})["event_id"] == "own"
    assert_problem(send(door, id="own", headers={"Idempotency-Key": ""}), 400)


def test_an_id_names_one_event(door: Door) -> None:
    """The same id with something else in it is 422, and starts nothing."""
    door.create_playbook(trigger="finding.*")
    sent(door, id="e-1", data={"a": 1})
    body = assert_problem(send(door, id="e-1", data={"a": 2}), 422)
    assert body["code"] == "idempotency_key_reused"
    assert_problem(send(door, "finding.gone", id="e-1", data={"a": 1}), 422)
    assert runs_of("pb-wait") == 1


def test_an_events_id_is_no_key_of_a_trigger(door: Door) -> None:
    """An id and an Idempotency-Key of an action that are spelt alike are two things."""
    action = door.create()["id"]
    door.create_playbook(trigger="finding.new")
    headers = {"Idempotency-Key": "k-1"}
    path = f"/api/actions/{action}/trigger"
    assert door.call("POST", path, json={"parameters": {}}, headers=headers).status_code == 202
    assert started(sent(door, id="k-1")) == ["pb-wait"]


def test_copies_at_the_same_time_start_one_run(everywhere: Door) -> None:
    """Eight copies of one event are answered alike; each playbook has one run."""
    door = everywhere
    for number in range(3):
        door.create_playbook(name=f"Wait {number}", trigger="finding.new")
    together, answers = threading.Barrier(8), []

    def one() -> None:
        client = door.app.test_client()
        together.wait()
        headers = {"Authorization": f"Bearer {door.admin}"}
        body = {"event": "finding.new", "id": "e-1", "data": {"asset_id": "a-1"}}
        answers.append(client.post("/api/events", json=body, headers=headers))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [202] * 8
    outcomes = [answer.json["data"] for answer in answers]
    assert sorted(outcome.pop("repeated") for outcome in outcomes) == [False, *[True] * 7]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(answers[0].json["data"]["started"]) == 3
    assert [runs_of(f"pb-wait-{number}") for number in range(3)] == [1, 1, 1]


def test_one_playbook_that_cannot_start_stops_no_other(everywhere: Door) -> None:
    """Running for the asset, needing one, a disabled action: each is named with its reason, the rest starts."""
    door = everywhere
    action = door.create(id="act-off")["id"]
    act = {"id": "act", "type": "action", "action_ref": action, "parameters": {}}
    door.create_playbook(name="Broken", trigger="finding.new", steps=[act])
    door.create_playbook(name="Busy", trigger="finding.*")
    door.create_playbook(name="Needs", trigger="scan.completed", target_required=True)
    door.create_playbook(name="Works", trigger="finding.new")
    assert door.call("POST", f"/api/actions/{action}/disable?force=true").status_code == 200
    busy = sent(door, "finding.other", data={"asset_id": "a-1"})
    assert started(busy) == ["pb-busy"]
    outcome = sent(door, id="e-1", data={"asset_id": "a-1"})
    assert started(outcome) == ["pb-works"]
    reasons = {one["playbook_id"]: one["code"] for one in outcome["not_started"]}
    assert reasons == {"pb-broken": "action_disabled", "pb-busy": "already_running"}
    assert "'act-off'" in outcome["not_started"][0]["reason"]
    first, named = busy["started"][0]["execution_id"], "running_execution_id"
    assert repr(first) in outcome["not_started"][1]["reason"]
    assert [one.get(named) for one in outcome["not_started"]] == [None, first]
    [refused] = sent(door, "scan.completed")["not_started"]
    assert refused["code"] == "target_required"
    assert refused["reason"] == "The asset is missing: this playbook needs the asset it is to work on"
    assert (runs_of("pb-broken"), runs_of("pb-busy"), runs_of("pb-needs")) == (1, 2, 1)
    failed = door.call("GET", f"/api/playbooks/executions/{refused['execution_id']}").json["data"]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "target_required")
    repeated = sent(door, id="e-1", data={"asset_id": "a-1"})
    assert (repeated["not_started"], repeated["repeated"]) == (outcome["not_started"], True)
    assert (runs_of("pb-broken"), runs_of("pb-busy")) == (1, 2)
    assert door.call("POST", f"/api/actions/{action}/enable").status_code == 200
    again = sent(door, id="e-1", data={"asset_id": "a-1"})
    assert started(again) == ["pb-broken", "pb-works"]
    assert [one["execution_id"] for one in again["started"]][1] == outcome["started"][0]["execution_id"]


@pytest.mark.parametrize(
    ("event", "data", "target"),
    [
        ("finding.new", {"asset": {"id": "a-1"}}, "a-1"),
        ("finding.new", {"finding": {"asset": {"id": "a-2"}}}, "a-2"),
        ("finding.new", {"asset_id": "a-3"}, "a-3"),
        ("finding.new", {"finding": {"asset_id": 4}}, "4"),
        ("scan.completed", {"scan": {"asset": "a-5"}}, "a-5"),
        ("scan.completed", {"target": "a-6"}, "a-6"),
        ("finding.new", {"asset": {"name": "x"}, "asset_id": "a-7"}, "a-7"),
        ("finding.new", {"asset": {"id": ""}}, None),
        ("finding.new", {"asset": {"id": "x" * 256}}, None),
        ("finding.new", {"asset": {"id": True}}, None),
        ("finding.new", {"asset": ["a-1"], "finding": "f-1"}, None),
    ],
)
def test_the_target_is_the_events_asset(door: Door, event: str, data: dict[str, Any], target: str | None) -> None:
    """Wherever the event names it; what could be no target is none."""
    door.create_playbook(trigger=event)
    assert run_row(sent(door, event, data=data)).target == target


def test_declared_parameters_are_filled_by_name(door: Door) -> None:
    """From the data, the event's subject, the finding and the asset; what does not fit an optional one is left."""
    declared = [
        {"name": "finding", "type": "object", "required": True},
        {"name": "asset", "type": "Asset"},
        {"name": "severity", "type": "enum", "options": ["high", "critical"]},
        {"name": "title", "type": "integer"},
        {"name": "port", "type": "integer", "default": 22},
        {"name": "token", "type": "secret"},
    ]
    door.create_playbook(trigger="finding.new", parameters=declared)
    row = run_row(sent(door, data={"finding": FINDING, "token": "shh", "other": 1}))
    assert json.loads(row.input) == {
        "finding": FINDING,
        "asset": FINDING["asset"],
        "severity": "critical",
        "title": None,
        "port": 22,
        "token": None,
    }


def test_the_data_may_be_the_finding_itself(door: Door) -> None:
    """A parameter called finding gets it all the same."""
    declared = [{"name": "finding", "type": "Finding", "required": True}, {"name": "severity", "type": "string"}]
    door.create_playbook(trigger="finding.new", parameters=declared)
    row = run_row(sent(door, data=FINDING))
    assert json.loads(row.input) == {"finding": FINDING, "severity": "critical"}


def test_a_parameter_that_the_event_lacks_is_named(door: Door) -> None:
    """What is required and missing, or does not fit, keeps the playbook from starting and says why."""
    declared = [{"name": "ticket", "type": "string", "required": True}]
    door.create_playbook(trigger="finding.new", parameters=declared)
    refusal = sent(door, data={"finding": FINDING})["not_started"][0]
    assert (refusal["playbook_id"], refusal["code"]) == ("pb-wait", "invalid_parameters")
    assert "'ticket' is required" in refusal["reason"]
    refusal = sent(door, data={"ticket": 5})["not_started"][0]
    assert "'ticket' must be a string" in refusal["reason"]
    assert started(sent(door, data={"ticket": "T-1"})) == ["pb-wait"]


def test_a_playbook_without_parameters_takes_none_from_the_event(door: Door) -> None:
    """Its templates read the event, the finding and the asset instead."""
    door.create_playbook(trigger="finding.new")
    assert run_row(sent(door, data={"finding": FINDING})).input == "{}"


def test_a_run_that_an_event_starts_is_audited(door: Door) -> None:
    """The trail says who sent the event that started it."""
    door.create_playbook(trigger="finding.new")
    outcome = sent(door)
    with db.read() as connection:
        trail = audit.of(connection, "default", outcome["started"][0]["execution_id"])
    assert [(line.event, line.actor) for line in trail] == [("execution.accepted", door.admin.split("_")[1])]


def test_an_event_says_which_condition_it_does_not_meet(everywhere: Door) -> None:
    """The first of each playbook that waits for it: where it stands, what it wanted, what is there."""
    door = everywhere
    conditions = {"severity": {"$in": ["high", "critical"]}, "asset.tags": {"$contains": "production"}}
    door.create_playbook(name="Grave", trigger={"event": "finding.new", "conditions": conditions})
    door.create_playbook(name="Here", trigger={"event": "finding.*", "conditions": {"site": "berlin"}})
    outcome = sent(door, data={"finding": {**FINDING, "severity": "low"}})
    assert (outcome["considered"], outcome["started"], outcome["not_started"]) == (2, [], [])
    assert outcome["not_matched"] == [
        {
            "playbook_id": "pb-grave",
            "condition": "/trigger/conditions/severity",
            "wanted": {"$in": ["high", "critical"]},
            "found": "low",
            "missing": False,
        },
        {
            "playbook_id": "pb-here",
            "condition": "/trigger/conditions/site",
            "wanted": "berlin",
            "found": None,
            "missing": True,
        },
    ]
    [unmet] = sent(door, data={"finding": {**FINDING, "asset": {"tags": []}}, "site": "berlin"})["not_matched"]
    assert (unmet["condition"], unmet["found"]) == ("/trigger/conditions/asset.tags", [])


def test_what_an_event_says_of_itself_shows_no_secret_and_is_short(door: Door) -> None:
    """Members that are called like credentials are masked, long values are cut, and at most 50 playbooks are named."""
    conditions: list[dict[str, Any]] = [
        {"api_key": "other"},
        {"hook": "other"},
        {"text": "other"},
        {"host": {"$exists": False}},
    ]
    for number, condition in enumerate(conditions):
        door.create_playbook(name=f"No {number}", trigger={"event": "finding.new", "conditions": condition})
    data = {
        "api_key": "S3cret-key",
        "hook": "https://user:S3cret@example.com/?token=S3cret",
        "text": "x" * 5000,
        "host": {"name": "web-1", "password": "S3cret", "more": ["y" * 300] * 9},
    }
    answer = send(door, data=data)
    found = [one["found"] for one in answer.json["data"]["not_matched"]]
    assert found[0] == "********"
    assert "S3cret" not in answer.text
    assert found[1].startswith("https://")
    assert [len(found[2]), len(found[3])] == [201, 201]
    for number in range(55):
        door.create_playbook(name=f"More {number}", trigger={"event": "finding.new", "conditions": {"a": 1}})
    outcome = sent(door)
    assert (outcome["considered"], len(outcome["not_matched"])) == (59, 50)


def test_a_dry_run_tells_what_an_event_would_start(everywhere: Door) -> None:
    """Which playbooks would start, with what; which not, condition by condition; and nothing has happened."""
    door = everywhere
    conditions = {"severity": {"$in": ["high", "critical"]}, "asset.tags": {"$contains": "staging"}}
    parameters = [{"name": "title", "type": "string", "required": False}]
    starts = door.create_playbook(name="Would start", trigger="finding.new", parameters=parameters)["id"]
    refused = door.create_playbook(name="Would not", trigger={"event": "finding.new", "conditions": conditions})["id"]
    needs = [{"name": "owner", "type": "string", "required": True}]
    failing = door.create_playbook(name="Would fail", trigger="finding.new", parameters=needs)["id"]
    door.create_playbook(name="Of another event", trigger="scan.completed")
    with db.read() as connection:
        count = "SELECT (SELECT count(*) FROM executions), (SELECT count(*) FROM audit), "
        count += "(SELECT count(*) FROM idempotency_keys)"
        before = connection.exec_driver_sql(count).one()
    event = {"event": "finding.new", "data": {"finding": FINDING}, "id": "dry-4711"}
    answer = door.call("POST", "/api/events?dry_run=true", json=event)
    assert answer.status_code == 200, answer.text
    told = {one["playbook_id"]: one for one in answer.json["data"]["playbooks"]}
    assert set(told) == {starts, refused, failing}
    assert told[starts]["would_start"] is True
    assert (told[starts]["target_asset_id"], told[starts]["parameters"]) == ("a-1", {"title": "Open port"})
    assert (told[refused]["would_start"], told[refused]["code"]) == (False, "not_matched")
    assert {one["condition"]: one["met"] for one in told[refused]["conditions"]} == {
        "/trigger/conditions/severity": True,
        "/trigger/conditions/asset.tags": False,
    }
    assert (told[failing]["would_start"], told[failing]["code"]) == (False, "invalid_parameters")
    with db.read() as connection:
        assert connection.exec_driver_sql(count).one() == before
    outcome = sent(door, data={"finding": FINDING}, id="dry-4711")
    assert started(outcome) == [starts]
    again = door.call("POST", "/api/events?dry_run=true", json=event).json["data"]["playbooks"]
    known = next(one for one in again if one["playbook_id"] == starts)
    assert (known["code"], known["execution_id"]) == ("already_started", outcome["started"][0]["execution_id"])
    other = door.call("POST", "/api/events?dry_run=true", json={**event, "id": "dry-4712"}).json["data"]["playbooks"]
    busy = next(one for one in other if one["playbook_id"] == starts)
    assert (busy["code"], busy["execution_id"]) == ("already_running", outcome["started"][0]["execution_id"])
    assert_problem(door.call("POST", "/api/events?dry_run=yes", json=event), 400)
