"""Lists are read in turn, behind what is being accepted, so that readers without pause slow no accept down."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from api.http import load
from api.http.load import Lists
from config.errors import Unavailable
from store.engine import db
from tests.support.api import Door
from tests.support.waiting import eventually


class Reader:
    """A list in a thread of its own, which is read until ``over`` is set."""

    def __init__(self, lists: Lists) -> None:
        self.reads, self.over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, args=(lists,))
        self._thread.start()

    def _read(self, lists: Lists) -> None:
        with lists.turn():
            self.reads.set()
            self.over.wait(60)

    def end(self) -> None:
        self.over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_list_waits_for_what_is_being_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its query begins once the last accept under way is over."""
    monkeypatch.setattr(load, "GIVES_WAY", 60)
    lists = Lists()
    with lists.waiting():
        with lists.waiting():
            reader = Reader(lists)
            assert not reader.reads.wait(0.1)
        assert not reader.reads.wait(0.1)
    assert reader.reads.wait(60)
    reader.end()


def test_an_answer_is_built_behind_what_is_being_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list whose query is over lets the accepts pass once more, and meanwhile keeps no other list waiting."""
    monkeypatch.setattr(load, "GIVES_WAY", 60)
    lists, built = Lists(), threading.Event()
    first = Reader(lists)
    assert first.reads.wait(60)
    with lists.waiting():
        waits = threading.Thread(target=lambda: (first.end(), built.set()))
        waits.start()
        assert not built.wait(0.1)
        eventually(lambda: lists._reads is None, 60, "the next has its turn")
    assert built.wait(60)
    waits.join()


def test_a_flood_of_accepts_does_not_stop_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is always one under way, a list goes on after a moment."""
    monkeypatch.setattr(load, "GIVES_WAY", 0.01)
    lists = Lists()
    with lists.waiting():
        reader = Reader(lists)
        assert reader.reads.wait(60)
        reader.end()


def test_lists_are_read_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second begins when the first has been read."""
    monkeypatch.setattr(load, "LONG", 60)
    lists = Lists()
    first = Reader(lists)
    assert first.reads.wait(60)
    second = Reader(lists)
    assert not second.reads.wait(0.1)
    first.end()
    assert second.reads.wait(60)
    second.end()


def test_a_long_query_keeps_no_list_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a moment does not have the turn for itself."""
    monkeypatch.setattr(load, "LONG", 0.01)
    lists = Lists()
    readers = [Reader(lists) for _ in range(3)]
    eventually(lambda: all(reader.reads.is_set() for reader in readers), 60, "all are read")
    for reader in readers:
        reader.end()
    assert lists._reads is None


def test_too_many_lists_are_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that has waited for as long as it may wait for a connection is refused."""
    monkeypatch.setattr(load, "LONG", 0.1)
    monkeypatch.setattr(db, "ASIDE_PATIENCE", 0.05)
    lists = Lists()
    first = Reader(lists)
    assert first.reads.wait(60)
    with pytest.raises(Unavailable, match="Too many lists"), lists.turn():
        pass
    first.end()
    assert not lists._queue


def counted(monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """The uses of a method of ``Lists`` from now on."""
    uses: list[str] = []
    method: Callable[[Lists], AbstractContextManager[None]] = getattr(Lists, name)

    @contextmanager
    def noted(self: Lists) -> Iterator[None]:
        uses.append(name)
        with method(self):
            yield

    monkeypatch.setattr(Lists, name, noted)
    return uses


def test_whatever_is_accepted_goes_before_lists(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Triggers, runs and events."""
    action, playbook = door.create()["id"], door.create_playbook()["id"]
    uses = counted(monkeypatch, "waiting")
    door.trigger(action)
    assert door.call("POST", f"/api/playbooks/{playbook}/run", json={}).status_code == 202
    assert door.call("POST", "/api/events", json={"event": "edr.alert"}).status_code == 202
    assert len(uses) == 3


def test_every_list_takes_its_turn(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executions, runs and definitions; a single thing takes none."""
    action = door.create()["id"]
    uses = counted(monkeypatch, "turn")
    for path in ("/api/actions/executions", "/api/playbooks/executions", "/api/actions", "/api/playbooks"):
        assert door.call("GET", path).status_code == 200
    assert len(uses) == 4
    assert door.call("GET", f"/api/actions/{action}").status_code == 200
    assert len(uses) == 4
