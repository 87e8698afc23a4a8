"""Helper processes: results and faults come back, and a failure there does not spread."""

import os
import signal
import threading
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
    """The same process makes the next call too."""
    first, second = pool.run(os.getpid), pool.run(os.getpid)
    assert first == second != os.getpid()


def test_what_a_call_raises_is_raised_here() -> None:
    """The error keeps its code and problems, from which the answer is made."""
    with pytest.raises(InvalidRequest, match="No") as caught:
        pool.run(refuse, "/a")
    assert (caught.value.code, caught.value.problems) == ("odd", [Problem("/a", "is odd")])


def test_faults_are_the_same_here_and_in_a_helper() -> None:
    """No part of a definition is lost on the way to the helper."""
    definition = {"name": "Odd", "steps": [{"id": "a", "type": "delay", "seconds": "ö"}], "tags": [1, None]}
    assert pool.run(playbook.judged, definition, {}, frozenset()) == pool.here(
        playbook.judged, definition, {}, frozenset()
    )


def test_a_process_that_has_ended_is_replaced() -> None:
    """Whatever ended it: another process makes the call that meets it."""
    first = pool.run(os.getpid)
    os.kill(first, signal.SIGKILL)
    assert pool.run(os.getpid) != first


def test_a_call_that_ends_its_process_is_refused_and_the_next_one_done() -> None:
    """The call is tried once more, because the process may have been about to end anyway."""
    with pytest.raises(Busy):
        pool.run(os._exit, 1)
    assert pool.run(abs, -1) == 1


def test_a_call_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is stopped and not tried again."""
    monkeypatch.setattr(pool, "PATIENCE", 1)
    with pytest.raises(Busy, match="longer"):
        pool.run(pow, 7, 10**9)  # it takes hours


def test_a_process_without_work_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that gets no large definitions has no helper process."""
    monkeypatch.setattr(pool, "REST", 1)
    pid = pool.run(os.getpid)
    assert eventually(lambda: _is_gone(pid), 60, "it has ended")


def _is_gone(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"  # ended, and not waited for yet
    except OSError:
        return True


def test_one_caller_leaves_room_for_another(tmp_path: Path) -> None:
    """A caller with as many calls as one may have is refused; another caller is not."""
    started, gate = threading.Barrier(pool.OF_ONE + 1), tmp_path / "gate"
    os.mkfifo(gate)

    def one() -> None:
        pool.serve("one")
        started.wait()
        pool.run(os.open, str(gate), os.O_RDONLY)  # until somebody writes there

    waiting = [threading.Thread(target=one) for _ in range(pool.OF_ONE)]
    for thread in waiting:
        thread.start()
    started.wait()
    pool.serve("one")
    eventually(lambda: pool._pool._present["one"] == pool.OF_ONE, 60, "all wait")
    with pytest.raises(Busy):
        pool.run(abs, -1)
    opened = os.open(gate, os.O_RDWR)
    pool.serve("another")
    assert pool.run(abs, -1) == 1
    for thread in waiting:
        thread.join()
    os.close(opened)


def test_processor_time_is_noted_until_it_is_asked_for() -> None:
    """It counts in this process and in helpers."""
    pool.run(sum, range(10_000_000))
    once = pool.spent()
    pool.here(sum, range(10_000_000))
    assert once > 0
    assert pool.spent() > 0
    assert pool.spent() == 0


def test_messages_are_whole_or_not_there() -> None:
    """A pipe closed half-way raises an error, not half of an answer."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as there, os.fdopen(writing, "wb") as here:
        process.send(here, b"one")
        assert process.receive(there) == b"one"
        here.write(b"\0\0\0\7half")
        here.close()
        with pytest.raises(EOFError):
            process.receive(there)
