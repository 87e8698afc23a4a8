"""The pool that carries messages out on the event loop: no thread for one that waits, and none holds up another."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from celery.app.trace import trace_task_ret

from event_loop import loop, waiting
from tasks.app import app
from tasks.entrypoints import maintenance
from tasks.fairness.slots import tell_left
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer
from tests.support.waiting import eventually
from worker.greenlets import TaskPool


class Messages:
    """Messages for a pool of so many slots, and what has become of them."""

    def __init__(self, limit: int) -> None:
        self.pool = TaskPool(limit, app=app)
        self.pool.start()
        self.accepted: list[int] = []
        self.ended: list[int] = []
        self.outcomes: list[Any] = []
        self.gates: dict[int, waiting.Event] = {}

    def send(self, number: int, *, size: int = 1, accept: Callable[[], None] = lambda: None) -> None:
        """A message that waits on the loop until it is released."""
        self.gates[number] = waiting.Event()

        def work(*_: Any) -> tuple[bool, None, float]:
            assert waiting.inside()
            self.gates[number].wait(60)
            self.ended.append(number)
            return False, None, 0.0

        def accepted(_pid: int, _at: float) -> None:
            accept()
            self.accepted.append(number)

        self.trace(work, {"args": ["exec-1"] * size}, accepted)

    def trace(self, target: Callable[..., Any], request: dict[str, Any], accepted: Callable[..., None]) -> None:
        """Have the pool carry out what Celery would have it carry out."""
        arguments = ("tocsin.probe", "message-1", request, ([], {}, request.get("embed", {})), None, None)
        self.pool.apply_async(target, arguments, accept_callback=accepted, callback=self.outcomes.append)

    def release(self, *numbers: int) -> None:
        """Let these go on."""
        for number in numbers:
            self.gates[number].set()


@contextmanager
def pool_of(limit: int) -> Iterator[Messages]:
    """A pool with so many slots; in the end all that was sent has ended."""
    sent = Messages(limit)
    try:
        yield sent
    finally:
        stopped = threading.Thread(target=sent.pool.stop)
        stopped.start()
        sent.release(*sent.gates)
        stopped.join(60)
        assert not stopped.is_alive()


def test_hundreds_that_wait_hold_no_thread() -> None:
    """Four hundred messages are under way on one thread, and one beside them comes and goes."""
    loop.call(lambda: None)
    before = threading.active_count()
    with pool_of(400) as sent:
        for number in range(400):
            sent.send(number)
        assert len(sent.accepted) == 400
        sent.send(400)
        sent.release(400)
        eventually(lambda: sent.ended == [400], 20, "the one beside them has ended")
        assert threading.active_count() <= before + 1
        assert sent.outcomes == [(False, None, 0.0)]


def test_what_has_no_place_is_not_acknowledged() -> None:
    """There is a place for each slot and some more; the next message begins when one has ended, the oldest first."""
    with pool_of(4) as sent:
        for number in range(8):
            sent.send(number)
        assert sent.accepted == [0, 1, 2, 3, 4]
        sent.release(2)
        eventually(lambda: 5 in sent.accepted, 20, "another has begun")
        assert sent.ended == [2]
        sent.release(0, 1)
        eventually(lambda: len(sent.accepted) == 8, 20, "all others have begun")
        assert sent.accepted == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_batch_takes_the_places_of_its_slots() -> None:
    """A batch of 24 counts for a quarter of 16 slots: four are under way, however many have come."""
    with pool_of(16) as sent:
        for number in range(7):
            sent.send(number, size=24)
        assert sent.accepted == [0, 1, 2, 3]
        sent.release(0)
        eventually(lambda: len(sent.accepted) == 5, 20, "another has begun")


def test_what_comes_alone_waits_for_no_batch() -> None:
    """Batches wait for each other; a single message that comes behind them has one of the last places."""
    with pool_of(16) as sent:
        for number in range(6):
            sent.send(number, size=24)
        sent.send(6)
        assert sent.accepted == [0, 1, 2, 3, 6]
        sent.release(6)
        eventually(lambda: sent.ended == [6], 20, "it has ended")
        assert sent.accepted == [0, 1, 2, 3, 6]


def test_a_message_that_is_not_acknowledged_does_not_begin() -> None:
    """It comes again, from the broker; its place is free, whether it had waited for that or not."""

    def refused() -> None:
        raise ValueError("no")

    with pool_of(1) as sent:
        sent.send(0, accept=refused)
        for number in (1, 2):
            sent.send(number)
        assert sent.accepted == [1, 2]
        sent.send(3, accept=refused)
        sent.send(4)
        sent.release(0, 1, 2, 3, 4)
        eventually(lambda: len(sent.ended) == 3, 20, "the others have ended")
        assert sorted(sent.ended) == [1, 2, 4]


def test_a_worker_that_quits_leaves_what_is_under_way() -> None:
    """Celery has the pool end each message then; no greenlet can be ended from outside, and none is."""
    with pool_of(1) as sent:
        sent.send(0)
        sent.pool.terminate_job(os.getpid(), "KILL")
        sent.release(0)
        eventually(lambda: sent.ended == [0], 20, "it goes on to its end")


def test_a_batch_gives_back_the_places_of_members_that_have_ended() -> None:
    """One of 24 members is left: it holds its own place, and others begin in those that are free again."""
    told: list[int] = []

    def work(*_: Any) -> tuple[bool, None, float]:
        tell_left.get()(1)
        told.append(1)
        sent.gates[0].wait(60)
        return False, None, 0.0

    with pool_of(16) as sent:
        sent.gates[0] = waiting.Event()
        for _ in range(5):
            sent.trace(work, {"args": ["exec-1"] * 24}, lambda *_: None)
        eventually(lambda: len(told) == 5, 20, "each batch has one member left")
        for number in range(1, 17):
            sent.send(number)
        assert sent.accepted == [*range(1, 16)]


def test_a_message_for_which_there_is_no_thread_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have no more threads: what waits behind such a message begins, and the pool comes to an end."""
    given, refused = loop.offload, [RuntimeError("can't start new thread")]

    def offload(*work: Any) -> Any:
        if refused:
            raise refused.pop()
        return given(*work)

    monkeypatch.setattr(loop, "offload", offload)
    with pool_of(1) as sent:
        for number in range(4):
            sent.send(number)
        assert sent.accepted == [0, 1]
        sent.release(0)
        eventually(lambda: 3 in sent.accepted, 20, "the next one has begun")
        assert sent.accepted == [0, 1, 3]


def test_a_pool_that_stops_waits_for_what_is_under_way() -> None:
    """Its end comes after theirs; what has not begun is left to the broker."""
    sent = Messages(4)
    for number in range(8):
        sent.send(number)
    stopped = threading.Thread(target=sent.pool.stop)
    stopped.start()
    eventually(lambda: not sent.pool._waiting, 20, "it takes in nothing more")
    sent.release(0, 1, 2, 3)
    eventually(lambda: len(sent.ended) == 4, 20, "four have ended")
    assert stopped.is_alive()
    sent.release(4)
    stopped.join(60)
    assert not stopped.is_alive()
    assert (sorted(sent.ended), sent.accepted) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("what", ["chain", "chord"])
def test_celerys_own_part_of_a_task_holds_up_no_other(redis_server: RedisServer, what: str) -> None:
    """Redis stands still when the next link is to be published, or a member of a chord counted: others go on."""
    ready_to_publish()
    client = redis_server.client()
    client.flushall()
    link = dict(maintenance.probe.si().set(task_id="message-2", queue="steps"))
    embed = {"chain": [link]} if what == "chain" else {"chord": link}
    of_chord = {"group": "chord-1", "group_index": 0} if what == "chord" else {}
    delivered = {"exchange": "", "routing_key": "steps"}
    request = {"id": "message-1", "root_id": "root-1", "args": [], "delivery_info": delivered, "embed": embed}
    if what == "chord":
        app.backend.set_chord_size("chord-1", 1)
    with pool_of(4) as sent:
        redis_server.freeze()
        try:
            sent.trace(partial(trace_task_ret, app=app), request | of_chord, lambda *_: None)
            sent.send(0)
            sent.release(0)
            eventually(lambda: sent.ended == [0], 20, "the other has ended")
            assert [outcome for outcome in sent.outcomes if outcome != (False, None, 0.0)] == []
        finally:
            redis_server.thaw()
        eventually(lambda: client.llen("steps") == 1, 60, "the message that follows is there")
    following = json.loads(client.lindex("steps", 0))["headers"]
    assert (following["id"], following["root_id"]) == ("message-2", "root-1")
    client.flushall()
