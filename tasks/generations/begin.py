"""The start of a web process: it loads the folder if that has changed, and follows the configuration."""

import threading
import time

from config import logs
from config.errors import Busy, Unavailable
from tasks.generations import changes, follow

#: seconds until the folder is tried again while the database is away
AGAIN = 2.0

log = logs.logger(__name__)


def in_web() -> None:
    """Load the folder unless its files were loaded before, then follow.

    The first request is decided by what the folder says now. While the database is away nothing can be decided; the
    folder is loaded when it comes back.
    """
    if not _load():
        threading.Thread(target=_load_later, name="configuration", daemon=True).start()
    follow.begin("web")


def end() -> None:
    """Stop following: this process ends."""
    follow.end()


def _load() -> bool:
    """Whether the folder needs no further try."""
    try:
        changes.load_if_changed()
    except (Unavailable, Busy):
        return False
    except Exception:
        log.exception("configuration folder not loaded: the last good generation stays in force")
    return True


def _load_later() -> None:
    while not _load():
        time.sleep(AGAIN)
