"""Bounds of one run: steps under way, steps in all; and how the steps that it leaves behind end."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from playbooks.definitions.normalise import normalise
from playbooks.widths import MOST_LIVE
from store import access
from store import redis as redis_store
from store.access import Caller
from store.definitions.playbooks import playbook_revisions
from store.engine import db
from store.executions import ending, runs, transitions
from store.executions import steps as step_rows
from store.executions.steps import End
from tasks.control import cancel
from tasks.definitions import revisions
from tasks.entrypoints import runs as steps
from tasks.entrypoints import tick
from tasks.fairness import fair_queue
from tasks.intake import run_start as starting
from tasks.runs import budget, stop
from tests.support.api import Door
from tests.support.duties import unlimited
from tests.support.playbooks import child, delay, for_each, loop, parallel
from tests.support.quiet import ready_to_publish
from tests.support.runs import enter
from tests.support.services import RedisServer

ITEMS = list(range(60))
CALLER = Caller(key_id="key-1", workspace_id="default", role="admin", permissions=access.ROLES["admin"])


@pytest.fixture
def everywhere(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def begun(playbook_id: str, **more: Any) -> str:
    """A run of a playbook, taken up by this process."""
    request = starting.RunRequest(workspace_id="default", actor="test", playbook_id=playbook_id, **more)
    run_id = starting.start(request).run_id
    steps.begin.apply(args=[run_id])
    return run_id


def stored_before(door: Door, *steps_of: dict[str, Any]) -> str:
    """A playbook as an older version stored it, which did not multiply ``max_concurrency``."""
    made = door.create_playbook(name="Old", steps=[delay("rest", 0)])
    with db.write() as connection:
        (row,) = connection.execute(
            sa.select(playbook_revisions).where(playbook_revisions.c.playbook_id == made["id"])
        ).all()
        definition = json.dumps(normalise({**json.loads(row.definition), "steps": list(steps_of)}))
        change = sa.update(playbook_revisions).where(playbook_revisions.c.id == row.id)
        connection.execute(change.values(definition=definition))
    revisions.playbook.cache_clear()
    return str(made["id"])


def rows(*where: Any) -> list[Any]:
    """Executions."""
    with db.read() as connection:
        return list(connection.execute(sa.select(transitions.executions).where(*where)))


_table = transitions.executions.c
_waiting = (_table.kind == "step", _table.type == "delay", _table.status == "waiting")


def spread_out() -> None:
    """Carry every run and container as far as it goes without the clock."""
    seen = None
    while seen != (seen := [(row.id, row.status) for row in rows()]):
        for run in rows(_table.kind == "playbook", _table.status == "pending"):
            steps.begin.apply(args=[run.id])
        for container in rows(_table.open.is_not(None), _table.status == "running"):
            steps.join.apply(args=[container.id])


def each(step_id: str, *inside: dict[str, Any], at_once: int = 50) -> dict[str, Any]:
    """A for_each as wide as may be."""
    return for_each(step_id, ITEMS, *inside, max_concurrency=at_once)


REST = delay("rest", 0)


def test_nested_loops_share_what_a_run_may_have_under_way(everywhere: Door) -> None:
    """Of fifty times fifty iterations only the allowed number is under way; each that ends makes room for the next."""
    run_id = begun(stored_before(everywhere, each("a", each("b", REST))))
    spread_out()
    waiting = rows(*_waiting)
    assert len(waiting) == MOST_LIVE
    assert len({row.iteration.split(".")[0] for row in waiting}) == 50, "each outer iteration has its part"
    for row in waiting[:7]:
        with db.write() as connection:
            transitions.transition(connection, row.id, "completed", **step_rows.follow_mark())
        steps.follow.apply(args=[row.id])
    spread_out()
    assert len(rows(*_waiting)) == MOST_LIVE
    assert rows(_table.id == run_id)[0].status == "running"


def test_the_runs_that_a_run_starts_share_it_too(everywhere: Door) -> None:
    """Fifty runs at once, each with a loop of fifty at once: each has a tenth of that."""
    below = everywhere.create_playbook(name="Below", steps=[each("b", REST)])
    begun(everywhere.create_playbook(name="Above", steps=[each("a", child("call", below["id"]))])["id"])
    spread_out()
    assert len(rows(_table.kind == "playbook", _table.parent_id.is_not(None))) == 50
    assert len(rows(*_waiting)) == MOST_LIVE


def test_a_run_that_starts_run_after_run_is_never_without_room(everywhere: Door) -> None:
    """Where the runs around have used all there is, what they start goes on iteration by iteration, to its end."""

    def three(step_id: str, inside: dict[str, Any]) -> dict[str, Any]:
        return for_each(step_id, [1, 2, 3], inside, max_concurrency=3)

    decide = {"id": "decide", "type": "condition", "expression": "true"}
    below = everywhere.create_playbook(name="Below", steps=[three("c", decide)])
    middle = everywhere.create_playbook(name="Middle", steps=[three("b", child("call", below["id"]))])
    top = everywhere.create_playbook(name="Top", steps=[three("a", child("call", middle["id"]))])
    run_id = begun(top["id"], width=2)
    spread_out()
    started = rows(_table.root_id == run_id)
    assert {json.loads(row.context)["width"] for row in started} == {1}
    assert [row.status for row in [*started, *rows(_table.id == run_id)]] == ["completed"] * (3 + 9 + 1)


def test_a_run_with_too_many_steps_fails_and_says_so(everywhere: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its steps come about, it ends with all that is under way; what was completed stays so."""
    monkeypatch.setattr(budget, "MOST_ROWS", 60)
    monkeypatch.setattr(budget, "FEW", 10)
    decide = {"id": "decide", "type": "condition", "expression": "true"}
    both = parallel("both", [delay("rest", 600)], [loop("l", 30, for_each("e", ITEMS[:5], decide))])
    run_id = begun(everywhere.create_playbook(name="Large", steps=[both])["id"])
    for _ in range(100):
        for container in rows(_table.open.is_not(None), _table.status == "running"):
            steps.join.apply(args=[container.id])
    run = rows(_table.id == run_id)[0]
    assert run.status == "failed"
    assert json.loads(run.error)["code"] == "run_too_large"
    tick.tick.apply()
    mine = rows(_table.run_id == run_id)
    assert 60 <= len(mine) <= 80
    assert {row.status for row in mine} == {"completed", "cancelled"}
    assert next(row for row in mine if row.step_id == "rest").status == "cancelled"


@pytest.mark.parametrize("which", ["delays that are over", "loops that need attention"])
def test_what_a_run_asks_for_beyond_its_measure_goes_to_bulk(
    database: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """However many of its delays end or loops need attention together: a few messages go before, all come."""
    ready_to_publish()
    redis_server.client().flushall()
    redis_store.set_mark()
    now = [0.0]  # the time stands still while tick works, however long it takes
    measured = fair_queue.FairQueue(clock=lambda: now[0], of=lambda _queue: 100)
    monkeypatch.setattr(fair_queue, "_fair_queue", measured)
    unlimited(monkeypatch)
    begun(Door().create_playbook(name="Wide", steps=[each("a", each("b", delay("rest", 600), at_once=4))])["id"])
    spread_out()
    ready_to_publish()
    redis_server.client().delete("steps", "bulk")
    due = _table.type == "delay" if which.startswith("delays") else _table.open.is_not(None)
    with db.write() as connection:
        change = sa.update(transitions.executions).where(due, _table.status.in_(("running", "waiting")))
        number = connection.execute(change.values(due_at=0)).rowcount
    assert number > 50
    now[0] = 100.0  # the measure is full again
    tick.tick()
    steps_, bulk = (redis_server.client().llen(name) for name in ("steps", "bulk"))
    assert steps_ + bulk == number
    assert 0 < steps_ <= fair_queue.OF_FLOW.at_once * 100
    redis_server.client().flushall()


def standing_still(door: Door, number: int, *, held: int = 0) -> str:
    """A run with ``number`` steps that wait, of which a worker holds ``held``."""
    run_id = begun(door.create_playbook(name="Still", steps=[delay("rest", 600)])["id"])
    for at in range(number):
        status = "running" if at < held else "waiting"
        more = {"owner": "steps@test"} if at < held else {"waiting_for": "delay", "type": "delay"}
        enter(run_id, "rest", status, f"{at}", **more)
    return run_id


def goes_on() -> list[str]:
    """Everything that has not ended."""
    return [row.id for row in rows(_table.status.not_in(transitions.TERMINAL), _table.status != "skipped")]


def test_what_a_cancelled_run_leaves_behind_is_ended_in_bites(
    everywhere: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has ended with the answer, as many steps as are soon ended too; tick does the rest, and says nothing."""
    monkeypatch.setattr(ending, "BITE", 20)
    monkeypatch.setattr(stop, "AT_ONCE", 0.0)
    monkeypatch.setattr(cancel, "_LOOKS", 1)
    run_id = standing_still(everywhere, 90, held=3)
    assert cancel.cancel_run(CALLER, run_id).status == "cancelled"
    left = len(goes_on())
    assert 40 <= left <= 71, "a bite or two of 91"
    for _ in range(8):
        with db.write() as connection:
            connection.execute(sa.update(transitions.executions).where(_table.id == run_id).values(due_at=0))
        tick.tick.apply()
    assert goes_on() == []
    assert rows(_table.id == run_id)[0].due_at > rows(_table.id == run_id)[0].completed_at, "one more look is due"
    with db.write() as connection:
        long_ago = {"completed_at": 1, "due_at": 0}
        connection.execute(sa.update(transitions.executions).where(_table.id == run_id).values(**long_ago))
    tick.tick.apply()
    over = rows(_table.id == run_id)[0]
    assert (over.status, over.due_at, over.waiting_for) == ("cancelled", None, None)


def test_what_was_written_while_a_run_was_cancelled_is_ended_too(everywhere: Door) -> None:
    """A step that another process began at that very moment is found by the last look, with the run it started."""
    below = everywhere.create_playbook(name="Below", steps=[delay("rest", 600)])
    run_id = standing_still(everywhere, 1)
    assert cancel.cancel_run(CALLER, run_id).status == "cancelled"
    enter(run_id, "late", "running", type="playbook", open=1, cursor=1)
    request = starting.RunRequest(
        workspace_id="default", actor="test", playbook_id=below["id"], parent_id=f"{run_id}.late", root=run_id
    )
    late = starting.start(request).run_id
    steps.begin.apply(args=[late])
    with db.write() as connection:
        connection.execute(
            sa.update(transitions.executions).where(_table.id == run_id).values(completed_at=1, due_at=0)
        )
    tick.tick.apply()
    assert goes_on() == []
    assert rows(_table.id == late)[0].status == "cancelled"


def test_no_step_of_any_run_below_can_be_claimed_once_a_run_is_cancelled(everywhere: Door) -> None:
    """The runs that it has started, and those that they have started, end in the transaction that ends it."""
    deep = everywhere.create_playbook(name="Deep", steps=[delay("rest", 600)])
    middle = everywhere.create_playbook(name="Middle", steps=[child("call", deep["id"])])
    top = begun(everywhere.create_playbook(name="Top", steps=[child("call", middle["id"])])["id"])
    unrelated = begun(deep["id"])
    spread_out()
    (between,) = rows(_table.parent_id == f"{top}.call")
    (lowest,) = rows(_table.parent_id == f"{between.id}.call")
    with db.write() as connection:
        assert steps_ended(connection, between.id)
    assert [rows(_table.id == one)[0].status for one in (top, between.id, lowest.id, unrelated)] == [
        "running",
        "cancelled",
        "cancelled",
        "running",
    ]
    with db.read() as connection:
        assert runs.children(connection, between.id) == []


def test_a_cancel_is_answered_when_the_steps_of_the_runs_below_are_released(
    everywhere: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that a worker is about to make for a run below counts like one of the cancelled run."""
    deep = everywhere.create_playbook(name="Deep", steps=[delay("rest", 600)])
    middle = everywhere.create_playbook(name="Middle", steps=[child("call", deep["id"])])
    top = begun(everywhere.create_playbook(name="Top", steps=[child("call", middle["id"])])["id"])
    spread_out()
    (between,) = rows(_table.parent_id == f"{top}.call")
    (lowest,) = rows(_table.parent_id == f"{between.id}.call")
    enter(lowest.id, "call", "running", owner="steps@test")
    looks = []

    def sleep(seconds: float) -> None:
        looks.append([row.status for row in rows(_table.owner.is_not(None))])
        if len(looks) == 3:
            with db.write() as connection:
                connection.execute(sa.update(transitions.executions).values(owner=None))

    monkeypatch.setattr(cancel, "time", SimpleNamespace(sleep=sleep))
    assert cancel.cancel_run(CALLER, top).status == "cancelled"
    assert looks == [["cancelled"]] * 3


def steps_ended(connection: Any, run_id: str) -> list[str]:
    """End a run with those below it, and nothing else."""
    assert step_rows.end_run(connection, run_id, End(status="cancelled", clears=True), "key")
    return ending.end_below(connection, [run_id], "key")
