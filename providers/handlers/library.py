"""The functions of this process, loaded again when their files change.

In order of time: a process that needs a function asks for it by name; the folders are looked at, at most a few times a
second; if their files are others than those that were loaded, and finished, everything is loaded again. Files that
change together are loaded together, but one that is never finished holds up the others for seconds only. No process
has to be started again, and none watches files while it has nothing to do. A file that fails keeps the functions that
its last good version had in this process; a process that starts later has none of it.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tocsin.actions import Handler

from providers.handlers import loading, snapshot
from providers.handlers.loading import FileFault, Loaded
from providers.handlers.snapshot import State

#: between two looks at the folders, seconds
EVERY = 0.25
#: how long a process waits for unfinished files if it lacks the function that it needs, seconds
PATIENCE = 5.0
_PAUSE = 0.1
#: how long finished files wait for unfinished ones, with which they may belong together, seconds
TOGETHER = 10.0

logger = logging.getLogger(__name__)


class Library:
    """The functions of some folders; times are those of ``clock``, in seconds."""

    def __init__(self, folders: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self.folders = tuple(folders)
        self._clock = clock
        self._lock = threading.RLock()
        self._present = Loaded()
        self._loaded: State | None = None
        self._noted: State | None = None
        self._noted_at = 0.0
        #: since when the files are others than those that are loaded; a process that begins waits for none of them
        self._differ_since: float | None = float("-inf")
        self._look_at = float("-inf")
        self._unfinished = False

    def present(self, *, patient: bool = True, now: bool = False) -> Loaded:
        """What is loaded now, after a look at the folders unless the last one was a moment ago.

        With ``now`` they are looked at whenever that was. Without ``patient`` every file counts as finished.
        """
        with self._lock:
            if now or not patient or self._clock() >= self._look_at:
                self._look(patient=patient)
                self._look_at = self._clock() + EVERY
            return self._present

    def find(self, name: object) -> Handler | None:
        """The function of this name.

        While it is not there and files are unfinished, the call waits for them, for some seconds at most.
        """
        if not isinstance(name, str):
            return None
        give_up = self._clock() + PATIENCE
        found = self.present().handlers.get(name)
        while found is None:
            found = self.present(now=True).handlers.get(name)  # its file may be younger than the last look
            if found is None:
                if not self._unfinished or self._clock() >= give_up:
                    break
                time.sleep(_PAUSE)
        return found

    def _look(self, *, patient: bool) -> None:
        noted, now = snapshot.look(self.folders), self._clock()
        if noted != self._noted:
            self._noted, self._noted_at = noted, now
        self._unfinished = False
        if noted == self._loaded:
            self._differ_since = None
            return
        if self._differ_since is None:
            self._differ_since = now
        contents = snapshot.read(noted, seen_for=now - self._noted_at if patient else float("inf"))
        finished = {path: state for path, state in noted.items() if path in contents}
        self._unfinished = len(finished) < len(noted)
        if finished == self._loaded or (self._unfinished and now - self._differ_since < TOGETHER):
            return
        last = {path: content for path, content in self._present.contents.items() if path in noted}
        self._replace(loading.load(self.folders, {**last, **contents}))
        self._loaded = finished
        if not self._unfinished:
            self._differ_since = None

    def _replace(self, fresh: Loaded) -> None:
        """Make ``fresh`` the present load, with the last good functions of files that fail."""
        before = self._present
        for fault in list(fresh.faults):
            failed = fault.path not in fresh.of_file
            kept = [one for one in before.of_file.get(fault.path, []) if one.name not in fresh.handlers]
            if failed and kept:
                fresh.add(fault.path, kept)
                fresh.contents = {**fresh.contents, fault.path: before.contents[fault.path]}
            rest = "its last good version stays in use here" if failed and kept else "what it has there is left out"
            logger.error("%s: %s; %s", fault.place, fault.message, rest)
        used = {one.function.__module__.partition(".")[0] for one in fresh.handlers.values()}
        for package in before.packages:
            if package.name in used:
                fresh.packages.append(package)
            else:
                package.close()
        self._present = fresh


@functools.lru_cache(maxsize=16)
def of(folders: tuple[Path, ...]) -> Library:
    """The library of these folders in this process."""
    return Library(folders)


def library() -> Library:
    """The library of this installation's actions folders."""
    from config.settings import settings  # the sandbox does not have it, and does not call this

    return of(settings().actions_dir)


def load(*folders: Path) -> dict[str, Handler]:
    """Import the ``*.py`` files of folders and collect their actions.

    Files that begin with an underscore are for the others to import (``from ._shared import x``). A file that fails is
    logged with its line and left out; so is the second function of a name.

    Args:
        folders: the actions folders; one that does not exist has no actions.

    Returns:
        The actions by name. A file that stays the same is imported once in a process, however often it is loaded.
    """
    return dict(of(tuple(folders)).present(patient=False).handlers)


def faults() -> list[FileFault]:
    """What of this installation's files cannot be loaded."""
    return library().present().faults
