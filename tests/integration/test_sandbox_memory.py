"""A script's memory is bounded, of whatever kind it is: by a control group, by the filter, and by the watch."""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import settings
from providers.sandbox import cgroup, sandbox, system_calls
from tests.support.sandboxes import processes, run, until

PROJECT = Path(__file__).parents[2]
ALLOW_ALL = struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation of its own, which looks for its control groups again."""
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    settings.cache_clear()
    cgroup.place.cache_clear()
    yield
    settings.cache_clear()
    sandbox.probe.cache_clear()
    cgroup.place.cache_clear()


@pytest.fixture
def without_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose filter refuses nothing, so that the watch is alone."""
    monkeypatch.setattr(system_calls, "program", lambda: ALLOW_ALL)


@pytest.fixture
def without_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no control group can be made."""
    monkeypatch.setattr(cgroup, "make", lambda: None)


SHARED = """
import mmap, os, time
for _ in range(8):
    if os.fork() == 0:
        held = mmap.mmap(DEVICE, 380_000_000)
        for start in range(0, 300_000_000, 4_194_304):
            held[start : start + 4_194_304] = b"x" * 4_194_304
            held.madvise(mmap.MADV_DONTNEED, start, 4_194_304)  # the page stays, and counts for nobody
        time.sleep(60)
[os.wait() for _ in range(8)]
"""


@pytest.mark.usefixtures("without_filter", "without_group")
@pytest.mark.parametrize("device", ["-1", 'os.open("/dev/zero", os.O_RDWR)'], ids=["anonymous", "zeros"])
def test_the_watch_counts_shared_memory_that_no_process_has_in_use(device: str) -> None:
    """Eight processes that fill shared memory and let go of each page at once are stopped."""
    finished = run(SHARED.replace("DEVICE", device), python=True, timeout=120)
    if "zero" in device:  # that device cannot be mapped as memory, filter or not
        assert b"No such device" in finished.stderr
    else:
        assert finished.ended == "memory"


def test_shared_memory_without_a_file_is_refused() -> None:
    """The same processes get none where the filter holds."""
    finished = run(SHARED.replace("DEVICE", "-1").replace("[os.wait() for _ in range(8)]", "os.wait()"), python=True)
    assert finished.ended == "exit"
    assert b"PermissionError" in finished.stderr


SOCKETS = """
import os, socket, time
for _ in range(30):
    if os.fork() == 0:
        held = []
        try:
            while True:
                pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                held.append(pair)
                for end in pair:
                    if LARGER:
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
                    end.setblocking(False)
                    try:
                        while True:
                            end.send(b"x")
                    except BlockingIOError:
                        pass
        finally:
            time.sleep(0 if LARGER else 60)
[os.wait() for _ in range(30)]
"""


@pytest.mark.usefixtures("without_group")
def test_the_watch_counts_what_sockets_may_hold() -> None:
    """A flood of unread datagrams ends the script long before the machine's memory is gone."""
    finished = run(SOCKETS.replace("LARGER", "False"), python=True, timeout=120)
    assert finished.ended == "memory"


def test_buffers_of_sockets_cannot_be_made_larger() -> None:
    """A script that asks for larger buffers is refused, so that what its sockets may hold is known."""
    finished = run(SOCKETS.replace("LARGER", "True").replace("range(30)", "range(1)"), python=True)
    assert finished.ended == "exit"
    assert b"PermissionError" in finished.stderr


@pytest.mark.usefixtures("without_filter")
def test_the_group_counts_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither filter nor watch the kernel ends both scripts at the group's limit and says that it was memory."""
    if cgroup.place() is None:
        pytest.skip("this machine lets us make no control group that bounds memory")
    monkeypatch.setattr("providers.sandbox.memory.exceeded", lambda first: False)
    for script in (SHARED.replace("DEVICE", "-1"), SOCKETS.replace("LARGER", "True").replace("0 if", "60 if")):
        assert run(script, python=True, timeout=120).ended == "memory"


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of control groups, which need not be able to limit anything."""
    if cgroup.place() is None:
        monkeypatch.setattr(cgroup, "_NEEDED", frozenset())
        monkeypatch.setattr(cgroup, "_LIMITS", {"cgroup.max.depth": 0})
        cgroup.place.cache_clear()
    monkeypatch.setattr(cgroup, "_FOLDER", f"tocsin-test-{os.getpid()}")
    cgroup.place.cache_clear()
    folder = cgroup.place()
    if folder is None:
        pytest.skip("this machine lets us make no control group of version 2")
    yield folder
    folder.rmdir()  # fails when a group is left


def test_a_script_runs_in_a_group_of_its_own_which_goes_with_it(groups: Path) -> None:
    """From its first instruction the script is in a fresh group; after any end there is none."""
    seen: set[frozenset[int]] = set()
    mark = "907032"

    def look() -> bool:
        if processes(mark):
            inside = [path / "cgroup.procs" for path in groups.iterdir() if path.is_dir()]
            seen.add(frozenset(int(pid) for path in inside for pid in path.read_text().split()))
        return bool(seen)

    assert run(f"sleep {mark} & sleep {mark}", aborted=look).ended == "aborted"
    assert len(seen) == 1
    assert len(seen.pop()) >= 3  # pid 1 of the sandbox, the shell, and its children
    for text, ended in (("exit 3", "exit"), ("while :; do :; done", "timeout"), ("yes", "output")):
        assert run(text, timeout=0.5).ended == ended
        assert [path for path in groups.iterdir() if path.is_dir()] == []


LEAVING = """
import subprocess, time
from providers.sandbox import cgroup
cgroup._NEEDED, cgroup._LIMITS, cgroup._FOLDER = SETTINGS
group = cgroup.make()
group.add(subprocess.Popen(["sleep", "907033"]).pid)
print("made", flush=True)
time.sleep(60)
"""


def test_what_a_killed_worker_left_is_cleaned_up_by_the_next(groups: Path) -> None:
    """A group that no living process holds is emptied and taken away at the next start; others are left alone."""
    present = (cgroup._NEEDED, cgroup._LIMITS, cgroup._FOLDER)
    text = LEAVING.replace("SETTINGS", repr(present))
    with subprocess.Popen([sys.executable, "-c", text], cwd=PROJECT, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"made\n"
        cgroup.place.cache_clear()
        cgroup.place()
        assert len([path for path in groups.iterdir() if path.is_dir()]) == 1
        worker.kill()
        worker.wait()
    cgroup.place.cache_clear()
    cgroup.place()
    assert [path for path in groups.iterdir() if path.is_dir()] == []
    until(lambda: not processes("907033"))
