"""Counters and histograms for Prometheus: counted from the trail, as exact as the database."""

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from playbooks.states import Kind, Status
from store import access, audit, metrics, trail
from store.engine import db
from store.executions import transitions
from store.metrics import Series
from tasks.clock import duty
from tasks.clock import metrics as counting
from tasks.clock.duty import Duty, DutyError, TimeSlice, carry_out
from tests.support import committer, numbers
from tests.support.api import Door
from tests.support.executions import new_execution


def ended(number: int, to: Status = Status.COMPLETED, **more: Any) -> None:
    """Add executions and end them."""
    with db.write() as connection:
        access.ensure_workspace(connection, "w", "W")
        for _ in range(number):
            values = new_execution(**more)
            transitions.accept(connection, values, publish_again_at=db.now_ms())
            committer.claim(connection, values["id"])
            transitions.transition(connection, values["id"], to, output="{}")


def count() -> int:
    """Count all that the trail tells; returns the number of its rows."""
    return counting.count(TimeSlice())


def stored(*workspaces: str) -> dict[Series, int]:
    """The numbers of the installation and of these workspaces."""
    with db.read() as connection:
        return metrics.read(connection, ("", *workspaces))


def rows(query: str) -> list[Any]:
    """Rows of the database as mappings."""
    with db.read() as connection:
        return list(connection.execute(sa.text(query)).mappings())


def test_the_numbers_are_those_of_the_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statuses, modes, names, times and attempts, over many bites; counting again adds nothing."""
    monkeypatch.setattr(counting, "BITE", 7)
    ended(9)
    ended(4, Status.FAILED, action_id="other-act", mode="sandbox")
    ended(2, Status.TIMEOUT)
    ended(3, Status.CANCELLED, workspace_id="elsewhere")
    assert count() > 50
    assert count() == 0
    found = stored("w")
    assert found[Series("executions_ended", labels=("action", "cancelled", "live"))] == 3
    assert found[Series("workspace_executions_ended", "w", ("action", "failed", "other-act"))] == 4
    assert not [series for series in found if series.workspace_id == "elsewhere"]
    assert found[Series("attempts", labels=("action",))] == 18
    door = Door()
    shown = numbers.samples(door.call("GET", "/metrics/prometheus", key=door.key(workspace="w")).text)
    expected = numbers.counted(rows, "w")
    mine = "workspace_id = 'w'"
    names = rows(f"SELECT status, action_id, count(*) AS n FROM executions WHERE {mine} GROUP BY status, action_id")
    assert numbers.of(shown, "tocsin_workspace_executions_ended_total") == {
        frozenset({"kind": "action", "status": row["status"], "name": row["action_id"]}.items()): row["n"]
        for row in names
    }
    del expected["tocsin_workspace_executions_ended_total"]
    numbers.assert_equal(shown, expected)


@pytest.mark.parametrize("kind", [Kind.ACTION, Kind.DISPATCH])
def test_each_kind_has_its_times(door: Door, kind: Kind) -> None:
    """What is counted of an execution is shown, dispatches included."""
    ended(2, kind=kind)
    count()
    shown = door.call("GET", "/metrics/prometheus").text
    for name in ("tocsin_queue_wait_seconds", "tocsin_run_seconds"):
        assert f'{name}_count{{kind="{kind}"}} 2.0' in shown


def test_names_stay_within_their_workspace(door: Door) -> None:
    """Another workspace's key sees the installation's numbers and none of its names; without a key nothing is shown."""
    ended(2, action_id="secret-plan")
    count()
    mine, other = door.key(workspace="w"), door.key(workspace="x")
    assert "secret-plan" in door.call("GET", "/metrics/prometheus", key=mine).text
    shown = door.call("GET", "/metrics/prometheus", key=other).text
    assert "secret-plan" not in shown
    assert 'tocsin_executions_ended_total{kind="action",mode="live",status="completed"} 2.0' in shown
    assert "executions_ended" not in door.call("GET", "/metrics/prometheus", key=None).text


def test_names_beyond_the_most_share_one(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first keep their own, over restarts too; none is ever moved to ``other``."""
    monkeypatch.setattr(counting, "MOST_NAMES", 3)
    for name in ("a", "b", "c", "d"):
        ended(1, action_id=name)
    count()
    for name in ("a", "d", "e"):
        ended(1, Status.FAILED, action_id=name)
    count()
    found = {series.labels[1:]: number for series, number in stored("w").items() if series.workspace_id}
    done, failed = ("completed", "failed")
    assert found == {(done, "a"): 1, (done, "b"): 1, (done, "c"): 1, (done, "other"): 1} | {
        (failed, "a"): 1,
        (failed, "other"): 2,
    }


def test_many_who_count_at_once_count_each_end_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control workers race for every bite; each bite is one worker's."""
    monkeypatch.setattr(counting, "BITE", 5)
    ended(60)
    racers = [threading.Thread(target=lambda: [count() for _ in range(20)]) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    count()
    assert stored()[Series("executions_ended", labels=("action", "completed", "live"))] == 60
    assert stored()[Series("outcomes", labels=("trigger", "executed"))] == 60


def test_a_bite_that_is_broken_off_leaves_mark_and_numbers_alone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They change in one transaction: what was not counted is counted by the next."""
    ended(3)

    def broken(*_: Any) -> None:
        raise RuntimeError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(metrics, "add", broken)
        with pytest.raises(RuntimeError):
            count()
    assert stored() == {}
    count()
    assert stored()[Series("executions_ended", labels=("action", "completed", "live"))] == 3
    assert stored()[Series("outcomes", labels=("trigger", "executed"))] == 3


def test_an_execution_that_is_gone_counts_by_its_id(sqlite_database: str) -> None:
    """Deleted before it was counted: its kind and status are known, its name and times are not."""
    ended(2)
    with db.write() as connection:
        for subject in ("pexec-1", "pexec-1.step.2"):
            audit.record(connection, "w", "me", "execution.failed", subject)
        connection.execute(sa.delete(transitions.executions))
    count()
    assert stored("w") == {
        Series("executions_ended", labels=("action", "completed", "live")): 2,
        Series("outcomes", labels=("trigger", "executed")): 2,
        Series("executions_ended", labels=("playbook", "failed", "live")): 1,
        Series("executions_ended", labels=("step", "failed", "live")): 1,
    }


def test_lost_workers_and_unknown_outcomes_are_counted(sqlite_database: str) -> None:
    """By what the ended rows say of their attempts."""
    for code, unknown in (("attempts_exhausted", "false"), ("worker_lost", "true"), ("http_status", "false")):
        values = new_execution()
        error = f'{{"code": "{code}", "message": "m", "outcome_unknown": {unknown}}}'
        with db.write() as connection:
            transitions.accept(connection, values, publish_again_at=db.now_ms())
            committer.claim(connection, values["id"])
            transitions.transition(connection, values["id"], Status.FAILED, error=error, lapses=2)
    count()
    found = stored()
    labels = ("action",)
    assert found[Series("attempts_lost", labels=labels)] == 3 * 2 + 2
    assert found[Series("attempts_exhausted", labels=labels)] == 1
    assert found[Series("outcomes_unknown", labels=labels)] == 1


def test_failures_of_duties_are_told_by_name(door: Door) -> None:
    """Those of this process, each once."""

    def fails(_: TimeSlice) -> int:
        raise RuntimeError

    for _ in range(2):
        with pytest.raises(DutyError):
            carry_out([Duty("breaks", fails)])
        count()
    count()
    assert 'tocsin_duty_failures_total{duty="breaks"} 2.0' in door.call("GET", "/metrics/prometheus").text
    duty.failures.pop("breaks")


def test_late_schedules_and_those_that_start_nothing_are_shown(door: Door) -> None:
    """A schedule that tick should have fired is late; one that could not start its playbook is counted."""
    step = {"id": "a", "type": "delay", "seconds": 1}
    for name in ("late", "later", "in time"):
        trigger = {"event": "schedule", "cron": "0 3 * * *"}
        door.create_playbook(name=name, trigger=trigger, steps=[step])
    with db.write() as connection:
        for name, seconds in (("late", 20), ("later", 60)):
            at = db.now_ms() - seconds * 1000
            connection.exec_driver_sql(f"UPDATE playbooks SET fire_at = {at} WHERE name = '{name}'")
        audit.record(connection, "default", audit.SYSTEM, "playbook.not_fired", "pb-late", code="gone", reason="gone")
    count()
    shown = numbers.samples(door.call("GET", "/metrics/prometheus").text)
    assert numbers.of(shown, "tocsin_schedules_overdue") == {frozenset(): 2.0}
    assert 60 <= numbers.of(shown, "tocsin_schedules_overdue_seconds")[frozenset()] < 120
    assert numbers.of(shown, "tocsin_playbooks_not_started_total") == {frozenset(): 1.0}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_numbers_go_on_after_a_restore_into_another_cluster(database: str) -> None:
    """The first round there finds out; what came with the dump uncounted, and what ended since, is counted once."""
    ended(2)
    count()
    ended(1)
    with db.write() as connection:
        connection.exec_driver_sql("UPDATE trail_epochs SET cluster = 'another' WHERE epoch = 1")
        assert trail.is_elsewhere(connection)
    ended(4)
    count()
    assert stored()[Series("executions_ended", labels=("action", "completed", "live"))] == 7
