"""Backfills next to what is kept and what is forgotten: the history, the trail, and times that were missed."""

import itertools
import json
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from playbooks.states import Status
from store import audit
from store.access import Caller
from store.engine import db
from store.executions import transitions
from tasks.clock import retention
from tasks.clock.duty import TimeSlice
from tasks.control import backfill
from tests.integration.test_recurring_history import BrokenOff, broken_off_at
from tests.support.api import Door, assert_problem, carry_out
from tests.support.recurring import DAY, HOUR, create, detail, fire, history

HALF = {"dedup_key": "{{execution_time}}"}


def make_up(door: Door, recurring_id: str, start: str, end: str, **more: Any) -> Any:
    """The answer to a backfill of hours of the first day."""
    begin, until = (at if "T" in at else f"2026-11-22T{at}:00Z" for at in (start, end))
    return door.call("POST", f"/v1/recurring/{recurring_id}/backfill", json={"start": begin, "end": until, **more})


def fired() -> list[str]:
    """The times that have brought something, and each of them as often."""
    with db.read() as connection:
        said = connection.execute(sa.select(transitions.executions.c.input)).scalars()
        return sorted(json.loads(one)["dedup_key"][11:16] for one in said)


def shown(door: Door, recurring_id: str) -> list[tuple[str, str, str | None]]:
    """Time, outcome and last missed time of the history, the oldest first."""
    rows = history(door, recurring_id)[::-1]
    return [(row["execution_time"][11:16], row["outcome"], (row["missed_to"] or "")[11:16] or None) for row in rows]


def test_what_retention_has_forgotten_is_not_brought_again(soc: Door, clock: Any) -> None:
    """A period that begins before what is kept is refused with its member; all that is taken is known exactly."""
    one = create(soc, **HALF)
    clock.shift(HOUR)
    fire()
    clock.shift(90 * DAY + HOUR)
    retention.forget_firings(TimeSlice())
    retention.forget_executions(TimeSlice())
    assert history(soc, one) == []
    problem = assert_problem(make_up(soc, one, "10:30", "11:30"), 422)
    assert [each["pointer"] for each in problem["errors"]] == ["/start"]
    assert "90 days" in problem["errors"][0]["detail"]
    assert fired() == ["11:00"]
    soon = problem["errors"][0]["detail"].split()[2].rstrip(":")
    assert make_up(soc, one, soon, "14:30").json["accepted"] == 1


def test_what_the_last_one_came_to_is_known_when_its_execution_is_not(soc: Door, clock: Any) -> None:
    """Before retention deletes it and after: how it ended, as the trail says; a failure stays one."""
    well = create(soc)
    action = soc.create(name="Look")["id"]
    playbook = soc.create_playbook(steps=[{"id": "ask", "type": "approval"}])["id"]
    ended, goes_on = (create(soc, target={"playbook": playbook}) for _ in "12")
    stopped, fails = (create(soc, target={"action": action}) for _ in "12")
    clock.shift(HOUR)
    fire()
    last = {one: detail(soc, one)["last_execution"]["execution_id"] for one in (well, ended, goes_on, stopped, fails)}
    carry_out(last[well])
    assert soc.call("POST", f"/api/actions/executions/{last[stopped]}/cancel").status_code == 200
    with db.write() as connection:
        transitions.transition(connection, last[ended], Status.CANCELLED)
        transitions.transition(connection, last[fails], Status.FAILED, error='{"code":"circuit_open","message":"x"}')
    expected = {well: "executed", ended: "cancelled", goes_on: "accepted", stopped: "cancelled", fails: "circuit_open"}

    def outcomes() -> dict[str, Any]:
        return {one: detail(soc, one)["last_execution"]["outcome"] for one in expected}

    assert outcomes() == expected
    clock.shift(91 * DAY)
    retention.forget_executions(TimeSlice())
    with db.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(transitions.executions)) == 1
    assert outcomes() == expected
    assert detail(soc, well)["last_execution"]["status"] is None


def test_each_part_names_who_has_asked(soc: Door, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backfill that is broken off leaves in the trail who has asked for what was accepted so far."""
    one = create(soc, **HALF)
    whole = backfill._bite

    def broken_off(asked: Any, times: Any, rests: Any) -> Any:
        if times[0] > 1795305600000 + 3 * HOUR * 1000:
            raise KeyboardInterrupt
        return whole(asked, times, rests)

    monkeypatch.setattr(backfill, "BITE", 2)
    with monkeypatch.context() as patched:
        patched.setattr(backfill, "_bite", broken_off)
        with pytest.raises(KeyboardInterrupt):
            make_up(soc, one, "00:00", "10:00")
    assert fired() == ["00:00", "01:00", "02:00", "03:00"]
    assert noted(one) == [2, 2]
    assert make_up(soc, one, "00:00", "10:00").json["accepted"] == 6
    assert noted(one) == [2, 2, 0, 0, 2, 2, 2]
    assert make_up(soc, one, "10:10", "10:20").json["results"] == []
    assert noted(one)[-1:] == [0]


@pytest.mark.on_both
def test_a_backfill_that_is_broken_off_is_all_or_nothing_in_each_part(soc: Door, clock: Any) -> None:
    """At each of its statements: what was accepted is what the trail tells of, and the missed times stay told."""
    one = create(soc, catch_up="skip", **HALF)
    clock.shift(5 * HOUR + 1800)
    fire()
    begin, end = (datetime.fromisoformat(f"2026-11-22T{at}:00Z") for at in ("11:00", "14:30"))
    caller = Caller(key_id="me", workspace_id="default", role="operator", permissions=frozenset({"dispatch"}))
    for number in itertools.count():
        with broken_off_at(number):
            try:
                backfill.backfill(one, begin, end, 100, caller)
            except BrokenOff:
                pass
            else:
                break
        assert sum(noted(one)) == len(fired()) - 1
        if len(fired()) == 1:
            assert shown(soc, one)[0] == ("11:00", "missed", "15:00")
    assert number > 5
    assert [row[1] for row in shown(soc, one)] == ["accepted"] * 4 + ["missed", "accepted"]


def noted(recurring_id: str) -> list[int]:
    """How many each part has accepted, as the trail tells under the caller's name."""
    with db.read() as connection:
        rows = [row for row in audit.of(connection, "default", recurring_id) if row.event == "recurring.backfilled"]
    assert audit.SYSTEM not in {row.actor for row in rows}
    return [json.loads(row.details)["accepted"] for row in rows]


def test_the_first_of_those_that_were_missed_hides_no_other(soc: Door, clock: Any) -> None:
    """What is left of them begins behind what was made up for, in whatever order that is."""
    one = create(soc, catch_up="skip", **HALF)
    clock.shift(5 * HOUR + 1800)
    fire()
    assert shown(soc, one) == [("11:00", "missed", "15:00"), ("16:00", "accepted", None)]
    assert make_up(soc, one, "12:00", "12:30").json["accepted"] == 1
    assert make_up(soc, one, "11:00", "11:30").json["accepted"] == 1
    made = [("11:00", "accepted", None), ("12:00", "accepted", None)]
    assert shown(soc, one) == [*made, ("13:00", "missed", "15:00"), ("16:00", "accepted", None)]
    assert make_up(soc, one, "13:00", "15:30").json["accepted"] == 3
    assert [row[1] for row in shown(soc, one)] == ["accepted"] * 6
    assert fired() == [f"{hour}:00" for hour in range(11, 17)]


def test_what_was_made_up_for_before_it_is_missed_hides_no_other(soc: Door, clock: Any) -> None:
    """Tick was away: a backfill takes the first of the times, and then tick finds the others missed."""
    one = create(soc, catch_up="skip", **HALF)
    clock.shift(3 * HOUR)
    assert make_up(soc, one, "11:00", "11:30").json["accepted"] == 1
    clock.shift(HOUR / 2)
    fire()
    assert shown(soc, one) == [("11:00", "accepted", None), ("12:00", "missed", "13:00"), ("14:00", "accepted", None)]


def test_a_schedule_that_was_changed_since_keeps_the_last_that_was_missed(soc: Door, clock: Any) -> None:
    """Its times are others by now: the rest of those that were missed is told by the last of them."""
    one = create(soc, catch_up="skip", **HALF)
    clock.shift(5 * HOUR + 1800)
    fire()
    soc.call("PUT", f"/v1/recurring/{one}", json={"cron_expr": "0 11 * * *"})
    assert make_up(soc, one, "11:00", "16:00").json["accepted"] == 1
    assert shown(soc, one)[:2] == [("11:00", "accepted", None), ("15:00", "missed", "15:00")]
