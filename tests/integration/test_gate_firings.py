"""Rules decide scheduled runs when their time has come, and dry runs foretell what rules would decide."""

import secrets
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from config.settings import settings
from playbooks.states import Mode
from store.access import Caller
from store.engine import db
from store.executions import recovery, steps, transitions
from store.gateway import dedup, throttles
from tasks.attempts import conclude
from tasks.clock import retention, schedules, sweep
from tasks.clock.duty import TimeSlice
from tasks.control import pause
from tasks.entrypoints import runs as run_tasks
from tasks.intake import run_start
from tasks.intake.dispatch import DispatchRequest, dispatch
from tests.support import force, plans
from tests.support.api import Door
from tests.support.driven import drive
from tests.support.force import rule

EVERY_HOUR = {"event": "schedule", "cron": "0 * * * *"}
HOUR = 3600
RECURRING = {"field": "action.origin", "eq": "recurring"}
STEP = {"field": "action.origin", "eq": "step"}
#: renewals of leases, looks at the backlog, new connections, and their transactions: they come whenever their time does
_ASIDE = ("SELECT executions.id, executions.attempt FROM", "UPDATE executions SET due_at=CASE", "show ", "set ")
_ASIDE = (
    *_ASIDE,
    "SELECT executions.queue, count(*) AS number",
    "select pg_catalog.",
    "select current_schema",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "LISTEN",
    "SET ",
)
CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset())


@pytest.fixture
def door(database: str) -> Iterator[Door]:
    """The application on each database, without rules."""
    with force.clean():
        yield Door()


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still unless it is moved."""
    with time_machine.travel("2026-11-22T10:30:00Z", tick=False) as moved:
        yield moved


def runs() -> list[Any]:
    """The rows of all runs, in their order."""
    table = transitions.executions
    with db.read() as connection:
        return list(connection.execute(table.select().where(table.c.kind == "playbook").order_by(table.c.id)))


def scheduled(door: Door, **more: Any) -> str:
    return str(door.create_playbook(trigger=EVERY_HOUR, **more)["id"])


def fire(clock: Any) -> list[Any]:
    """An hour later: the runs."""
    clock.shift(HOUR)
    schedules.fire_due(TimeSlice())
    return runs()


@pytest.mark.parametrize(
    ("kind", "more", "status", "code"),
    [
        ("deny", {}, "failed", "denied"),
        ("suppress", {}, "cancelled", "suppressed"),
        ("reroute", {"target_provider": "mail"}, "failed", "not_possible"),
    ],
)
def test_a_stopped_firing_is_a_run_that_says_why(
    door: Door, clock: Any, kind: str, more: Any, status: str, code: str
) -> None:
    """It has not begun, and the schedule has moved on to its next time."""
    playbook_id = scheduled(door)
    condition = {"all": [RECURRING, {"field": "action.metadata.playbook", "eq": playbook_id}]}
    force.put(rule("night", kind, condition, reason="change freeze", **more))
    (run,) = fire(clock)
    assert (run.status, run.attempt, run.due_at) == (status, 0, None)
    shown = door.call("GET", f"/api/playbooks/executions/{run.id}").json["data"]
    assert (shown["verdict"], shown["rule"], shown["reason"]) == (kind, "night", "change freeze")
    assert shown["error"]["code"] == code
    force.put()
    assert [one.status for one in fire(clock)] == [status, "pending"]


def test_a_firing_that_a_window_refuses_is_cancelled(door: Door, clock: Any) -> None:
    """One in two hours: the second is cancelled, the third goes out."""
    scheduled(door)
    force.put(rule("one", "throttle", RECURRING, max_count=1, window_seconds=2 * HOUR))
    for _ in range(3):
        found = fire(clock)
    assert [one.status for one in found] == ["pending", "cancelled", "pending"]


@pytest.mark.parametrize("end", ["failed", "failed with its last step", "cancelled"])
@pytest.mark.parametrize("begun", [False, True])
def test_a_firing_frees_its_key_only_before_it_has_begun(door: Door, clock: Any, begun: bool, end: str) -> None:
    """The steps of a run that has begun may have had their effects, however the run ends."""
    playbook_id = scheduled(door, steps=[{"id": "ask", "type": "approval", "message": "May I?"}])
    force.put(rule("once", "deduplicate", RECURRING, ttl_seconds=5 * HOUR))
    (run,) = fire(clock)
    if begun:
        assert run_tasks.begin.apply(args=[run.id]).get() == "done"
    with db.write() as connection:
        if end == "cancelled":
            transitions.transition(connection, run.id, "cancelled")
        elif end == "failed" or not begun:
            steps.end_run(connection, run.id, steps.End(status="failed", error={"code": "stalled"}), "test")
        else:
            transitions.transition(connection, f"{run.id}.ask", "pending")
            transitions.claim(connection, f"{run.id}.ask", "steps@test", 30_000, step=True)
            moves = steps.Moves(end=steps.End(status="failed"))
            more = {"run_id": run.id, "actor": "steps@test", "fence": 1}
            assert steps.end_step(connection, f"{run.id}.ask", "failed", moves, **more)[0]
    assert runs()[0].status == end.partition(" ")[0]
    assert [one.status for one in fire(clock)[1:]] == ["cancelled" if begun else "pending"]
    assert playbook_id


def test_a_delayed_firing_begins_later_and_has_its_whole_time(door: Door, clock: Any) -> None:
    """It is pending without a message until tick publishes it."""
    scheduled(door, timeout_minutes=1)
    force.put(rule("later", "schedule", RECURRING, delay_seconds=600))
    (run,) = fire(clock)
    assert (run.status, run.publishes) == ("pending", 0)
    assert run.due_at == db.now_ms() + 600_000
    assert run.expires_at == run.due_at + 60_000
    assert sweep.handle_batch({})[0] == []
    clock.shift(600)
    assert [message.execution_id for message in sweep.handle_batch({})[0]] == [run.id]


def test_a_delayed_firing_waits_on_after_redis_was_emptied(
    door: Door, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of it was lost: it is published at its time; one that was published is published again."""
    monkeypatch.setattr(schedules.publisher, "publish_after_commit", lambda *_: None)  # as if Redis were there
    scheduled(door)
    force.put(rule("later", "schedule", RECURRING, delay_seconds=600))
    (delayed,) = fire(clock)
    force.put()
    lost = fire(clock)[1]
    with db.write() as connection:
        connection.execute(transitions.executions.update().values(due_at=db.now_ms() + 60_000))
        assert recovery.publish_soon(connection, at=db.now_ms()) == 1
    assert [message.execution_id for message in sweep.handle_batch({})[0]] == [lost.id]
    clock.shift(60)
    assert delayed.id in [message.execution_id for message in sweep.handle_batch({})[0]]


@pytest.mark.parametrize("late", [False, True])
def test_a_delayed_firing_that_is_resumed_waits_for_its_time(
    door: Door, clock: Any, monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    """Resumed before its time it waits on, and Redis may be emptied; resumed later it begins at once."""
    published: list[str] = []
    monkeypatch.setattr(pause.publisher, "publish_after_commit", lambda *them: published.extend(them))
    scheduled(door)
    force.put(rule("later", "schedule", RECURRING, delay_seconds=600))
    (run,) = fire(clock)
    for moment, word in ((100, "pause"), (600 if late else 100, "resume")):
        clock.shift(moment)
        assert door.call("POST", f"/api/playbooks/executions/{run.id}/{word}").status_code == 200
    assert [message.execution_id for message in published] == [run.id] * late
    (resumed,) = runs()
    assert (resumed.status, resumed.publishes, resumed.due_at == run.due_at) == ("pending", int(late), not late)
    with db.write() as connection:
        assert recovery.publish_soon(connection, at=db.now_ms()) == late
    if not late:
        assert sweep.handle_batch({})[0] == []
        clock.shift(400)
    assert [message.execution_id for message in sweep.handle_batch({})[0]] == [run.id]


def test_a_rule_changes_the_parameters_of_a_firing(door: Door, clock: Any) -> None:
    """They are checked as those of any run: what does not fit is a failed run."""
    scheduled(door, parameters=[{"name": "level", "type": "number", "default": 1}])
    force.put(rule("tame", "modify", RECURRING, changes={"level": 3}))
    assert transitions.load(fire(clock)[0].input) == {"level": 3}
    force.put(rule("wild", "modify", RECURRING, changes={"level": "high"}))
    assert fire(clock)[1].status == "failed"


def dry_run(door: Door) -> tuple[str, dict[str, Any]]:
    """The dry run of a playbook of two steps: its predicted status, and the first step."""
    word = secrets.token_hex(4)
    action_id = door.create(id=f"act-{word}", parameters=[{"name": "host"}])["id"]
    step = {"type": "action", "action_ref": action_id, "parameters": {"host": "{{ parameters.host }}"}}
    playbook = door.create_playbook(
        id=f"pb-{word}", steps=[{"id": "tell", **step}, {"id": "after", **step}], parameters=[{"name": "host"}]
    )
    request = run_start.RunRequest(
        workspace_id="default", actor="test", playbook_id=playbook["id"], parameters={"host": "h"}, mode=Mode.DRY_RUN
    )
    run_id = run_start.start(request).run_id
    assert drive(run_id) == "completed"
    shown = door.call("GET", f"/api/playbooks/executions/{run_id}").json["data"]
    steps = door.call("GET", f"/api/playbooks/executions/{run_id}/steps").json["data"]
    return shown["output"]["predicted_status"], next(one for one in steps if one["step_id"] == "tell")


@pytest.mark.parametrize(
    ("given", "predicted", "status", "report"),
    [
        (rule("r", "deny", STEP, reason="freeze"), "failed", "failed", "would fail"),
        (rule("r", "suppress", STEP), "completed", "skipped", "would be skipped"),
        (rule("r", "schedule", STEP, delay_seconds=60), "completed", "completed", "would wait"),
        (rule("r", "require_approval", STEP), "completed", "completed", "would wait"),
        (rule("r", "modify", STEP, changes={"host": "x"}), "completed", "completed", "would run"),
        (rule("r", "deduplicate", STEP), "completed", "completed", "would run"),
        (rule("r", "throttle", STEP, max_count=1, window_seconds=60), "completed", "completed", "would run"),
    ],
    ids=lambda value: value["action"]["type"] if isinstance(value, dict) else "",
)
def test_a_dry_run_foretells_the_verdict_of_each_step(
    door: Door, given: dict[str, Any], predicted: str, status: str, report: str
) -> None:
    """And touches nothing: no key is taken and nothing counted, however often."""
    force.put(given)
    for _ in range(2):
        found, step = dry_run(door)
        assert (found, step["status"], step["report"]["verdict"]) == (predicted, status, report)
        assert (step["verdict"], step["rule"]) == (given["action"]["type"], "r")
    with db.read() as connection:
        for table in (dedup.dedup_keys, throttles.throttles, throttles.throttle_members):
            assert connection.execute(table.select()).all() == []


def test_a_dry_run_knows_what_rules_remember_now(door: Door) -> None:
    """An equal execution that went out, a window that is full."""
    once = rule("once", "deduplicate", key_fields=["payload.host"])
    action_id = door.create(parameters=[{"name": "host"}])["id"]
    force.put({**once, "condition": {"field": "action.tenant", "eq": "default"}})
    with db.write() as connection:
        key = _key_of(once)
        dedup.take(connection, "default", key, "exec-1", now=db.now_ms(), expires_at=db.now_ms() + 60_000)
    assert dry_run(door)[1]["report"]["verdict"] == "would be skipped"
    assert action_id


def _key_of(once: dict[str, Any]) -> str:
    """The key that a rule has for a step about the host h."""
    from gateway import current
    from gateway.facts import Facts

    (found,) = current.current().ruleset.rules
    assert found.check is not None, once
    facts = Facts("step", "playbooks", "default", "webhook", "a", 0, {"host": "h"}, {})
    return found.check(facts).key


def test_what_has_lapsed_is_deleted(door: Door) -> None:
    """Keys and windows whose time is over go; the others stay."""
    now = db.now_ms()
    with db.write() as connection:
        for number, end in enumerate((now - 200_000, now + 200_000)):
            dedup.take(connection, "default", f"k-{number}", "exec-1", now=now, expires_at=end)
            place = ("default", "r", f"k-{number}")
            throttles.count_distinct(connection, place, "v", now=end - 1000, window=1000, most=5)
    assert retention.forget_what_rules_remember(TimeSlice()) == 3
    with db.read() as connection:
        for table in (dedup.dedup_keys, throttles.throttles, throttles.throttle_members):
            assert [row.key for row in connection.execute(table.select())] == ["k-1"]


def test_rules_that_do_not_concern_it_cost_a_step_and_a_trigger_no_statement(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same statements in the same number, with a hundred rules that others meet and without any."""
    action_id = door.create(parameters=[{"name": "host"}])["id"]
    step = {"type": "action", "action_ref": action_id, "parameters": {"host": "h"}}
    playbook = door.create_playbook(steps=[{"id": "a", **step}, {"id": "b", **step}])
    monkeypatch.setenv("TOCSIN_IN_PLACE_MS", "60000")  # steps go on in place however long the machine takes
    settings.cache_clear()
    monkeypatch.setattr("tasks.definitions.listeners.FRESH", 600.0)  # what is looked up now and then is looked up once
    monkeypatch.setattr("tasks.definitions.listeners._remembered", {})  # what is known already ends at its old time
    for name in ("publish", "publish_after_commit"):  # without a broker it writes, at a time of its own, what is lost
        monkeypatch.setattr(f"tasks.messages.publisher.{name}", lambda *_, **__: 0)
    monkeypatch.setattr("tasks.runs.driver.perform", lambda *_: conclude.Ending("completed", output={}))
    request = run_start.RunRequest(workspace_id="default", actor="test", playbook_id=playbook["id"])
    trigger = DispatchRequest(caller=CALLER, action_id=action_id, parameters={"host": "h"})
    texts: list[list[str]] = []
    others = [rule(f"r{n}", "deny", {"field": "action.provider", "eq": f"p{n}"}) for n in range(100)]
    for rules in ([], others, []):
        force.put(*rules)
        with plans.recorded(monkeypatch) as recorder:
            sent: list[str] = []
            mine = recorder.note

            def note(one: plans.Statement, *, noted: Any = mine, sent: list[str] = sent) -> None:
                if not (text := plans.form(one.text)).startswith(_ASIDE):
                    sent.append(text)
                noted(one)

            monkeypatch.setattr(recorder, "note", note)
            assert drive(run_start.start(request).run_id) == "completed"
            dispatch(trigger)
        texts.append([*sent])  # an outer recorder goes on noting
    assert len(texts[-2]) > 10
    assert Counter(texts[-2]) == Counter(texts[-1])
