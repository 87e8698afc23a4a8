"""Each record is replayed once, whatever processes replay it at the same time and whichever of them are killed."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway import gate_column
from gateway.requests import Dispatch
from store.access import Caller
from store.audit import audit
from store.engine import db
from store.executions import transitions
from tasks.intake.dispatches import accept
from tasks.intake.dispatches.rows import Asked
from tests.integration.test_gate_history import CHILD, settle
from tests.support import force, forked, replayer
from tests.support.api import Door, carry_out
from tests.support.force import rule
from tests.support.services import RedisServer
from tests.support.waiting import eventually

CALLER = Caller(key_id="key", workspace_id="default", role="admin", permissions=frozenset({"dispatch"}))
STOPPED, TRIGGERED = 40, 5


@pytest.fixture
def records(first_database: str, redis_server: RedisServer) -> Iterator[tuple[str, dict[str, int]]]:
    """A provider's revision, and subject → record of dispatches that a rule has stopped and of triggers."""
    with force.clean():
        door, revision = Door(), force.provider(replayer.SENT, kind="mock")
        force.put(rule("hush", "suppress"), revisions={replayer.SENT: revision})
        given = {"namespace": "drills", "tenant": "default", "provider": replayer.SENT, "action_type": "alert"}
        accept.accept(
            [Asked(caller=CALLER, dispatch=Dispatch(**given, payload={"n": number})) for number in range(STOPPED)]
        )
        force.put(revisions={replayer.SENT: revision})
        action = door.create(id="act-block")["id"]
        for _ in range(TRIGGERED):
            carry_out(door.trigger(action))
        with db.read() as connection:
            found = connection.execute(sa.select(audit.c.subject, audit.c.id).where(audit.c.outcome.is_not(None)))
            yield revision, {row.subject: row.id for row in found}


def child(number: int, revision: str, ids: list[int], folder: Path) -> forked.Child:
    """A process that replays on this test's database; what it has made goes to a file."""
    words = (f"child{number}", revision, *map(str, ids))
    return forked.start("tests.support.replayer", *words, output=folder / words[0], PGAPPNAME=CHILD)


def kill(*children: forked.Child) -> None:
    ended = [process.pid for process in children if process.poll() is not None]
    for process in children:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not ended, "a process has ended early"


def replayed() -> list[tuple[str, str]]:
    """Record and execution of every replay that there is."""
    with db.read() as connection:
        rows = connection.execute(sa.select(transitions.executions.c.id, transitions.executions.c.gate)).all()
    gates = [(row.id, gate_column.read(row.gate)) for row in rows]
    return [(gate.replayed_from, made) for made, gate in gates if gate is not None and gate.replayed_from]


@pytest.mark.gate
def test_each_record_is_sent_once(records: tuple[str, dict[str, int]], tmp_path: Path) -> None:
    """One process is killed as soon as it has begun and replaced; every answer names the one execution."""
    revision, subjects = records
    ids = list(subjects.values())
    children = [child(0, revision, ids, tmp_path), child(1, revision, ids, tmp_path)]
    try:
        eventually(lambda: len(replayed()) > 0, 60, "they have begun")
        kill(children.pop(0))
        children.append(child(2, revision, ids, tmp_path))
        for number in (1, 2):
            eventually(lambda number=number: (tmp_path / f"child{number}").read_bytes().count(b"\n") > 8, 90, "done")
    finally:
        kill(*children)
    settle()
    found = replayed()
    assert Counter(action_id for action_id, _ in found) == Counter(dict.fromkeys(subjects, 1))
    for file in tmp_path.iterdir():
        for line in file.read_text().splitlines(keepends=True):
            if line.endswith("}\n"):
                assert json.loads(line) == dict(found)
