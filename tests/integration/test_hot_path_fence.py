"""The end of a step and the beginning of the next are one write: what becomes of it when the world has moved on.

A worker plans what follows, and writes it a moment later. Meanwhile its step may have been taken over (one attempt
more), ended by another process, or its run cancelled or paused. Then nothing of what it planned may begin.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import settings
from providers.egress import curl
from store import audit
from store.access import ROLES, Caller
from store.engine import db, group_commit
from store.engine.db import Connection
from store.executions import ending, leases, steps, transitions
from store.executions.steps import End, Moves
from tasks.control import cancel as control
from tasks.control import pause
from tasks.entrypoints import runs as messages
from tasks.intake import run_start
from tests.support import committer
from tests.support.api import Door
from tests.support.executions import new_execution
from tests.support.quiet import ready_to_publish
from tests.support.runs import enter
from tests.support.services import RedisServer
from tests.support.sink import Sink

pytestmark = pytest.mark.on_both

#: the worker that held the step, and the one that has taken it over
OLD, NEW = "steps@old", "steps@new"
MINUTE = 60_000


def start_run(run_id: str, **more: Any) -> str:
    """A run under way, with a parallel step ``all`` and in one of its branches a step ``a`` that OLD holds."""
    now = db.now_ms()
    columns = {
        **new_execution(id=run_id),
        "kind": "playbook",
        "action_id": "pb",
        "status": "running",
        "attempt": 0,
        "failures": 0,
        "lapses": 0,
        "publishes": 0,
        "target": run_id,
        "created_at": now,
        "started_at": now,
        "expires_at": now + MINUTE,
        "due_at": now + MINUTE,
        **more,
    }
    with db.write() as connection:
        transitions.add(connection, [columns], OLD)
    enter(run_id, "all", type="parallel", open=2, cursor=2)
    enter(run_id, "a", owner=OLD, parent_id=f"{run_id}.all")
    return run_id


def next_step(run_id: str, step_id: str = "b", **more: Any) -> dict[str, Any]:
    """The row of an action that OLD plans to carry out at once."""
    now = db.now_ms()
    return {
        **new_execution(id=f"{run_id}.{step_id}"),
        "kind": "step",
        "status": "running",
        "attempt": 1,
        "failures": 0,
        "lapses": 0,
        "publishes": 0,
        "owner": OLD,
        "run_id": run_id,
        "step_id": step_id,
        "iteration": "",
        "type": "action",
        "previous_id": f"{run_id}.a",
        "parent_id": f"{run_id}.all",
        "created_at": now,
        "started_at": now,
        "renewed_at": now,
        "expires_at": now + MINUTE,
        "due_at": now + MINUTE,
        **more,
    }


def pending(run_id: str, step_id: str = "b") -> dict[str, Any]:
    """The row of an action that a message is to bring."""
    return next_step(run_id, step_id, status="pending", attempt=0, owner=None, started_at=None, renewed_at=None)


def resting(run_id: str) -> dict[str, Any]:
    """The row of a step that waits for the clock."""
    return next_step(run_id, status="waiting", owner=None, type="delay", waiting_for="delay", action_id="")


def child_run(run_id: str) -> dict[str, Any]:
    """The row of a run that a step starts."""
    row = {**pending(run_id), "id": f"pexec-child-of-{run_id}", "kind": "playbook", "target": f"child of {run_id}"}
    return {**row, "run_id": None, "step_id": None, "iteration": None, "previous_id": None}


#: what follows → the moves, made for a run
FOLLOWING: dict[str, Callable[[str], Moves]] = {
    "an action here": lambda run_id: Moves(rows=[next_step(run_id)]),
    "an action by message": lambda run_id: Moves(rows=[pending(run_id)]),
    "a delay": lambda run_id: Moves(rows=[resting(run_id)]),
    "two actions": lambda run_id: Moves(rows=[pending(run_id), pending(run_id, "c")]),
    "a run": lambda run_id: Moves(rows=[next_step(run_id, type="playbook", owner=None)], runs=[child_run(run_id)]),
    "the end of a branch": lambda run_id: Moves(arrivals=[(f"{run_id}.all", False)]),
    "the end": lambda run_id: Moves(end=End(status="completed", output={"a": 1})),
    "the end in failure": lambda run_id: Moves(end=End(status="failed", error={"code": "x"}, after_failure=True)),
    "an exception step": lambda run_id: Moves(rows=[pending(run_id)], failing={"code": "x"}),
}


def end_of(run_id: str, moves: Moves, connection: Connection) -> Any:
    """What OLD writes at the end of its first attempt at the step ``a``."""
    return steps.end_step(
        connection, f"{run_id}.a", "completed", moves, run_id=run_id, actor=OLD, fence=1, owner=None, output="{}"
    )


def write_end(run_id: str, moves: Moves) -> Any:
    """The same, committed as a worker does."""
    single = steps.in_one_statement(db.engine().dialect.name, moves)
    at = moves.arrivals[0][0] if moves.arrivals else ""
    return group_commit.commit(partial(end_of, run_id, moves), single=single, at=at)


def everything(about: str = "") -> list[Any]:
    """Every execution whose id begins with ``about``, column by column, and every audit row about one."""
    rows, trail = transitions.executions, audit.audit
    with db.read() as connection:
        found = connection.execute(sa.select(rows).where(rows.c.id.like(f"{about}%")).order_by(rows.c.id)).all()
        noted = connection.execute(sa.select(trail).where(trail.c.subject.like(f"{about}%")).order_by(trail.c.id)).all()
    return [found, noted]


def events(subject: str) -> list[str]:
    """What the audit trail says happened to an execution."""
    with db.read() as connection:
        return [row.event.removeprefix("execution.") for row in audit.of(connection, "w", subject)]


def row(execution_id: str) -> Any:
    """An execution as the database holds it; None when it is not there."""
    with db.read() as connection:
        return connection.execute(
            transitions.executions.select().where(transitions.executions.c.id == execution_id)
        ).one_or_none()


def lapse(connection: Connection, step: str) -> None:
    assert transitions.transition(connection, step, "pending", fence=1, owner=None, lapses=1) is not None


def take_over(connection: Connection, step: str) -> None:
    lapse(connection, step)
    assert transitions.claim(connection, step, NEW, MINUTE, step=True) is not None


def take_over_and_finish(connection: Connection, step: str) -> None:
    take_over(connection, step)
    assert transitions.transition(connection, step, "completed", actor=NEW, fence=2, owner=None) is not None


def time_out(connection: Connection, step: str) -> None:
    assert transitions.transition(connection, step, "timeout", fence=1, **steps.follow_mark()) is not None


def cancel(connection: Connection, step: str) -> None:
    run_id = step.partition(".")[0]
    assert steps.end_run(connection, run_id, End(status="cancelled"), "key")
    ending.clear(connection, [run_id], "key")


TAKEN = [lapse, take_over, take_over_and_finish, time_out, cancel]


@pytest.mark.parametrize("following", FOLLOWING)
def test_a_worker_whose_step_was_taken_changes_nothing(database: str, following: str) -> None:
    """Lapsed, taken over, ended by another, timed out, cancelled: a late write is refused whole and leaves no trace."""
    for take in TAKEN:
        run_id = start_run(f"pexec-{take.__name__}")
        moves = FOLLOWING[following](run_id)  # planned while the step was its own
        with db.write() as connection:
            take(connection, f"{run_id}.a")
        before = everything()
        ours, waiting = write_end(run_id, moves)
        assert (ours, waiting or []) == (False, []), take.__name__
        assert everything() == before, take.__name__


@pytest.mark.parametrize("following", FOLLOWING)
def test_late_writes_in_a_batch_leave_the_others_alone(database: str, following: str) -> None:
    """Of sixteen ends that share transactions every second is stale: it changes nothing, the others are written."""
    run_ids = [start_run(f"pexec-{number:02d}") for number in range(16)]
    planned = {run_id: FOLLOWING[following](run_id) for run_id in run_ids}
    with db.write() as connection:
        for run_id in run_ids[::2]:
            take_over(connection, f"{run_id}.a")
    before = {run_id: everything(run_id) for run_id in run_ids[::2]}
    single = steps.in_one_statement(database, planned[run_ids[0]])
    changes = [partial(end_of, run_id, planned[run_id]) for run_id in run_ids]
    outcomes = committer.together(changes, single=single)
    assert [ours for ours, _ in outcomes] == [number % 2 == 1 for number in range(16)]
    for run_id in run_ids[::2]:
        assert everything(run_id) == before[run_id]
        assert row(f"pexec-child-of-{run_id}") is None
    for run_id in run_ids[1::2]:
        assert row(f"{run_id}.a").status == "completed"
        assert events(f"{run_id}.a") == ["running", "completed"]
        for planned_row in [*planned[run_id].rows, *planned[run_id].runs]:
            assert row(planned_row["id"]).status == planned_row["status"]
            assert len(events(planned_row["id"])) == 1
        assert row(f"{run_id}.all").open == (1 if planned[run_id].arrivals else 2)
        assert row(run_id).status == (planned[run_id].end.status if planned[run_id].end else "running")


@pytest.mark.parametrize("following", FOLLOWING)
def test_nothing_begins_when_the_run_was_cancelled_meanwhile(database: str, following: str) -> None:
    """The run has ended but its steps have not been looked at yet: the step's own end is true, nothing follows it."""
    run_id = start_run("pexec-1")
    moves = FOLLOWING[following](run_id)
    with db.write() as connection:
        assert steps.end_run(connection, run_id, End(status="cancelled"), "key")
    whole_run = everything(run_id)[0][0]
    ours, waiting = write_end(run_id, moves)
    assert ours is True
    assert not waiting
    with db.write() as connection:
        ending.clear(connection, [run_id], "key")
    assert everything(run_id)[0][0] == whole_run, "a run that was cancelled stays as it is"
    assert events(run_id) == ["running", "cancelled"]
    assert events(f"{run_id}.a") == ["running", "completed"]
    assert row(f"{run_id}.all").status == "cancelled"
    assert {one.id for one in everything()[0]} == {run_id, f"{run_id}.a", f"{run_id}.all"}


@pytest.mark.parametrize("following", ["an action here", "an action by message", "two actions", "a run"])
def test_nothing_begins_while_the_run_is_paused(database: str, following: str) -> None:
    """Paused between the plan and the write: what follows is written down, unclaimed, and does not begin."""
    run_id = start_run("pexec-1")
    moves = FOLLOWING[following](run_id)
    with db.write() as connection:
        assert transitions.transition(connection, run_id, "paused", actor="key") is not None
    assert write_end(run_id, moves)[0] is True
    for planned in moves.rows:
        found = row(planned["id"])
        if found.type == "action":
            assert (found.status, found.owner, found.attempt) == ("pending", None, 0)
            assert events(found.id) == ["accepted"]
    for planned in moves.runs:
        assert row(planned["id"]).status == "paused"


def test_a_worker_may_let_go_before_its_step_is_ended(database: str) -> None:
    """It sees that the run was cancelled before the cancel has come to its step: the step has no owner any more."""
    run_id = start_run("pexec-1")
    step = f"{run_id}.a"
    with db.write() as connection:
        leases.release(connection, step, OLD, 1)
    assert row(step).owner == OLD, "of a run that goes on a running step is kept"
    with db.write() as connection:
        assert steps.end_run(connection, run_id, End(status="cancelled"), "key")
    with db.read() as connection:
        assert leases.still_held(connection, OLD, [step]) == set()
    with db.write(single=True) as connection:
        leases.release(connection, step, OLD, 1)
    with db.write() as connection:
        ending.clear(connection, [run_id], "key")
    assert (row(step).status, row(step).owner) == ("cancelled", None)


def test_copies_of_one_end_are_written_once(database: str) -> None:
    """Eight copies of a worker's write in one batch: one is made, with one step that follows; seven come too late."""
    run_id = start_run("pexec-1")
    copies = [partial(end_of, run_id, Moves(rows=[next_step(run_id)])) for _ in range(8)]
    outcomes = committer.together(copies, single=True)
    assert sorted(ours for ours, _ in outcomes) == [False] * 7 + [True]
    assert events(f"{run_id}.a") == ["running", "completed"]
    assert events(f"{run_id}.b") == ["running"]


def test_the_last_of_many_branches_is_found_once(database: str) -> None:
    """Forty branches of one step end in batches, ten of them twice: the count is right, one end brings attention."""
    run_id = start_run("pexec-1")
    enter(run_id, "wide", type="parallel", open=40, cursor=40)
    for number in range(40):
        enter(run_id, f"s{number}", owner=OLD, parent_id=f"{run_id}.wide")

    def end(number: int, connection: Connection) -> Any:
        moves = Moves(arrivals=[(f"{run_id}.wide", number % 4 == 0)])
        step = f"{run_id}.s{number}"
        return steps.end_step(connection, step, "completed", moves, run_id=run_id, actor=OLD, fence=1, owner=None)

    changes = [partial(end, number) for number in [*range(40), *range(10)]]
    outcomes = committer.together(changes, at=f"{run_id}.wide")
    assert sum(ours for ours, _ in outcomes) == 40
    assert [waiting for _, waiting in outcomes if waiting] == [[f"{run_id}.wide"]]
    assert (row(f"{run_id}.wide").open, row(f"{run_id}.wide").failures) == (0, 10)


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sink]:
    """The receiver."""
    receiver = Sink(Path(tmp_path_factory.mktemp("sink")))
    yield receiver
    receiver.stop()


@pytest.fixture
def walking(database: str, redis_server: RedisServer, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The application; its playbooks run in this process and may call the receiver."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    ready_to_publish()
    redis_server.client().flushall()
    yield Door()
    curl.POOL.close()
    redis_server.client().flushall()


OPERATOR = Caller(key_id="key", workspace_id="default", role="admin", permissions=ROLES["admin"])


@contextmanager
def before_the_end(step: str, act: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, sink: Sink) -> Iterator[None]:
    """Do something right before the first commit that comes after the call of this step."""
    commit, over = group_commit.commit, threading.Event()

    def watched(change: Callable[[Connection], Any], **options: Any) -> Any:
        if not over.is_set() and sink.keys()[step]:
            over.set()
            act()
        return commit(change, **options)

    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "commit", watched)
        yield
    assert over.is_set()


def run_of_two(door: Door, sink: Sink) -> str:
    """A pending run of two calls."""
    action = door.create(config={"url": f"{sink.url}/ok", "method": "POST"})
    two = [{"id": step_id, "type": "action", "action_ref": action["id"]} for step_id in "ab"]
    playbook = door.create_playbook(name="Two", steps=two)
    return run_start.start(
        run_start.RunRequest(workspace_id="default", actor="test", playbook_id=playbook["id"], parameters={})
    ).run_id


def begin(run_id: str) -> None:
    """Carry out the message that begins a run, and the one that brings its first step where they are two."""
    messages.begin.apply(args=[run_id]).get()
    if row(f"{run_id}.a").status == "pending":
        messages.step.apply(args=[f"{run_id}.a"]).get()


def test_a_cancel_between_the_call_and_its_end(walking: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker has called, and has planned to carry out the next step at once: cancelled before it writes that."""
    run_id = run_of_two(walking, sink)
    with before_the_end(f"{run_id}.a", lambda: control.cancel_run(OPERATOR, run_id), monkeypatch, sink):
        begin(run_id)
    assert row(run_id).status == "cancelled"
    assert (row(f"{run_id}.a").status, row(f"{run_id}.a").owner) == ("cancelled", None)
    assert row(f"{run_id}.b") is None
    assert sink.keys()[f"{run_id}.a"] == 1
    assert sink.keys()[f"{run_id}.b"] == 0


def test_a_pause_between_the_call_and_its_end(walking: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paused before the write: the step has ended, the next is not called; resumed, it is called once."""
    run_id = run_of_two(walking, sink)
    with before_the_end(f"{run_id}.a", lambda: pause.pause(OPERATOR, run_id), monkeypatch, sink):
        begin(run_id)
    assert row(run_id).status == "paused"
    assert (row(f"{run_id}.a").status, row(f"{run_id}.b").status) == ("completed", "pending")
    assert sink.keys()[f"{run_id}.b"] == 0
    pause.resume(OPERATOR, run_id)
    messages.step.apply(args=[f"{run_id}.b"]).get()
    assert row(run_id).status == "completed"
    assert sink.keys()[f"{run_id}.b"] == 1


def test_a_take_over_between_the_call_and_its_end(walking: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was frozen after its call finds its step taken over: it writes nothing and goes on with nothing."""
    run_id = run_of_two(walking, sink)

    def taken() -> None:
        with db.write() as connection:
            take_over(connection, f"{run_id}.a")

    with before_the_end(f"{run_id}.a", taken, monkeypatch, sink):
        begin(run_id)
    found = row(f"{run_id}.a")
    assert (found.status, found.owner, found.attempt) == ("running", NEW, 2)
    assert row(f"{run_id}.b") is None
    assert sink.keys()[f"{run_id}.b"] == 0
    assert row(run_id).status == "running"
