"""Rules decide what becomes of a trigger; its execution shows what they have decided."""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.current import Stop
from store import audit
from store.engine import db
from store.executions import leases, transitions
from store.gateway import dedup
from tasks.attempts import action as attempts
from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tests.support import force, plans
from tests.support.api import Door, assert_problem, carry_out
from tests.support.force import rule
from tests.support.waiting import eventually

SECRET = "hunter2-and-more"
HOST = {"field": "action.payload.host", "eq": "h-1"}


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each database, without rules."""
    with force.clean():
        yield Door()


@pytest.fixture
def action_id(door: Door) -> str:
    """An action with a secret among its parameters."""
    declared = [{"name": "host"}, {"name": "level", "type": "number"}, {"name": "token", "type": "secret"}]
    return str(door.create(parameters=declared)["id"])


def trigger(door: Door, action_id: str, status: int = 202, headers: Any = None, **body: Any) -> dict[str, Any]:
    """The answer to a trigger about the host h-1."""
    given = {"parameters": {"host": "h-1", "token": SECRET}, **body}
    answer = door.call("POST", f"/api/actions/{action_id}/trigger", json=given, headers=headers or {})
    assert answer.status_code == status, answer.text
    return dict(answer.json["data"]) if status == 202 else assert_problem(answer, status)


def shown(door: Door, execution_id: str) -> dict[str, Any]:
    """An execution as the API shows it."""
    return dict(door.call("GET", f"/api/actions/executions/{execution_id}").json["data"])


def row_of(execution_id: str) -> Any:
    with db.read() as connection:
        return transitions.get(connection, "default", execution_id)


def test_what_no_rule_concerns_shows_nothing_of_rules(door: Door, action_id: str) -> None:
    """Without rules, and with rules that do not match, there is no verdict and no account in the row."""
    force.put(rule("others", "deny", {"field": "action.payload.host", "eq": "h-2"}))
    answer = trigger(door, action_id)
    assert "verdict" not in answer
    assert answer["status"] == "pending"
    assert "verdict" not in shown(door, answer["execution_id"])
    assert row_of(answer["execution_id"]).gate is None


@pytest.mark.parametrize(
    ("kind", "status", "code"), [("deny", "failed", "denied"), ("suppress", "cancelled", "suppressed")]
)
def test_a_stopped_trigger_has_an_execution_that_says_why(
    door: Door, action_id: str, kind: str, status: str, code: str
) -> None:
    """Answer, execution, list and audit trail tell the same; nothing is published, no secret is kept."""
    force.put(rule("freeze", kind, HOST, reason="change freeze"))
    answer = trigger(door, action_id)
    about = {"status": status, "verdict": kind, "rule": "freeze", "reason": "change freeze"}
    assert about.items() <= answer.items()
    execution = shown(door, answer["execution_id"])
    assert about.items() <= execution.items()
    assert execution["error"]["code"] == code
    assert "change freeze" in execution["error"]["message"]
    assert execution["completed_at"] is not None
    (listed,) = door.call("GET", f"/api/actions/executions?status={status}").json["data"]
    assert about.items() <= listed.items()
    row = row_of(answer["execution_id"])
    assert (row.sealed, row.due_at, row.publishes, row.attempt) == (None, None, 0, 0)
    assert SECRET not in json.dumps([str(one) for one in row])
    with db.read() as connection:
        assert [one.event for one in audit.of(connection, "default", row.id)] == [f"execution.{status}"]
    assert attempts.attempt(row.id).status == "stale"


def test_allow_and_shadow_are_recorded_and_change_nothing(door: Door, action_id: str) -> None:
    """A shadow rule shows what it would have done; the execution is carried out."""
    force.put(rule("would", "deny", HOST, mode="shadow"), rule("fine", "allow", HOST))
    answer = trigger(door, action_id)
    assert (answer["status"], answer["verdict"], answer["rule"]) == ("pending", "allow", "fine")
    assert answer["shadows"] == [{"rule": "would", "verdict": "deny"}]
    carry_out(answer["execution_id"], output={"ok": True})
    assert shown(door, answer["execution_id"])["shadows"] == [{"rule": "would", "verdict": "deny"}]


def test_a_rule_that_cannot_be_evaluated_does_not_match_and_says_so(door: Door, action_id: str) -> None:
    """The execution goes out; the problem names the rule."""
    force.put(rule("odd", "deny", {"expression": "action.payload.missing.deeper == 1"}))
    answer = trigger(door, action_id)
    assert (answer["status"], answer["verdict"], answer["rule"]) == ("pending", "allow", None)
    assert answer["problems"][0]["rule"] == "odd"


def test_a_changed_value_is_the_one_that_goes_out(door: Door, action_id: str) -> None:
    """The patch goes into the real values; the secret stays and is masked everywhere."""
    force.put(rule("tame", "modify", HOST, changes={"level": 3}))
    answer = trigger(door, action_id, parameters={"host": "h-1", "level": 9, "token": SECRET})
    assert (answer["verdict"], answer["rule"]) == ("modify", "tame")
    execution = shown(door, answer["execution_id"])
    assert execution["parameters"] == {"host": "h-1", "level": 3, "token": "********"}
    assert row_of(answer["execution_id"]).sealed is not None


def test_a_change_that_does_not_fit_is_refused_whole(door: Door, action_id: str) -> None:
    """422 names the parameter; there is no execution."""
    force.put(rule("tame", "modify", HOST, changes={"level": "high", "colour": "red"}))
    problem = trigger(door, action_id, status=422)
    assert {one["pointer"] for one in problem["errors"]} == {"/parameters/level", "/parameters/colour"}
    with db.read() as connection:
        assert connection.execute(transitions.executions.select()).all() == []


def test_secrets_are_masked_in_what_rules_read(door: Door, action_id: str) -> None:
    """A rule about the secret's value never matches, and an account never has it."""
    force.put(
        rule("peek", "deny", {"field": "action.payload.token", "eq": SECRET}),
        rule("once", "deduplicate", HOST),
    )
    answer = trigger(door, action_id)
    assert answer["rule"] == "once"
    with db.read() as connection:
        kept = [connection.execute(table.select()).all() for table in (dedup.dedup_keys, audit.audit)]
    assert SECRET not in str(kept)
    assert SECRET not in row_of(answer["execution_id"]).gate


def test_equal_triggers_go_out_once(door: Door, action_id: str) -> None:
    """The second is cancelled and names the first; a different one is not concerned."""
    force.put(rule("once", "deduplicate", ttl_seconds=60, key_fields=["payload.host"]))
    first, second = trigger(door, action_id), trigger(door, action_id)
    assert (first["status"], first["verdict"]) == ("pending", "deduplicate")
    assert (second["status"], second["verdict"], second["rule"]) == ("cancelled", "deduplicate", "once")
    assert second["equal_to"] == first["execution_id"]
    assert shown(door, second["execution_id"])["error"]["code"] == "deduplicated"
    assert trigger(door, action_id, parameters={"host": "h-2"})["status"] == "pending"


CERTAIN = {"code": "http_error", "message": "502", "outcome_unknown": False}
#: of an idempotent action, and of one that is never repeated in doubt
IN_DOUBT = {**CERTAIN, "effect_possible": True}
UNKNOWN = {**IN_DOUBT, "outcome_unknown": True}


@pytest.mark.parametrize(
    ("to", "error", "free"),
    [
        ("completed", None, False),
        ("failed", CERTAIN, True),
        ("failed", IN_DOUBT, False),
        ("failed", UNKNOWN, False),
        ("timeout", IN_DOUBT, False),
    ],
)
def test_a_key_is_free_after_a_failure_and_kept_after_an_end_in_doubt(
    door: Door, action_id: str, to: str, error: Any, free: bool
) -> None:
    """What certainly had no effect may be done again at once."""
    force.put(rule("once", "deduplicate", ttl_seconds=60))
    first = trigger(door, action_id)["execution_id"]
    carry_out(first, to, error=error)
    assert trigger(door, action_id)["status"] == ("pending" if free else "cancelled")


def late(execution_id: str, *, lost: bool) -> None:
    """Let tick find a running execution whose worker is lost, or whose time is up; other messages go nowhere."""
    now = db.now_ms()
    with db.write() as connection:
        mine = transitions.executions.update().where(transitions.executions.c.id == execution_id)
        connection.execute(mine.values(due_at=now, renewed_at=0 if lost else now, expires_at=now + 60_000 * lost))
    sweep.handle_batch({})


@pytest.mark.parametrize("end", ["once lost", "lost until the last", "out of time"])
def test_a_key_is_kept_where_tick_ends_or_repeats_an_attempt(
    door: Door, action_id: str, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """The action is idempotent; nobody knows of the lost attempt whether it had its effect."""
    monkeypatch.setattr("tasks.clock.recovery.reach.respite_ms", lambda: 0)
    force.put(rule("once", "deduplicate", ttl_seconds=60))
    first = trigger(door, action_id)["execution_id"]
    for _ in range(3 if end == "lost until the last" else 1):
        carry_out(first, "running")
        late(first, lost=end != "out of time")
    if end == "once lost":
        assert (row_of(first).status, row_of(first).lapses) == ("pending", 1)
        carry_out(first, "failed", error=CERTAIN)
    else:
        assert transitions.load(row_of(first).error)["effect_possible"] is True
    assert row_of(first).status == ("timeout" if end == "out of time" else "failed")
    assert trigger(door, action_id)["status"] == "cancelled"


@pytest.mark.parametrize("begun", [False, True])
def test_a_key_is_kept_where_an_attempt_that_had_begun_is_handed_back(door: Door, action_id: str, begun: bool) -> None:
    """Another worker fails for certain; only what had not begun is free again."""
    force.put(rule("once", "deduplicate", ttl_seconds=60))
    first = trigger(door, action_id)["execution_id"]
    carry_out(first, "running")
    with db.write() as connection:
        assert leases.hand_back(connection, first, "steps@test", 1, begun=begun)
    carry_out(first, "failed", error=CERTAIN)
    assert trigger(door, action_id)["status"] == ("cancelled" if begun else "pending")


def test_the_next_holder_of_a_key_begins_without_doubt(door: Door) -> None:
    """A key that was kept for one execution is, after its time, that of another."""
    keys = dedup.dedup_keys
    with db.write() as connection:
        assert dedup.take(connection, "default", "k", "exec-1", now=0, expires_at=10) is None
        connection.execute(dedup.marking(keys.c.execution_id == "exec-1"))
        assert dedup.take(connection, "default", "k", "exec-1", now=5, expires_at=15) is None
        assert connection.execute(sa.select(keys.c.kept)).scalar_one() is True
        assert dedup.take(connection, "default", "k", "exec-2", now=5, expires_at=20) == "exec-1"
        assert dedup.take(connection, "default", "k", "exec-2", now=15, expires_at=20) is None
        assert connection.execute(sa.select(keys.c.kept)).scalar_one() is False


@pytest.mark.parametrize(("to", "error"), [("failed", CERTAIN), ("waiting", IN_DOUBT)])
def test_keys_change_in_the_statement_that_ends_an_attempt(
    door: Door, action_id: str, monkeypatch: pytest.MonkeyPatch, to: str, error: Any
) -> None:
    """On PostgreSQL that is one; on SQLite what holds no key sends none for keys."""
    monkeypatch.setattr("tasks.messages.publisher.publish_after_commit", lambda *_: None)  # it writes what it loses
    sent = []
    for rules in ([], [rule("once", "deduplicate", ttl_seconds=60)]):
        force.put(*rules)
        execution_id = trigger(door, action_id)["execution_id"]
        carry_out(execution_id, "running")
        with plans.recorded(monkeypatch) as recorder, db.write() as connection:
            more = {"owner": "steps@test", "attempt": 1, "record": {"error": error}}
            assert transitions.finish(connection, execution_id, to, **more)
        sent.append([text for text in recorder.sent if re.search("executions|dedup_keys|audit", text)])
        is_one = connection.dialect.name == "postgresql"
        assert not is_one or len(sent[-1]) == 1
    without, with_keys = sent
    assert is_one or not [text for text in without if "dedup_keys" in text]
    assert len([text for text in with_keys if "dedup_keys" in text]) == 1


def test_a_cancel_before_the_first_attempt_frees_the_key(door: Door, action_id: str) -> None:
    """A cancel of an execution under way keeps it: the call may have gone out."""
    force.put(rule("once", "deduplicate", ttl_seconds=60))
    for begun in (False, True):
        execution_id = trigger(door, action_id)["execution_id"]
        if begun:
            carry_out(execution_id, "running")
        assert door.call("POST", f"/api/actions/executions/{execution_id}/cancel").status_code == 200
        assert row_of(execution_id).status == "cancelled"
    assert trigger(door, action_id)["status"] == "cancelled"


def test_a_full_window_refuses_until_it_ends(door: Door, action_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two in a minute, then none; the answer says when it is worth trying again; then the process answers alone."""
    force.put(rule("two", "throttle", max_count=2, window_seconds=60))
    start = db.now_ms()
    answers = [trigger(door, action_id) for _ in range(4)]
    assert [one["status"] for one in answers] == ["pending", "pending", "cancelled", "cancelled"]
    execution = shown(door, answers[2]["execution_id"])
    assert (execution["verdict"], execution["rule"], execution["error"]["code"]) == ("throttle", "two", "throttled")
    gate = json.loads(row_of(answers[3]["execution_id"]).gate)
    assert start + 59_000 < gate["until"] <= db.now_ms() + 60_000
    assert (gate["outcome"], gate["origin"], gate["namespace"]) == ("throttled", "trigger", "actions")
    monkeypatch.setattr(db, "now_ms", lambda: gate["until"])
    assert trigger(door, action_id)["status"] == "pending"


def test_different_values_count_once_each(door: Door, action_id: str) -> None:
    """Two hosts in an hour, however often; a third is refused."""
    force.put(rule("hosts", "throttle", max_count=2, window_seconds=3600, distinct="action.payload.host"))
    hosts = ["a", "b", "a", "c", "b", "c"]
    statuses = [trigger(door, action_id, parameters={"host": host})["status"] for host in hosts]
    assert statuses == ["pending", "pending", "pending", "cancelled", "pending", "cancelled"]


def test_waiting_gives_each_a_slot_of_its_own(door: Door, action_id: str) -> None:
    """Slots are ten seconds apart, in order; what would wait longer than allowed is refused."""
    force.put(rule("turns", "throttle", max_count=60, window_seconds=600, on_excess="wait", max_wait_seconds=35))
    answers = [trigger(door, action_id) for _ in range(5)]
    assert [one["status"] for one in answers] == ["pending", "waiting", "waiting", "waiting", "cancelled"]
    due = [row_of(one["execution_id"]).due_at for one in answers[1:4]]
    assert [later - earlier for earlier, later in itertools.pairwise(due)] == [10_000, 10_000]
    execution = shown(door, answers[1]["execution_id"])
    assert (execution["waiting_for"], execution["verdict"]) == ("delay", "throttle")


def test_a_delayed_trigger_waits_and_is_then_carried_out(
    door: Door, action_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No message is good before the time; tick publishes it when the time has come."""
    force.put(rule("later", "schedule", HOST, delay_seconds=600))
    answer = trigger(door, action_id)
    execution_id = answer["execution_id"]
    assert (answer["status"], answer["verdict"], answer["rule"]) == ("waiting", "schedule", "later")
    assert attempts.attempt(execution_id).status == "stale"
    sweep.handle_due(TimeSlice())
    assert row_of(execution_id).status == "waiting"
    due = row_of(execution_id).due_at
    monkeypatch.setattr("store.executions.recovery.now_ms", lambda: due)
    sweep.handle_due(TimeSlice())
    assert row_of(execution_id).status == "pending"
    carry_out(execution_id)
    assert shown(door, execution_id)["verdict"] == "schedule"


def test_what_a_later_check_refuses_leaves_no_trace_of_the_earlier(door: Door, action_id: str) -> None:
    """A window that is full refuses a new key, and does not keep it."""
    force.put(
        rule("once", "deduplicate", ttl_seconds=60, key_fields=["payload.host"], **{"continue": True}),
        rule("one", "throttle", max_count=1, window_seconds=60),
    )
    answers = [trigger(door, action_id, parameters={"host": host}) for host in ("a", "b")]
    assert [one["status"] for one in answers] == ["pending", "cancelled"]
    assert answers[1]["rule"] == "one"
    force.put(rule("once", "deduplicate", ttl_seconds=60, key_fields=["payload.host"]))
    assert trigger(door, action_id, parameters={"host": "b"})["status"] == "pending"


@pytest.mark.parametrize("flag", ["dry_run", "sandbox"])
def test_what_calls_nothing_is_neither_counted_nor_remembered(door: Door, action_id: str, flag: str) -> None:
    """A dry run shows the verdict; the first real trigger is the first that counts."""
    force.put(rule("once", "throttle", max_count=1, window_seconds=60))
    for _ in range(2):
        answer = trigger(door, action_id, **{flag: True})
        assert (answer["status"], answer["verdict"]) == ("pending", "throttle")
    assert trigger(door, action_id)["status"] == "pending"
    assert trigger(door, action_id)["status"] == "cancelled"


def test_a_copy_of_a_request_is_answered_as_the_first(door: Door, action_id: str) -> None:
    """The same key and body: the same execution with its verdict, and nothing is counted."""
    force.put(rule("one", "throttle", max_count=1, window_seconds=60))
    first = trigger(door, action_id, headers={"Idempotency-Key": "k-1"})
    again = trigger(door, action_id, headers={"Idempotency-Key": "k-1"})
    assert (again["execution_id"], again["verdict"]) == (first["execution_id"], "throttle")
    refused = trigger(door, action_id, headers={"Idempotency-Key": "k-2"})
    copy = trigger(door, action_id, headers={"Idempotency-Key": "k-2"})
    assert refused["status"] == copy["status"] == "cancelled"
    assert refused["execution_id"] == copy["execution_id"]


def test_a_rerouted_trigger_is_carried_out_by_the_provider(door: Door, action_id: str) -> None:
    """Its parameters are the provider's payload, without the secret; the view names both providers."""
    revision_id = force.provider("tickets", kind="http", url="http://127.0.0.1:9/tickets")
    away = rule("away", "reroute", HOST, target_provider="tickets", origins=["trigger"])
    force.put(away, revisions={"tickets": revision_id})
    answer = trigger(door, action_id, target="h-1")
    about = {"status": "pending", "verdict": "reroute", "original_provider": "webhook", "provider": "tickets"}
    assert about.items() <= answer.items()
    row = row_of(answer["execution_id"])
    assert (row.revision_id, row.sealed) == (revision_id, None)
    given = transitions.load(row.input)
    assert given["payload"] == {"host": "h-1", "level": None, "token": "********"}
    assert (given["action_type"], given["labels"]) == (action_id, {"target": "h-1"})
    assert SECRET not in json.dumps([str(one) for one in row])
    force.put(rule("away", "reroute", HOST, target_provider="tickets"), revisions={"tickets": revision_id})
    assert "verdict" not in trigger(door, action_id), "without origins it does not concern triggers"
    off = force.provider("tickets", kind="http", url="http://127.0.0.1:9/", enabled=False)
    force.put(away, revisions={"tickets": off})
    assert trigger(door, action_id, status=409)["code"] == "provider_disabled"


def test_conditions_over_records_read_the_audit_trail(door: Door, action_id: str) -> None:
    """The third trigger within the time is refused once two were carried out; other tenants' do not count."""
    wanted = {"action_type": action_id, "outcome": "executed"}
    counter = {"state_counter": wanted, "within_seconds": 60, "gte": 2}
    force.put(rule("enough", "deny", counter), rule("seen", "suppress", {"state_seen": "x", "within_seconds": 60}))
    for _ in range(2):
        answer = trigger(door, action_id)
        assert answer["status"] == "pending"
        carry_out(answer["execution_id"], output={})
    eventually(
        lambda: trigger(door, action_id)["status"] == "failed", 5, "a record of this very moment is not yet past"
    )


def test_the_record_tells_what_the_execution_tells(door: Door, action_id: str) -> None:
    """Outcome, verdict and rule of the audit row that ends it, whether at once or later."""
    force.put(rule("tame", "modify", HOST, changes={"level": 3}), rule("no", "deny"))
    answers = [trigger(door, action_id), trigger(door, action_id, parameters={"host": "h-2"})]
    carry_out(answers[0]["execution_id"], output={})
    with db.read() as connection:
        rows = {row.subject: row for row in connection.execute(audit.audit.select()) if row.outcome is not None}
    told = [(row.outcome, row.verdict, row.rule) for row in (rows[one["execution_id"]] for one in answers)]
    assert told == [("executed", "modify", "tame"), ("suppressed", "deny", "no")]


def test_nothing_goes_out_while_a_stop_is_in_force(door: Door, action_id: str) -> None:
    """The attempt waits without a failure and says why; after the stop it is made."""
    force.put(stops=(Stop("default", "incident 7", "operator"),))
    execution_id = trigger(door, action_id)["execution_id"]
    assert attempts.attempt(execution_id).status == "waiting"
    execution = shown(door, execution_id)
    assert (execution["status"], execution["error"]["code"]) == ("waiting", "stopped")
    assert "incident 7" in execution["error"]["message"]
    assert execution["retry"]["failures"] == 0
    force.put(stops=(Stop("another", "x", "operator"),))
    with db.write() as connection:
        connection.execute(transitions.executions.update().values(due_at=db.now_ms()))
    sweep.handle_due(TimeSlice())
    assert attempts.attempt(execution_id).status in ("completed", "failed", "waiting")
    assert (shown(door, execution_id)["error"] or {}).get("code") != "stopped"


def test_a_cancelled_wait_is_over(door: Door, action_id: str) -> None:
    """A trigger that waits for its time can be cancelled."""
    force.put(rule("later", "schedule", HOST, delay_seconds=600))
    execution_id = trigger(door, action_id)["execution_id"]
    assert door.call("POST", f"/api/actions/executions/{execution_id}/cancel").status_code == 200
    assert row_of(execution_id).status == "cancelled"
