"""No statement scans or sorts a table that grows, on either database.

The pass calls every documented operation with every documented parameter, lives the lives of actions and runs, and
carries out every duty of the clock, on a database that looks as after two months of work. All that it sends is
recorded, and the database is asked for the plan of each statement that reads what grows.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
import sqlalchemy as sa

from api.stream import reading, seeking
from api.stream.message import Wanted
from config.settings import settings
from gateway.grants import Grant
from playbooks.credentials import RULES
from store import paging, trail
from store.audit import audit
from store.callers import known
from store.definitions.actions import action_revisions
from store.engine import db
from store.executions import announcements, changes, completions, leases, outcomes, recovery, runs
from store.gateway import approvals, due, events, silences
from store.records import held, notes
from store.records import listing as records
from store.records import recurring as found_recurring
from store.records import silences as found_silences
from store.recurring import firings, schedules
from store.streams import named, of_run
from store.streams.ids import BEHIND, Mark
from tasks.clock import metrics, monitors, seals
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring
from tasks.entrypoints import maintenance, tick
from tasks.entrypoints import runs as run_tasks
from tests.support import plans
from tests.support.api import Door, carry_out
from tests.support.filled import LABEL, fill_database, fill_events, fill_firings
from tests.support.services import RedisServer

#: thousands of instructions of SQLite that a statement may take, a third of what a scan takes in the gate: the
#: statuses of the 20,000 newest executions take 600
MOST_COST = 800
#: thousands of instructions of SQLite, or blocks of PostgreSQL, that a statement of a tick may take; the trail of
#: 20,000 executions has a thousand blocks
MOST_OF_A_TICK = 50
#: a total above ``paging.EXACT``, counted once a minute up to ``paging.MOST``: PostgreSQL may read it off the table
_TOTAL = re.compile(r"^SELECT count\(\*\) AS count_1 FROM \(SELECT (executions|run|audit|approvals)\.(created_at|at)\b")
#: what conditions of rules may look for by itself
_COUNTED = (
    {"action_type": "send"},
    {"outcome": "failed"},
    {"matched_rule": "block-spam"},
    {"provider": "email"},
    {"provider": "email", "outcome": "suppressed", "namespace": "notifications"},
)
_NOTE = notes.Note(
    workspace_id="default",
    caller="key",
    outcome="suppressed",
    namespace="notifications",
    provider="email",
    action_type="send",
    payload={},
    began_at=0,
)
#: values of parameters that the history has
_VALUES = {
    "action_id": "act-act-1",
    "playbook_id": "pb-play-1",
    "tenant": "default",
    "namespace": "playbooks",
    "provider": "webhook",
    "action_type": "act-act-1",
    "matched_rule": "block-spam",
    "caller_id": "key",
    "event_id": "none",
}
_ACCEPTED = (200, 201, 202, 204, 400, 403, 404, 409, 415, 422)


@pytest.fixture(autouse=True)
def _totals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "totals", paging.Totals())


_LONG = (pytest.mark.gate, pytest.mark.timeout(1_800))


@pytest.mark.parametrize(
    ("database", "size"),
    [
        ("sqlite", 10_000),
        pytest.param("sqlite", 200_000, marks=_LONG),
        pytest.param("postgresql", 200_000, marks=_LONG),  # of a small table it reads every row
    ],
    indirect=["database"],
)
def test_no_statement_reads_a_growing_table_whole(
    database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Each statement of the pass has a plan that scans and sorts nothing that grows, and on SQLite takes little."""
    monkeypatch.setenv("TOCSIN_RETENTION_DAYS", "40")  # some are old
    settings.cache_clear()
    door = Door()
    fill_database(door, size)
    fill_events(size // 5)
    fill_firings(size // 5)
    with plans.recorded(monkeypatch) as recorder:
        _fire(door)
        _call_every_operation(door)
        _live(door)
        _move(door)
        _follow()
        _carry_out_duties()
        _begin_epoch()
    statements = recorder.reading_what_grows()
    assert len(statements) > 100, "the pass has not sent what it should"
    with db.engine().connect() as connection:
        found = [
            (each, plans.fault(connection, each)) for each in statements if not _TOTAL.match(plans.form(each.text))
        ]
    faults = [f"{fault}: {plans.form(each.text)}" for each, fault in found if fault]
    assert not faults, "\n\n".join(faults)
    costly = [f"{cost}: {text}" for text, cost in recorder.cost.items() if cost > MOST_COST and not _TOTAL.match(text)]
    assert not costly, "\n\n".join(costly)


_SCANS_AND_SORTS = (
    "SELECT id FROM executions WHERE owner = 'nobody'",
    "SELECT id FROM executions WHERE workspace_id = 'default' ORDER BY error LIMIT 5",
    "SELECT count(*) FROM audit WHERE event = 'execution.completed'",
    "UPDATE executions SET owner = NULL WHERE owner = 'nobody'",
)


def test_a_scan_and_a_sort_are_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check finds what it is for, in statements of SQLAlchemy and of the driver alike."""
    fill_database(Door(), 20_000)
    for text in _SCANS_AND_SORTS:
        with plans.recorded(monkeypatch) as recorder:
            for way in (
                lambda one, text=text: one.exec_driver_sql(text),
                lambda one, text=text: db.raw(one).execute(text + " -- by the driver"),
            ):
                with db.write() as connection:
                    way(connection)
        statements = recorder.reading_what_grows()
        assert len(statements) == 2, text
        with db.engine().connect() as connection:
            assert all(plans.fault(connection, each) for each in statements), text


def test_what_rules_count_is_found_by_an_index_of_its_own(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing walks through all records of the tenant, which would take longer with each of them."""
    fill_database(Door(), 20_000)
    since = {"since": 0, "until": db.now_ms()}
    walks: list[str] = []
    for filters in _COUNTED:
        with plans.recorded(monkeypatch) as recorder, db.read() as connection:
            assert records.count(connection, "default", {**since, **filters}, 10_000) > 0, filters
        statements = recorder.reading_what_grows()
        assert statements
        with db.engine().connect() as connection:
            used = [plans.indexes(connection, each) for each in statements]
        walks += [f"{filters}: {names}" for names in used if not names or "ix_audit_records" in names]
    assert not walks


def test_a_tick_that_has_counted_all_reads_little(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ended before costs a tick nothing: no statement of it goes through more than a few rows."""
    fill_database(Door(), 20_000)
    while metrics.count(TimeSlice()):
        pass
    with plans.recorded(monkeypatch) as recorder:
        for duty in tick.DUTIES:
            duty.run(TimeSlice(time.monotonic() + 1))
    statements = recorder.reading_what_grows()
    assert any("audit" in each.text for each in statements), "the tick has not asked for what has ended"
    costs = dict(recorder.cost)
    with db.engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            costs = {plans.form(each.text): plans.blocks(connection, each) for each in statements}
    assert {text: cost for text, cost in costs.items() if cost > MOST_OF_A_TICK} == {}


def _call_every_operation(door: Door) -> None:
    """Call what the OpenAPI document names: reads with each parameter by itself, then writes with their examples."""
    document = door.call("GET", "/api/openapi.json").json
    calls = [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    ]
    calls.sort(key=lambda call: ("get", "post", "put", "patch", "delete").index(call[0]))
    for method, path, operation in calls:
        for address in _addresses(door, path):
            for query in _queries(operation) if method == "get" else [""]:
                body = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {})
                given = {"json": body["example"]} if "example" in body else {}
                answer = door.call(method.upper(), f"{address}{query}", **given)
                assert answer.status_code in _ACCEPTED, f"{method} {address}{query}: {answer.text}"
                answer.close()


def _addresses(door: Door, path: str) -> Iterator[str]:
    """The path with the ids of things of the history: what has ended, and what goes on."""
    some = {
        "record_id": ["given-1"],
        "action_id": ["act-act-1"],
        "playbook_id": ["pb-play-1"],
        "key_id": ["none"],
        "step_id": ["s4"],
        "username": ["kim"],
        "rule_name": ["none"],
        "dispatch_id": ["none"],
        "approval_id": ["apr-none"],
        "silence_id": ["sil-none"],
        "fingerprint": ["e-1"],
        "recurring_id": ["rec-1"],
        "calendar_name": ["none"],
        "group_key": ["grp-none"],
        "namespace": ["none"],
        "tenant": ["none"],
        "provider": ["none"],
        "version": ["1.0.0"],
        "bundle_name": ["none"],
        "bundle_version": ["1.0.0"],
        "secret_name": ["NONE"],
    }
    for name, where in (("execution_id", "actions"), ("run_id", "playbooks")):
        if f"{{{name}}}" in path:
            lists = [f"/api/{where}/executions?status={status}&limit=1" for status in ("completed", "running")]
            some[name] = [door.call("GET", each).json["data"][0]["execution_id"] for each in lists]
    for number in range(2 if "execution_id" in some or "run_id" in some else 1):
        yield path.format(**{name: ids[number % len(ids)] for name, ids in some.items()})


def _queries(operation: dict[str, Any]) -> Iterator[str]:
    """No parameter, each with each of its values, and some together."""
    yield ""
    for parameter in operation.get("parameters", ()):
        schema = parameter.get("schema", {})
        if parameter["in"] != "query" or parameter["name"] == "wait":
            continue
        values = schema.get("enum") or schema.get("items", {}).get("enum") or [parameter.get("example", 7)]
        values = [_VALUES[parameter["name"]]] if parameter["name"] in _VALUES else values
        for value in values[0] if isinstance(values[0], list) else values:
            yield f"?{parameter['name']}={str(value).lower() if isinstance(value, bool) else value}"
        if schema.get("items", {}).get("enum"):
            yield f"?{parameter['name']}={','.join(schema['items']['enum'][:3])}"
            yield f"?{parameter['name']}={','.join(schema['items']['enum'][3:])}&to=2030-01-01T00:00:00Z"
    names = {parameter["name"]: parameter.get("schema", {}) for parameter in operation.get("parameters", ())}
    if "status" in names:  # with another filter, of which nothing may match
        others = {"action_id": "act-act-1", "playbook_id": "pb-play-1", "target": "a-7", "target_asset_id": "a-7"}
        others |= {"trigger": "schedule", "dry_run": "true"}
        for other in others.keys() & names.keys():
            for status in names["status"].get("items", {}).get("enum", ()):
                yield f"?{other}={others[other]}&status={status}"
    if any(parameter["name"] == "cursor" for parameter in operation.get("parameters", ())):
        yield "?limit=3"
    if any(parameter["name"] == "page" for parameter in operation.get("parameters", ())):
        yield "?page=40&per_page=100"


def _live(door: Door) -> None:
    """The lives of actions and runs: claimed, renewed, handed back, decided, paused, resumed, retried, cancelled."""
    ids = [door.trigger("act-act-2") for _ in range(4)]
    for execution_id in ids[:2]:
        carry_out(execution_id)
    carry_out(ids[2], "running")
    with db.write() as connection:
        leases.extend(connection, "steps@test", ids, 30_000)
        leases.still_held(connection, "steps@test", ids)
        leases.hand_back(connection, ids[2], "steps@test", 1, begun=True)
        leases.lapse(connection, ids[2], 1)
        leases.held_by(connection, ["steps@test"])
        leases.release(connection, ids[2], "steps@test", 1)
        completions.read(connection, ids[0])
        completions.take(connection, ids[0])
        recovery.publish_soon(connection, ids, at=db.now_ms())
        recovery.publish_soon(connection, at=db.now_ms())
        recovery.await_turns(connection, "steps", 60_000)
        recovery.overtaken(connection, "steps", before=db.now_ms(), limit=10)
    _tell(ids)
    decide = {"type": "condition", "expression": "true"}
    inner = [{"id": "in-1", **decide}]
    steps = [
        {"id": "first", **decide},
        {"id": "both", "type": "parallel", "branches": [{"steps": inner}, {"steps": [{"id": "in-2", **decide}]}]},
        {"id": "again", "type": "for_each", "items": [1, 2], "steps": [{"id": "in-3", **decide}]},
        {"id": "ask", "type": "approval", "message": "May I?"},
    ]
    playbook_id = door.create_playbook(name="Everything", steps=steps)["id"]
    for last in ("approve", "cancel"):
        answer = door.call("POST", f"/api/playbooks/{playbook_id}/run", json={"target_asset_id": f"a-{last}"})
        assert answer.status_code == 202, answer.text
        run_id = answer.json["execution_id"]
        assert run_tasks.begin.apply(args=[run_id]).get() == "done"
        tick.tick.apply().get()
        address = f"/api/playbooks/executions/{run_id}"
        for word in ("pause", "resume", *(("steps/ask/approve",) if last == "approve" else ("cancel",)), "retry"):
            assert door.call("POST", f"{address}/{word}").status_code in _ACCEPTED
        with db.read() as connection:
            runs.rows(connection, run_id)
            runs.below(connection, run_id)
            runs.descendants(connection, run_id)


def _fire(door: Door) -> None:
    """Recurring actions that are due, with a long history, and what is going on of one."""
    body = {"namespace": "n", "tenant": "default", "cron_expr": "* * * * *", "overlap": "skip"}
    made = door.call("POST", "/v1/recurring", json={**body, "target": {"action": "act-act-1"}})
    assert made.status_code == 201, made.text
    with db.write() as connection:
        row = schedules.locked(connection, made.json["id"])
        due_at = db.now_ms() - 60_000
        schedules.change(connection, made.json["id"], {"next_at": due_at, "fire_at": due_at})
        schedules.add(connection, {**row._mapping, "id": "rec-1"})
    assert recurring.fire_due(TimeSlice()) == 1
    with db.read() as connection:
        found_recurring.going_on(connection, "rec-1")
        schedules.using_calendars(connection)
    with db.write() as connection:
        firings.forget(connection, before=1_700_000_100_000)


def _move(door: Door) -> None:
    """What rules ask about events, what is read of them with several filters, and the life of one."""
    one = {"namespace": "alerts", "fingerprint": "new", "machine": "alert", "action_type": "alert", "provider": "drill"}
    times = dict.fromkeys(("created_at", "entered_at", "updated_at"), db.now_ms())
    new = events.Event(**one, **times, workspace_id="default", state="firing", active=1, labels={"a": "b"}, moves=1)
    with db.write() as connection:
        events.lock(connection, [new.id])
        events.add(connection, new)
        row = events.locked(connection, new.id)
        assert events.change(connection, row, replace(new, labels=dict([LABEL]), state="resolved", active=0))
        events.postpone(connection, events.read(connection, new.id), db.now_ms())
        events.due(connection, limit=50)
        due.look(connection)
        for labels in ((), (LABEL,), (LABEL, ("team", "soc")), (("a", "none"),)):
            events.is_active(connection, "default", "alerts", "alert", labels, "evt-0")
            events.is_active(connection, "default", "alerts", "none", labels)
        events.forget(connection, before=1_700_000_000_010)
    key = door.key(grants=[{"tenants": ["*"]}])
    for query in ("", "labels=cluster=c-1,team=soc", "labels=team=soc&status=firing&namespace=other", "status=firing"):
        assert door.call("GET", f"/v1/events?limit=3&{query}", key=key).status_code == 200
    filters = {name: value for name, value in _VALUES.items() if name not in ("playbook_id", "action_id", "event_id")}
    filters |= {"outcome": "failed", "verdict": "suppress", "chain_id": "none", "from": "2026-04-28T00:00:00Z"}
    for name, value in filters.items():  # records, oldest first
        for who in (key, None):
            given = {name: value, "preview": True, "limit": 3}
            answer = door.call("POST", "/v1/audit/replay", json=given, **({"key": who} if who else {}))
            assert answer.status_code == 200, answer.text


def _follow() -> None:
    """What streams read: the end of the trail, what follows an event, and what its rows name."""
    narrow = seeking.of([Wanted(grants=(Grant(),), namespace="none")])
    for row in (1, 5_000):
        begin = reading.start(Mark(db.now_ms(), row, BEHIND), 1_000)
        for asked in (seeking.EVERYTHING, narrow):
            bite = reading.read_on(begin.place, asked, 250)
            assert bite.rows
        reading.at([bite.place], seeking.EVERYTHING.types)
    ids = [f"none-{number}" for number in range(100)]
    with db.read() as connection:
        of_run.settled(connection, "default", "none", 100)
        of_run.behind(connection, "default", "none", trail.Position(), 100)
        of_run.last(connection, "default", "none")
        named.read(connection, named.Ids(*(set(ids) for _ in fields(named.Ids))))


def _tell(ids: list[str]) -> None:
    """What is read for monitors, for Prometheus and for the triggers of playbooks."""
    with db.write() as connection:
        latest = changes.latest(connection)
        changes.after(connection, latest - monitors.MOST_BEHIND, monitors.PAGE)  # at worst
        changes.at(connection, range(latest - monitors.MOST_MISSING, latest))
        trail.settled(connection, trail.Position(), 500)
        outcomes.read(connection, ids)
        for more in (*_COUNTED, {}):
            week = {"since": db.now_ms() - 7 * 86_400_000, "until": db.now_ms(), **more}
            records.count(connection, "default", week, 10_000)
        notes.note(connection, _NOTE)
        assert silences.hold(connection, "sil-none", ids[0], db.now_ms()) is not None
        held.move(connection, "sil-none", db.now_ms())
        held.forget_released(connection, "sil-none")
        held.of_alert(connection, "default", "none")
        silences.kept_alerts(connection, "default", "none")
        silences.forget_alert(connection, "default", "none")
        approvals.note_refusal(connection, "apr-none")
        known.is_gone(connection, "none", "default", lambda _row: True)
        of_default = (Grant(tenants=("default",), exact=True),)
        found_silences.kept_back(connection, "sil-none", of_default, 0, db.now_ms())
        announcements.add(connection, "default", "playbook.completed", ids[0])
        announcements.subject(connection, ids[0])
        announcements.postpone(connection, announcements.of(connection, ids[0]), at=db.now_ms())
        assert all(announcements.take(connection, each) for each in announcements.due(connection, limit=10))


def _begin_epoch() -> None:
    """What a database sends once that was restored into another cluster, and one whose cluster was upgraded."""
    with db.write() as connection:
        if connection.dialect.name != "postgresql":
            return
        newest = sa.select(sa.func.max(audit.c.id)).scalar_subquery()
        connection.execute(sa.update(trail.epochs).values(cluster="another"))
        trail.begin_epoch(connection)
        connection.execute(sa.update(trail.epochs).values(cluster="another", after_id=newest))
        trail.begin_epoch(connection)
        assert not trail.is_elsewhere(connection)


def _carry_out_duties() -> None:
    """Each duty of tick and of maintenance for a moment, and a walk of re-sealing that has something to mask."""
    for duty in (*tick.DUTIES, *maintenance.DUTIES):
        duty.run(TimeSlice(time.monotonic() + 0.2))
    with db.write() as connection:
        first = sa.select(sa.func.min(action_revisions.c.id)).scalar_subquery()
        connection.execute(sa.update(action_revisions).where(action_revisions.c.id == first).values(rules=-RULES))
    walk = seals.Renewal()
    walk.go_on()
    while walk._walk is not None:
        walk.go_on()
