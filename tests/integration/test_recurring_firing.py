"""Recurring actions fire: once for each time, whatever they name, however late and by whichever process."""

import json
import threading
from collections import Counter
from typing import Any

import pytest

from store import audit
from store.definitions import actions
from store.engine import db
from store.recurring import schedules
from tasks.entrypoints import tick
from tests.support import force
from tests.support.api import Door, carry_out
from tests.support.force import rule
from tests.support.recurring import HOUR, create, detail, fire, made, written


def rules(*given: dict[str, Any]) -> None:
    """Put rules in force, with the provider."""
    force.put(*given, revisions={"drill": force.provider("drill", kind="mock")})


def records() -> list[Any]:
    """All records."""
    table = audit.audit
    with db.read() as connection:
        return list(connection.execute(table.select().where(table.c.outcome.is_not(None)).order_by(table.c.id)))


def test_a_dispatch_goes_out_at_each_time(soc: Door, clock: Any) -> None:
    """Not before, once then; with its payload, its labels and its key filled in; and its record says what it was."""
    one = create(soc, labels={"team": "soc"}, dedup_key="{{recurring_id}}/{{ execution_time }}")
    assert fire() == 0
    clock.shift(HOUR / 2)
    assert (fire(), fire()) == (1, 0)
    [row] = made()
    said = json.loads(row.input)
    assert (row.kind, row.status, row.created_by) == ("dispatch", "pending", "system")
    assert (said["payload"], said["labels"]) == ({"to": "soc"}, {"recurring": one, "team": "soc"})
    assert said["dedup_key"] == f"{one}/2026-11-22T11:00:00.000Z"
    carry_out(row.id)
    [record] = records()
    parts = ("origin", "namespace", "provider", "action_type", "outcome")
    assert [getattr(record, part) for part in parts] == ["recurring", "soc", "drill", "report", "executed"]
    shown = detail(soc, one)
    assert (shown["execution_count"], shown["next_execution"]) == (1, "2026-11-22T12:00:00.000Z")
    last = {"execution_time": "2026-11-22T11:00:00.000Z", "execution_id": row.id, "outcome": "executed"}
    assert shown["last_execution"] == {**last, "status": "completed", "error": None}
    clock.shift(HOUR)
    assert fire() == 1
    assert len(made()) == 2


def test_a_schedule_is_no_way_around_an_approval(soc: Door, clock: Any) -> None:
    """What a rule would ask about as a dispatch or a trigger is refused, by its schedule and by a backfill."""
    declared = [{"name": "zone", "type": "string", "default": "dmz"}]
    action = soc.create(name="Look", parameters=declared)["id"]
    sent = create(soc)
    acted = create(soc, target={"action": action, "parameters": {}})
    ask = {"any": [{"field": "action.payload.zone", "eq": "dmz"}, {"field": "action.payload.to", "eq": "soc"}]}
    rules(rule("ask", "require_approval", ask))
    clock.shift(HOUR)
    fire()
    asked = {"start": "2026-11-22T09:30:00Z", "end": "2026-11-22T10:30:00Z"}
    for one in (sent, acted):
        answer = soc.call("POST", f"/v1/recurring/{one}/backfill", json=asked).json
        assert (answer["accepted"], answer["results"][0]["error"]["code"]) == (0, "approval_needed")
        refused = {(row["outcome"], json.loads(row["reason"])["code"]) for row in written(one)}
        assert refused == {("refused", "approval_needed")}
    assert made() == []


def test_an_action_is_carried_out(soc: Door, clock: Any) -> None:
    """An execution like that of a trigger, whose record has the namespace and the origin ``recurring``."""
    action = soc.create(name="Look")["id"]
    one = create(soc, target={"action": action, "parameters": {}, "target": "web-1"})
    clock.shift(HOUR)
    assert fire() == 1
    [row] = made()
    assert (row.kind, row.action_id, row.target, row.status) == ("action", action, "web-1", "pending")
    carry_out(row.id)
    [record] = records()
    assert (record.origin, record.namespace, record.action_type) == ("recurring", "soc", action)
    assert detail(soc, one)["last_execution"]["execution_id"] == row.id


def test_a_playbook_runs(soc: Door, clock: Any) -> None:
    """With the parameters that were given."""
    playbook = soc.create_playbook(name="Wait", parameters=[{"name": "host", "type": "string"}])["id"]
    create(soc, target={"playbook": playbook, "parameters": {"host": "web-1"}})
    clock.shift(HOUR)
    assert fire() == 1
    [row] = [row for row in made() if row.kind == "playbook"]
    assert (row.action_id, row.cause, json.loads(row.input)) == (playbook, "schedule", {"host": "web-1"})


def test_many_share_a_transaction(soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is due goes out in few transactions, also where one of them cannot be accepted."""
    ids = [create(soc) for _ in range(25)]
    action = soc.create(name="Look")["id"]
    ids += [create(soc, target={"action": action})]
    gone = create(soc, target={"action": action})
    with db.write() as connection:
        schedules.change(connection, gone, {"action_type": "act-gone"})
    clock.shift(HOUR)
    commits = Counter[str]()
    change = db.change
    monkeypatch.setattr(db, "change", lambda work: commits.update(["one"]) or change(work))
    assert fire() == 27
    assert commits["one"] == 1
    assert len(made()) == 26
    assert [row["outcome"] for row in written(gone)] == ["refused"]
    assert all(detail(soc, one)["execution_count"] == 1 for one in ids)


def test_many_tickers_fire_each_time_once(soc: Door, clock: Any) -> None:
    """Four at the same moment, thirty due: thirty executions."""
    ids = [create(soc) for _ in range(30)]
    clock.shift(HOUR)
    together, fired = threading.Barrier(4), []

    def one() -> None:
        together.wait()
        fired.append(fire())

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(fired) == 30
    assert Counter(json.loads(row.input)["labels"]["recurring"] for row in made()) == Counter(ids)


@pytest.mark.parametrize("change", ["pause", "delete", "PUT"])
def test_what_was_changed_after_a_look_is_not_fired_as_it_was(
    soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A ticker that has read a row which was paused, deleted or changed since writes nothing."""
    one = create(soc)
    clock.shift(HOUR)
    due = db.read_one(schedules.due, limit=10)
    path = f"/v1/recurring/{one}"
    call = {"pause": ("POST", f"{path}/pause"), "delete": ("DELETE", path), "PUT": ("PUT", path)}[change]
    assert soc.call(*call, **({"json": {"payload": {"to": "x"}}} if change == "PUT" else {})).status_code < 300
    with monkeypatch.context() as patched:
        patched.setattr(schedules, "due", lambda *_, **__: due)
        assert fire() == 0
    assert made() == []
    assert fire() == (1 if change == "PUT" else 0)
    assert [json.loads(row.input)["payload"] for row in made()] == ([{"to": "x"}] if change == "PUT" else [])


def test_a_rule_stops_a_firing_as_any_other(soc: Door, clock: Any) -> None:
    """Dispatch, action and playbook: the time counts, nothing goes out, the record names the rule."""
    action, playbook = soc.create(name="Look")["id"], soc.create_playbook(name="Wait")["id"]
    rules(rule("never", "suppress", {"field": "action.origin", "eq": "recurring"}))
    ids = [create(soc), create(soc, target={"action": action}), create(soc, target={"playbook": playbook})]
    clock.shift(HOUR)
    assert fire() == 3
    assert [row.status for row in made()] == ["cancelled", "cancelled"]
    shown = [detail(soc, one) for one in ids]
    assert [one["last_execution"]["outcome"] for one in shown] == ["suppressed"] * 3
    assert [one["execution_count"] for one in shown] == [1, 1, 1]
    found = Counter((record.origin, record.namespace, record.rule, record.outcome) for record in records())
    assert found[("recurring", "soc", "never", "suppressed")] >= 2


def test_rules_that_remember_are_exact(soc: Door, clock: Any) -> None:
    """A limit of three lets three of ten go out at the same moment, of dispatches and of actions."""
    rules(rule("three", "throttle", max_count=3, window_seconds=60, by=["action.provider"]))
    for _ in range(5):
        create(soc)
    action = soc.create(name="Look")["id"]
    for _ in range(5):
        create(soc, target={"action": action})
    clock.shift(HOUR)
    assert fire() == 10
    assert Counter((row.kind, row.status) for row in made()) == {
        ("dispatch", "pending"): 3,
        ("action", "pending"): 3,
        ("action", "cancelled"): 2,
    }


def test_an_approval_is_not_asked_for(soc: Door, clock: Any) -> None:
    """What exceeds a limit is refused, whoever could approve it."""
    rules(rule("one", "throttle", max_count=1, window_seconds=60, on_excess="require_approval"))
    ids = [create(soc), create(soc)]
    clock.shift(HOUR)
    assert fire() == 2
    outcomes = sorted(detail(soc, one)["last_execution"]["outcome"] for one in ids)
    assert outcomes == ["accepted", "throttled"]


def test_three_in_a_row_that_cannot_be_accepted_pause_it(soc: Door, clock: Any) -> None:
    """It says why; a time that is accepted in between begins the count again; resuming does, too."""
    action = soc.create(name="Look")["id"]
    one = create(soc, target={"action": action})
    for enabled in (False, False, True, False, False, False):
        soc.call("POST", f"/api/actions/{action}/{'enable' if enabled else 'disable'}")
        assert detail(soc, one)["status"] == "active"
        clock.shift(HOUR)
        assert fire() == 1
    shown = detail(soc, one)
    assert (shown["status"], shown["paused_by"], shown["failures"]) == ("paused", "system", 3)
    assert "disabled" in shown["pause_reason"]
    assert shown["execution_count"] == 1
    outcomes = [row["outcome"] for row in written(one)]
    assert outcomes == ["refused", "refused", "refused", "accepted", "refused", "refused"]
    with db.read() as connection:
        events = [row.event for row in audit.of(connection, "default", one)]
    assert events[-2:] == ["recurring.not_fired", "recurring.paused"]
    clock.shift(HOUR)
    assert fire() == 0
    assert soc.call("POST", f"/v1/recurring/{one}/resume").json["failures"] == 0


def test_it_ends_at_its_number_and_at_its_end(soc: Door, clock: Any) -> None:
    """Then it is completed; a change that makes room has it go on."""
    number, end = create(soc, max_executions=2), create(soc, ends_at="2026-11-22T13:00:00Z")
    for _ in range(4):
        clock.shift(HOUR)
        fire()
    assert len(written(number)) == len(written(end)) == 2
    shown = [detail(soc, number), detail(soc, end)]
    assert [(one["status"], one["next_execution"], one["next"]) for one in shown] == [("completed", None, [])] * 2
    again = soc.call("PUT", f"/v1/recurring/{number}", json={"max_executions": 3}).json
    assert (again["status"], again["next"]) == ("active", ["2026-11-22T15:00:00.000Z"])


def test_one_faulty_row_stops_no_other(soc: Door, clock: Any) -> None:
    """A row that no code of ours has written is refused by itself, and the others go out."""
    ids = [create(soc) for _ in range(3)]
    with db.write() as connection:
        schedules.change(connection, ids[1], {"payload": '{"a": 1', "max_executions": 5})
    clock.shift(HOUR)
    assert fire() == 3
    assert len(made()) == 2
    assert written(ids[1])[0]["outcome"] == "refused"


def test_tick_fires(soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a duty of every second, which costs nothing where nothing is due."""
    create(soc)
    assert "recurring" not in tick.tick()
    clock.shift(HOUR)
    assert tick.tick()["recurring"] == 1
    assert len(made()) == 1


def test_an_action_of_the_same_id_in_another_tenant_is_not_meant(soc: Door, clock: Any) -> None:
    """What fires belongs to the tenant of the recurring action."""
    soc.create(name="Look", id="act-look")
    one = create(soc, target={"action": "act-look"})
    stranger = soc.key("admin", workspace="elsewhere")
    soc.call("DELETE", "/api/actions/act-look")
    body = {"name": "Look", "id": "act-look", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}}
    assert soc.call("POST", "/api/actions", stranger, json=body).status_code == 201
    with db.read() as connection:
        assert actions.head(connection, "elsewhere", "act-look").enabled
    clock.shift(HOUR)
    assert fire() == 1
    assert made() == []
    assert written(one)[0]["outcome"] == "refused"
