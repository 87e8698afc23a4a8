"""What tick reports to monitors: one event for each change that the database records, in its words, without values."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from redis.exceptions import RedisError

from playbooks.states import Status, WaitingFor
from store import audit, worker_processes
from store import redis as redis_store
from store.engine import db
from store.executions import rows, transitions
from tasks.clock import monitors
from tasks.clock.duty import TimeSlice
from tasks.clock.error_sentences import SENTENCES
from tasks.clock.monitors import Position, report
from tasks.messages import flower_events
from tasks.messages.flower_events import TaskEvent
from tests.support.executions import new_execution
from tests.support.services import RedisServer

HERE = "control@here"


@pytest.fixture
def published(database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TaskEvent]]:
    """What is published; a monitor has asked for events, and everything before was reported."""
    events: list[TaskEvent] = []
    listening = SimpleNamespace(event_dispatcher=SimpleNamespace(groups={"worker", "task"}), hostname=HERE)
    monkeypatch.setattr(flower_events, "_consumer", listening)
    monkeypatch.setattr(flower_events, "publish", events.extend)
    monkeypatch.setattr(monitors, "_names", monitors._Names())
    redis_store.client().delete(redis_store.MONITORS)
    report(TimeSlice())
    yield events
    redis_store.client().delete(redis_store.MONITORS)


def accepted(**more: Any) -> str:
    """An execution that a request has just made."""
    values = new_execution(**more)
    with db.write() as connection:
        transitions.accept(connection, values, publish_again_at=db.now_ms() + 30_000)
    return values["id"]


def moved(execution_id: str, to: Status, actor: str = "system", **changes: Any) -> None:
    """The execution in another state."""
    with db.write() as connection:
        assert transitions.transition(connection, execution_id, to, actor=actor, **changes) is not None


def claimed(execution_id: str, actor: str = "here:7:x") -> None:
    """The execution in the hands of a worker."""
    with db.write() as connection:
        assert transitions.claim(connection, execution_id, actor, 30_000) is not None


def reported(published: list[TaskEvent]) -> list[tuple[str, str]]:
    """Task id and kind of each event of one more report."""
    published.clear()
    report(TimeSlice())
    return [(event.task_id, event.type) for event in published]


def test_every_change_is_one_event_in_its_time(published: list[TaskEvent]) -> None:
    """Accepted, begun, tried again, completed: each report has what is new, and nothing twice."""
    one = accepted()
    assert reported(published) == [(one, "task-sent")]
    claimed(one)
    assert reported(published) == [(one, "task-received"), (one, "task-started")]
    waiting = {"waiting_for": WaitingFor.RETRY, "due_at": db.now_ms(), "error": '{"code":"http_timeout"}'}
    moved(one, Status.WAITING, **waiting)
    assert reported(published) == [(one, "task-retried")]
    assert published[0].fields["exception"] == f"http_timeout: {SENTENCES['http_timeout']}"
    claimed(one)
    moved(one, Status.COMPLETED)
    assert [kind for _, kind in reported(published)] == ["task-received", "task-started", "task-succeeded"]
    assert published[0].fields["retries"] == 1
    assert reported(published) == []


def test_what_happens_between_two_reports_is_told_in_order(published: list[TaskEvent]) -> None:
    """An execution that begins at once is not pending before; a retry that has gone on is one all the same."""
    one, two = accepted(), accepted()
    claimed(one)
    moved(one, Status.WAITING, waiting_for=WaitingFor.RETRY, due_at=db.now_ms(), error='{"code":"http_timeout"}')
    claimed(one)
    moved(one, Status.FAILED, error='{"code":"http_status","details":{"status":404}}')
    moved(two, Status.CANCELLED, actor="key-1")
    began = ["task-received", "task-started"]
    seen = reported(published)
    assert [kind for name, kind in seen if name == one] == [*began, "task-retried", *began, "task-failed"]
    assert [kind for name, kind in seen if name == two] == ["task-sent", "task-revoked"]
    failed = next(event for event in published if event.type == "task-failed")
    assert failed.fields["exception"] == "http_status: The receiver answered 404."
    assert failed.fields["traceback"] == f"GET /api/actions/executions/{one}"


def test_an_execution_that_waits_for_a_person_is_under_way(published: list[TaskEvent]) -> None:
    """No event tells of it; an expired approval is a failure."""
    one = accepted()
    claimed(one)
    moved(one, Status.WAITING, waiting_for=WaitingFor.APPROVAL, due_at=db.now_ms())
    assert [kind for _, kind in reported(published)] == ["task-received", "task-started"]
    moved(one, Status.TIMEOUT, error='{"code":"approval_expired"}')
    assert reported(published) == [(one, "task-failed")]


def test_a_step_without_an_attempt_is_a_task_too(published: list[TaskEvent]) -> None:
    """A condition is decided at once, a delay waits from its beginning, a skipped step is none."""
    common = {"workspace_id": "w", "mode": "live", "created_by": "k", "run_id": "pexec-1", "step_id": "s"}
    now = db.now_ms()
    kinds = [
        ("c", "condition", Status.COMPLETED, {"started_at": now, "completed_at": now}),
        ("d", "delay", Status.WAITING, {"waiting_for": WaitingFor.DELAY, "started_at": now}),
        ("p", "parallel", Status.RUNNING, {"started_at": now}),
        ("n", "delay", Status.SKIPPED, {}),
    ]
    new = [
        rows.step({"id": f"pexec-1.{name}", "type": type_, "status": status, **common, **more})
        for name, type_, status, more in kinds
    ]
    with db.write() as connection:
        transitions.add(connection, new, "here:7:x")
    began = ["task-received", "task-started"]
    seen = reported(published)
    assert [kind for name, kind in seen if name == "pexec-1.c"] == ["task-received", "task-succeeded"]
    assert [kind for name, kind in seen if name == "pexec-1.d"] == began
    assert [kind for name, kind in seen if name == "pexec-1.p"] == began
    assert "pexec-1.n" not in {name for name, _ in seen}
    known = [event.fields for event in published if event.type != "task-started"]  # what precedes that says the same
    assert {(fields["name"], fields["root_id"]) for fields in known} == {("tocsin.step", "pexec-1")}
    moved("pexec-1.d", Status.COMPLETED)
    assert reported(published) == [("pexec-1.d", "task-succeeded")]


def test_events_carry_the_name_of_the_worker(published: list[TaskEvent]) -> None:
    """A process of a worker is known by its id, a child of its pool by the queue; anything else is tick's."""
    seen = {"started_at": 1, "consumed_at": 1, "running": 0}
    with db.write() as connection:
        worker_processes.beat(connection, "steps@here", queues="steps,bulk", pid=7, **seen)
        worker_processes.beat(connection, "scripts@here", queues="scripts", pid=8, **seen)
    one, two = accepted(), accepted(queue="scripts")
    claimed(one, "here:7:token")
    claimed(two, "here:99:token")
    moved(one, Status.CANCELLED, actor="key-1")
    reported(published)
    assert {event.worker for event in published if event.task_id == one} == {"steps@here", HERE}
    assert {event.worker for event in published if event.task_id == two and event.type != "task-sent"} == {
        "scripts@here"
    }


def test_a_row_that_commits_late_is_reported(published: list[TaskEvent]) -> None:
    """An id that was missing is asked for again, once: a transaction that began earlier may end later."""
    position = Position(10)
    position.pass_over([SimpleNamespace(id=11), SimpleNamespace(id=14)], 1_000)
    assert (position.last, position.missing) == (14, {12: 1_000, 13: 1_000})
    again = Position.of(position.text)
    again.pass_over([SimpleNamespace(id=12), SimpleNamespace(id=15)], 2_000)
    assert (again.last, again.missing) == (15, {13: 1_000})
    again.pass_over([], 1_000 + monitors.MISSING_MS)
    assert not again.missing
    late = accepted()
    with db.read() as connection:
        trail = audit.of(connection, "w", late)
    redis_store.keep(redis_store.MONITORS, Position(trail[-1].id, {trail[0].id: db.now_ms()}).text)
    assert reported(published) == [(late, "task-sent")]
    assert reported(published) == []


def test_more_than_a_page_is_reported_at_once(published: list[TaskEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages follow each other within the time slice; what is left comes with the next report."""
    monkeypatch.setattr(monitors, "PAGE", 3)
    names = [accepted() for _ in range(8)]
    assert [name for name, _ in reported(published)] == names
    late = [accepted() for _ in range(8)]
    published.clear()
    assert report(TimeSlice(until=0)) == 0
    assert [name for name, _ in reported(published)] == late


def test_only_one_process_reports_at_a_time(published: list[TaskEvent]) -> None:
    """While another control worker has its turn nothing is published; a turn that was never ended lapses."""
    one = accepted()
    assert redis_store.take_turn(redis_store.MONITORS, "another")
    assert reported(published) == []
    assert 0 < redis_store.client().ttl(f"{redis_store.MONITORS}:turn") <= redis_store.TURN
    redis_store.end_turn(redis_store.MONITORS, "a third")
    assert reported(published) == []
    redis_store.end_turn(redis_store.MONITORS, "another")
    assert reported(published) == [(one, "task-sent")]


def test_a_broker_that_is_away_loses_no_event(published: list[TaskEvent], monkeypatch: pytest.MonkeyPatch) -> None:
    """The report fails quietly, the position stays, and the next report has everything."""
    one = accepted()

    def away(_: Any) -> None:
        raise RedisError("away")

    with monkeypatch.context() as outage:
        outage.setattr(flower_events, "publish", away)
        assert report(TimeSlice()) == 0
    assert reported(published) == [(one, "task-sent")]


def test_an_odd_row_is_left_out(published: list[TaskEvent], capsys: pytest.CaptureFixture[str]) -> None:
    """A change that cannot be understood is logged, and the ones after it are reported."""
    odd, one = accepted(kind="unknown"), accepted()
    assert reported(published) == [(one, "task-sent")]
    assert "change not reported to monitors" in capsys.readouterr().out
    assert odd not in str(published)
    assert reported(published) == []


@pytest.mark.parametrize("behind", [monitors.MOST_BEHIND + 1, -1])
def test_a_position_that_is_far_off_starts_again(published: list[TaskEvent], behind: int) -> None:
    """After a long pause, or on a restored database, the last minute is reported and not what nobody remembers."""
    one = accepted()
    long_ago = {"workspace_id": "w", "at": 1, "actor": "key", "event": "execution.running", "subject": one}
    with db.write() as connection:
        connection.execute(sa.insert(audit.audit).values(long_ago))
        last = audit.of(connection, "w", one)[-1].id
    redis_store.keep(redis_store.MONITORS, Position(last - behind).text)
    assert reported(published) == [(one, "task-sent")]


def test_nothing_is_read_before_a_monitor_asks(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Flower the duty costs neither a query nor a call of Redis."""
    monkeypatch.setattr(monitors, "redis_store", None)
    monkeypatch.setattr(monitors, "db", None)
    for groups in (None, SimpleNamespace(groups={"worker"})):
        monkeypatch.setattr(flower_events, "_consumer", SimpleNamespace(event_dispatcher=groups, hostname=HERE))
        assert report(TimeSlice()) == 0
