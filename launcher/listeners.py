"""Finds the process that listens on a port.

A foreign program there would be sent our password, and be taken for what we have started.
"""

import os
from pathlib import Path

_LISTEN = "0A"


def is_ours(group: int, port: int) -> bool:
    """Whether a process of this process group listens on the TCP port."""
    wanted = {f"socket:[{inode}]" for inode in _listening(port)}
    return bool(wanted) and any(wanted & _open(entry) for entry in Path("/proc").iterdir() if _belongs(entry, group))


def _listening(port: int) -> set[str]:
    """The numbers of all sockets on this machine that listen there."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [row.split() for row in Path(table).read_text().splitlines()[1:]]
        except OSError:  # without IPv6 there is no second one
            continue
        found |= {row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    return found


def _belongs(entry: Path, group: int) -> bool:
    try:
        return entry.name.isdigit() and os.getpgid(int(entry.name)) == group
    except ProcessLookupError:
        return False


def _open(entry: Path) -> set[str]:
    """The files that the process has open, as far as permitted."""
    found = set()
    try:
        for file in (entry / "fd").iterdir():
            found.add(str(file.readlink()))
    except OSError:
        return found
    return found
