"""Silences: what they keep from going out, when, and what is written down of it."""

import json
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from config.times import stamp
from gateway import current
from store.engine import db
from store.executions import transitions
from store.gateway import configurations
from tasks.attempts import action as attempts
from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tests.support import dispatching
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send
from tests.support.waiting import eventually

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {seen: true}}
  pager: {kind: mock, behaviour: answer, answer: {paged: true}}
"""
RULES = """\
rules:
  - {name: no-spam, condition: {field: action.payload.spam, eq: true}, action: {type: suppress, reason: spam}}
  - {name: page, condition: {field: action.payload.page, eq: true}, action: {type: reroute, target_provider: pager}}
"""
WARNINGS = [{"name": "severity", "op": "=", "value": "warning"}]


@pytest.fixture
def door(first_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The application, with two providers and two rules in force."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, rules=RULES)
    yield Door()
    dispatching.forget()


def silence(door: Door, key: str = "", **more: Any) -> dict[str, Any]:
    """Make a silence; what is answered."""
    given = {"matchers": WARNINGS, "duration_seconds": 3600, "comment": "CHG-1", **more}
    answer = door.call("POST", "/v1/silences", json=given, key=key)
    assert answer.status_code == 201, answer.text
    return answer.json


def warning(severity: str = "warning", **more: Any) -> dict[str, Any]:
    """A dispatch with a label."""
    return body(metadata={"severity": severity}, **more)


def outcome(door: Door, given: Any) -> str:
    """What becomes of a dispatch when it is accepted; ``accepted``: it goes out."""
    return str(send(door, given, headers={"Prefer": "respond-async"}).json["outcome"])


def why(door: Door, action_id: str) -> dict[str, Any]:
    """Why something was stopped."""
    answer = door.call("GET", f"/v1/audit/{action_id}/why")
    assert answer.status_code == 200, answer.text
    return answer.json


def rows_of(*ids: str) -> list[Any]:
    """The rows of executions, in their order."""
    table = transitions.executions
    with db.read() as connection:
        found = {row.id: row for row in connection.execute(table.select().where(table.c.id.in_(ids)))}
    return [found[one] for one in ids]


def test_what_a_silence_matches_is_kept_from_going_out(door: Door) -> None:
    """The answer and the record name the silence and the rule that would have applied; others go out."""
    made = silence(door)
    assert (made["status"], made["silent"], made["author"] != "") == ("active", True, True)
    answer = send(door, warning(payload={"page": True})).json
    assert (answer["outcome"], answer["silence_id"], answer["reason"]) == ("silenced", made["id"], "CHG-1")
    assert (answer["rule"], answer["held"], answer["until"]) == ("page", False, made["ends_at"])
    record = door.call("GET", f"/v1/audit/{answer['action_id']}").json
    assert (record["outcome"], record["verdict"], record["matched_rule"]) == ("silenced", "reroute", "page")
    assert record["details"]["silence"]["id"] == made["id"]
    assert outcome(door, warning("critical")) == "accepted"
    assert outcome(door, body()) == "accepted"
    assert outcome(door, warning(payload={"spam": True})) == "suppressed"  # a rule stops it already
    tagged = send(door, warning(), path="/compat/v1/dispatch").json
    assert tagged == {"Silenced": {"silence_id": made["id"], "matched_rule": None}}
    assert send(door, warning(), path="/v1/dispatch?dry_run=true").json["verdict"] == "silence"


def test_a_silence_is_asked_about_what_would_go_out(door: Door) -> None:
    """The provider is that to which a rule sends it."""
    silence(door, matchers=[{"name": "action.provider", "op": "=", "value": "pager"}])
    assert outcome(door, warning(payload={"page": True})) == "silenced"
    assert outcome(door, warning()) == "accepted"


def test_the_operators_read_labels_and_fields(door: Door) -> None:
    """A missing value reads as empty text; a regular expression matches the whole of it."""
    scenes: list[tuple[list[dict[str, str]], Any, bool]] = [
        ([{"name": "severity", "op": "=~", "value": "warn"}], warning(), False),
        ([{"name": "severity", "op": "=~", "value": "warn.*|info"}], warning(), True),
        ([*WARNINGS, {"name": "team", "op": "!=", "value": "soc"}], warning(), True),
        ([*WARNINGS, {"name": "team", "op": "!~", "value": "s.*"}], warning(), True),
        ([*WARNINGS, {"name": "team", "op": "=~", "value": ".+"}], warning(), False),
        ([{"name": "action.payload.n", "op": "=", "value": "5"}], warning(payload={"n": 5}), True),
        ([{"name": "action.payload.ok", "op": "equal", "value": "true"}], warning(payload={"ok": True}), True),
        ([{"name": "action.action_type", "op": "=~", "value": "send_.*"}, *WARNINGS], warning(), True),
        ([{"name": "action.tenant", "op": "=", "value": "other"}, *WARNINGS], warning(), False),
    ]
    for matchers, given, expected in scenes:
        made = silence(door, matchers=matchers)
        assert (outcome(door, given) == "silenced") is expected, matchers
        assert door.call("DELETE", f"/v1/silences/{made['id']}").status_code == 200


def test_delete_ends_a_silence_and_keeps_it(door: Door) -> None:
    """It is listed among the ended ones; everything is audited."""
    made = silence(door)
    ended = door.call("DELETE", f"/v1/silences/{made['id']}").json
    assert (ended["status"], ended["silent"], ended["ended_by"] is not None) == ("ended", False, True)
    assert outcome(door, warning()) == "accepted"
    assert door.call("DELETE", f"/v1/silences/{made['id']}").json["ended_at"] == ended["ended_at"]
    assert door.call("GET", "/v1/silences").json["silences"] == []
    assert door.call("GET", "/v1/silences?status=ended").json["count"] == 1
    assert door.call("GET", f"/v1/silences/{made['id']}").json["comment"] == "CHG-1"
    changed = {"matchers": WARNINGS, "duration_seconds": 60, "comment": "again"}
    assert_problem(door.call("PUT", f"/v1/silences/{made['id']}", json=changed), 409)
    with db.read() as connection:
        events = connection.exec_driver_sql(
            f"SELECT event FROM audit WHERE subject = '{made['id']}' ORDER BY id"
        ).scalars()
        assert list(events) == ["silence.created", "silence.ended"]


def test_a_change_takes_the_place_of_what_was(door: Door) -> None:
    """Matchers, times and comment are written anew; the begin stays unless it is given."""
    made = silence(door)
    other = {"matchers": [{"name": "severity", "value": "info"}], "duration_seconds": 7200, "comment": "CHG-2"}
    changed = door.call("PUT", f"/v1/silences/{made['id']}", json=other).json
    assert (changed["comment"], changed["starts_at"]) == ("CHG-2", made["starts_at"])
    assert [outcome(door, warning(word)) for word in ("warning", "info")] == ["accepted", "silenced"]


def test_a_parent_tenant_covers_its_children(door: Door) -> None:
    """One of a workspace's own key covers no other; a foreign tenant neither sees nor changes it."""
    key = door.key(grants=[{"tenants": ["acme"]}])
    made = silence(door, tenant="acme", key=key)
    for tenant, expected in (("acme", "silenced"), ("acme.eu", "silenced"), ("acme-corp", "accepted")):
        every = door.key(grants=[{"tenants": ["*"]}])
        answer = send(door, warning(tenant=tenant), key=every, headers={"Prefer": "respond-async"}).json
        assert answer["outcome"] == expected, tenant
    own = door.key(workspace="acme.eu")
    assert_problem(door.call("GET", f"/v1/silences/{made['id']}", key=own), 404)
    assert_problem(door.call("DELETE", f"/v1/silences/{made['id']}", key=own), 404)
    assert_problem(door.call("POST", "/v1/silences", json={"tenant": "acme", **_new()}, key=own), 403)
    assert door.call("GET", "/v1/silences", key=own).json["count"] == 0
    mine = silence(door, key=own)
    assert (mine["tenant"], mine["covers_children"]) == ("acme.eu", False)


def _new(**more: Any) -> dict[str, Any]:
    return {"matchers": WARNINGS, "duration_seconds": 60, "comment": "c", **more}


_WINDOW = {"cron": "0 22 * * *", "duration_minutes": 60, "duration_seconds": None}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"matchers": []}, "/matchers"),
        ({"matchers": None}, "/matchers"),
        ({"matchers": "severity=warning"}, "/matchers"),
        ({"matchers": [{"name": "severity", "op": "!=", "value": "x"}]}, "/matchers"),
        ({"matchers": [{"name": "severity", "op": "=~", "value": ".*"}]}, "/matchers"),
        ({"matchers": [{"name": "severity", "value": ""}]}, "/matchers"),
        ({"matchers": [{"name": "action.provider", "op": "=~", "value": "(?s).+"}]}, "/matchers"),
        ({"matchers": [{"name": "action.provider", "op": "!=", "value": ""}]}, "/matchers"),
        ({"matchers": [{"name": "action.tenant", "value": "default"}]}, "/matchers"),
        ({"matchers": [{"name": "action.payload", "op": "!=", "value": ""}]}, "/matchers"),
        ({"matchers": [{"name": "action.payload", "op": "=~", "value": r"(?s)\{.*\}"}]}, "/matchers"),
        ({"matchers": [{"name": "action.metadata", "op": "!=", "value": ""}]}, "/matchers"),
        ({"matchers": [{"name": "action.caller", "op": "=~", "value": ".+"}]}, "/matchers"),
        ({"matchers": [{"name": "action.id", "op": "!=", "value": ""}]}, "/matchers"),
        ({"matchers": [{"name": "severity", "op": "=~", "value": "("}]}, "/matchers/0/value"),
        ({"matchers": [{"name": "severity", "op": "=~", "value": r"(a)\1"}]}, "/matchers/0/value"),
        ({"matchers": [{"name": "severity", "op": "~", "value": "a"}]}, "/matchers/0/op"),
        ({"matchers": [{"name": "provider", "value": "a"}]}, "/matchers/0/name"),
        ({"matchers": [{"name": "time.hour", "value": "3"}]}, "/matchers/0/name"),
        ({"matchers": [{"name": "action.payload.password", "value": "3"}]}, "/matchers/0/name"),
        ({"matchers": [{"name": "severity", "value": "a", "isRegex": True}]}, "/matchers/0/isRegex"),
        ({"matchers": [{"name": "severity", "value": 5}]}, "/matchers/0/value"),
        ({"matchers": WARNINGS * 21}, "/matchers"),
        ({"comment": ""}, "/comment"),
        ({"comment": "  "}, "/comment"),
        ({"comment": None}, "/comment"),
        ({"duration_seconds": None}, "/ends_at"),
        ({"duration_seconds": 0}, "/duration_seconds"),
        ({"duration_seconds": 3650 * 86_400}, "/duration_seconds"),
        ({"duration_seconds": None, "ends_at": "2040-01-01T00:00:00Z"}, "/ends_at"),
        ({"duration_seconds": None, "ends_at": "2020-01-01T00:00:00Z"}, "/ends_at"),
        ({"duration_seconds": None, "ends_at": "tomorrow"}, "/ends_at"),
        ({"ends_at": "2040-01-01T00:00:00Z"}, "/ends_at"),
        ({"starts_at": "9999-12-31T23:59:59Z"}, "/starts_at"),
        ({**_WINDOW, "starts_at": "0001-01-01T00:00:00+14:00"}, "/starts_at"),
        ({"duration_minutes": 5}, "/duration_minutes"),
        ({"timezone": "Europe/Berlin"}, "/timezone"),
        ({**_WINDOW, "duration_minutes": 24 * 60 + 1}, "/duration_minutes"),
        ({**_WINDOW, "duration_minutes": None}, "/duration_minutes"),
        ({**_WINDOW, "cron": "0 22 * *"}, "/cron"),
        ({**_WINDOW, "cron": "0 0 30 2 *"}, "/cron"),
        ({**_WINDOW, "timezone": "Mars/Base"}, "/timezone"),
        ({**_WINDOW, "duration_seconds": 60}, "/duration_seconds"),
        ({**_WINDOW, "remind_before_minutes": 5, "notify": "drill"}, "/remind_before_minutes"),
        ({"after": "forget"}, "/after"),
        ({"after": "summarise"}, "/notify"),
        ({"notify": "drill"}, "/notify"),
        ({"after": "summarise", "notify": "nowhere"}, "/notify"),
        ({"remind_before_minutes": 5, "notify": "drill"}, "/remind_before_minutes"),
        ({"until": "x"}, "/until"),
        ({"tenant": "a b"}, "/tenant"),
    ],
)
def test_what_cannot_be_meant_is_refused(sqlite_database: str, given: dict[str, Any], pointer: str) -> None:
    """Each with a fault that names the member; nothing is made."""
    door = Door()
    whole = {name: value for name, value in {**_new(), **given}.items() if value is not None or name in given}
    key = door.key(grants=[{"tenants": ["*"]}])
    answer = door.call("POST", "/v1/silences", json=whole, key=key)
    assert pointer in [one["pointer"] for one in assert_problem(answer, 400)["errors"]], answer.text
    assert door.call("GET", "/v1/silences", key=key).json["count"] == 0


def test_the_end_of_an_alert_passes_a_silence_that_let_its_firing_pass(door: Door) -> None:
    """The end of one that was kept back is kept back, too."""

    def alert(fingerprint: str, status: str) -> dict[str, Any]:
        return warning(fingerprint=fingerprint, status=status)

    assert outcome(door, alert("before", "firing")) == "accepted"
    silence(door)
    assert outcome(door, alert("during", "firing")) == "silenced"
    assert outcome(door, alert("before", "resolved")) == "accepted"
    assert outcome(door, alert("during", "resolved")) == "silenced"
    by_labels = warning(payload={"status": "firing"})
    assert outcome(door, by_labels) == "silenced"
    assert outcome(door, warning(payload={"status": "Resolved"})) == "silenced"
    other = body(metadata={"severity": "warning", "host": "b", "status": "resolved"})
    assert outcome(door, other) == "accepted"


def test_actions_and_steps_are_silenced_too(door: Door) -> None:
    """A triggered action is cancelled, with silence and reason; the step of a run is skipped."""
    door.create(id="block")
    made = silence(door, matchers=[{"name": "action.action_type", "op": "=", "value": "block"}])
    execution_id = door.trigger("block")
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert (shown["status"], shown["error"]["code"]) == ("cancelled", "silenced")
    record = door.call("GET", f"/v1/audit/{execution_id}").json
    assert (record["outcome"], record["verdict"]) == ("silenced", "allow")
    assert made["id"] in shown["error"]["message"]


def test_an_end_by_time_needs_no_change(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process knows by itself when a silence begins and ends."""
    silence(door, duration_seconds=60)
    assert outcome(door, warning()) == "silenced"
    now = db.now_ms()
    monkeypatch.setattr(db, "now_ms", lambda: now + 60_001)
    assert outcome(door, warning()) == "accepted"


def let_go(ids: list[str]) -> None:
    """Look after what is due until all of these go out, one after the other."""

    def look() -> bool:
        sweep.handle_due(TimeSlice())
        return {row.status for row in rows_of(*ids)} == {"pending"}

    eventually(look, 10, "all go out")


def test_held_ones_go_out_in_order_when_the_silence_is_ended(door: Door) -> None:
    """Each once; what comes later goes out at once."""
    made = silence(door, after="release")
    answers = [send(door, warning(id=f"w{number}")).json for number in range(5)]
    assert {one["outcome"] for one in answers} == {"silenced"}
    assert all(one["held"] for one in answers)
    with db.read() as connection:
        table = transitions.executions
        ids = [row.id for row in connection.execute(table.select().order_by(table.c.id))]
    rows = rows_of(*ids)
    assert [row.status for row in rows] == ["waiting"] * 5
    assert sorted(row.due_at for row in rows) == [row.due_at for row in rows]
    door.call("DELETE", f"/v1/silences/{made['id']}")
    let_go(ids)
    for one in ids:
        attempts.attempt(one)
    assert [row.status for row in rows_of(*ids)] == ["completed"] * 5
    assert door.call("GET", "/v1/audit/w3").json["outcome"] == "executed"
    assert outcome(door, warning()) == "accepted"


def test_no_more_than_a_thousand_are_held(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exceeds is dropped, with its record."""
    from store.gateway import silences

    monkeypatch.setattr(silences, "MOST_HELD", 2)
    silence(door, after="release")
    answers = [send(door, warning()).json for _ in range(4)]
    assert [one["held"] for one in answers] == [True, True, False, False]
    assert door.call("GET", "/v1/audit?outcome=silenced").json["total"] == 2


def test_a_change_of_the_end_moves_what_is_held(door: Door) -> None:
    """It goes out at the new end."""
    made = silence(door, after="release")
    send(door, warning(id="w"))
    later = {"matchers": WARNINGS, "duration_seconds": 7200, "comment": "longer", "after": "release"}
    changed = door.call("PUT", f"/v1/silences/{made['id']}", json=later).json
    with db.read() as connection:
        [due_at] = connection.execute(transitions.executions.select()).all()
    assert abs(due_at.due_at - _ms(changed["ends_at"])) < 5_000


def test_what_is_held_keeps_its_order_when_the_end_is_moved(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes later goes out later; one silence holds no more than before."""
    monkeypatch.setattr("store.gateway.silences.MOST_HELD", 5)
    made = silence(door, after="release")
    later = {"matchers": WARNINGS, "duration_seconds": 7200, "comment": "longer", "after": "release"}
    ids = [send(door, warning()).json["action_id"] for _ in range(3)]
    assert door.call("PUT", f"/v1/silences/{made['id']}", json=later).status_code == 200
    answers = [send(door, warning()).json for _ in range(3)]
    assert [one["held"] for one in answers] == [True, True, False]
    times = [row.due_at for row in rows_of(*ids, *(one["action_id"] for one in answers[:2]))]
    assert times == list(range(times[0], times[0] + 5))


def test_why_tells_when_what_is_held_goes_out(door: Door) -> None:
    """Also where the end was moved since it was held, and where the silence was ended before its time."""
    made = silence(door, after="release")
    held = send(door, warning()).json["action_id"]
    later = {"matchers": WARNINGS, "duration_seconds": 7200, "comment": "longer", "after": "release"}
    assert door.call("PUT", f"/v1/silences/{made['id']}", json=later).status_code == 200
    due_at = stamp(rows_of(held)[0].due_at)
    told = why(door, held)
    assert told["reasons"][0]["until"] == due_at
    assert f"holds it; it goes out at {due_at}" in told["sentences"][0]
    door.call("DELETE", f"/v1/silences/{made['id']}")
    assert f"goes out at {stamp(rows_of(held)[0].due_at)}" in why(door, held)["sentences"][0]
    assert sweep.handle_due(TimeSlice()) == 1
    assert f"which was to pass at {made['ends_at']}, held it" in why(door, held)["sentences"][0]


def _ms(moment: str) -> int:
    from datetime import datetime

    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def test_the_example_is_a_weekly_window(door: Door) -> None:
    """It is made as it stands."""
    given = json.loads(Path("examples/silences/weekly-window.json").read_text())
    made = door.call("POST", "/v1/silences", json=given)
    assert (made.status_code, made.json["cron"], made.json["ends_at"]) == (201, "0 22 * * sat", None)


def test_batches_that_cross_never_wait_for_each_other(door: Door) -> None:
    """Of several silences and alerts, in any order: each dispatch is held or dropped once."""
    for word in ("a", "b"):
        silence(door, matchers=[{"name": "severity", "value": word}], after="release")
        silence(door, matchers=[{"name": "severity", "value": word * 2}])
    words = ["a", "b", "aa", "bb"] * 5
    chance, answers = random.Random(2), []

    def run(seed: int) -> None:
        mine = random.Random(seed).sample(words, len(words))
        given = [warning(word, fingerprint=f"{word}-{number % 3}") for number, word in enumerate(mine)]
        answers.append(Door().call("POST", "/v1/dispatch/batch", json=given).json)

    threads = [threading.Thread(target=run, args=(chance.randrange(1_000),)) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = [item["outcome"]["held"] for batch in answers for item in batch]
    assert (len(found), sum(found)) == (120, 60)


def test_nothing_is_asked_where_there_is_no_silence(door: Door) -> None:
    """And silences that concern another tenant cost one look into memory."""
    assert current.held().silences.by_id == {}
    with db.read() as connection:
        assert configurations.stored(connection).silences == []


def test_why_tells_rule_silence_and_condition(door: Door) -> None:
    """In sentences and as data; also of what is held still."""
    made = silence(door)
    dropped = send(door, warning(payload={"page": True})).json["action_id"]
    told = why(door, dropped)
    assert (told["outcome"], [one["kind"] for one in told["reasons"]]) == ("silenced", ["silence", "rule"])
    kept, rule = told["reasons"]
    assert (kept["silence_id"], kept["until"], kept["would"]) == (made["id"], made["ends_at"], "reroute")
    assert (rule["rule"], rule["applied"], rule["condition"]) == ("page", False, "action.payload.page eq true")
    assert "passes at" in told["sentences"][0]
    assert "would have applied" in told["sentences"][1]
    spam = why(door, send(door, body(payload={"spam": True})).json["action_id"])
    assert spam["reasons"][0]["condition"] == "action.payload.spam eq true"
    assert spam["sentences"] == ["The rule 'no-spam' suppresses it, because action.payload.spam eq true: spam."]
    door.call("DELETE", f"/v1/silences/{made['id']}")
    silence(door, after="release")
    send(door, warning())
    with db.read() as connection:
        [row] = connection.execute(transitions.executions.select()).all()
    held = why(door, row.id)
    assert (held["outcome"], held["status"], held["reasons"][0]["held"]) == (None, "waiting", True)
    assert "holds it" in held["sentences"][0]
    assert_problem(door.call("GET", "/v1/audit/nothing/why"), 404)
    stranger = door.key(workspace="elsewhere")
    for one in (row.id, dropped):
        assert_problem(door.call("GET", f"/v1/audit/{one}/why", key=stranger), 404)


def test_why_tells_of_what_is_gathered_and_of_what_moves_an_event(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In sentences."""
    machines = "state_machines:\n  - {name: alert, initial_state: open, states: [open]}\n"
    rules = (
        "rules:\n"
        "  - {name: many, condition: {field: action.payload.many, eq: true}, action: {type: group,"
        " group_by: [payload.many]}}\n"
        "  - {name: alerts, condition: {field: action.payload.alert, eq: true}, action: {type: state_machine,"
        " state_machine: alert}}\n"
    )
    dispatching.put_in_force(monkeypatch, tmp_path, rules=rules, state_machines=machines)
    gathered = send(door, body(payload={"many": True})).json["action_id"]
    moved = send(door, body(payload={"alert": True}, fingerprint="a")).json["action_id"]
    assert why(door, gathered)["sentences"] == ["The rule 'many' gathers it with others."]
    assert why(door, moved)["sentences"] == ["The rule 'alerts' moves its event."]


def test_a_tenant_has_so_many_silences_and_no_more(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children count for it; another one still makes its own; one that has ended makes room."""
    monkeypatch.setenv("TOCSIN_TENANT_SILENCES", "2")
    settings.cache_clear()
    everywhere = door.key(grants=[{"tenants": ["*"]}])
    first = silence(door)
    given = {"matchers": WARNINGS, "comment": "CHG-3", "duration_seconds": 60}
    for tenant in ("default.eu", "defaults", "default-eu.fr"):
        answer = door.call("POST", "/v1/silences", key=everywhere, json={**given, "tenant": tenant})
        assert answer.status_code == 201, answer.text
    for tenant in ("default", "default.eu", "default.us.web"):
        answer = door.call("POST", "/v1/silences", key=everywhere, json={**given, "tenant": tenant})
        problem = assert_problem(answer, 409)
        assert problem["code"] == "too_many_silences"
        assert "2 silences of the tenant 'default' and its children" in problem["detail"]
    other = door.key(workspace="other")
    assert door.call("POST", "/v1/silences", key=other, json=given).status_code == 201
    door.call("DELETE", f"/v1/silences/{first['id']}")
    assert door.call("POST", "/v1/silences", json=given).status_code == 201
