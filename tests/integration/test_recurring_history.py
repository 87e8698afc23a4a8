"""No time of a recurring action is missing, and none counts twice, whatever breaks off.

A transaction that is broken off at any of its statements leaves the schedule as it was. Processes that fire at the same
time, some of them killed in the middle, bring each time once; so do two whose clocks differ.
"""

import datetime as dt
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from store.engine import db, prepared
from store.executions import transitions
from store.recurring import firings, schedules
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring
from tests.integration.test_gate_history import CHILD, settle
from tests.support import firer, force, forked
from tests.support.api import Door
from tests.support.force import rule
from tests.support.services import RedisServer
from tests.support.waiting import eventually

BODY: dict[str, Any] = {
    "namespace": "soc",
    "tenant": "default",
    "cron_expr": "* * * * *",
    "provider": firer.SENT,
    "action_type": "report",
    "payload": {},
    "dedup_key": "{{execution_time}}",
    "catch_up": "all",
}
MINUTE = 60_000


class BrokenOff(BaseException):
    """The process ends here."""


@contextmanager
def broken_off_at(number: int) -> Iterator[list[str]]:
    """The transaction whose statement of this number ends the process before it runs; the statements so far."""
    said: list[str] = []
    mine = threading.get_ident()

    def count(text: str) -> None:
        if threading.get_ident() != mine:
            return
        if len(said) == number:
            raise BrokenOff
        said.append(text)

    def core(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        count(statement)

    def driven(connection: Any) -> Any:
        count("prepared")
        return whole(connection)

    whole = prepared.driver
    sa.event.listen(sa.Engine, "before_cursor_execute", core)
    prepared.driver = driven
    try:
        yield said
    finally:
        prepared.driver = whole
        sa.event.remove(sa.Engine, "before_cursor_execute", core)


def create(door: Door, **more: Any) -> str:
    """The id of a new recurring action."""
    answer = door.call("POST", "/v1/recurring", json={**BODY, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def rows(table: Any) -> list[Any]:
    """All rows of a table."""
    with db.read() as connection:
        return list(connection.execute(sa.select(table)))


def fired() -> Counter[tuple[str, str]]:
    """How many executions each time of each recurring action has brought."""
    said = [json.loads(row.input) for row in rows(transitions.executions)]
    return Counter((one["labels"]["recurring"], one["dedup_key"]) for one in said)


@pytest.mark.on_both
def test_a_firing_that_is_broken_off_changes_nothing(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each of its statements: schedule, firings and executions are as before; then each comes once."""
    with force.clean(), time_machine.travel("2026-11-22T10:30:30Z", tick=False) as clock:
        door = Door()
        revision = force.provider(firer.SENT, kind="mock")
        limit = rule("limit", "throttle", max_count=2, window_seconds=60, by=["action.metadata.recurring"])
        force.put(limit, revisions={firer.SENT: revision})
        action = door.create(name="Look")["id"]
        bare = dict.fromkeys(("provider", "action_type", "payload", "dedup_key"))
        ids = [create(door), create(door), create(door, target={"action": action}, **bare)]
        clock.shift(60)
        before = rows(schedules.recurring)
        for number in itertools.count():
            with broken_off_at(number):
                try:
                    recurring.fire_due(TimeSlice())
                except BrokenOff:
                    pass
                else:
                    break
            if not rows(transitions.executions):
                assert (rows(schedules.recurring), rows(firings.firings)) == (before, [])
        assert number > 7
        found = rows(firings.firings)
        assert Counter(row.recurring_id for row in found) == Counter(ids)
        assert len({row.execution_id for row in found}) == len(rows(transitions.executions)) == 3


@pytest.fixture
def revision(database: str) -> Iterator[str]:
    """The revision of a provider that this process knows, too."""
    with force.clean():
        found = force.provider(firer.SENT, kind="mock")
        force.put(revisions={firer.SENT: found})
        yield found


def child(revision: str) -> forked.Child:
    """A process that fires on this test's database."""
    return forked.start("tests.support.firer", revision, PGAPPNAME=CHILD)


@pytest.mark.gate
def test_nothing_is_lost_or_doubled_under_kills(revision: str, redis_server: RedisServer) -> None:
    """Three processes fire ninety minutes of forty schedules at once, and are killed and replaced."""
    door = Door()
    ids = [create(door) for _ in range(40)]
    first = (db.now_ms() // MINUTE - 90) * MINUTE
    with db.write() as connection:
        back = sa.update(schedules.recurring).values(next_at=first, fire_at=first)
        connection.execute(back)
    children = [child(revision) for _ in range(3)]
    try:
        for _ in range(8):
            had = len(rows(firings.firings))
            eventually(lambda had=had: len(rows(firings.firings)) > had + 90, 60, "they fire")
            killed = children.pop(0)
            killed.kill()
            killed.wait()
            children.append(child(revision))
    finally:
        for one in children:
            one.kill()
            one.wait()
    settle()
    while recurring.fire_due(TimeSlice()):
        pass
    counts = fired()
    assert set(counts.values()) == {1}
    for recurring_id in ids:
        own = sorted(row.due_at for row in rows(firings.firings) if row.recurring_id == recurring_id)
        assert own == list(range(first, first + len(own) * MINUTE, MINUTE))
        assert len(own) >= 90
        assert sum(1 for one, _ in counts if one == recurring_id) == len(own)
    kept = rows(schedules.recurring)
    assert all(row.executions == sum(1 for one, _ in counts if one == row.id) for row in kept)


@pytest.mark.gate
def test_clocks_that_differ_by_two_seconds(revision: str, redis_server: RedisServer) -> None:
    """The process that is ahead fires first, the other finds it done."""
    door = Door()
    with time_machine.travel("2026-11-22T10:30:00Z", tick=False) as clock:
        ids = [create(door) for _ in range(20)]
        for ahead in itertools.chain.from_iterable(itertools.repeat((58, 2, 0, 0), 5)):
            clock.shift(ahead)
            recurring.fire_due(TimeSlice())
            clock.shift(-2 if ahead == 2 else 2 if ahead == 0 else 0)
            recurring.fire_due(TimeSlice())
    counts = fired()
    assert set(counts.values()) == {1}
    assert len({one for one, _ in counts}) == len(ids)


@pytest.mark.gate
def test_ten_thousand_that_are_due_at_once(revision: str, redis_server: RedisServer) -> None:
    """All are fired, in ticks that leave others their turn; how fast that is, is printed."""
    door = Door()
    model = create(door, catch_up="latest", cron_expr="0 0 1 1 *")  # no second time comes while they are fired
    due = int(dt.datetime(dt.datetime.now(dt.UTC).year, 1, 1, tzinfo=dt.UTC).timestamp() * 1000)
    with db.write() as connection:
        row = connection.execute(sa.select(schedules.recurring)).one()
        copies = [
            {**row._mapping, "id": f"rec-{number:016x}", "next_at": due, "fire_at": due} for number in range(9_999)
        ]
        connection.execute(sa.insert(schedules.recurring), copies)
        mine = sa.update(schedules.recurring).where(schedules.recurring.c.id == model)
        connection.execute(mine.values(next_at=due, fire_at=due))
    began, ticks, number = time.monotonic(), 0, 0
    while number < 10_000:
        number += recurring.fire_due(TimeSlice(time.monotonic() + 0.8))
        ticks += 1
        assert ticks < 200
    print(f"10,000 in {time.monotonic() - began:.1f} s and {ticks} ticks")
    assert len(rows(firings.firings)) == len(rows(transitions.executions)) == 10_000
