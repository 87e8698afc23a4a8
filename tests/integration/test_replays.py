"""Replays: what a record becomes when it is sent again, once, through the rules of today; one, and many."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.errors import Unavailable
from gateway import gate_column
from store.audit import audit
from store.engine import db, rest
from store.executions import transitions
from store.executions.idempotency import idempotency_keys
from store.gateway.payloads import payloads
from store.records import notes
from tasks.clock import retention
from tasks.clock.duty import TimeSlice
from tasks.intake.dispatches import replay_turns
from tests.support import dispatching
from tests.support.api import Door, assert_problem, carry_out
from tests.support.dispatching import body, send, working

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  broken: {kind: mock, behaviour: fail}
  isolate: {kind: action, action: act-isolate}
"""
MACHINES = """\
state_machines:
  - {name: alert, initial_state: firing, states: [firing, resolved], transitions: [{from: firing, to: resolved}]}
"""
#: what stops everything, by action type
STOPPING = """\
rules:
  - {name: hush, condition: {field: action.action_type, eq: suppressed}, action: {type: suppress, reason: a test}}
  - {name: once, condition: {field: action.action_type, eq: deduplicated}, action: {type: deduplicate, ttl_seconds: 60}}
  - name: few
    condition: {field: action.action_type, eq: throttled}
    action: {type: throttle, max_count: 1, window_seconds: 60}
  - {name: gather, condition: {field: action.action_type, eq: grouped}, action: {type: group, group_by: [tenant]}}
  - name: move
    condition: {field: action.action_type, eq: state_changed}
    action: {type: state_machine, state_machine: alert}
"""
NO_RULES = "rules: []\n"
#: all that a dispatch may say of itself, but its id
SAID = {
    "metadata": {"labels": {"team": "soc"}},
    "status": "firing",
    "fingerprint": "cpu",
    "dedup_key": "k-1",
    "starts_at": "2026-04-28T09:00:00Z",
    "ends_at": "2026-04-28T10:00:00Z",
}


@pytest.fixture
def given(first_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Puts rules in force, in place of those before."""

    def put(rules: str) -> None:
        texts = {"providers": PROVIDERS, "state_machines": MACHINES, "rules": rules}
        dispatching.put_in_force(monkeypatch, tmp_path, **texts)

    yield put
    dispatching.forget()


@pytest.fixture
def stopping(first_database: str, given: Any, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The application with rules that stop everything; no request waits for an end."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    made = Door()
    given(STOPPING)
    return made


def replay(door: Door, action_id: str, **options: Any) -> Any:
    """The answer to the replay of one record."""
    return door.call("POST", f"/v1/audit/{action_id}/replay", **options)


def bulk(door: Door, **given: Any) -> dict[str, Any]:
    """The answer to the replay of many."""
    answer = door.call("POST", "/v1/audit/replay", json=given)
    assert answer.status_code == 200, answer.text
    return answer.json


def record(door: Door, action_id: str) -> dict[str, Any]:
    """The newest record of an id."""
    answer = door.call("GET", f"/v1/audit/{action_id}")
    assert answer.status_code == 200, answer.text
    return answer.json


def execution(execution_id: str) -> Any:
    """The row of an execution."""
    with db.read() as connection:
        return connection.execute(
            sa.select(transitions.executions).where(transitions.executions.c.id == execution_id)
        ).one()


def change(table: sa.Table, where: Any, **values: Any) -> None:
    """Change rows as time does, or the release before."""
    with db.write() as connection:
        assert connection.execute(sa.update(table).where(where).values(**values)).rowcount


def suppressed(door: Door, **more: Any) -> str:
    """The id of the record of a dispatch that a rule has stopped."""
    answer = send(door, body(action_type="suppressed", **more))
    assert answer.json["outcome"] == "suppressed", answer.text
    return str(answer.json["action_id"])


@pytest.mark.parametrize("outcome", ["executed", "failed", *("suppressed", "deduplicated", "throttled", "grouped")])
def test_what_has_ended_goes_out_again_as_it_was_sent(stopping: Door, given: Any, outcome: str) -> None:
    """Whatever has become of it: with all that it said of itself but its id, under rules that now let it through."""
    sent = body(action_type=outcome, id="alert-1", provider="broken" if outcome == "failed" else "drill", **SAID)
    if outcome in ("deduplicated", "throttled"):
        assert send(stopping, {**sent, "id": "alert-0"}).json["outcome"] == "accepted"
    first = send(stopping, sent).json
    with working():
        if first["outcome"] == "accepted":
            first = stopping.call("GET", f"/v1/dispatch/{first['execution_id']}?wait=10").json
    assert first["outcome"] == record(stopping, sent["id"])["outcome"] == outcome
    given(NO_RULES)
    again = replay(stopping, sent["id"])
    assert again.status_code == 202, again.text
    row = execution(again.json["execution_id"])
    expected = {name: value for name, value in sent.items() if name not in ("id", "metadata")}
    assert json.loads(row.input) == {**expected, "labels": {"team": "soc"}}
    gate = gate_column.read(row.gate)
    assert (gate.origin, gate.replayed_from, gate.given_id) == ("dispatch", sent["id"], None)
    with working():
        ended = stopping.call("GET", f"/v1/dispatch/{row.id}?wait=10")
    assert ended.json["outcome"] == ("failed" if outcome == "failed" else "executed")
    shown = record(stopping, row.id)
    assert (shown["replayed_from"], shown["origin"], shown["action_id"]) == (sent["id"], "dispatch", row.id)
    listed = stopping.call("GET", "/v1/audit").json["records"]
    assert [one["replayed_from"] for one in listed if one["action_id"] == row.id] == [sent["id"]]
    assert stopping.call("GET", f"/v1/audit/{row.id}/why").json["replayed_from"] == sent["id"]
    assert record(stopping, sent["id"])["replayed_from"] is None


def test_an_event_is_moved_again(stopping: Door) -> None:
    """A dispatch that moves an event does so again; its record names the one before."""
    moved = send(stopping, body(action_type="state_changed", fingerprint="cpu", status="firing")).json
    again = replay(stopping, moved["action_id"])
    assert again.json["outcome"] == "state_changed", again.text
    assert record(stopping, again.json["action_id"])["replayed_from"] == moved["action_id"]


def test_a_record_is_replayed_once_whoever_asks(stopping: Door, given: Any) -> None:
    """Later replays are answered with what the first has made; a replay is a record that may be replayed itself."""
    first, other = suppressed(stopping), stopping.key("operator")
    again = replay(stopping, first)  # the same rule stops it
    assert (again.status_code, again.json["outcome"]) == (200, "suppressed")
    assert "Idempotency-Replayed" not in again.headers
    given(NO_RULES)
    repeated = replay(stopping, first, key=other)
    assert (repeated.json, repeated.headers["Idempotency-Replayed"]) == (again.json, "true")
    tagged = stopping.call("POST", f"/compat/v1/audit/{first}/replay")
    assert tagged.json == {"Suppressed": {"rule": "hush"}}
    third = replay(stopping, again.json["action_id"], key=other)
    assert third.status_code == 202
    with working():
        assert stopping.call("GET", f"/v1/dispatch/{third.json['execution_id']}?wait=10").json["outcome"] == "executed"
    assert replay(stopping, again.json["action_id"]).json == {
        **stopping.call("GET", f"/v1/dispatch/{third.json['execution_id']}").json
    }
    assert record(stopping, third.json["action_id"])["replayed_from"] == again.json["action_id"]
    with db.read() as connection:
        noted = connection.execute(sa.select(audit).where(audit.c.event == "record.replayed")).all()
    assert [row.subject for row in noted] == [again.json["action_id"], third.json["action_id"]]


def test_a_throttled_replay_may_be_sent_again(stopping: Door, given: Any) -> None:
    """As with an id of the sender's: nothing went out, and the answer says when to come back."""
    assert send(stopping, body(action_type="throttled")).status_code == 202
    throttled = send(stopping, body(action_type="throttled", id="t-1"))
    again = replay(stopping, "t-1")
    assert (again.json["outcome"], again.headers["Retry-After"]) == ("throttled", throttled.headers["Retry-After"])
    given(NO_RULES)
    assert replay(stopping, "t-1").status_code == 202


def test_a_key_of_a_replay_outlives_what_it_replays(stopping: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys of callers are forgotten after a day, those of replays when there is no body any more.

    Until then the secret key may have been changed.
    """
    first = suppressed(stopping)
    stopping.create(id="act-block")
    triggered = stopping.trigger("act-block")
    carry_out(triggered)
    again, as_well = replay(stopping, first).json, replay(stopping, triggered).json
    change(idempotency_keys, sa.true(), fingerprint="made with a key that is gone")
    moment = db.now_ms()
    monkeypatch.setattr(db, "now_ms", lambda: moment + 29 * 86_400_000)
    retention.forget_idempotency_keys(TimeSlice())
    with db.read() as connection:
        assert len(connection.execute(sa.select(idempotency_keys)).all()) == 2
    assert (replay(stopping, first).json, replay(stopping, triggered).json) == (again, as_well)


def test_a_body_that_is_gone_or_masked_is_not_sent(stopping: Door) -> None:
    """422 with a code and what to do: deleted, masked, or kept by the release before without its members."""
    gone, before = suppressed(stopping), suppressed(stopping)
    masked = [suppressed(stopping, payload={"password": "hunter2-hunter2"})]
    masked += [suppressed(stopping, metadata={"labels": {"api_token": "hunter2-hunter2"}})]
    stars = suppressed(stopping, payload={"text": "********"})  # the sender's own
    with db.write() as connection:
        connection.execute(sa.delete(payloads).where(payloads.c.subject == gone))
    change(payloads, payloads.c.subject == before, members=None)
    executed = send(stopping).json["execution_id"]
    with working():
        stopping.call("GET", f"/v1/dispatch/{executed}?wait=10")
    with db.write() as connection:
        connection.execute(sa.delete(transitions.executions))
    for action_id, code, words in (
        (gone, "payload_gone", "not kept any more"),
        (executed, "payload_gone", "not kept any more"),
        (before, "payload_gone", "release before"),
        *((one, "payload_masked", "masks") for one in masked),
    ):
        refused = assert_problem(replay(stopping, action_id), 422)
        assert refused["code"] == code
        assert words in refused["detail"]
    assert replay(stopping, stars).json["outcome"] == "suppressed"
    assert_problem(replay(stopping, "nothing"), 404)


def test_the_secrets_of_an_action_are_not_sent_as_masks(stopping: Door) -> None:
    """A dispatch by a provider that stands for an action with a secret parameter, carried out or stopped."""
    declared = [{"name": "host"}, {"name": "pin", "type": "secret"}]
    stopping.create(id="act-isolate", parameters=declared)
    sent = {"provider": "isolate", "payload": {"host": "h", "pin": "1234-5678"}}
    stopped, executed = suppressed(stopping, **sent), send(stopping, body(**sent)).json["execution_id"]
    carry_out(executed)
    change(transitions.executions, transitions.executions.c.id == executed, sealed=None)  # as after some hours
    for action_id in (stopped, executed):
        assert assert_problem(replay(stopping, action_id), 422)["code"] == "payload_masked"
    plain = send(stopping, body(provider="isolate", payload={"host": "h"})).json["execution_id"]
    carry_out(plain)
    assert replay(stopping, plain).status_code == 202


def test_what_was_neither_dispatched_nor_triggered_is_not_replayed(stopping: Door) -> None:
    """422 says what to do instead."""
    found = {}
    for origin in ("step", "group", "event", "approval", "audit", "silence", "chain", "recurring"):
        members = {"workspace_id": "default", "caller": "k", "outcome": "suppressed", "namespace": "n"}
        this = notes.Note(**members, provider="drill", action_type="t", payload={}, began_at=1, origin=origin)
        with db.write() as connection:
            notes.note(connection, this)
        refused = assert_problem(replay(stopping, this.id), 422)
        assert refused["code"] == "not_replayable"
        found[origin] = refused["detail"]
    assert "retry the run" in found["step"]
    assert "gathered" in found["group"]


def test_a_trigger_is_triggered_again_at_the_present_revision(stopping: Door) -> None:
    """With its parameters and its target, once; it needs the permission to execute actions."""
    stopping.create(id="act-block", parameters=[{"name": "ip"}])
    given = {"parameters": {"ip": "192.0.2.1"}, "target": "asset-1"}
    first = stopping.call("POST", "/api/actions/act-block/trigger", json=given).json["data"]["execution_id"]
    assert_problem(replay(stopping, first), 404)  # it has no record yet
    carry_out(first)
    changed = stopping.call("PATCH", "/api/actions/act-block", json={"description": "new"})
    assert changed.status_code == 200, changed.text
    assert_problem(replay(stopping, first, key=stopping.key("operator", scopes=("dispatch", "read:audit"))), 403)
    assert_problem(replay(stopping, first, key=stopping.key("operator", scopes=("dispatch", "execute:actions"))), 403)
    again = replay(stopping, first)
    assert (again.status_code, again.json["outcome"]) == (202, "accepted")
    made = execution(again.json["execution_id"])
    assert again.headers["Location"] == f"/api/actions/executions/{made.id}"
    before = execution(first)
    assert (made.input, made.target, made.kind) == (before.input, before.target, before.kind)
    assert made.revision_id != before.revision_id
    repeated = replay(stopping, first)
    assert (repeated.json, repeated.headers["Idempotency-Replayed"]) == (again.json, "true")
    carry_out(made.id)
    shown = record(stopping, made.id)
    assert (shown["replayed_from"], shown["origin"], shown["action_type"]) == (first, "trigger", "act-block")
    assert replay(stopping, made.id).status_code == 202
    covering = stopping.key("admin", workspace="elsewhere", grants=[{"tenants": ["*"]}])
    assert assert_problem(replay(stopping, made.id, key=covering), 403)["code"] == "not_granted"


def test_a_trigger_with_secrets_says_which_are_needed(stopping: Door, given: Any) -> None:
    """Also where a rule has stopped it; one that a rule stops again is answered with that."""
    stopping.create(id="act-block", parameters=[{"name": "pin", "type": "secret"}, {"name": "ip"}])
    given(STOPPING + "  - {name: no, condition: {field: action.origin, eq: trigger}, action: {type: suppress}}\n")
    first = stopping.trigger("act-block", parameters={"pin": "1234-5678"})
    refused = assert_problem(replay(stopping, first), 422)
    assert (refused["code"], refused["errors"][0]["pointer"]) == ("secret_needed", "/parameters/pin")
    masked = stopping.trigger("act-block", parameters={"ip": "********"})  # a credential that a later release has found
    assert assert_problem(replay(stopping, masked), 422)["code"] == "payload_masked"
    again = replay(stopping, stopping.trigger("act-block", parameters={"ip": "192.0.2.1"}))
    assert (again.status_code, again.json["outcome"], again.json["rule"]) == (200, "suppressed", "no")
    assert record(stopping, again.json["action_id"])["replayed_from"]


def test_grants_limit_what_is_replayed(stopping: Door) -> None:
    """What they do not cover is not there; what covers nothing of the kind is refused as it is for a dispatch."""
    mine, other = suppressed(stopping, namespace="mail"), suppressed(stopping, namespace="chat")
    key = stopping.key("operator", grants=[{"tenants": ["default"], "namespaces": ["mail"]}])
    assert replay(stopping, mine, key=key).status_code == 200
    assert_problem(replay(stopping, other, key=key), 404)
    answer = stopping.call("POST", "/v1/audit/replay", key=key, json={"tenant": "default", "outcome": "suppressed"})
    assert [one["action_id"] for one in answer.json["results"]] == [mine]
    assert_problem(stopping.call("POST", "/v1/audit/replay", key=key, json={"tenant": "acme"}), 403)


def test_many_are_replayed_oldest_first(stopping: Door, given: Any) -> None:
    """A preview says what would be; a faulty one stops no other; what follows is read on by a cursor."""
    masked = suppressed(stopping, payload={"password": "hunter2-hunter2"})
    ids = [suppressed(stopping, payload={"n": number}) for number in range(5)]
    given(NO_RULES)
    seen = bulk(stopping, outcome="suppressed", preview=True)
    assert (seen["preview"], seen["replayed"], seen["repeated"]) == (True, 5, 0)
    assert [one["action_id"] for one in seen["results"]] == ids
    assert {(one["outcome"]["outcome"], one["outcome"]["verdict"]) for one in seen["results"]} == {("dry_run", "allow")}
    assert [(one["action_id"], one["code"]) for one in seen["skipped"]] == [(masked, "payload_masked")]
    assert replay(stopping, ids[1]).status_code == 202
    assert bulk(stopping, outcome="suppressed", preview=True)["repeated"] == 1
    first = bulk(stopping, outcome="suppressed", limit=4)
    assert (first["replayed"], first["repeated"], len(first["skipped"])) == (2, 1, 1)
    assert [one["action_id"] for one in first["results"]] == ids[:3]
    rest_of_it = bulk(stopping, outcome="suppressed", limit=4, cursor=first["next_cursor"])
    assert [one["action_id"] for one in rest_of_it["results"]] == ids[3:]
    assert rest_of_it["next_cursor"] is None
    made = [one["replayed_as"] for one in (*first["results"], *rest_of_it["results"])]
    sent = [json.loads(execution(one).input)["payload"]["n"] for one in made]
    assert sent == [0, 1, 2, 3, 4]
    order = [execution(one["replayed_as"]).created_at for one in first["results"] if not one["repeated"]]
    assert order == sorted(order)
    tagged = stopping.call("POST", "/compat/v1/audit/replay", json={"outcome": "suppressed", "limit": 2}).json
    assert tagged["results"][0]["outcome"] == {"Accepted": {"execution_id": made[0]}}


def test_a_preview_asks_the_rules_of_today(stopping: Door, given: Any) -> None:
    """Of dispatches and of triggers it says what would become of each; nothing is counted or kept."""
    stopping.create(id="act-block")
    sent = suppressed(stopping)
    carry_out(stopping.trigger("act-block"))
    given(STOPPING + "  - {name: no, condition: {field: action.origin, eq: trigger}, action: {type: deny}}\n")
    seen = bulk(stopping, tenant="default", preview=True)["results"]
    told = {one["outcome"]["matched_rule"]: one["outcome"]["verdict"] for one in seen}
    assert (told.pop("no"), set(told.values()), seen[0]["action_id"]) == ("deny", {"suppress"}, sent)
    assert bulk(stopping, tenant="default", preview=True)["results"] == seen


def test_one_bulk_replay_of_a_tenant_at_a_time(stopping: Door) -> None:
    """A second one is refused, whatever process has the first; a preview and another tenant are not."""
    suppressed(stopping)
    with replay_turns.turn("default"):
        refused = assert_problem(stopping.call("POST", "/v1/audit/replay", json={"tenant": "default"}), 409)
        assert refused["code"] == "replay_under_way"
        assert bulk(stopping, tenant="default", preview=True)["replayed"] == 1
    assert bulk(stopping, tenant="default")["replayed"] == 1


def test_an_interrupted_one_is_sent_again(stopping: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was replayed until then is not replayed twice; nor are the replays themselves, unless that is asked for."""
    stopping.create(id="act-block")
    ids = [suppressed(stopping) for _ in range(18)]
    carry_out(stopping.trigger("act-block"))

    def cut(_began: float) -> None:
        raise Unavailable

    with monkeypatch.context() as during:
        during.setattr(rest, "after_bite", cut)
        assert_problem(stopping.call("POST", "/v1/audit/replay", json={"tenant": "default"}), 503)
    again = bulk(stopping, tenant="default")
    assert (again["replayed"], again["repeated"]) == (3, 16)
    assert [one["action_id"] for one in again["results"]][:18] == ids
    assert {one["code"] for one in again["skipped"]} == {"is_replay"}
    once_more = bulk(stopping, tenant="default")
    assert (once_more["replayed"], once_more["repeated"]) == (0, 19)
    others = bulk(stopping, tenant="default", include_replays=True, outcome="suppressed")
    assert (others["replayed"], others["repeated"]) == (18, 18)


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({}, ""),
        ({"limit": 5}, ""),
        ({"outcome": "failed", "limit": 1_001}, "/limit"),
        ({"outcome": "lost"}, "/outcome"),
        ({"outcome": "failed", "offset": 5}, "/offset"),
        ({"outcome": "failed", "preview": "yes"}, "/preview"),
        ({"outcome": "failed", "form": "2026-04-28T00:00:00Z"}, "/form"),
        ({"from": "2026-04-29T00:00:00Z", "to": "2026-04-28T00:00:00Z"}, "/to"),
        ({"outcome": "failed", "cursor": "AAAA"}, "/cursor"),
    ],
)
def test_what_is_not_known_is_named(stopping: Door, wanted: dict[str, Any], pointer: str) -> None:
    """Filters are checked as those of the list are; without one nothing is replayed."""
    refused = assert_problem(stopping.call("POST", "/v1/audit/replay", json=wanted), 400)
    assert [one["pointer"] for one in refused["errors"]] == [pointer], refused
    assert_problem(replay(stopping, "x", json={"force": True}), 400)
    assert_problem(stopping.call("POST", "/v1/audit/x/replay?force=true"), 400)
