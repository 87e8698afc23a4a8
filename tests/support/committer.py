"""A process for tests to kill: threads share commits and report them.

``burst WORD`` accepts, claims and finishes executions with sixteen threads until its end. ``batch WORD AT``
gathers eight changes behind one that holds them up and then kills itself in the middle of one of them; ``AT`` names the
row at which they meet. ``claims EXECUTION...`` claims these in one batch. A line on the standard output is the answer
to a caller: ``<event> <execution>``.
"""

import contextlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from store.engine import db, group_commit
from store.engine.db import Connection
from store.executions import transitions
from tests.support.executions import new_execution
from tests.support.waiting import eventually

#: how many commit at the same time
_THREADS = 16
_OWNER = "steps@committer"


def accept(connection: Connection, execution_id: str) -> str:
    """Accept an execution, as a request does."""
    transitions.accept(connection, new_execution(id=execution_id), publish_again_at=db.now_ms() + 60_000)
    return execution_id


def claim(connection: Connection, execution_id: str) -> Any:
    """Take it up, as a worker does."""
    return transitions.claim(connection, execution_id, _OWNER, 60_000)


def finish(connection: Connection, execution_id: str) -> bool:
    """End its first attempt, as a worker does."""
    record = {"output": {"ok": True}, "error": None, "report": None, "logs": []}
    return transitions.finish(connection, execution_id, "completed", owner=_OWNER, attempt=1, record=record)


@contextlib.contextmanager
def _unlimited_patience() -> Iterator[None]:
    """Let a caller wait for its leader without a limit.

    A caller that shares no commit waits for a connection.
    """
    kept = db._database().writing
    groups = (group_commit._here.at_once, group_commit._here.meeting)
    before = [each._patience for each in (*groups, kept)]
    for each in groups:
        each._patience = -1
    kept._patience = 60
    try:
        yield
    finally:
        for each, patience in zip((*groups, kept), before, strict=True):
            each._patience = patience


def _waiting() -> int:
    """How many changes of this process wait for the current commit."""
    here = group_commit._here
    return sum(len(changes._waiting) for changes in (here.in_turn, here.at_once, here.meeting))


def together(changes: list[Callable[[Connection], Any]], *, at: str = "", single: bool = False) -> list[Any]:
    """Commit all in one group behind another change; returns the results."""
    outcomes: list[Any] = [None] * len(changes)
    begun, go = threading.Event(), threading.Event()

    def hold(_connection: Connection) -> None:
        begun.set()
        assert go.wait(30)

    def run(index: int) -> None:
        try:
            outcomes[index] = group_commit.commit(changes[index], at=at, single=single)
        except Exception as error:
            outcomes[index] = error

    first = threading.Thread(target=group_commit.commit, args=(hold,), kwargs={"at": at, "single": single})
    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(changes))]
    with _unlimited_patience():
        first.start()
        assert begun.wait(30)
        for thread in threads:
            thread.start()
        if single or at or db.engine().dialect.name == "sqlite":  # others do not wait for each other
            eventually(lambda: _waiting() == len(changes), 30, "all have arrived")
        go.set()
        for thread in (first, *threads):
            thread.join(60)
            assert not thread.is_alive(), "a caller waits for ever"
    return outcomes


def _say(event: str, execution_id: str) -> None:
    """Print a caller's answer, unbuffered, so that it outlives this process."""
    os.write(1, f"{event} {execution_id}\n".encode())


def _burst(word: str) -> None:
    numbers = itertools.count()

    def work(single: bool) -> None:
        for number in numbers:
            execution_id = f"exec-{word}-{number:06d}"
            for event, change in (("accepted", accept), ("running", claim), ("completed", finish)):
                assert group_commit.commit(partial(change, execution_id=execution_id), single=single)
                _say(event, execution_id)

    threads = [threading.Thread(target=work, args=(number % 2 == 0,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _batch(word: str, at: str) -> None:
    for number in range(3):
        execution_id = f"exec-{word}-before-{number}"
        _say("accepted", group_commit.commit(partial(accept, execution_id=execution_id), at=at))

    def die(connection: Connection) -> None:
        accept(connection, f"exec-{word}-dying")
        os.kill(os.getpid(), signal.SIGKILL)

    innocent = [partial(accept, execution_id=f"exec-{word}-{number}") for number in range(7)]
    together([*innocent[:4], die, *innocent[4:]], at=at)


def _claims(*names: str) -> None:
    for row in together([partial(claim, execution_id=name) for name in names], single=True):
        _say("running", row.id)


if __name__ == "__main__":
    {"burst": _burst, "batch": _batch, "claims": _claims}[sys.argv[1]](*sys.argv[2:])
