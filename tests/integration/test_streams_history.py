"""Streams on PostgreSQL while transactions are held open at random: no gap, and one order for all clients."""

import random
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from api.stream import follow, missed, reading
from api.stream.follow import Client, Reader
from api.stream.message import Message, Wanted
from api.stream.missed import Gap
from config.settings import settings
from gateway.grants import Grant
from store import audit
from store.engine import db
from store.records import notes
from store.records.notes import Note
from store.streams import ids
from store.streams.ids import Mark
from tests.support.waiting import eventually

pytestmark = [pytest.mark.gate, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

WANTED = Wanted(grants=(Grant(),))


def _write(number: int, seed: int, kept: list[str]) -> None:
    """Transactions that are held open, rolled back and committed as it comes."""
    dice, engine = random.Random(seed * 100 + number), sa.create_engine(settings().database_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        for turn in range(40):
            connection.begin()
            mine = [f"{number}.{turn}.{each}" for each in range(dice.randint(1, 4))]
            for name in mine:
                made = {"caller": "k", "namespace": "n", "provider": "p", "action_type": "t", "payload": {}}
                notes.note(connection, Note(workspace_id="w", outcome="executed", began_at=1, given_id=name, **made))
                audit.record(connection, "w", "me", "between", "thing")
                time.sleep(dice.choice((0, 0, 0.002, 0.02, 0.1)))
            if dice.random() < 0.2:
                connection.rollback()
            else:
                connection.commit()
                kept.extend(mine)
    engine.dispose()


def _live(reader: Reader, over: threading.Event, seen: list[Message]) -> None:
    """A client that is never cut off."""
    client = Client(WANTED, "key", None)
    reader.join(client)
    while not over.is_set():
        taken = client.take(0.05)
        assert not taken.skipped
        seen += taken.messages
    reader.leave(client)


def _cut_off(readers: list[Reader], seed: int, over: threading.Event, seen: list[Message]) -> None:
    """A client that goes from one process to another, with nothing but the last id that it had."""
    dice = random.Random(seed)
    last_id = ids.of(Mark(db.now_ms(), 0, ids.BEHIND))
    while not over.is_set():
        client, reader = Client(WANTED, "key", None), dice.choice(readers)
        joined = reader.join(client)
        mark = ids.read(last_id)
        assert mark is not None
        start = reading.start(mark, missed.MOST_ROWS)
        parts = list(missed.gather(Gap(start=start, upto=joined, wanted=WANTED, owner="key")))
        assert all((part.skipped, part.exact) == (0, True) for part in parts)
        place, had = start.behind(joined).place, [message for part in parts for message in part.messages]
        until = time.monotonic() + dice.choice((0, 0.05, 0.3))
        while time.monotonic() < until:
            live = client.take(0.02).messages
            had += [message for message in live if message.position > place and not start.has(message)]
        reader.leave(client)
        seen += had
        if had:
            last_id = ids.of(Mark(had[-1].at, had[-1].position.id, had[-1].number))


@pytest.fixture
def readers(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Reader]]:
    """Those of two processes."""
    monkeypatch.setattr(follow, "EVERY", 0.01)
    made = [Reader(), Reader()]
    yield made
    assert all(reader.drain(20) for reader in made)


@pytest.mark.parametrize("seed", range(3))
def test_transactions_held_at_random_leave_no_gap(readers: list[Reader], seed: int) -> None:
    """Ten writers hold transactions open; a client of each process and two that are cut off have every event once."""
    kept, over = list[str](), threading.Event()
    seen = [list[Message]() for _ in range(4)]
    clients = [threading.Thread(target=_live, args=(readers[one], over, seen[one])) for one in (0, 1)]
    clients += [threading.Thread(target=_cut_off, args=(readers, seed * 10 + one, over, seen[one])) for one in (2, 3)]
    for client in clients:
        client.start()
    eventually(lambda: all(reader._thread is not None for reader in readers), 10, "both follow")
    writers = [threading.Thread(target=_write, args=(number, seed, kept)) for number in range(10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    eventually(lambda: all(len(one) >= len(kept) for one in seen), 30, "everything has come")
    over.set()
    for client in clients:
        client.join(20)
    orders = [[message.action_ids[0] for message in one] for one in seen]
    assert len(kept) > 300
    assert sorted(orders[0]) == sorted(kept)
    assert all(order == orders[0] for order in orders)
