"""Playbooks that a schedule starts: once for each time, however late and often tick looks."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from config.errors import Unavailable
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.rest import Rests
from store.executions import recovery, transitions
from tasks.clock import schedules
from tasks.clock.duty import Duty, DutyError, TimeSlice
from tasks.entrypoints import tick
from tasks.intake import run_start
from tests.support.api import Door, assert_problem
from tests.support.duties import unlimited

EVERY_HOUR = {"event": "schedule", "cron": "0 * * * *"}
#: between two full hours
BEGIN = "2026-11-22T10:30:00Z"
HOUR = 3600


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, a tick sees all that is due."""
    unlimited(monkeypatch)


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


@pytest.fixture
def clock() -> Iterator[Any]:
    """A clock that stands still unless it is moved."""
    with time_machine.travel(BEGIN, tick=False) as moved:
        yield moved


def fire() -> int:
    """Start what is due, however long it takes; returns how many runs."""
    return schedules.fire_due(TimeSlice())


def runs_of(playbook_id: str) -> list[Any]:
    """The rows of a playbook's runs."""
    table = transitions.executions
    with db.read() as connection:
        mine = table.select().where(table.c.action_id == playbook_id, table.c.kind == "playbook").order_by(table.c.id)
        return list(connection.execute(mine))


def fire_at(playbook_id: str) -> int | None:
    """When a playbook's schedule comes round next."""
    with db.read() as connection:
        return playbooks.get(connection, "default", playbook_id).fire_at


def in_minutes(minutes: float) -> int:
    """The time ``minutes`` from now, ms."""
    return db.now_ms() + int(minutes * 60_000)


def not_fired(playbook_id: str) -> list[dict[str, Any]]:
    """What the audit trail says about times that were not kept."""
    with db.read() as connection:
        trail = audit.of(connection, "default", playbook_id)
    return [json.loads(line.details) for line in trail if line.event == "playbook.not_fired"]


def test_a_schedule_starts_its_playbook_when_it_comes_round(everywhere: Door, clock: Any) -> None:
    """Not before, once then, and it knows when the next time is."""
    playbook_id = everywhere.create_playbook(trigger=EVERY_HOUR)["id"]
    assert fire() == 0
    clock.shift(HOUR / 2)
    assert fire() == 1
    assert fire() == 0
    (row,) = runs_of(playbook_id)
    context = json.loads(row.context)
    assert (row.status, row.created_by, row.target) == ("pending", "system", None)
    assert (row.cause, context["event"]) == ("schedule", None)
    assert fire_at(playbook_id) == in_minutes(60)
    clock.shift(HOUR)
    assert fire() == 1
    assert len(runs_of(playbook_id)) == 2


def test_what_was_missed_comes_once_late(everywhere: Door, clock: Any) -> None:
    """After five missed hours it starts once, and goes on with the next full hour."""
    playbook_id = everywhere.create_playbook(trigger=EVERY_HOUR)["id"]
    clock.shift(5 * HOUR)
    assert (fire(), fire()) == (1, 0)
    assert len(runs_of(playbook_id)) == 1
    assert fire_at(playbook_id) == in_minutes(30)


def test_many_tickers_start_it_once(everywhere: Door, clock: Any) -> None:
    """Four at the same moment, with five schedules due: five runs."""
    names = [everywhere.create_playbook(name=f"Wait {number}", trigger=EVERY_HOUR)["id"] for number in range(5)]
    clock.shift(HOUR / 2)
    together, fired = threading.Barrier(4), []

    def one() -> None:
        together.wait()
        fired.append(fire())

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fired) == 4
    assert sum(fired) == 5
    assert [len(runs_of(name)) for name in names] == [1] * 5


def test_many_share_a_transaction(everywhere: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty that are due are accepted in one, also where one of them cannot start; so are all others in few."""
    steps = [{"id": "one", "type": "action", "action_ref": everywhere.create()["id"]}]
    names = [everywhere.create_playbook(name=f"Wait {number}", trigger=EVERY_HOUR)["id"] for number in range(59)]
    names.append(everywhere.create_playbook(name="Gone", trigger=EVERY_HOUR, steps=steps)["id"])
    everywhere.call("DELETE", f"/api/actions/{steps[0]['action_ref']}?force=true")
    clock.shift(HOUR / 2)
    commits, change = list[str](), db.change
    monkeypatch.setattr(db, "change", lambda work: commits.append("one") or change(work))
    assert fire() == 59
    assert len(commits) == 2
    assert [row.status for name in names for row in runs_of(name)] == ["pending"] * 59 + ["failed"]


def test_two_that_have_both_looked_start_it_once(everywhere: Door, clock: Any) -> None:
    """The second process finds the schedule moved on, and writes nothing."""
    playbook_id = everywhere.create_playbook(trigger=EVERY_HOUR)["id"]
    clock.shift(HOUR / 2)
    with db.read() as connection:
        (due,) = playbooks.due_schedules(connection, db.now_ms(), 10)
    assert [schedules._fire([due], Rests(), schedules._Faults()) for _ in range(2)] == [1, 0]
    assert len(runs_of(playbook_id)) == 1


@pytest.mark.parametrize("change", ["disable", "revise", "delete"])
def test_what_was_changed_meanwhile_is_not_started(everywhere: Door, clock: Any, change: str) -> None:
    """A playbook that was switched off, changed or deleted after a ticker looked does not start."""
    playbook_id = everywhere.create_playbook(trigger=EVERY_HOUR)["id"]
    path = f"/api/playbooks/{playbook_id}"
    clock.shift(HOUR / 2)
    with db.read() as connection:
        (due,) = playbooks.due_schedules(connection, db.now_ms(), 10)
    call = {"disable": ("POST", f"{path}/disable"), "delete": ("DELETE", path), "revise": ("PATCH", path)}[change]
    body = {"json": {"trigger": {"event": "schedule", "cron": "30 * * * *"}}} if change == "revise" else {}
    assert everywhere.call(*call, **body).status_code in (200, 204)
    assert schedules._fire([due], Rests(), schedules._Faults()) == 0
    assert runs_of(playbook_id) == []
    assert not_fired(playbook_id) == []


def test_a_disabled_playbook_has_no_times(door: Door, clock: Any) -> None:
    """Nothing starts while it is off; what was missed is not made up for."""
    playbook_id = door.create_playbook(trigger=EVERY_HOUR)["id"]
    door.call("POST", f"/api/playbooks/{playbook_id}/disable")
    clock.shift(5 * HOUR)
    assert fire() == 0
    door.call("POST", f"/api/playbooks/{playbook_id}/enable")
    assert fire() == 0
    assert fire_at(playbook_id) == in_minutes(30)


def _broken(door: Door) -> tuple[str, str]:
    action = door.create(id="act-off")["id"]
    act = {"id": "act", "type": "action", "action_ref": action, "parameters": {}}
    made = door.create_playbook(name="Broken", trigger=EVERY_HOUR, steps=[act])
    door.call("POST", f"/api/actions/{action}/disable?force=true")
    return made["id"], "action_disabled"


def _greedy(door: Door) -> tuple[str, str]:
    declared = [{"name": "ticket", "type": "string", "required": True}]
    return door.create_playbook(name="Greedy", trigger=EVERY_HOUR, parameters=declared)["id"], "invalid_parameters"


def _aimless(door: Door) -> tuple[str, str]:
    return door.create_playbook(name="Aimless", trigger=EVERY_HOUR, target_required=True)["id"], "target_required"


def _orphaned(door: Door) -> tuple[str, str]:
    playbook_id, _ = _broken(door)
    door.call("DELETE", "/api/actions/act-off?force=true")
    return playbook_id, "action_missing"


@pytest.mark.parametrize("make", [_broken, _orphaned, _greedy, _aimless])
def test_a_playbook_that_cannot_start_moves_on_and_says_why(everywhere: Door, clock: Any, make: Any) -> None:
    """A failed run and the playbook have the reason, once for each due time; its neighbour starts."""
    playbook_id, code = make(everywhere)
    neighbour = everywhere.create_playbook(name="Fine", trigger=EVERY_HOUR)["id"]
    clock.shift(HOUR / 2)
    assert (fire(), fire()) == (1, 0)
    assert len(runs_of(neighbour)) == 1
    (failed,) = runs_of(playbook_id)
    error = json.loads(failed.error)
    assert (failed.status, failed.cause, failed.due_at, error["code"]) == ("failed", "schedule", None, code)
    assert fire_at(playbook_id) == in_minutes(60)
    (noted,) = not_fired(playbook_id)
    assert (noted["code"], noted["reason"], noted["run"]) == (code, error["message"], failed.id)
    shown = everywhere.call("GET", f"/api/playbooks/{playbook_id}").json["data"]["last_error"]
    assert shown == {"at": "2026-11-22T11:00:00.000Z", "code": code, "message": error["message"]}
    clock.shift(HOUR)
    assert fire() == 1
    assert len(runs_of(playbook_id)) == 2


def test_a_failed_start_reads_like_any_failed_run(everywhere: Door, clock: Any, capsys: Any) -> None:
    """In lists, by itself, with its steps skipped; the log has a warning with the playbook and the reason."""
    playbook_id, code = _broken(everywhere)
    clock.shift(HOUR / 2)
    fire()
    (listed,) = everywhere.call("GET", f"/api/playbooks/{playbook_id}/executions?status=failed").json["data"]
    shown = everywhere.call("GET", f"/api/playbooks/executions/{listed['execution_id']}").json["data"]
    assert (shown["status"], shown["error"]["code"], shown["started_at"]) == ("failed", code, None)
    assert [step["status"] for step in shown["steps"]] == ["skipped"]
    for word in ("steps", "timeline", "logs"):
        path = f"/api/playbooks/executions/{listed['execution_id']}/{word}"
        assert everywhere.call("GET", path).status_code == 200
    [line] = [line for line in capsys.readouterr().out.splitlines() if "scheduled run failed" in line]
    assert all(words in line for words in ("[warning", f"playbook_id={playbook_id}", "is disabled"))


def test_the_next_good_start_clears_the_error(everywhere: Door, clock: Any) -> None:
    """That of the schedule, or one by hand."""
    door = everywhere
    playbook_id, _ = _broken(door)
    path = f"/api/playbooks/{playbook_id}"

    def last_error() -> Any:
        return door.call("GET", path).json["data"]["last_error"]

    for good_start in ("schedule", "by hand"):
        clock.shift(HOUR)
        fire()
        assert last_error()["code"] == "action_disabled"
        assert_problem(door.call("POST", f"{path}/run", json={}), 409)
        assert last_error()["code"] == "action_disabled"
        assert door.call("POST", "/api/actions/act-off/enable").status_code == 200
        if good_start == "schedule":
            clock.shift(HOUR)
            assert fire() == 1
        else:
            assert door.call("POST", f"{path}/run", json={}).status_code == 202
        assert last_error() is None
        assert door.call("POST", "/api/actions/act-off/disable?force=true").status_code == 200


def test_a_failed_start_can_be_retried(door: Door, clock: Any) -> None:
    """Once the action is back, the retry runs it."""
    playbook_id, _ = _broken(door)
    clock.shift(HOUR)
    fire()
    (failed,) = runs_of(playbook_id)
    retry = f"/api/playbooks/executions/{failed.id}/retry"
    refused = assert_problem(door.call("POST", retry, json={}), 409)
    assert (refused["code"], refused["detail"].endswith("is disabled; enable it first.")) == ("action_disabled", True)
    assert door.call("POST", "/api/actions/act-off/enable").status_code == 200
    assert door.call("POST", retry, json={}).status_code == 202
    assert sorted(row.status for row in runs_of(playbook_id)) == ["failed", "pending"]


def test_an_optional_parameter_has_its_default(door: Door, clock: Any) -> None:
    """A schedule gives no values."""
    declared = [{"name": "days", "type": "integer", "default": 7}]
    playbook_id = door.create_playbook(trigger=EVERY_HOUR, parameters=declared)["id"]
    clock.shift(HOUR / 2)
    fire()
    assert json.loads(runs_of(playbook_id)[0].input) == {"days": 7}


def test_a_schedule_may_start_while_its_last_run_goes_on(door: Door, clock: Any) -> None:
    """Only an asset can be taken; a schedule has none."""
    playbook_id = door.create_playbook(trigger=EVERY_HOUR)["id"]
    for _ in range(3):
        clock.shift(HOUR)
        assert fire() == 1
    assert [row.status for row in runs_of(playbook_id)] == ["pending"] * 3


def test_the_time_zone_counts(door: Door, clock: Any) -> None:
    """Eight in the morning in Tokyo is 23:00 UTC."""
    trigger = {"event": "schedule", "cron": "0 8 * * *", "timezone": "Asia/Tokyo"}
    playbook_id = door.create_playbook(trigger=trigger)["id"]
    assert fire_at(playbook_id) == in_minutes(12.5 * 60)
    clock.shift(13 * HOUR)
    assert fire() == 1
    assert fire_at(playbook_id) == in_minutes(23.5 * 60)


def test_one_tick_starts_only_so_many(door: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is left to the next one, the most overdue first."""
    for number in range(5):
        door.create_playbook(name=f"Wait {number}", trigger=EVERY_HOUR)
    clock.shift(HOUR / 2)
    monkeypatch.setattr(schedules, "BATCH", 2)
    assert [fire() for _ in range(4)] == [2, 2, 1, 0]


def test_a_failure_in_the_middle_starts_nothing(everywhere: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the run cannot be written the schedule has not moved on; the next tick starts it."""
    playbook_id = everywhere.create_playbook(trigger=EVERY_HOUR)["id"]
    clock.shift(HOUR / 2)

    def away(*_: Any, **__: Any) -> None:
        raise Unavailable

    with monkeypatch.context() as broken:
        broken.setattr(run_start, "accept", away)
        with pytest.raises(Unavailable):
            fire()
    assert fire_at(playbook_id) == db.now_ms()
    assert fire() == 1
    assert len(runs_of(playbook_id)) == 1


def test_a_run_that_cannot_be_made_ready_is_not_tried_every_second(
    door: Door, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of ours moves the schedule on like any other reason, and is in the audit trail."""
    playbook_id = door.create_playbook(trigger=EVERY_HOUR)["id"]
    clock.shift(HOUR / 2)

    def breaks(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(run_start, "prepare", breaks)
        assert fire() == 0
    assert not_fired(playbook_id)[0]["code"] == "internal_error"
    assert fire_at(playbook_id) == in_minutes(60)


@pytest.mark.parametrize("where", ["its rules", "its next time"])
def test_one_that_breaks_keeps_no_other_from_starting(
    everywhere: Door, clock: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """One of five that are due together raises at every tick: the others start, and tick hears of the fault."""
    ids = sorted(everywhere.create_playbook(name=f"Wait {number}", trigger=EVERY_HOUR)["id"] for number in range(5))
    clock.shift(HOUR / 2)
    module, name = (schedules.firings, "decided") if where == "its rules" else (schedules, "_next_time")
    real = getattr(module, name)

    def breaks(playbook: Playbook, *args: Any) -> Any:
        if playbook.id == ids[1]:
            raise RuntimeError("no such zone any more")
        return real(playbook, *args)

    monkeypatch.setattr(module, name, breaks)
    with pytest.raises(RuntimeError, match="no such zone"):
        fire()
    assert [len(runs_of(playbook_id)) for playbook_id in ids] == [1, 0, 1, 1, 1]
    with pytest.raises(RuntimeError, match="no such zone"):
        fire()
    assert [len(runs_of(playbook_id)) for playbook_id in ids] == [1, 0, 1, 1, 1]


def test_tick_keeps_schedules(door: Door, clock: Any) -> None:
    """The beat that looks after executions starts what is due."""
    playbook_id = door.create_playbook(trigger=EVERY_HOUR)["id"]
    clock.shift(HOUR / 2)
    tick.tick()
    assert len(runs_of(playbook_id)) == 1


def test_broken_schedules_keep_tick_from_nothing(door: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong with schedules, due executions are still looked after."""
    execution_id = door.trigger(door.create()["id"])
    with db.write() as connection:
        recovery.publish_soon(connection, [execution_id], at=db.now_ms())

    def breaks(_: TimeSlice) -> int:
        raise RuntimeError

    broken = [Duty("schedules", breaks) if duty.name == "schedules" else duty for duty in tick.DUTIES]
    monkeypatch.setattr(tick, "DUTIES", broken)
    with pytest.raises(DutyError, match="schedules"):
        tick.tick()
    with db.read() as connection:
        assert transitions.get(connection, "default", execution_id).due_at > db.now_ms()
