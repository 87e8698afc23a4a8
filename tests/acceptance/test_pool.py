"""The pool of the worker ``scripts`` has processes while there is work for them."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Process, descendants
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: a worker whose pool rests soon
_RESTS_SOON = """
import sys
from worker import pool, supervisor
pool.REST, pool._LOOK_EVERY = float(sys.argv[1]), 0.1
sys.exit(supervisor.main(["scripts"]))
"""


def script(text: str, **more: object) -> dict:
    """The definition of an action that runs a script."""
    return {"type": "script", "executor": "local", "config": {"interpreter": "bash", "script": text}, **more}


@pytest.fixture
def stack(sqlite_stack: Stack) -> Stack:
    """The running product; its database makes no difference to a pool."""
    return sqlite_stack


@pytest.fixture(params=[1])
def pool(request: pytest.FixtureRequest, stack: Stack, tmp_path: Path) -> Iterator[Process]:
    """The worker ``scripts`` of the product, with a pool that rests after some seconds."""
    stack.kill("scripts")
    worker = Process(["python", "-c", _RESTS_SOON, str(request.param)], tmp_path / "log", env=stack.environment)
    try:
        known = "SELECT pid FROM processes WHERE name LIKE 'scripts@%'"
        eventually(lambda: [row["pid"] for row in stack.rows(known)] == [worker.pid], 60, "it works", every=0.1)
        yield worker
    finally:
        worker.end(grace=15)
        print(worker.log.read_text()[-6000:])


def children(worker: Process) -> set[int]:
    """The processes of the worker's pool; programs that it or they have started are not among them."""
    forked, started_by = b"Name:\tscripts\n", f"PPid:\t{worker.pid}\n".encode()
    return {pid for pid in descendants([worker.pid]) if started_by in (said := _status(pid)) and forked in said}


def _status(pid: int) -> bytes:
    """What the kernel says of a process; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return b""


@pytest.mark.gate
@pytest.mark.parametrize("pool", [5], indirect=True, ids=["rests after 5 s"])
def test_a_pool_forks_for_work_and_rests_without(stack: Stack, pool: Process) -> None:
    """No process before the first script, at most two for many, none after a rest; then again."""
    action = stack.api.create_action(**script("sleep 0.2"))
    for number in (1, 6):
        eventually(lambda: not children(pool), 30, "the pool rests")
        ids = [stack.api.trigger(action) for _ in range(number)]
        eventually(lambda: children(pool), 30, "there is a process", every=0.01)
        rows = stack.wait_ended(ids, 60)
        assert {(row["status"], row["attempt"], row["lapses"]) for row in rows.values()} == {("completed", 1, 0)}
        assert 1 <= len(children(pool)) <= 2  # beside one script, a probe may want a second process
    eventually(lambda: not children(pool), 30, "the pool rests")
    assert pool.alive()
    assert "exited with" not in pool.log.read_text()


def test_a_pool_at_rest_is_alive_to_probes(stack: Stack, pool: Process) -> None:
    """A worker without a process takes its probes, and forks none for them."""
    row = "SELECT consumed_at FROM processes WHERE name LIKE 'scripts@%'"
    began = stack.rows(row)[0]["consumed_at"]
    seen: set[int] = set()

    def taken() -> bool:
        seen.update(children(pool))
        return stack.rows(row)[0]["consumed_at"] > began

    eventually(taken, 60, "a probe is taken", every=0.05)
    assert not seen


def test_what_comes_while_the_pool_goes_to_rest_is_carried_out(stack: Stack, pool: Process) -> None:
    """Scripts that come about when the processes end complete in their first attempt."""
    action = stack.api.create_action(**script("true"))
    ids = []
    for early in (0.15, 0.1, 0.05, 0.0, -0.05, -0.1, -0.15):
        ids.append(stack.api.trigger(action))
        stack.wait_ended(ids, 60)
        time.sleep(1.05 - early)
    rows = stack.wait_ended(ids, 60)
    assert {(row["status"], row["attempt"], row["lapses"]) for row in rows.values()} == {("completed", 1, 0)}


@pytest.mark.gate
def test_a_pool_replaces_killed_processes_while_there_is_work(stack: Stack, pool: Process) -> None:
    """A script whose process is killed is repeated, one that takes too long ends as such; then the pool rests."""
    api = stack.api
    repeated = api.trigger(api.create_action(**script("sleep 3")))
    late = api.trigger(api.create_action(**script("sleep 60", timeout_seconds=2, retry={"max_attempts": 1})))
    eventually(lambda: stack.row(repeated)["status"] == "running", 30, "it has begun")
    owner = stack.row(repeated)["owner"]
    mine = [pid for pid in children(pool) if f"{pid}" in owner.replace(":", " ").replace("@", " ").split()]
    assert len(mine) == 1, owner
    os.kill(mine[0], signal.SIGKILL)
    rows = stack.wait_ended([repeated, late], 120)
    assert (rows[repeated]["status"], rows[repeated]["attempt"]) == ("completed", 2)
    assert rows[late]["status"] == "timeout"
    eventually(lambda: not children(pool), 30, "the pool rests")
