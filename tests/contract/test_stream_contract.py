"""The document's event streaming, request by request, in both forms."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.stream import follow, missed
from config.settings import settings
from store.engine import db
from store.gateway import events
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import timeouts
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.driven import drive
from tests.support.sse import listen

pytestmark = pytest.mark.usefixtures("redis_server")

PROVIDERS = """\
providers:
  email: {kind: mock, behaviour: answer, answer: {sent: true, token: secret-answer}}
  other: {kind: mock}
  broken: {kind: mock, behaviour: fail}
"""
RULES = """\
rules:
  - {name: block-spam, condition: {field: action.payload.subject, eq: spam}, action: {type: suppress}}
  - {name: ask, condition: {field: action.action_type, eq: asked}, action: {type: require_approval}}
  - name: gather
    condition: {field: action.action_type, eq: gathered}
    action: {type: group, group_by: [payload.to]}
  - {name: never, condition: {field: action.action_type, eq: denied}, action: {type: deny, reason: not here}}
  - {name: once, condition: {field: action.action_type, eq: again}, action: {type: deduplicate, ttl_seconds: 60}}
  - {name: one, condition: {field: action.action_type, eq: paced},
     action: {type: throttle, max_count: 1, window_seconds: 60}}
  - {name: elsewhere, condition: {field: action.action_type, eq: moved},
     action: {type: reroute, target_provider: other}}
"""
ACTION: dict[str, Any] = {
    "namespace": "alerts",
    "tenant": "acme",
    "provider": "email",
    "action_type": "send_email",
    "payload": {"to": "user@example.com", "subject": "secret-subject"},
}
#: what the document shows of an event
MEMBERS = {"id", "timestamp", "type", "outcome", "provider", "namespace", "tenant", "action_type", "action_id"}
PARAMETERS = {"namespace", "action_type", "outcome", "event_type"}
OUTCOMES_SAID = pytest.mark.documented("POST /v1/dispatch", 200, "=executed =deduplicated =throttled =rerouted")
OUTCOMES = ("executed", "suppressed", "failed", "throttled", "rerouted", "deduplicated")
TYPES = ("action_dispatched", "group_flushed", "timeout", "chain_advanced", "approval_required")
MACHINES = """\
state_machines:
  - name: alert
    initial_state: open
    states: [open, firing, stale]
    transitions: [{from: open, to: firing}]
    timeouts: [{state: firing, after_seconds: 60, transition_to: stale}]
"""
MOVING = """\
  - {name: move, condition: {field: action.action_type, eq: alert},
     action: {type: state_machine, state_machine: alert}}
"""
#: both forms of the stream
FORMS = pytest.mark.parametrize("prefix", ["/v1", "/compat/v1"])
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def key(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A key of the tenant acme, and a worker."""
    monkeypatch.setattr(follow, "LOOK", 0.02)
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    with dispatching.working():
        yield door.key("operator", workspace="acme")
    dispatching.forget()


def send(door: Door, key: str, **more: Any) -> Any:
    """Send a dispatch; its answer."""
    return door.call("POST", "/v1/dispatch", key, json={**ACTION, **more})


@FORMS
def test_an_event_has_the_documented_form(door: Door, key: str, prefix: str) -> None:
    """Its id is in the field and in the data, its type too; bodies are null and headers empty."""
    with listen(door, key, f"{prefix}/stream") as stream:
        answer = send(door, key, id="alert-1")
        assert answer.json["outcome"] == "executed", answer.text
        [event] = stream.wait(1)
        assert stream.parser.retry == 3000
    said = event.json
    assert (event.type, said["type"], event.last_id) == ("action_dispatched", "action_dispatched", said["id"])
    assert said.keys() >= MEMBERS
    assert UUID7.fullmatch(said["id"])
    expected = {"provider": "email", "namespace": "alerts", "tenant": "acme", "action_type": "send_email"}
    assert {name: said[name] for name in expected} == expected
    assert said["action_id"] == "alert-1"
    response = {"status": "success", "body": None, "headers": {}}
    tagged = {"Executed": response}
    assert said["outcome"] == (
        tagged if prefix.startswith("/compat") else {"outcome": "executed", "response": response}
    )
    assert "secret" not in event.data


@pytest.mark.documented("POST /v1/dispatch", 200, "=suppressed =failed =grouped =pending_approval")
def test_each_type_of_event_is_sent(door: Door, key: str) -> None:
    """What is stopped, gathered, held and fails, in the order in which it happens, without payloads or links."""
    with listen(door, key) as stream:
        for more in (
            {"payload": {**ACTION["payload"], "subject": "spam"}},
            {"provider": "broken"},
            {"action_type": "gathered"},
            {"action_type": "asked"},
        ):
            answer = send(door, key, **more)
            assert answer.status_code == 200, answer.text
        [group] = door.call("GET", "/v1/groups", key).json["groups"]
        assert door.call("DELETE", f"/v1/groups/{group['group_key']}", key).status_code == 200
        events = stream.wait(6)
    types = [event.type for event in events]
    assert types[:4] == [*["action_dispatched"] * 3, "approval_required"]
    assert sorted(types[4:]) == ["action_dispatched", "group_flushed"]
    assert [event.json["outcome"]["outcome"] for event in events[:3]] == ["suppressed", "failed", "grouped"]
    asked, flushed = stream.of("approval_required")[0], stream.of("group_flushed")[0]
    assert (asked["approve_url"], asked["reject_url"]) == ("[redacted]", "[redacted]")
    assert asked["approval_id"].startswith("apr-")
    assert (flushed["group_id"], flushed["event_count"]) == (group["group_id"], 1)
    assert not [event for event in events if "secret" in event.data or "http" in event.data.replace("http_", "")]


@FORMS
def test_a_time_out_is_sent(door: Door, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str) -> None:
    """``timeout``, with its own members and those of every event that it has, once the stay in a state is over."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES + MOVING, state_machines=MACHINES)
    assert send(door, key, action_type="alert", fingerprint="disk", status="firing").json["outcome"] == "state_changed"
    with listen(door, key, f"{prefix}/stream?event_type=timeout") as stream:
        with db.write() as connection:
            connection.execute(sa.update(events.events).values(timeout_at=1))
        assert timeouts.move_late(TimeSlice()) == 1
        [event] = stream.wait(1)
    assert (event.type, event.last_id) == ("timeout", event.json["id"])
    expected = {"type": "timeout", "namespace": "alerts", "tenant": "acme", "action_type": "alert"}
    expected |= {"fingerprint": "disk", "state_machine": "alert", "previous_state": "firing", "new_state": "stale"}
    assert {name: event.json[name] for name in expected} == expected
    assert event.json.keys() == expected.keys() | {"id", "timestamp"}


@FORMS
def test_the_end_of_a_step_of_a_chain_is_sent(
    door: Door, key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str
) -> None:
    """``chain_advanced``, with the chain, its execution and the step, behind what the step has done."""
    dispatching.put_in_force(monkeypatch, tmp_path, **dispatching.CHAINED)
    with listen(door, key, f"{prefix}/stream") as stream:
        chain_id = send(door, key, provider="drill", payload={"chain": True}).json["chain_id"]
        assert drive(chain_id) == "completed"
        sent = stream.wait(3)
    assert [event.type for event in sent] == ["action_dispatched", "action_dispatched", "chain_advanced"]
    event = sent[-1]
    assert event.last_id == event.json["id"]
    expected = {"type": "chain_advanced", "namespace": "alerts", "tenant": "acme"}
    expected |= {"chain_id": chain_id, "chain": "one", "step": "look", "status": "completed"}
    assert {name: event.json[name] for name in expected} == expected


@FORMS
def test_who_missed_too_much_is_told_how_much(
    door: Door, key: str, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """``lagged`` comes first, with a number and no id of its own; then the newest of what was missed."""
    with listen(door, key, f"{prefix}/stream") as stream:
        send(door, key, id="first")
        stream.wait(1)
    with listen(door, key, f"{prefix}/stream") as other:  # what it gets is past: no longer to come for the next one
        for number in range(5):
            send(door, key, id=f"missed-{number}")
        other.wait(5)
    monkeypatch.setattr(missed, "MOST", 2)
    with listen(door, key, f"{prefix}/stream", last_id=stream.last_id) as again:
        lagged, *others = again.wait(3)
    assert (lagged.type, lagged.json, lagged.last_id) == ("lagged", {"skipped": 3}, stream.last_id)
    assert [event.json["action_id"] for event in others] == ["missed-3", "missed-4"]


@pytest.mark.parametrize("prefix", [pytest.param("/v1", marks=OUTCOMES_SAID), "/compat/v1"])
def test_an_outcome_is_that_of_the_answer(door: Door, key: str, prefix: str) -> None:
    """Of each kind, in both forms: what the sender was answered, without body and message."""
    types = ("send_email", "denied", "again", "again", "paced", "paced", "moved")
    with listen(door, key, f"{prefix}/stream") as stream:
        answers = [
            door.call("POST", f"{prefix}/dispatch", key, json={**ACTION, "action_type": one}).json for one in types
        ]
        outcomes = [event.json["outcome"] for event in stream.wait(len(types))]
    for answer, outcome in zip(answers, outcomes, strict=True):
        if prefix == "/v1":
            answer.pop("action_id")
            if "response" in answer:
                answer["response"] = {"status": "success", "body": None, "headers": {}}
            assert outcome == answer
        elif isinstance(answer, dict) and "Throttled" in answer:  # here the rest of the window is told in seconds
            assert outcome["Throttled"]["retry_after"]["secs"] in (59, 60)
        elif isinstance(answer, dict) and answer.keys() & {"Executed", "Rerouted"}:
            [(name, members)] = answer.items()
            response = members["response"] if name == "Rerouted" else members
            response["body"] = None
            assert outcome == answer
        else:
            assert outcome == answer


@pytest.mark.documented("GET /v1/stream", 200, *(f"?{name}" for name in PARAMETERS))
def test_the_documented_filters(door: Door, key: str) -> None:
    """Each parameter and each word is taken; others are refused by name."""
    document = door.call("GET", "/api/openapi.json").json["paths"]["/v1/stream"]["get"]
    assert {one["name"] for one in document["parameters"]} >= PARAMETERS
    for query in (
        "namespace=alerts&action_type=send_email",
        *(f"outcome={word}" for word in OUTCOMES),
        *(f"event_type={word}" for word in TYPES),
    ):
        listen(door, key, f"/v1/stream?{query}").end()
    for query, name in (("outcome=lost", "outcome"), ("event_type=lagged", "event_type"), ("rule=x", "rule")):
        problem = assert_problem(door.call("GET", f"/v1/stream?{query}", key), 400)
        assert problem["errors"][0]["pointer"].startswith(f"/query/{name}")
    with listen(door, key, "/v1/stream?namespace=alerts&outcome=failed") as stream:
        for provider in ("email", "broken"):
            send(door, key, provider=provider)
        [event] = stream.wait(1)
        assert event.json["outcome"]["error"]["code"] == "mock_failure"
    assert len(stream.events) == 1


@pytest.mark.documented("GET /v1/stream", 401)
@pytest.mark.documented("GET /v1/stream", 403)
@pytest.mark.documented("GET /v1/stream", 503)
def test_who_may_follow(door: Door, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All three roles; 401 without a key, 403 without the permission, 503 where it is switched off."""
    assert key
    for role in ("viewer", "operator", "admin"):
        listen(door, door.key(role)).end()
    assert_problem(door.call("GET", "/v1/stream", None), 401)
    assert_problem(door.call("GET", "/v1/stream", door.key(scopes=("read:audit",))), 403)
    monkeypatch.setenv("TOCSIN_STREAM", "off")
    settings.cache_clear()
    off = door.call("GET", "/v1/stream")
    assert (assert_problem(off, 503)["code"], off.json["retryable"]) == ("stream_off", False)


@pytest.mark.documented("GET /v1/stream", 429)
def test_a_tenant_has_so_many_streams(door: Door, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is 429, until one is closed; another tenant has its own."""
    monkeypatch.setenv("TOCSIN_STREAMS", "2")
    settings.cache_clear()
    viewer = door.key("viewer", workspace="acme")
    first, second = listen(door, key), listen(door, viewer)
    refused = door.call("GET", "/v1/stream", key)
    assert_problem(refused, 429)
    assert refused.headers["Retry-After"]
    listen(door, door.key("viewer", workspace="other")).end()
    first.end()
    listen(door, viewer).end()
    second.end()


def test_another_tenant_sees_nothing(door: Door, key: str) -> None:
    """Nor may it name one; a caller of several sees all of these."""
    other, both = door.key(workspace="other"), door.key(grants=[{"tenants": ["acme", "other"]}])
    assert_problem(door.call("GET", "/v1/stream?tenant=acme", other), 403)
    with listen(door, other) as mute, listen(door, both) as all_of_them:
        send(door, key, id="theirs")
        send(door, other, id="mine", tenant="other")
        all_of_them.wait(2)
        mute.wait(1)
    assert [event.json["action_id"] for event in all_of_them.events] == ["theirs", "mine"]
    assert [event.json["action_id"] for event in mute.events] == ["mine"]
