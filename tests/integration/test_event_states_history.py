"""Events go through their states exactly, whatever processes do at the same time and whichever of them are killed.

Processes with sixteen threads each move the same few events, by dispatches, as people and as time does; some are
killed in the middle. Afterwards the trail tells each event's life without a gap, every notice belongs to one move, and
every move that is to be told has one.
"""

import contextlib
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.configuration import machines
from store.audit import audit
from store.engine import db
from store.executions import transitions
from store.gateway import events
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import timeouts
from tasks.control import moves
from tests.support import force, forked, mover
from tests.support.api import Door

ALERT = machines.read("alert", machines.stored(mover.MACHINE))


@pytest.fixture
def revision(database: str) -> Iterator[str]:
    """The provider's revision, on either database."""
    with force.clean():
        Door()
        yield force.provider(mover.SENT, kind="mock")


def child(number: int, revision: str) -> forked.Child:
    """A mover on this test's database."""
    return forked.start("tests.support.mover", f"child-{number}", revision, output=subprocess.PIPE)


def kill(*children: forked.Child) -> None:
    for process in children:
        assert process.poll() is None, "a mover has ended early"
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def begun(process: forked.Child) -> None:
    assert process.stdout is not None
    assert any(line.startswith("child-") for line in process.stdout), "it has ended early"


def lives() -> dict[str, list[dict[str, Any]]]:
    """Event → its history as the trail tells it, the oldest first."""
    found = {}
    with db.read() as connection:
        for row in connection.execute(sa.select(events.events)):
            subjects = [events.subject(row, number) for number in range(1, row.moves + 2)]
            told = connection.execute(sa.select(audit).where(audit.c.subject.in_(subjects)).order_by(audit.c.id)).all()
            by_subject = {one.subject: {**json.loads(one.details), "event": one.event, "at": one.at} for one in told}
            assert len(told) == len(by_subject) == row.moves, "a number is missing, or given twice"
            found[row.fingerprint] = [by_subject[subject] for subject in subjects[: row.moves]]
            assert found[row.fingerprint][-1].get("to", "firing") == row.state
    return found


def check_life(life: list[dict[str, Any]]) -> None:
    """Each move begins where the one before has ended, and is one of the machine's; time waits for its moment."""
    assert life[0]["event"] == "event.opened"
    for before, after in itertools.pairwise(life):
        state = before.get("to", before.get("state"))
        assert after["from"] == state
        if after["event"] == "event.timeout":
            assert ALERT.timeouts[state].to == after["to"]
            assert after["at"] - before["at"] >= 999
            told = ALERT.timeouts[state].notice.notify
        else:
            assert after["to"] in ALERT.allowed(state)
            told = ALERT.transitions[state, after["to"]].notify
        assert ("notice" in after) is told


def records() -> list[tuple[str, str, str]]:
    """Dispatch, old and new state, as the records of moves tell."""
    with db.read() as connection:
        rows = connection.execute(sa.select(audit).where(audit.c.outcome == "state_changed")).all()
    told = [(row.subject, json.loads(row.details)) for row in rows]
    return [(subject, said["previous_state"], said["new_state"]) for subject, said in told]


def deadlocks() -> int:
    with db.read() as connection:
        if connection.dialect.name == "sqlite":
            return 0
        asked = sa.text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(connection.execute(asked).scalar_one())


@pytest.mark.gate
def test_movers_that_are_killed_leave_whole_lives(revision: str) -> None:
    """Four processes, two of which are killed and replaced; no two ever wait for each other in a circle."""
    before = deadlocks()
    children = [child(number, revision) for number in range(4)]
    try:
        for process in children:
            begun(process)
        kill(*children[:2])
        more = [child(number, revision) for number in (4, 5)]
        children = [*children[2:], *more]
        for process in more:
            begun(process)
        time.sleep(2)  # stays end meanwhile
    finally:
        kill(*children)
    mover.put(revision)
    for state in ("resolved", "firing"):  # whatever became of it, one event stays for too long
        with contextlib.suppress(moves.NotAllowed):
            moves.transition(events.event_id("default", "drills", "e/0"), state, "kim")
    time.sleep(2.5)
    while timeouts.move_late(TimeSlice()):
        pass
    found = lives()
    assert len(found) == mover.EVENTS
    for life in found.values():
        check_life(life)
    told = [one["notice"] for life in found.values() for one in life if "notice" in one]
    with db.read() as connection:
        rows = connection.execute(sa.select(transitions.executions.c.id, transitions.executions.c.gate)).all()
    sent = [row.id for row in rows if json.loads(row.gate)["origin"] == "event"]
    assert sorted(sent) == sorted(told)
    by_record = {one["record"]: one for life in found.values() for one in life if "record" in one}
    said = {subject: (old, new) for subject, old, new in records()}
    moved = {subject: one for subject, one in said.items() if one[0] != one[1]}
    assert {subject: (one["from"], one["to"]) for subject, one in by_record.items() if "from" in one} == moved
    assert any(one["event"] == "event.timeout" for life in found.values() for one in life)
    assert deadlocks() == before
