"""What comes of what a silence keeps back: let go in order, summed up; and reminders, windows and previews."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import settings
from playbooks.states import Status
from store.audit import audit
from store.engine import db
from store.executions import transitions
from store.gateway import silences as rows
from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import silences as duty
from tasks.control import silences as control
from tests.integration.test_gate_steps import Bench
from tests.support import dispatching, forked
from tests.support.api import Door, assert_problem
from tests.support.dispatching import body, send

PROVIDERS = "providers:\n  drill: {kind: mock, behaviour: answer, answer: {seen: true}}\n"
WARNINGS = [{"name": "severity", "op": "=", "value": "warning"}]


@pytest.fixture
def door(first_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The application, with a provider in force."""
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    monkeypatch.setattr(control, "SETTLED", 0)
    monkeypatch.setattr(duty, "SETTLED", 0)
    yield Door()
    dispatching.forget()


def silence(door: Door, **more: Any) -> dict[str, Any]:
    """Make a silence; what is answered."""
    given = {"matchers": WARNINGS, "comment": "CHG-1", **more}
    given |= {} if "cron" in more or "ends_at" in more else {"duration_seconds": more.get("duration_seconds", 3600)}
    answer = door.call("POST", "/v1/silences", json=given)
    assert answer.status_code == 201, answer.text
    return answer.json


def warn(door: Door, **more: Any) -> Any:
    """Send a dispatch that the silence matches."""
    return send(door, body(metadata={"severity": "warning"}, **more), headers={"Prefer": "respond-async"}).json


def dispatches(**where: Any) -> list[Any]:
    """The executions of dispatches, in the order in which they were accepted."""
    table = transitions.executions
    with db.read() as connection:
        found = connection.execute(table.select().where(table.c.kind == "dispatch").order_by(table.c.id)).all()
    return [row for row in found if all(getattr(row, name) == value for name, value in where.items())]


def held() -> int:
    """How many dispatches wait."""
    table = transitions.executions
    waits = sa.and_(table.c.kind == "dispatch", table.c.status == Status.WAITING)
    with db.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(waits)).scalar_one()


def row_of(silence_id: str) -> Any:
    """The row of a silence."""
    found = db.read_one(rows.read, silence_id)
    assert found is not None
    return found


def at(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    """Let it be a moment, ms."""
    from store import audit as trail
    from store.records import silences as records

    for module in (db, trail, rows, records):
        monkeypatch.setattr(module, "now_ms", lambda: moment)


def test_a_summary_says_what_came(door: Door) -> None:
    """One dispatch when the silence ends, by provider and type; none where nothing came."""
    made = silence(door, after="summarise", notify="drill")
    for number in range(3):
        assert warn(door, action_type="mail" if number else "page")["outcome"] == "silenced"
    door.call("DELETE", f"/v1/silences/{made['id']}")
    assert duty.look_after(TimeSlice()) == 1
    [summary] = dispatches()
    given = transitions.load(summary.input)
    assert (given["namespace"], given["action_type"], given["labels"]) == (
        "silences",
        "silence_summary",
        {"silence": made["id"]},
    )
    assert given["payload"]["count"] == 3
    assert given["payload"]["kinds"] == [
        {"provider": "drill", "action_type": "mail", "count": 2},
        {"provider": "drill", "action_type": "page", "count": 1},
    ]
    assert duty.look_after(TimeSlice()) == 0
    empty = silence(door, after="summarise", notify="drill")
    door.call("DELETE", f"/v1/silences/{empty['id']}")
    duty.look_after(TimeSlice())
    assert len(dispatches()) == 1


def test_a_summary_comes_where_others_have_kept_back_too_much_to_count(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says that it is not complete."""
    monkeypatch.setattr("store.records.silences.MOST_SUMMED", 2)
    silence(door, matchers=[{"name": "severity", "value": "info"}])
    made = silence(door, after="summarise", notify="drill")
    for severity in ("info", "info", "warning"):
        assert send(door, body(metadata={"severity": severity})).json["outcome"] == "silenced"
    door.call("DELETE", f"/v1/silences/{made['id']}")
    duty.look_after(TimeSlice())
    [summary] = dispatches()
    payload = transitions.load(summary.input)["payload"]
    assert (payload["count"], payload["complete"]) == (0, False)
    assert payload["text"] == f"At least 0 kept back by the silence {made['id']} (CHG-1)."


def test_a_reminder_comes_once_before_the_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the silence is over at its time, with its row of the trail."""
    made = silence(door, remind_before_minutes=10, notify="drill")
    row = row_of(made["id"])
    assert row.next_at == row.ends_at - 600_000
    at(monkeypatch, row.ends_at - 590_000)
    assert [duty.look_after(TimeSlice()) for _ in range(3)] == [1, 0, 0]
    [reminder] = dispatches()
    assert transitions.load(reminder.input)["action_type"] == "silence_reminder"
    at(monkeypatch, row.ends_at + 1)
    duty.look_after(TimeSlice())
    assert (row_of(made["id"]).ended_by, row_of(made["id"]).next_at) == ("system", None)
    with db.read() as connection:
        events = connection.scalars(sa.select(audit.c.event).where(audit.c.subject == made["id"])).all()
    assert list(events) == ["silence.created", "silence.expired"]


def test_a_notice_that_cannot_be_sent_is_tried_again(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The silence shows why; nothing else waits for it."""
    made = silence(door, after="summarise", notify="drill")
    warn(door)
    dispatching.put_in_force(monkeypatch, tmp_path, providers="providers:\n  other: {kind: mock}\n")
    door.call("DELETE", f"/v1/silences/{made['id']}")
    duty.look_after(TimeSlice())
    assert "drill" in door.call("GET", f"/v1/silences/{made['id']}").json["notice_error"]
    assert row_of(made["id"]).next_at > db.now_ms()
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS)
    at(monkeypatch, row_of(made["id"]).next_at + 1)
    duty.look_after(TimeSlice())
    assert len(dispatches()) == 1


def test_a_window_comes_back(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps back while it is open; each time sums up what came since the last."""
    hour = (db.now_ms() // 3_600_000 + 12) % 24  # no window is open now
    made = silence(door, cron=f"0 {hour} * * *", duration_minutes=60, after="summarise", notify="drill")
    row = row_of(made["id"])
    begins = control.times_of(row).next_end(row.starts_at) - 3_600_000
    for day in range(2):
        at(monkeypatch, begins + day * 86_400_000 - 1)
        if begins - 1 > row.starts_at:
            assert warn(door)["outcome"] == "accepted"
        at(monkeypatch, begins + day * 86_400_000 + 1)
        assert warn(door)["outcome"] == "silenced"
        at(monkeypatch, begins + day * 86_400_000 + 3_600_001)
        duty.look_after(TimeSlice())
    summaries = [one for one in dispatches() if transitions.load(one.input)["namespace"] == "silences"]
    assert [transitions.load(one.input)["payload"]["count"] for one in summaries] == [1, 1]
    assert row_of(made["id"]).ended_at is None


def test_triggers_and_runs_are_held_too(door: Door) -> None:
    """A triggered action waits; a step waits, and asks again when the silence is over."""
    door.create(id="block")
    made = silence(door, after="release", matchers=[{"name": "action.action_type", "op": "=", "value": "block"}])
    execution_id = door.trigger("block")
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert shown["status"] == "waiting"
    door.call("DELETE", f"/v1/silences/{made['id']}")
    sweep.handle_due(TimeSlice())
    shown = door.call("GET", f"/api/actions/executions/{execution_id}").json["data"]
    assert shown["status"] == "pending"


def test_a_step_is_skipped_or_waits(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that is dropped is skipped; one that is held goes out when the silence has ended, as its run does."""
    bench = Bench(door, monkeypatch)
    tell = [{"name": "action.metadata.step", "op": "=", "value": "tell"}]
    made = silence(door, matchers=tell)
    run_id, status = bench.run()
    assert (status, bench.names) == ("completed", ["after"])
    told = door.call("GET", f"/v1/audit/{run_id}.tell/why").json
    assert (told["outcome"], told["reasons"][0]["silence_id"]) == ("silenced", made["id"])
    door.call("DELETE", f"/v1/silences/{made['id']}")
    made = silence(door, matchers=tell, after="release")
    run_id, _ = bench.run()
    row = bench.row(f"{run_id}.tell")
    assert (row.status, row.waiting_for) == ("waiting", "delay")
    assert "holds it" in door.call("GET", f"/v1/audit/{row.id}/why").json["sentences"][0]
    door.call("DELETE", f"/v1/silences/{made['id']}")
    row = bench.row(row.id)
    assert row.due_at <= db.now_ms() + 10
    bench.due(row.id)
    assert bench.go_on(run_id) == "completed"
    assert bench.names == ["after", "tell", "after"]


def test_a_preview_counts_what_went_out_in_the_last_day(door: Door) -> None:
    """By labels, fields and payload; what is kept back already is not counted again."""
    with dispatching.working():
        for number in range(4):
            given = body(metadata={"severity": "warning" if number % 2 else "info"}, payload={"n": number})
            assert send(door, given).json["outcome"] == "executed"

    def preview(*matchers: dict[str, str], **more: Any) -> Any:
        return door.call("POST", "/v1/silences/preview", json={"matchers": list(matchers), **more}).json

    assert preview(WARNINGS[0])["matched"] == 2
    found = preview({"name": "action.payload.n", "op": "=~", "value": "[1-3]"})
    assert (found["matched"], found["looked_at"], found["complete"]) == (3, 4, True)
    assert found["kinds"] == [{"provider": "drill", "action_type": "send_email", "count": 3}]
    assert preview({"name": "action.provider", "value": "other"})["matched"] == 0
    assert_problem(door.call("POST", "/v1/silences/preview", json={"matchers": []}), 400)
    assert_problem(door.call("POST", "/v1/silences/preview", json={"matchers": WARNINGS, "comment": "c"}), 400)


def test_a_preview_ends_when_its_time_is_over(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says how many it has looked at, and that these are not all."""
    with dispatching.working():
        for _ in range(3):
            assert send(door).json["outcome"] == "executed"
    monkeypatch.setattr(control, "PREVIEWED_FOR", 0)
    given = {"matchers": [{"name": "action.provider", "value": "drill"}]}
    found = door.call("POST", "/v1/silences/preview", json=given).json
    assert (found["matched"], found["looked_at"], found["complete"]) == (1, 1, False)


@pytest.mark.gate
def test_each_goes_out_once_and_in_order_whatever_is_killed(door: Door) -> None:
    """The silence is ended mid-way; the process that lets go is killed again and again."""
    made = silence(door, after="release", duration_seconds=600)
    kept = [warn(door) for _ in range(300)]
    assert all(one["held"] for one in kept)
    door.call("DELETE", f"/v1/silences/{made['id']}")
    chance, waiting, deadline = random.Random(16), 300, time.monotonic() + 200
    while waiting and time.monotonic() < deadline:
        releaser = forked.start("tests.support.releaser", TOCSIN_SECRET_KEY=settings().secret_key)
        until, before = time.monotonic() + 60, waiting
        while waiting == before and time.monotonic() < until:  # it starts, and lets some go
            time.sleep(0.002)
            waiting = held()
        time.sleep(chance.uniform(0, 0.02))
        releaser.kill()
        releaser.wait()
        waiting = held()
    ids = [one.id for one in dispatches()]
    with db.read() as connection:
        let_go = connection.scalars(
            sa.select(audit.c.subject).where(audit.c.event == "execution.pending").order_by(audit.c.id)
        ).all()
    assert list(let_go) == ids
    assert {one.status for one in dispatches()} == {Status.PENDING}


def test_a_silence_that_fails_starves_no_other(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked after again later, and says why."""
    broken, other = (silence(door, duration_seconds=60)["id"] for _ in "12")
    look = duty._period_is_over

    def failing(row: Any, now: int, **more: Any) -> bool:
        if row.id == broken:
            raise ZeroDivisionError
        return look(row, now, **more)

    monkeypatch.setattr(duty, "_period_is_over", failing)
    with db.write() as connection:
        connection.execute(rows.silences.update().values(after="summarise", notify="drill", next_at=db.now_ms() - 1))
    assert duty.look_after(TimeSlice()) == 2
    assert row_of(other).next_at != row_of(broken).next_at
    assert row_of(broken).next_at > db.now_ms() + 2_000
    assert (row_of(broken).tries, row_of(broken).notice_error) == (1, "It could not be looked after: the log says why.")
