"""Reads the Python files of the actions folders, none of them half-written.

``look`` notes the state of every file without reading it. A file that has just changed may still be written to, so it
counts as unfinished until it has stayed the same for ``SETTLES`` seconds, or for ``HELD`` while another process of this
machine has it open for writing, where the system tells. ``read`` returns the contents of the files that are finished
and have the state that was noted.

It needs nothing but the standard library: it works inside the sandbox too.
"""

import contextlib
import fcntl
import os
import signal
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

#: how long a file must stay as it is before it is read, seconds
SETTLES = 1.0
#: the same for one that is open for writing; some network file systems say so of every file
HELD = 60.0
#: a file of this size is no source
_LARGEST = 4 * 1024 * 1024

#: the state of each file: number, size, times of its last changes in nanoseconds
State = Mapping[Path, tuple[int, int, int, int]]


class _Unfinished(Exception):  # noqa: N818
    """A file may still be written to; look again in a moment."""


def look(folders: Sequence[Path]) -> State:
    """The Python files of these folders and those below, each with its state."""
    found = {}
    for folder in folders:
        for path in _files(folder):
            with contextlib.suppress(OSError):  # it has just been removed
                state = path.stat()
                if stat.S_ISREG(state.st_mode):
                    found[path] = _of(state)
    return found


def read(noted: State, *, seen_for: float) -> dict[Path, bytes]:
    """The contents of the files that ``look`` has noted ``seen_for`` seconds ago.

    Those that may still be written to, or are not as they were noted, are left out.
    """
    found = {}
    for path, state in noted.items():
        with contextlib.suppress(_Unfinished):
            found[path] = _content(path, state, max(seen_for, _age(state)))
    return found


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        yield from (Path(parent, name) for name in sorted(names) if name.endswith(".py") and not name.startswith("."))


def _of(state: os.stat_result) -> tuple[int, int, int, int]:
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _age(state: tuple[int, int, int, int]) -> float:
    """Seconds since the last change, by the clock of the file system, which may be another one."""
    return time.time() - state[3] / 1e9


def _content(path: Path, noted: tuple[int, int, int, int], same_for: float) -> bytes:
    if same_for < SETTLES:
        raise _Unfinished
    try:
        with path.open("rb") as file:
            if same_for < HELD and _is_open_for_writing(file.fileno()):
                raise _Unfinished
            content = file.read(_LARGEST)
            if _of(os.fstat(file.fileno())) != noted or _of(path.stat()) != noted:
                raise _Unfinished
    except PermissionError:
        return b"raise PermissionError('this account may not read the file')\n"
    except OSError as error:
        raise _Unfinished from error
    return content


def _is_open_for_writing(descriptor: int) -> bool:
    """Whether any process of this machine has the file open for writing.

    Linux grants a read lease only where none has. The lease is returned at once; what would be said of it meanwhile is
    said with a signal that is ignored. False where the system does not tell: other systems, files of other accounts.
    """
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
