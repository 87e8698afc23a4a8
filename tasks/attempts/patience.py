"""Work with the database that goes on when the database has been away for a while."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from config import logs
from config.errors import Unavailable
from store.engine import group_commit
from store.engine.db import Connection
from tasks.attempts.lease import keeper

#: for how long the database may be away before what was to be written is left to recovery, seconds
LONGEST_OUTAGE = 3_600

log = logs.logger(__name__)

Result = TypeVar("Result")


def commit_with_patience(change: Callable[[Connection], Any], *, single: bool = True, at: str = "") -> Any:
    """Commit a change, also when the database is away for a while; None when it stayed away."""
    return with_patience(lambda: group_commit.commit(change, single=single, at=at))


def with_patience(work: Callable[[], Result]) -> Result | None:
    """The result of work with the database, tried again while it is away; None when it stayed away."""
    give_up = time.monotonic() + LONGEST_OUTAGE
    while True:
        try:
            return work()
        except Unavailable:
            keeper().doubt()
            if time.monotonic() > give_up:
                log.exception("the database stayed away; this is left to recovery")
                return None
            time.sleep(0.5)
