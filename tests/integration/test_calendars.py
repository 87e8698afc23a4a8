"""Named calendars: made by files and by requests, named by rules, obeyed by all that rules decide about."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from gateway import current
from store.engine import db
from store.executions import transitions
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring
from tasks.generations import changes
from tasks.generations.changes import Author
from tests.support import dispatching
from tests.support.api import Door, assert_problem

PROVIDERS = "providers:\n  drill: {kind: mock}\n"
NIGHTS = """\
time_intervals:
  - name: nights
    time_intervals:
      - times: [{start_time: '20:00', end_time: '24:00'}, {start_time: '00:00', end_time: '06:00'}]
"""
RULES = """\
rules:
  - name: never
    priority: 1
    condition: {field: action.action_type, eq: never}
    action: {type: suppress, reason: never}
  - name: by-day
    priority: 2
    condition: {field: action.payload.quiet, eq: true}
    action: {type: allow}
    mute_time_intervals: [nights]
  - name: office
    priority: 3
    condition: {field: action.payload.office, eq: true}
    action: {type: allow}
    active_time_intervals: [nights]
"""
SUNDAYS: dict[str, Any] = {"name": "sundays", "time_intervals": [{"weekdays": ["sunday"]}]}
DAY, NIGHT = "2026-11-20T12:00:00Z", "2026-11-20T21:00:00Z"


@pytest.fixture
def door(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application with calendars and rules."""
    made = Door()
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, time_intervals=NIGHTS, rules=RULES)
    made.admin = made.key(grants=[{"tenants": ["*"]}])
    yield made
    dispatching.forget()


def reload(folder: Path, **texts: str) -> changes.Loading:
    """Load the folder with other texts."""
    for name, text in texts.items():
        (folder / ("rules/all.yaml" if name == "rules" else f"{name}.yaml")).write_text(text)
    return changes.load(Author())


def send(door: Door, **more: Any) -> dict[str, Any]:
    """The answer to a dispatch with this payload."""
    body = dispatching.body(payload={name: value for name, value in more.items() if name != "action_type"})
    body["action_type"] = more.get("action_type", body["action_type"])
    found: dict[str, Any] = dispatching.send(door, body).json
    return found


def test_a_rule_mutes_what_would_go_out(door: Door) -> None:
    """Inside a calendar that mutes, outside of those in which it is active; with the calendar, and why."""
    with time_machine.travel(NIGHT, tick=False):
        muted = send(door, quiet=True)
        assert {name: muted[name] for name in ("outcome", "interval", "rule")} == {
            "outcome": "muted",
            "interval": "nights",
            "rule": "by-day",
        }
        assert muted["reason"] == "it is a time of the calendar 'nights'"
        assert send(door, office=True)["outcome"] == "accepted"
        tagged = door.call("POST", "/compat/v1/dispatch", json=dispatching.body(payload={"quiet": True})).json
        assert tagged["Muted"]["interval"] == "nights"
        foretold = door.call("POST", "/v1/dispatch?dry_run=true", json=dispatching.body(payload={"quiet": True})).json
        assert (foretold["verdict"], foretold["matched_rule"]) == ("mute", "by-day")
        assert send(door, quiet=True, action_type="never")["outcome"] == "suppressed"
    with time_machine.travel(DAY, tick=False):
        assert send(door, quiet=True)["outcome"] == "accepted"
        assert send(door, office=True)["reason"] == "it is no time of the calendar 'nights'"
    [record] = door.call("GET", f"/v1/audit/{muted['action_id']}?all=true").json["records"]
    assert (record["outcome"], record["matched_rule"]) == ("muted", "by-day")
    why = door.call("GET", f"/v1/audit/{muted['action_id']}/why").json
    assert (why["reasons"][0]["kind"], why["reasons"][0]["interval"]) == ("calendar", "nights")


def test_evaluation_shows_it(door: Door) -> None:
    """At a given moment: the calendar, and the rule that it mutes."""
    asked = {"namespace": "n", "tenant": "default", "provider": "drill", "action_type": "t", "payload": {"quiet": True}}
    night = door.call("POST", "/v1/rules/evaluate", json={**asked, "evaluate_at": NIGHT}).json
    assert (night["verdict"], night["muted_by"], night["matched_rule"]) == ("allow", "nights", "by-day")
    [entry] = [one for one in night["trace"] if one["rule_name"] == "by-day"]
    assert entry["muted"]["interval"] == "nights"
    assert door.call("POST", "/v1/rules/evaluate", json={**asked, "evaluate_at": DAY}).json["muted_by"] is None


def test_triggers_are_muted_as_well(door: Door, tmp_path: Path) -> None:
    """The execution is cancelled with the code ``muted``, and its record says so."""
    rule = "rules: [{name: by-day, condition: {field: action.origin, eq: trigger}, action: {type: allow},"
    assert not reload(tmp_path, rules=f"{rule} mute_time_intervals: [nights]}}]").errors
    action = door.create(name="Look")["id"]
    with time_machine.travel(NIGHT, tick=False):
        answer = door.call("POST", f"/api/actions/{action}/trigger", json={}).json["data"]
    assert (answer["status"], answer["rule"], answer["interval"]) == ("cancelled", "by-day", "nights")
    shown = door.call("GET", f"/api/actions/executions/{answer['execution_id']}").json["data"]
    assert shown["error"]["code"] == "muted"
    [record] = door.call("GET", "/v1/audit?outcome=muted").json["records"]
    assert record["action_id"] == answer["execution_id"]


def test_a_file_names_calendars_that_there_are(door: Door, tmp_path: Path) -> None:
    """Of a file or made by a request; an unknown one is a fault, and so is one name for two."""
    unknown = reload(tmp_path, rules=RULES.replace("[nights]", "[night]"))
    assert "did you mean 'nights'" in unknown.errors[0]
    assert not reload(tmp_path, rules=RULES).errors
    assert door.call("POST", "/v1/time-intervals", json=SUNDAYS).status_code == 201
    assert not reload(tmp_path, rules=RULES.replace("[nights]", "[sundays]", 1)).errors
    twice = reload(tmp_path, time_intervals=NIGHTS.replace("name: nights", "name: sundays"))
    assert any("a request has made a calendar of this name" in error for error in twice.errors)
    refused = assert_problem(door.call("DELETE", "/v1/time-intervals/sundays"), 409)
    assert refused["code"] == "calendar_in_use"
    assert "by-day" in refused["detail"]


def test_requests_make_change_and_delete_calendars(door: Door) -> None:
    """201, 200, 204; those of files stay as they are; the answer comes when they are in force."""
    made = door.call("POST", "/v1/time-intervals", json=SUNDAYS)
    assert (made.status_code, made.json["source"]) == (201, "api")
    assert current.held().calendars["sundays"].contains(1_795_348_800_000)  # Sunday, 22 November 2026
    assert assert_problem(door.call("POST", "/v1/time-intervals", json=SUNDAYS), 409)["code"] == "calendar_exists"
    listed = door.call("GET", "/v1/time-intervals").json["time_intervals"]
    assert [(one["name"], one["source"], one["rules"]) for one in listed] == [
        ("nights", "file", ["by-day", "office"]),
        ("sundays", "api", []),
    ]
    changed = door.call("PUT", "/v1/time-intervals/sundays", json={"time_intervals": [{"weekdays": ["monday"]}]})
    assert (changed.status_code, changed.json["time_intervals"]) == (200, [{"weekdays": ["monday"]}])
    assert not current.held().calendars["sundays"].contains(1_795_348_800_000)
    for method in ("PUT", "DELETE"):
        body = {"json": {"time_intervals": [{"years": ["2026"]}]}} if method == "PUT" else {}
        assert assert_problem(door.call(method, "/v1/time-intervals/nights", **body), 409)["code"] == "defined_in_file"
        assert_problem(door.call(method, "/v1/time-intervals/sunday", **body), 404)
    bad = {"name": "bad", "time_intervals": [{"weekdays": ["someday"]}, {}]}
    problem = assert_problem(door.call("POST", "/v1/time-intervals", json=bad), 400)
    pointers = [one["pointer"] for one in problem["errors"]]
    assert pointers == ["/time_intervals/0/weekdays/0", "/time_intervals/1"]
    own = door.key("operator")
    assert_problem(door.call("POST", "/v1/time-intervals", own, json={**SUNDAYS, "name": "mine"}), 403)
    assert door.call("DELETE", "/v1/time-intervals/sundays").status_code == 204
    assert "sundays" not in current.held().calendars


def test_a_rollback_to_a_calendar_that_is_gone_is_refused(door: Door, tmp_path: Path) -> None:
    """What was in force stays."""
    assert door.call("POST", "/v1/time-intervals", json=SUNDAYS).status_code == 201
    with_it = reload(tmp_path, rules=RULES.replace("[nights]", "[sundays]", 1)).generation
    assert not reload(tmp_path, rules=RULES).errors
    assert door.call("DELETE", "/v1/time-intervals/sundays").status_code == 204
    back = door.call("POST", "/v1/rules/rollback", json={"generation": with_it})
    assert assert_problem(back, 409)["code"] == "calendar_missing"


def test_a_schedule_rests_during_a_calendar(door: Door) -> None:
    """Its times there are left out, shown and fired; the calendar stays as long as it is named."""
    assert door.call("POST", "/v1/time-intervals", json=SUNDAYS).status_code == 201
    with time_machine.travel("2026-11-21T11:00:00Z", tick=False) as clock:  # a Saturday
        body = {"namespace": "n", "tenant": "default", "cron_expr": "0 12 * * *", "skip_during": ["sundays", "nights"]}
        more = {"provider": "drill", "action_type": "t", "payload": {}}
        made = door.call("POST", "/v1/recurring", json={**body, **more}).json
        assert [one[:10] for one in made["next"]] == [f"2026-11-{day}" for day in (21, 23, 24, 25, 26)]
        path = f"/v1/recurring/{made['id']}"
        assert door.call("GET", path).json["skip_during"] == ["sundays", "nights"]
        refused = assert_problem(door.call("DELETE", "/v1/time-intervals/sundays"), 409)
        assert made["id"] in refused["detail"]
        clock.shift(3660)
        for _ in range(3):
            recurring.fire_due(TimeSlice())
            clock.shift(24 * 3600)
        history = door.call("GET", f"{path}/history").json["firings"]
        assert [(one["execution_time"][:10], one["outcome"]) for one in history] == [
            ("2026-11-23", "accepted"),
            ("2026-11-22", "skipped"),
            ("2026-11-21", "accepted"),
        ]
        assert history[1]["reason"]["code"] == "skip_during"
        table = transitions.executions
        with db.read() as connection:
            rows = list(connection.execute(table.select()))
        assert [json.loads(row.input)["labels"] for row in rows] == [{"recurring": made["id"]}] * 2
        assert door.call("PUT", path, json={"skip_during": None}).json["skip_during"] == []
        assert door.call("DELETE", "/v1/time-intervals/sundays").status_code == 204
