"""Work with the database that outlasts an outage."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from config import logs
from config.errors import Unavailable
from event_loop import waiting
from store.engine import group_commit
from store.engine.db import Connection
from tasks.attempts.lease import keeper

#: after an outage of this length the work is left to recovery, seconds
LONGEST_OUTAGE = 3_600

log = logs.logger(__name__)

Result = TypeVar("Result")


def commit_with_patience(
    change: Callable[[Connection], Any], *, single: bool = True, at: str = "", hot: bool = False
) -> Any:
    """Commit a change, even after an outage.

    None if the database stayed away.
    """
    return with_patience(lambda: group_commit.commit(change, single=single, at=at, hot=hot))


def with_patience(work: Callable[[], Result]) -> Result | None:
    """The result of work, retried while the database is away.

    None if it stayed away.
    """
    give_up = time.monotonic() + LONGEST_OUTAGE
    while True:
        try:
            return work()
        except Unavailable:
            keeper().doubt()
            if time.monotonic() > give_up:
                log.exception("result not recorded: database unavailable; left to recovery")
                return None
            waiting.sleep(0.5)
