"""The end of an alert, where a silence has kept its firing back or let it pass: notices of events, and windows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playbooks.states import Status
from store import audit
from store.engine import db
from store.executions import transitions
from store.gateway import silences
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send

_DAY = 86_400_000
PROVIDERS = "providers:\n  drill: {kind: mock}\n  mail: {kind: mock}\n"
MACHINES = """\
state_machines:
  - name: alert
    initial_state: open
    states: [open, firing, resolved]
    transitions:
      - {from: [open, resolved], to: firing, notify: true, provider: mail}
      - {from: firing, to: resolved, notify: true, provider: mail}
"""
RULES = """\
rules:
  - name: asked
    condition: {field: action.action_type, eq: asked}
    action: {type: require_approval, requester_may_approve: true}
  - name: together
    condition: {field: action.action_type, eq: together}
    action: {type: group, group_by: [metadata.severity], group_wait_seconds: 600}
  - name: alerts
    condition: {field: action.action_type, eq: alert}
    action: {type: state_machine, state_machine: alert}
"""


@pytest.fixture
def door(first_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application, with events whose notices go out by ``mail``."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES, state_machines=MACHINES)
    yield Door()
    dispatching.forget()


def silence(door: Door, **more: Any) -> str:
    """Make a silence of what goes out by ``mail``; its id."""
    given = {"matchers": [{"name": "action.provider", "value": "mail"}], "comment": "CHG-1", **more}
    answer = door.call("POST", "/v1/silences", json=given)
    assert answer.status_code == 201, answer.text
    found: str = answer.json["id"]
    return found


def move(door: Door, status: str, fingerprint: str = "a-1") -> None:
    """Dispatch what moves an event."""
    answer = send(door, body(action_type="alert", fingerprint=fingerprint, status=status))
    assert answer.json["new_state"] == status


def notices() -> list[tuple[str, str]]:
    """The notices that go out, or wait: the state that each makes known, and its status; in the order of going out."""
    with db.read() as connection:
        rows = connection.execute(transitions.executions.select()).all()
    rows.sort(key=lambda row: (row.due_at or 0, row.created_at))
    return [(transitions.load(row.input)["payload"]["new_state"], row.status) for row in rows]


def test_the_notice_of_an_end_is_kept_back_with_that_of_the_firing(door: Door) -> None:
    """Nobody hears of the end of what nobody has heard of; the end of what went out before passes."""
    move(door, "firing", "before")
    silence(door, duration_seconds=3600)
    move(door, "firing")
    move(door, "resolved")
    assert notices() == [("firing", Status.PENDING)]
    move(door, "resolved", "before")
    assert sorted(notices()) == [("firing", Status.PENDING), ("resolved", Status.PENDING)]


def test_the_notice_of_an_end_never_overtakes_that_of_the_firing(door: Door) -> None:
    """A silence that holds the one holds the other behind it."""
    silence(door, duration_seconds=3600, after="release")
    move(door, "firing")
    move(door, "resolved")
    assert notices() == [("firing", Status.WAITING), ("resolved", Status.WAITING)]


def test_a_window_keeps_back_the_end_of_what_fired_while_it_was_open(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has fired between two windows has gone out: its end passes the next window."""

    def outcome(status: str) -> str:
        given = body(provider="mail", fingerprint="w-1", status=status)
        return str(send(door, given, headers=dispatching.AT_ONCE).json["outcome"])

    silence(door, cron="0 0 * * *", duration_minutes=60)
    first = (db.now_ms() // _DAY + 1) * _DAY
    scenes = [
        (60_000, "firing", "silenced"),
        (120_000, "resolved", "silenced"),
        (180_000, "firing", "silenced"),
        (2 * 3_600_000, "firing", "accepted"),
        (_DAY + 60_000, "resolved", "accepted"),
    ]
    for after, status, expected in scenes:
        for module in (db, audit, silences):
            monkeypatch.setattr(module, "now_ms", lambda after=after: first + after)
        assert outcome(status) == expected, after


def test_a_firing_that_passes_clears_what_was_held_before_it(door: Door) -> None:
    """Its end goes out, too, and no older firing comes after it; another alert stays held."""
    warnings = [{"name": "severity", "value": "warning"}]
    silence(door, matchers=warnings, after="release", duration_seconds=3600)

    def tell(severity: str, status: str, fingerprint: str = "f-1") -> dict[str, Any]:
        labels = {"metadata": {"severity": severity}, "fingerprint": fingerprint, "status": status}
        answer = send(door, body(provider="mail", **labels), headers=dispatching.AT_ONCE).json
        found: dict[str, Any] = answer
        return found

    held, other = tell("warning", "firing"), tell("warning", "firing", "f-2")
    assert (held["outcome"], other["outcome"]) == ("silenced", "silenced")
    assert tell("critical", "firing")["outcome"] == "accepted"
    assert tell("warning", "resolved")["outcome"] == "accepted"
    assert tell("warning", "resolved", "f-2")["outcome"] == "silenced"
    ended = door.call("GET", f"/v1/dispatch/{held['action_id']}").json
    assert (ended["outcome"], ended["error"]["code"]) == ("failed", "superseded")
    assert door.call("GET", f"/v1/dispatch/{other['action_id']}").json["outcome"] == "accepted"


@pytest.mark.parametrize("kind", ["asked", "together"])
def test_a_firing_clears_it_however_it_passes(door: Door, kind: str) -> None:
    """Once it is approved, and not before, or in a group: the end goes out, and what was held does not."""
    silence(door, matchers=[{"name": "severity", "value": "warning"}], after="release", duration_seconds=3600)

    def tell(severity: str, status: str, action_type: str) -> dict[str, Any]:
        labels = {"metadata": {"severity": severity}, "fingerprint": "f-1", "status": status}
        given = body(provider="mail", action_type=action_type, **labels)
        found: dict[str, Any] = send(door, given, headers=dispatching.AT_ONCE).json
        return found

    def of_held() -> tuple[str, str]:
        shown = door.call("GET", f"/v1/dispatch/{held['action_id']}").json
        return shown["outcome"], (shown.get("error") or {}).get("code", "")

    held = tell("warning", "firing", "alarm")
    assert held["outcome"] == "silenced"
    passes = tell("critical", "firing", kind)
    if kind == "asked":
        assert (passes["outcome"], of_held()) == ("pending_approval", ("accepted", ""))
        answer = door.call(
            "POST", f"/api/approvals/{passes['approval_id']}/approve", json={}, headers=dispatching.AT_ONCE
        )
        assert answer.status_code == 200, answer.text
    else:
        assert passes["outcome"] == "grouped"
    assert of_held() == ("failed", "superseded")
    assert tell("warning", "resolved", "alarm")["outcome"] == "accepted"
