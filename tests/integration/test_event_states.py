"""Events: moved by dispatches, by people and by time, each in one transaction with what it makes known."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from gateway import current
from store import audit
from store.engine import db
from store.executions import transitions
from store.gateway import events
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import timeouts
from tasks.entrypoints import tick
from tests.support import dispatching, plans
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send

PROVIDERS = """\
providers:
  drill: {kind: mock}
  mail: {kind: mock}
  lost: {kind: action, action: act-none}
"""
MACHINES = """\
state_machines:
  - name: alert
    initial_state: open
    states: [open, firing, acknowledged, stale, resolved]
    transitions:
      - {from: open, to: firing, notify: true, provider: mail, labels: {team: soc}}
      - {from: [open, firing, acknowledged, stale], to: resolved, notify: true}
      - {from: firing, to: acknowledged}
      - {from: resolved, to: firing, notify: true, provider: lost}
    timeouts:
      - {state: firing, after_seconds: 60, transition_to: stale, notify: true, provider: mail}
      - {in_state: stale, after_seconds: 60, transition_to: resolved}
  - {name: other, initial_state: new, states: [new, done], transitions: [{from: new, to: done}]}
"""
RULES = """\
rules:
  - name: alerts
    condition: {field: action.action_type, eq: alert}
    action: {type: state_machine, state_machine: alert, fingerprint_fields: [payload.host, action.action_type]}
  - name: tickets
    condition: {field: action.action_type, eq: ticket}
    action: {type: state_machine, state_machine: other}
  - name: quiet
    condition:
      all:
        - {has_active_event: {type: alert, equal: [cluster]}}
        - {field: action.action_type, eq: host}
    action: {type: suppress, reason: the cluster is down}
  - name: acknowledged
    condition: {all: [{field: action.action_type, eq: nag}, {event_in_state: acknowledged}]}
    action: {type: suppress}
  - name: by-state
    condition:
      all:
        - {field: action.action_type, eq: page}
        - {get_event_state: {fingerprint_field: action.payload.about}, in_list: [firing, stale]}
    action: {type: suppress}
  - name: no-mail
    condition: {all: [{field: action.origin, eq: event}, {field: action.metadata.silent, eq: "yes"}]}
    action: {type: suppress}
"""
PAST, FUTURE = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.fixture
def door(first_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application on each kind of database, with state machines."""
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "5")
    found = Door()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, state_machines=MACHINES)
    yield found
    dispatching.forget()


def alert(door: Door, status: str | None = "firing", fingerprint: str | None = "a-1", **more: Any) -> dict[str, Any]:
    """Dispatch something about an event; the outcome."""
    own = {"status": status, "fingerprint": fingerprint}
    given = {"action_type": "alert", "payload": {"host": "h-1"}, **more}
    answer = send(door, body(**given, **{name: value for name, value in own.items() if value is not None}))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    assert found["outcome"] == "state_changed", found
    return found


def moved(outcome: dict[str, Any]) -> tuple[str, str, bool]:
    return outcome["previous_state"], outcome["new_state"], outcome["notify"]


def event(fingerprint: str = "a-1", namespace: str = "notifications", tenant: str = "default") -> Any:
    return db.read_one(events.read, events.event_id(tenant, namespace, fingerprint))


def sent() -> list[Any]:
    """The notices of events, the oldest first."""
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select().order_by(transitions.executions.c.created_at)).all()
    return [row for row in rows if row.gate and json.loads(row.gate)["origin"] == "event"]


def show(door: Door, fingerprint: str = "a-1", query: str = "") -> dict[str, Any]:
    answer = door.call("GET", f"/v1/events/{quote(fingerprint, safe='')}{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def put(door: Door, to: str = "acknowledged", fingerprint: str = "a-1", key: str | None = "", **more: Any) -> Any:
    path = f"/v1/events/{quote(fingerprint, safe='')}/transition"
    return door.call("PUT", path, key=key, json={"to_state": to, **more})


def overdue(fingerprint: str = "a-1", ago: int = 1) -> None:
    """The stay of an event has been over for some time, ms."""
    table = events.events
    with db.write() as connection:
        mine = sa.update(table).where(table.c.id == event(fingerprint).id)
        connection.execute(mine.values(timeout_at=db.now_ms() - ago))


def test_a_dispatch_moves_its_event_and_makes_it_known(door: Door) -> None:
    """The answer has the document's members; nothing is sent but the notice, under the event's own tenant."""
    first = alert(door, metadata={"labels": {"cluster": "c-1"}}, starts_at=PAST)
    assert set(first) == {"outcome", "action_id", "fingerprint", "previous_state", "new_state", "notify"}
    assert (first["fingerprint"], moved(first)) == ("a-1", ("open", "firing", True))
    row = event()
    assert (row.state, row.active, row.machine, row.moves) == ("firing", 1, "alert", 2)
    assert row.timeout_at == row.entered_at + 60_000
    [notice] = sent()
    gate, given = json.loads(notice.gate), json.loads(notice.input)
    assert (notice.workspace_id, notice.action_id, notice.created_by) == ("default", "provider:mail", "system")
    assert (gate["namespace"], gate["action_type"]) == ("notifications", "event_notification")
    assert gate["labels"] == {"cluster": "c-1", "team": "soc"}
    assert (given["payload"]["previous_state"], given["payload"]["new_state"]) == ("open", "firing")
    assert given["payload"]["payload"] == {"host": "h-1"}
    with dispatching.working():
        assert moved(alert(door, "acknowledged")) == ("firing", "acknowledged", False)
        assert moved(alert(door, "resolved")) == ("acknowledged", "resolved", True)
    assert [row.action_id for row in sent()] == ["provider:mail", "provider:drill"]
    assert (event().active, event().timeout_at) == (0, None)


def test_a_move_that_is_not_allowed_keeps_the_state_and_the_record_says_so(door: Door) -> None:
    """Old and new state are the same; a repetition is no refusal; a state that there is not is one."""
    alert(door, "firing")
    for status, refused in (("open", "does not lead"), ("nonsense", "has no state")):
        outcome = alert(door, status)
        assert moved(outcome) == ("firing", "firing", False)
        assert refused in outcome["refused"]
    again = alert(door, "firing")
    assert (moved(again), "refused" in again) == (("firing", "firing", False), False)
    assert moved(alert(door, None)) == ("firing", "firing", False)
    records = door.call("GET", "/v1/audit?outcome=state_changed").json["records"]
    assert len(records) == 5
    details = [one["details"] for one in records]
    assert [("refused" in one) for one in details] == [False, False, True, True, False]
    assert {one["verdict"] for one in records} == {"state_machine"}
    assert details[2] == {
        "fingerprint": "a-1",
        "previous_state": "firing",
        "new_state": "firing",
        "notify": False,
        "refused": "the state machine 'alert' has no state 'nonsense'",
        "event_id": event().id,
        "state_machine": "alert",
    }
    assert len(sent()) == 1


def test_an_event_without_a_status_begins_in_the_initial_state(door: Door) -> None:
    """So does one whose status there is not."""
    assert moved(alert(door, None)) == ("open", "open", False)
    assert moved(alert(door, "nonsense", "a-2")) == ("open", "open", False)
    assert event("a-2").state == "open"


def test_what_has_ended_is_resolved(door: Door) -> None:
    """By an ``ends_at`` in the past, whatever the status; one in the future says nothing; another machine has none."""
    alert(door, "firing")
    assert moved(alert(door, "firing", ends_at=FUTURE)) == ("firing", "firing", False)
    assert moved(alert(door, "firing", ends_at=PAST)) == ("firing", "resolved", True)
    answer = send(door, body(action_type="ticket", fingerprint="t-1", status="done", ends_at=PAST))
    assert moved(answer.json) == ("new", "done", False)


def test_fields_make_the_fingerprint_where_the_sender_gives_none(door: Door) -> None:
    """Equal fields are one event, others another; a rule without fields needs the sender's own."""
    one, same = (alert(door, fingerprint=None)["fingerprint"] for _ in range(2))
    other = alert(door, fingerprint=None, payload={"host": "h-2"})["fingerprint"]
    assert one == same != other
    assert len(one) == 64
    problem = assert_problem(send(door, body(action_type="ticket")), 422)
    assert problem["errors"][0]["pointer"] == "/fingerprint"


def test_labels_that_are_named_like_secrets_are_masked(door: Door) -> None:
    """In the lists, and in what a notice says; by their values events are found all the same."""
    alert(door, metadata={"labels": {"api_token": "hunter2", "host": "h-1"}})
    shown = show(door)["labels"]
    assert (shown["host"], "hunter2" in json.dumps(shown)) == ("h-1", False)
    listed = door.call("GET", "/v1/events?labels=api_token=hunter2")
    assert (listed.json["count"], "hunter2" in listed.text) == (1, False)
    [notice] = sent()
    assert "hunter2" not in json.dumps(json.loads(notice.input)["payload"])


def test_an_event_belongs_to_one_machine(door: Door) -> None:
    """A dispatch that another machine is to move leaves it where it is, and its record says why."""
    alert(door, "firing")
    outcome = send(door, body(action_type="ticket", fingerprint="a-1", status="done")).json
    assert moved(outcome) == ("firing", "firing", False)
    assert outcome["refused"] == "the event belongs to the state machine 'alert'"
    assert event().action_type == "alert"


def test_a_notice_that_cannot_be_sent_keeps_no_event_in_its_state(door: Door) -> None:
    """The history says why it is missing; one that a rule stops has a record of its own, and is not said to be sent."""
    for status in ("resolved", "firing"):
        outcome = alert(door, status)
    assert moved(outcome) == ("resolved", "firing", False)
    entry = show(door)["history"][0]
    assert "act-none" in entry["notice_error"]
    silenced = alert(door, "firing", "a-2", metadata={"labels": {"silent": "yes"}})
    assert moved(silenced) == ("open", "firing", False)
    [record] = door.call("GET", "/v1/audit?outcome=suppressed").json["records"]
    assert (record["origin"], record["action_type"]) == ("event", "event_notification")
    assert show(door, "a-2")["history"][0]["notice"] == record["action_id"]


def test_a_batch_moves_an_event_in_its_order(door: Door) -> None:
    """Several dispatches of one event in one transaction go through its states one after the other."""
    batch = [body(action_type="alert", fingerprint="b", status=each) for each in ("firing", "resolved", "open")]
    answer = send(door, {"actions": batch}, "/v1/dispatch/batch")
    assert [moved(one["outcome"]) for one in answer.json["results"]] == [
        ("open", "firing", True),
        ("firing", "resolved", True),
        ("resolved", "resolved", False),
    ]
    assert (event("b").state, event("b").moves, len(sent())) == ("resolved", 3, 2)


def test_the_same_id_moves_an_event_once(door: Door) -> None:
    """A copy is answered with the first outcome."""
    first = alert(door, "firing", id="mine")
    alert(door, "acknowledged")
    again = send(
        door, body(action_type="alert", payload={"host": "h-1"}, status="firing", fingerprint="a-1", id="mine")
    )
    assert (again.json, again.headers["Idempotency-Replayed"]) == (first, "true")
    assert event().state == "acknowledged"


def test_a_dry_run_moves_nothing(door: Door) -> None:
    """It names the rule."""
    given = body(action_type="alert", fingerprint="a-1", status="firing")
    answer = send(door, given, "/v1/dispatch?dry_run=true")
    assert (answer.json["verdict"], answer.json["matched_rule"]) == ("state_machine", "alerts")
    assert event() is None


def test_people_move_events_where_the_machine_leads(door: Door) -> None:
    """Else 409 with what is allowed; 404 for what is not there or another's; the history names who it was."""
    alert(door, "firing")
    answer = put(door, "acknowledged")
    assert (answer.status_code, set(answer.json)) == (200, {"fingerprint", "previous_state", "new_state", "notify"})
    assert moved(answer.json) == ("firing", "acknowledged", False)
    for to in ("firing", "nonsense", "acknowledged"):
        problem = door.call("PUT", "/v1/events/a-1/transition", json={"to": to})
        assert problem.status_code == 409
        assert (problem.json["state"], problem.json["allowed"]) == ("acknowledged", ["resolved"])
        assert problem.json["code"] == "transition_not_allowed"
    assert moved(door.call("PUT", "/v1/events/a-1/transition", json={"to": "resolved"}).json)[1:] == ("resolved", True)
    assert_problem(put(door, fingerprint="nothing"), 404)
    stranger = door.key("operator", workspace="elsewhere")
    assert_problem(put(door, key=stranger), 404)
    assert_problem(put(door, key=stranger, tenant="default"), 403)
    assert_problem(put(door, namespace="other"), 404)
    assert_problem(put(door, key=door.key("viewer")), 403)
    for wrong in ({}, {"to_state": "a", "to": "b"}, {"to_state": ""}, {"to_state": 1}, {"state": "firing"}):
        assert_problem(door.call("PUT", "/v1/events/a-1/transition", json=wrong), 400)
    [by] = {one["by"] for one in show(door)["history"] if one["cause"] == "transition"}
    assert by == door.admin.split("_")[1]


def test_an_event_shows_its_history(door: Door) -> None:
    """Each state with its time and its cause, the newest first, in parts."""
    outcome = alert(door, "firing")
    put(door, "acknowledged")
    shown = show(door)
    assert (shown["state"], shown["status"], shown["active"]) == ("acknowledged", "acknowledged", True)
    told = [(one["event"], one["previous_state"], one["new_state"], one["cause"]) for one in shown["history"]]
    assert told == [
        ("event.moved", "firing", "acknowledged", "transition"),
        ("event.moved", "open", "firing", "dispatch"),
        ("event.opened", None, "open", "dispatch"),
    ]
    assert shown["history"][1]["action_id"] == outcome["action_id"]
    assert shown["history"][1]["notice"] == sent()[0].id
    assert [one["number"] for one in show(door, query="?before=3")["history"]] == [2, 1]
    assert shown["history_before"] is None


def test_events_are_listed_by_state_namespace_tenant_and_labels(door: Door) -> None:
    """Every filter is optional; parts follow each other by cursor; another tenant sees nothing."""
    for number in range(5):
        labels = {"labels": {"cluster": f"c-{number % 2}", "team": "soc"}}
        alert(door, "firing" if number < 3 else "acknowledged", f"e-{number}", metadata=labels)
    alert(door, "firing", "e-9", namespace="other")
    wanted = {
        "": ["e-9", "e-4", "e-3", "e-2", "e-1", "e-0"],
        "?status=firing": ["e-9", "e-2", "e-1", "e-0"],
        "?status=open&namespace=notifications": ["e-4", "e-3"],
        "?namespace=other&tenant=default": ["e-9"],
        "?labels=cluster=c-1": ["e-3", "e-1"],
        "?labels=team=soc,cluster=c-0&status=firing": ["e-2", "e-0"],
        "?labels=team=none": [],
        "?status=nonsense": [],
    }
    for query, fingerprints in wanted.items():
        answer = door.call("GET", f"/v1/events{query}").json
        assert [one["fingerprint"] for one in answer["events"]] == fingerprints, query
        assert answer["count"] == len(fingerprints)
    seen, cursor = [], ""
    for _ in range(3):
        answer = door.call("GET", f"/v1/events?limit=2{cursor}").json
        seen += [one["fingerprint"] for one in answer["events"]]
        cursor = f"&cursor={answer['next_cursor']}"
    assert (seen, answer["next_cursor"]) == (wanted[""], None)
    stranger = door.key("viewer", workspace="elsewhere")
    assert door.call("GET", "/v1/events", key=stranger).json["events"] == []
    assert_problem(door.call("GET", "/v1/events?tenant=default", key=stranger), 403)
    for wrong in ("labels=team", "labels==x", "limit=0", "limit=1001", "cursor=abc", "state=firing", "status=%00"):
        assert_problem(door.call("GET", f"/v1/events?{wrong}"), 400)
    everyone = door.key("viewer", workspace="elsewhere", grants=[{"tenants": ["*"]}])
    assert door.call("GET", "/v1/events?status=firing", key=everyone).json["count"] == 4


@pytest.mark.parametrize(
    "fingerprint",
    ["a/b/c", "with space", "x/transition", "ünïcode ✓", "a%2Fb?c#d", "..", "y" * 1024, "/a", "//a/", "/"],
)
def test_fingerprints_of_any_form_are_found_again(door: Door, fingerprint: str) -> None:
    """Slashes, spaces and signs of paths are part of it."""
    alert(door, "firing", fingerprint)
    assert show(door, fingerprint)["fingerprint"] == fingerprint
    answer = put(door, "acknowledged", fingerprint)
    assert (answer.status_code, answer.json["fingerprint"]) == (200, fingerprint), answer.text


def test_long_and_odd_fingerprints_are_refused_by_name(door: Door) -> None:
    """10 KB, a new line, nothing, a number; NUL is in no body."""
    for fingerprint in ("x" * 10_240, "a\nb", "", 7):
        problem = assert_problem(send(door, body(action_type="alert", fingerprint=fingerprint)), 400)
        assert problem["errors"][0]["pointer"] == "/fingerprint"
    for path in ("x" * 10_240, "%00", "a%0Ab"):
        assert_problem(door.call("GET", f"/v1/events/{path}"), 404)


def test_the_same_fingerprint_is_another_event_elsewhere(door: Door) -> None:
    """In another namespace or tenant; where several are meant, the request must say which."""
    alert(door, "firing")
    alert(door, None, namespace="other")
    assert (event().state, event(namespace="other").state) == ("firing", "open")
    problem = assert_problem(door.call("GET", "/v1/events/a-1"), 400)
    assert problem["errors"][0]["pointer"] == "/query/namespace"
    assert show(door, query="?namespace=other")["state"] == "open"
    assert moved(put(door, "resolved", namespace="other").json) == ("open", "resolved", True)
    assert event().state == "firing"


def test_a_stay_that_is_over_ends_once(door: Door) -> None:
    """Time moves it on, makes it known, and begins the next stay; a move in between takes the old one away."""
    alert(door, "firing")
    overdue()
    assert timeouts.move_late(TimeSlice()) == 1
    assert timeouts.move_late(TimeSlice()) == 0
    row = event()
    assert (row.state, row.timeout_to) == ("stale", "resolved")
    assert row.timeout_at == row.entered_at + 60_000
    entry = show(door)["history"][0]
    assert (entry["event"], entry["by"], entry["cause"]) == ("event.timeout", "system", "timeout")
    assert [json.loads(one.input)["payload"]["cause"] for one in sent()] == ["dispatch", "timeout"]
    overdue(ago=3_600_000)  # no tick for an hour
    assert tick.tick()["timeouts"] == 1
    assert "timeouts" not in tick.tick()
    assert (event().state, event().timeout_at, len(sent())) == ("resolved", None, 3)  # as that transition is told


def test_a_move_that_comes_first_wins_over_the_time_out(door: Door) -> None:
    """What was read as late is looked at again under its lock."""
    alert(door, "firing")
    overdue()
    late = [timeouts._late(row, timeouts.Providers()) for row in db.read_one(events.due, limit=10)]
    assert put(door, "acknowledged").status_code == 200
    assert timeouts._moved(late) == 0
    assert (event().state, event().timeout_at) == ("acknowledged", None)


def test_a_time_out_that_fails_starves_no_other(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again later, and its event moves then."""
    for number in range(3):
        alert(door, "firing", fingerprint=f"a-{number}")
        overdue(f"a-{number}", ago=100 - number)
    late = timeouts._late

    def broken(row: Any, providers: Any) -> Any:
        if row.fingerprint == "a-0":
            raise ZeroDivisionError
        return late(row, providers)

    monkeypatch.setattr(timeouts, "_late", broken)
    monkeypatch.setattr(timeouts, "BATCH", 1)
    assert timeouts.move_late(TimeSlice()) == 3
    assert [event(f"a-{number}").state for number in range(3)] == ["firing", "stale", "stale"]
    assert event("a-0").timeout_at > db.now_ms() + 50_000
    monkeypatch.setattr(timeouts, "_late", late)
    overdue("a-0")
    assert timeouts.move_late(TimeSlice()) == 1
    assert event("a-0").state == "stale"


def test_an_event_whose_machine_is_gone_stays(door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing moves it, time neither, until the machine is back; another one may take it over, from where it begins."""
    alert(door, "firing")
    overdue()
    only = (
        "state_machines: [{name: other, initial_state: new, states: [new, done], transitions: [{from: new, to: done}]}]"
    )
    rules = RULES.replace("state_machine: alert", "state_machine: other")
    dispatching.put_in_force(monkeypatch, tmp_path, rules=rules, state_machines=only)
    assert timeouts.move_late(TimeSlice()) == 1
    assert (event().state, event().timeout_at >= db.now_ms() + 50_000) == ("firing", True)
    problem = put(door, "acknowledged")
    assert (problem.status_code, problem.json["code"]) == (409, "no_state_machine")
    assert moved(alert(door, "done")) == ("firing", "done", False)
    assert event().machine == "other"


def test_an_active_event_inhibits_what_has_the_same_labels(door: Door) -> None:
    """While it is active, and where all labels are equal; the record has the rule and its reason."""
    labels = {"labels": {"cluster": "c-1", "rack": "r"}}
    alert(door, "firing", metadata=labels)

    def outcome(**more: Any) -> Any:
        with dispatching.working():
            return send(door, body(action_type="host", **more)).json

    stopped = outcome(metadata={"labels": {"cluster": "c-1"}})
    assert (stopped["outcome"], stopped["rule"], stopped["reason"]) == ("suppressed", "quiet", "the cluster is down")
    assert outcome(metadata={"labels": {"cluster": "c-2"}})["outcome"] == "executed"
    assert outcome()["outcome"] == "executed"
    assert outcome(metadata=labels, namespace="other")["outcome"] == "executed"
    assert outcome(metadata=labels, fingerprint="a-1")["outcome"] == "executed"  # it does not inhibit itself
    alert(door, "acknowledged")  # by a dispatch without labels, which leaves it its own
    assert outcome(metadata=labels)["outcome"] == "suppressed"
    put(door, "resolved")
    assert outcome(metadata=labels)["outcome"] == "executed"
    alert(door, "firing", metadata={"labels": {"cluster": "c-3"}})
    assert outcome(metadata={"labels": {"cluster": "c-3"}})["outcome"] == "suppressed"
    assert outcome(metadata=labels)["outcome"] == "executed"


def test_a_dispatch_that_no_event_concerns_asks_for_none(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conditions over events come last: where the others do not hold, no statement reads a row of events."""
    alert(door, "firing", metadata={"labels": {"cluster": "c-1"}})
    with plans.recorded(monkeypatch) as recorder, dispatching.working():
        about = {"metadata": {"labels": {"cluster": "c-1"}}}
        assert send(door, body(action_type="usual", **about)).json["outcome"] == "executed"
    reads = re.compile(r"\b(FROM|JOIN|INTO|UPDATE)\s+(events|event_labels)\b")
    assert len(recorder.sent) > 3
    assert [text for text in recorder.sent if reads.search(text)] == []


def test_rules_ask_for_the_state_of_an_event(door: Door) -> None:
    """Of the one that a dispatch is about, or of one that a field names."""
    alert(door, "firing")
    with dispatching.working():
        assert send(door, body(action_type="nag", fingerprint="a-1")).json["outcome"] == "executed"
        put(door, "acknowledged")
        assert send(door, body(action_type="nag", fingerprint="a-1")).json["outcome"] == "suppressed"
        assert send(door, body(action_type="nag")).json["outcome"] == "executed"
        about = {"payload": {"about": "a-1"}}
        assert send(door, body(action_type="page", **about)).json["outcome"] == "executed"
        put(door, "resolved")
        alert(door, "firing")
        assert send(door, body(action_type="page", **about)).json["outcome"] == "suppressed"
        assert send(door, body(action_type="page", payload={"about": "none"})).json["outcome"] == "executed"


def test_events_that_are_over_are_forgotten(door: Door) -> None:
    """Those that go on stay however old they are; the next one of that fingerprint has a history of its own."""
    for fingerprint, status in (("old", "resolved"), ("new", "firing")):
        alert(door, status, fingerprint, metadata={"labels": {"a": "b"}})
    with db.write() as connection:
        connection.execute(sa.update(events.events).values(updated_at=1_000, created_at=1_000))
        assert events.forget(connection, before=2_000) == 1
        assert events.forget(connection, before=2_000) == 0
        assert set(connection.scalars(sa.select(events.event_labels.c.id))) == {event("new").id}
    assert event("old") is None
    alert(door, None, "old")
    assert len(show(door, "old")["history"]) == 1


def test_what_rules_say_is_explained_with_events_given_by_hand(door: Door) -> None:
    """``evaluate`` asks no real event."""
    given = {"namespace": "notifications", "tenant": "default", "provider": "drill", "action_type": "host"}
    given["metadata"] = {"cluster": "c-1"}
    answer = door.call("POST", "/v1/rules/evaluate", json=given)
    assert (answer.json["verdict"], answer.json["context"]["accessed_state_keys"]) == ("allow", ["active event alert"])
    answer = door.call("POST", "/v1/rules/evaluate", json={**given, "mock_state": {"active event alert": 1}})
    assert (answer.json["verdict"], answer.json["matched_rule"]) == ("suppress", "quiet")
    given |= {"action_type": "nag", "fingerprint": "a-1", "mock_events": {"a-1": "acknowledged"}}
    assert door.call("POST", "/v1/rules/evaluate", json=given).json["matched_rule"] == "acknowledged"


def test_every_move_has_its_row_in_the_trail(door: Door) -> None:
    """Append-only, in the transaction of the move, under the event's own subject."""
    alert(door, "firing")
    put(door, "acknowledged")
    with db.read() as connection:
        told = [audit.of(connection, "default", events.subject(event(), number)) for number in (1, 2, 3)]
    assert [[row.event for row in rows] for rows in told] == [["event.opened"], ["event.moved"], ["event.moved"]]
    assert current.held().machines["alert"].allowed("acknowledged") == ["resolved"]
