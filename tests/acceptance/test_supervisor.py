"""The supervisor forks the workers of one machine and keeps them running."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.acceptance.conftest import Stacks
from tests.support.processes import Process, born, descendants, gone
from tests.support.stack import WORKERS, Stack, procfile
from tests.support.waiting import eventually

#: what the supervisor of the tests below runs in place of the workers: one that lives and one that ends at once
_ODD_WORKERS = """
import sys, time
from worker import roles, supervisor
def run(name):
    if name == "steps":
        sys.exit(3)
    print(name, "lives", flush=True)
    time.sleep(600)
roles.run = run
sys.exit(supervisor.main(["steps", "control"]))
"""

#: names that it refuses, one after the other: most of the time of a supervisor that refuses goes into importing
_REFUSED = """
from worker import supervisor
for names in {names}:
    assert supervisor.main(names) == 2, names
    print(names, flush=True)
"""

#: the workers of the Procfile's supervisor
SUPERVISED = procfile()["workers"].partition("worker.supervisor ")[2].split()


def workers(stack: Stack) -> dict[str, int]:
    """Worker → pid, as the living workers have recorded it."""
    rows = stack.rows("SELECT name, pid FROM processes")
    return {row["name"].partition("@")[0]: row["pid"] for row in rows if not gone(row["pid"])}


@pytest.fixture(scope="module")
def place(stacks: Stacks) -> Stack:
    """The product on SQLite without single workers; its next user heals it."""
    stack = stacks.of("sqlite")
    for name in WORKERS:
        stack.kill(name)
    return stack


@pytest.fixture
def supervisor(place: Stack) -> Process:
    """The supervisor of the Procfile, all of it at work."""
    running = place.running.get("workers")
    if running is None or not running.alive():
        place.start("workers")
    eventually(lambda: set(workers(place)) == set(SUPERVISED), 60, "all workers live")
    return place.running["workers"]


def call(stack: Stack, path: str = "ok") -> str:
    """Trigger a call of the sink."""
    return stack.api.trigger(stack.api.create_action(config={"url": f"{stack.sink.url}/{path}"}))


def field(pid: int, name: str, of: str = "smaps_rollup") -> int:
    """A number of /proc, KiB where it is an amount of memory."""
    lines = Path(f"/proc/{pid}/{of}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def test_a_worker_that_ends_is_forked_again(place: Stack, supervisor: Process) -> None:
    """A worker ended by HUP or KILL is forked again; siblings continue."""
    before, logged_before = workers(place), len(place.log("workers"))
    last = before
    for blow in (signal.SIGHUP, signal.SIGKILL):
        pid = last["steps"]
        os.kill(pid, blow)
        eventually(lambda gone=pid: workers(place).get("steps", gone) != gone, 40, "it is back")
        last = workers(place)
    assert place.api.ended(call(place), 30)["status"] == "completed"
    assert {name for name in before if before[name] == last[name]} == set(SUPERVISED) - {"steps"}
    said = [line for line in place.log("workers")[logged_before:].splitlines() if "worker ended; restarting it" in line]
    assert [json.loads(line)["code"] for line in said] == [0, -signal.SIGKILL]


def test_a_supervisor_that_is_killed_takes_its_workers_along(place: Stack, supervisor: Process) -> None:
    """A killed supervisor leaves no worker and no process of a pool."""
    script = {"interpreter": "bash", "script": "true"}  # carried out by a process of a pool, which is left behind
    action = place.api.create_action(type="script", executor="local", config=script)
    assert place.api.ended(place.api.trigger(action), 30)["status"] == "completed"
    family = descendants([supervisor.pid])
    assert len(family) > len(SUPERVISED) + 1
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.popen.wait(10)
    eventually(lambda: all(gone(pid) or born(pid) != birth for pid, birth in family.items()), 10, "all have ended")


def test_a_stopped_supervisor_lets_its_workers_finish(place: Stack, supervisor: Process) -> None:
    """TERM to the supervisor alone lets the call complete; exit code 0."""
    execution_id = call(place, "slow?seconds=6")
    eventually(lambda: place.sink.keys()[execution_id], 60, "the call is under way")
    supervisor.popen.terminate()
    assert supervisor.popen.wait(60) == 0
    assert place.row(execution_id)["status"] == "completed"
    assert workers(place) == {}


def test_workers_are_one_family(place: Stack, supervisor: Process) -> None:
    """Workers share most memory, yield to the API, and have names."""
    family = descendants([supervisor.pid])
    known = workers(place)
    assert sum(field(pid, "Pss") for pid in family) < 0.6 * sum(field(pid, "Rss") for pid in family)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    polite = {name: os.getpriority(os.PRIO_PROCESS, pid) - ours for name, pid in known.items()}
    assert polite == {**dict.fromkeys(SUPERVISED, 5), "control": 0}
    assert {Path(f"/proc/{pid}/comm").read_text().strip() for pid in known.values()} == set(known)
    log = place.log("workers")
    assert [name for name in known if f'"worker": "{name}"' not in log] == []
    # the parent holds nothing that a fork would break: it has one thread and no connection
    assert field(supervisor.pid, "Threads", of="status") == 1
    opened = [str(entry.readlink()) for entry in Path(f"/proc/{supervisor.pid}/fd").iterdir()]
    assert [name for name in opened if name != "/dev/null" and not name.endswith("workers.log")] == []


@pytest.mark.gate
def test_a_worker_that_keeps_dying_is_tried_ever_more_rarely(place: Stack, tmp_path: Path) -> None:
    """The pause doubles, other workers live; a stop ends the supervisor."""
    supervisor = Process(["python", "-c", _ODD_WORKERS], tmp_path / "log", env=place.environment)
    try:
        eventually(lambda: '"seconds": 2.0' in supervisor.log.read_text(), 30, "three deaths")
        log = supervisor.log.read_text()
        assert [log.count(f'"seconds": {pause}') for pause in ("0.5", "1.0", "2.0")] == [1, 1, 1]
        assert '"code": 3' in log
        assert log.count("control lives") == 1
        supervisor.popen.terminate()
        assert supervisor.popen.wait(10) == 0
    finally:
        supervisor.end()


@pytest.mark.gate
def test_workers_of_a_kind_share_the_work(place: Stack, supervisor: Process) -> None:
    """Workers carry out also the executions that a frozen sibling has taken."""
    frozen = workers(place)["steps"]
    os.kill(frozen, signal.SIGSTOP)
    try:
        ended = place.wait_ended([call(place) for _ in range(20)], 60)
    finally:
        os.kill(frozen, signal.SIGCONT)
    assert {row["status"] for row in ended.values()} == {"completed"}


def test_an_unknown_worker_is_refused(place: Stack, tmp_path: Path) -> None:
    """One line names those there are; no two go by one name."""
    refused = ([], ["nobody"], ["steps", "nobody"], ["steps", "steps"])
    supervisor = Process(["python", "-c", _REFUSED.format(names=refused)], tmp_path / "log", env=place.environment)
    assert supervisor.popen.wait(30) == 0
    known = ", ".join(("web", *WORKERS.values()))
    usage = f"usage: python -m worker.supervisor NAME...   (of {known}; another of a kind: steps2, steps3)"
    assert supervisor.log.read_text().splitlines() == [line for names in refused for line in (usage, str(names))]
