"""Groups are exact, whatever processes do at the same time and whichever of them are killed.

Processes with sixteen threads each gather into the same few groups and flush them at the same time; some are killed in
the middle. Afterwards every dispatch that was answered is a member once, and every window has one summary of all of it.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store.audit import audit
from store.engine import db
from store.executions import transitions
from store.gateway import groups, payloads
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import group_flushes
from tests.integration.test_gate_history import CHILD, settle
from tests.support import force, forked, gatherer
from tests.support.services import RedisServer
from tests.support.waiting import eventually


@pytest.fixture
def revision(database: str) -> Iterator[str]:
    """The revision of a provider that this process knows, too."""
    with force.clean():
        found = force.provider(gatherer.SENT, kind="mock")
        force.put(*gatherer.rules(), revisions={gatherer.SENT: found})
        yield found


def child(number: int, revision: str, folder: Path) -> forked.Child:
    """A process that gathers on this test's database; what it is answered goes to a file."""
    word = f"child{number}"
    return forked.start("tests.support.gatherer", word, revision, output=folder / word, PGAPPNAME=CHILD)


def answered(folder: Path) -> list[list[str]]:
    """What processes were answered: id, group and size; a line that a kill has cut is none."""
    lines = [line for file in sorted(folder.iterdir()) for line in file.read_text().splitlines(keepends=True)]
    found = [line.split() for line in lines if line.endswith("\n")]
    return [words for words in found if len(words) == 3 and words[1].startswith("grp-")]


def kill(*children: forked.Child) -> None:
    ended = [process for process in children if process.poll() is not None]
    for process in children:
        process.kill()
        process.wait()
    assert not ended, "one was not gathered"


def gather(revision: str, folder: Path, processes: int, seconds: float) -> None:
    """Half of some processes are killed and replaced; then all are killed."""
    children = [child(number, revision, folder) for number in range(processes)]
    half = processes // 2
    try:
        for _ in range(2):
            had = len(answered(folder))
            eventually(lambda had=had: len(answered(folder)) > had + 100, 60, "they gather")
            time.sleep(seconds)
            kill(*children[:half])
            more = [child(len(list(folder.iterdir())), revision, folder) for _ in range(half)]
            children = [*children[half:], *more]
        had = len(answered(folder))
        eventually(lambda: len(answered(folder)) > had + 50, 60, "they gather")
    finally:
        kill(*children)
    settle()


def flush_all() -> None:
    """Flush what is pending, as if a day had passed: also what a killed process had claimed."""
    with db.write() as connection:
        later = sa.update(groups.event_groups).where(groups.event_groups.c.due_at.is_not(None))
        connection.execute(later.values(due_at=db.now_ms() - 1))
    while group_flushes.flush_due(TimeSlice()):
        pass


def rows(table: Any) -> list[Any]:
    with db.read() as connection:
        return list(connection.execute(sa.select(table)))


def check(folder: Path) -> int:
    """Compare windows, members, records, summaries and what was answered; returns the number of windows."""
    windows = {row.id: row for row in rows(groups.event_groups)}
    members: dict[str, list[Any]] = {}
    for member in rows(groups.group_events):
        members.setdefault(member.group_id, []).append(member)
    for window in windows.values():
        places = sorted(member.seq for member in members[window.id])
        assert places == list(range(1, window.size + 1)), window
        assert window.size <= gatherer.SIZE
        assert (window.state, window.summaries) == (groups.NOTIFIED, 1), window
    records = [row for row in rows(audit) if row.outcome == "grouped"]
    subjects = Counter(member.subject for found in members.values() for member in found)
    assert Counter(record.subject for record in records) == subjects
    assert set(subjects.values()) == {1}
    kept = {row.subject: json.loads(row.body)["n"] for row in rows(payloads.payloads)}
    by_name = {kept[member.subject]: member for found in members.values() for member in found}
    found = answered(folder)
    named = Counter(name for name, _, _ in found if name != "None")
    assert all(number == 1 for number in named.values())
    assert all(by_name[name].group_id == group_id for name, group_id, _ in found if name != "None")
    places = Counter((group_id, int(size)) for _, group_id, size in found)
    assert max(places.values()) == 1
    assert all(size <= len(members[group_id]) for group_id, size in places)
    sent = [json.loads(row.input)["payload"] for row in rows(transitions.executions)]
    assert {payload["group_id"]: payload["event_count"] for payload in sent} == {
        window.id: window.size for window in windows.values()
    }
    assert len(sent) == len(windows) == len([row for row in rows(audit) if row.event == "group.flushed"])
    return len(windows)


@pytest.mark.gate
def test_no_member_is_lost_and_no_window_goes_out_twice(
    revision: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Four processes of sixteen threads; some are killed while they gather and flush."""
    gather(revision, tmp_path, 4, 2.0)
    flush_all()
    assert check(tmp_path) > 20
