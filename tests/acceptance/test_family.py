"""The supervisor of the Procfile: the API and all workers of a machine, of one family."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Stacks
from tests.acceptance.test_supervisor import SUPERVISED, field, workers
from tests.support.processes import Process, born, descendants, gone, stop
from tests.support.stack import NAMES, Stack, procfile
from tests.support.waiting import eventually

#: one that ends an API that stands still after two seconds
_IMPATIENT = """
import sys
from worker import supervisor
from worker.forked import web
web.STANDS_STILL, supervisor.LOOK_EVERY = 4.0, 0.5
sys.exit(supervisor.main(["web", "control"]))
"""


@pytest.fixture(scope="module")
def place(stacks: Stacks) -> Iterator[Stack]:
    """The product on SQLite, of which nothing runs but what a test starts; its next user heals it."""
    stack = stacks.of("sqlite")
    for name in NAMES:
        stack.kill(name)
    yield stack
    if "all" in stack.running:
        stack.end("all")


@pytest.fixture
def family(place: Stack) -> Process:
    """The supervisor of the Procfile, with all that it runs at work."""
    if "all" not in place.running or not place.running["all"].alive():
        place.start("all")
    eventually(lambda: set(workers(place)) == set(SUPERVISED) and place.is_ready("web"), 60, "all are at work")
    return place.running["all"]


def named(family: Process) -> dict[str, int]:
    """Name → pid of the supervisor's children, as ``ps`` shows them."""
    found = {}
    for pid in descendants([family.pid]):
        with contextlib.suppress(OSError):
            if field(pid, "PPid", of="status") == family.pid:
                found[Path(f"/proc/{pid}/comm").read_text().strip()] = pid
    return found


def test_the_api_is_a_child_of_the_supervisor(place: Stack, family: Process) -> None:
    """It shares the memory of what was imported, and it alone listens; there is no other master."""
    children = named(family)
    assert set(children) == {"web", *SUPERVISED}
    assert field(children["web"], "Shared_Dirty") > 0.3 * field(children["web"], "Rss")
    assert field(family.pid, "Threads", of="status") == 1
    listening = {name for name, pid in children.items() if listens(pid, place.port)}
    assert listening == {"web"}


def listens(pid: int, port: int) -> bool:
    """Whether a process has the socket open that listens on this port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].partition(":")[2], 16) == port}
    return any(str(entry.readlink()) in sockets for entry in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGHUP])
def test_an_api_that_ends_is_forked_again(place: Stack, family: Process, blow: int) -> None:
    """No caller is refused meanwhile, and the workers go on."""
    before, said = named(family), place.log("all").count("worker ended; restarting it")
    os.kill(before["web"], blow)
    eventually(lambda: gone(before["web"]), 20, "the API has ended", every=0.01)
    with socket.create_connection(("127.0.0.1", place.port), timeout=60) as caller:
        caller.sendall(b"GET /health HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        assert b" 200 OK" in caller.recv(65536).split(b"\r\n")[0]
    after = named(family)
    assert {name for name in before if before[name] != after[name]} == {"web"}
    assert place.log("all").count("worker ended; restarting it") == said + 1
    action = place.api.create_action(config={"url": f"{place.sink.url}/ok"})
    assert place.api.ended(place.api.trigger(action), 30)["status"] == "completed"


def test_a_second_family_says_that_the_port_is_taken(place: Stack, family: Process, tmp_path: Path) -> None:
    """One line names the address; nothing is started."""
    second = Process(["bash", "-c", procfile()["all"]], tmp_path / "log", env=place.environment)
    assert second.popen.wait(60) == 1
    said = [line for line in second.log.read_text().splitlines() if line.startswith("web: ")]
    assert len(said) == 1
    assert f"127.0.0.1:{place.port}" in said[0]
    assert "in use" in said[0]


def test_a_stopped_family_answers_what_it_has_begun(place: Stack, family: Process) -> None:
    """TERM to the supervisor: a request that is under way is answered, its execution published; exit code 0."""
    key, body = place.api.http.headers["Authorization"], b'{"parameters": {}}'
    action = place.api.create_action(config={"url": f"{place.sink.url}/ok"})
    head = (
        f"POST /api/actions/{action}/trigger HTTP/1.1\r\nHost: here\r\nAuthorization: {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", place.port), timeout=30) as caller:
        caller.sendall(head.encode() + body[:5])
        time.sleep(0.5)  # it has the head
        family.popen.terminate()
        time.sleep(0.5)
        caller.sendall(body[5:])
        assert b" 202 " in caller.recv(65536).split(b"\r\n")[0]
    assert family.popen.wait(60) == 0
    assert workers(place) == {}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", place.port), timeout=5)


def test_a_family_ends_with_its_supervisor(place: Stack, family: Process) -> None:
    """A killed supervisor leaves neither the API nor a worker."""
    members = descendants([family.pid])
    assert {"web", "steps", "slow", "scripts", "control"} <= set(named(family))
    assert set(named(family).values()) <= set(members)
    os.kill(family.pid, signal.SIGKILL)
    family.popen.wait(10)

    def left() -> list[int]:
        return [pid for pid, birth in members.items() if not gone(pid) and born(pid) == birth]

    eventually(lambda: not left(), 10, "all have ended")
    assert left() == []


@pytest.mark.gate
def test_an_api_that_stands_still_is_ended(place: Stack, tmp_path: Path) -> None:
    """One that shows no sign of life is ended, by force in the end, and forked again."""
    if "all" in place.running:
        place.end("all")
    family = Process(["python", "-c", _IMPATIENT], tmp_path / "log", env=place.environment)
    try:
        eventually(lambda: place.is_ready("web"), 60, "the API answers")
        before = named(family)["web"]
        stop(before)
        eventually(lambda: gone(before) and place.is_ready("web"), 60, "another answers")
        assert "stands still" in family.log.read_text()
    finally:
        family.end(grace=15)
