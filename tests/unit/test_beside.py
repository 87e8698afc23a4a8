"""What is computed beside the event loop: it comes back, faults too, and nothing that goes wrong there spreads."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.errors import Busy, InvalidRequest, Problem
from playbooks.checks import playbook
from tasks.offload import pool, process
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """No process is left."""
    yield
    pool.end()
    pool.spent()


def refuse(pointer: str) -> None:
    """Raise what a check raises."""
    raise InvalidRequest("No.", code="odd", problems=[Problem(pointer, "is odd")])


def test_what_a_call_returns_comes_back_from_another_process() -> None:
    """The same process does the next one too."""
    first, second = pool.run(os.getpid), pool.run(os.getpid)
    assert first == second != os.getpid()


def test_what_a_call_raises_is_raised_here() -> None:
    """With all that the answer to the caller is made of."""
    with pytest.raises(InvalidRequest, match="No") as caught:
        pool.run(refuse, "/a")
    assert (caught.value.code, caught.value.problems) == ("odd", [Problem("/a", "is odd")])


def test_faults_are_the_same_here_and_beside() -> None:
    """Nothing of a definition is lost on the way."""
    definition = {"name": "Odd", "steps": [{"id": "a", "type": "delay", "seconds": "ö"}], "tags": [1, None]}
    assert pool.run(playbook.judged, definition, {}, frozenset()) == pool.here(
        playbook.judged, definition, {}, frozenset()
    )


def test_a_process_that_has_ended_is_replaced() -> None:
    """Whoever ended it: the call that meets it is done by another one."""
    first = pool.run(os.getpid)
    os.kill(first, signal.SIGKILL)
    assert pool.run(os.getpid) != first


def test_a_call_that_ends_its_process_is_refused_and_the_next_one_done() -> None:
    """It is tried once more, because the process may have been about to end anyway."""
    with pytest.raises(Busy):
        pool.run(os._exit, 1)
    assert pool.run(abs, -1) == 1


def test_a_call_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor is not kept any longer, and nobody tries again."""
    monkeypatch.setattr(pool, "PATIENCE", 1)
    with pytest.raises(Busy, match="longer"):
        pool.run(pow, 7, 10**9)  # it takes hours


def test_a_process_without_work_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is sent no large definitions has no such process."""
    monkeypatch.setattr(pool, "REST", 1)
    pid = pool.run(os.getpid)
    eventually(lambda: _is_gone(pid), 60, "it has ended")


def _is_gone(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"  # nobody has asked for how it ended yet
    except OSError:
        return True


def test_one_caller_leaves_room_for_another() -> None:
    """Whoever waits for as much as one may is sent away; somebody else is not."""
    started = threading.Barrier(pool.OF_ONE + 1)

    def one() -> None:
        pool.serve("one")
        started.wait()
        pool.run(time.sleep, 3)

    waiting = [threading.Thread(target=one) for _ in range(pool.OF_ONE)]
    for thread in waiting:
        thread.start()
    started.wait()
    pool.serve("one")
    eventually(lambda: pool._pool._present["one"] == pool.OF_ONE, 60, "all wait")
    with pytest.raises(Busy):
        pool.run(abs, -1)
    pool.serve("another")
    assert pool.run(abs, -1) == 1
    for thread in waiting:
        thread.join()


def test_processor_time_is_noted_until_it_is_asked_for() -> None:
    """Wherever it was spent."""
    pool.run(sum, range(10_000_000))
    once = pool.spent()
    pool.here(sum, range(10_000_000))
    assert once > 0
    assert pool.spent() > 0
    assert pool.spent() == 0


def test_messages_are_whole_or_not_there() -> None:
    """A pipe that was closed half-way gives no half of an answer."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as there, os.fdopen(writing, "wb") as here:
        process.send(here, b"one")
        assert process.receive(there) == b"one"
        here.write(b"\0\0\0\7half")
        here.close()
        with pytest.raises(EOFError):
            process.receive(there)
