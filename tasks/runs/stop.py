"""Ending what a run has begun, once the run itself is over.

The run is ended first, in a transaction of its own, with the runs it has started: from then on no step of them can be
claimed, and nothing that a step does is followed by anything. Then their steps are ended, in bites
(``store.executions.ending``).
"""

import functools
import time
from collections.abc import Sequence

from store.engine import db
from store.executions import ending

#: for how long bites are taken in one go, seconds; tick goes on with the rest
AT_ONCE = 0.25


def end_steps(run_ids: Sequence[str], actor: str) -> set[str]:
    """End the runs that runs which are over have started, and the steps of all, as far as that is soon done.

    Returns the runs concerned.
    """
    until = time.monotonic() + AT_ONCE
    concerned = {*run_ids, *db.change(functools.partial(ending.end_below, run_ids=run_ids, actor=actor))}
    bite = functools.partial(ending.clear, run_ids=list(concerned), actor=actor)
    while (ended := db.change(bite)) == ending.BITE and time.monotonic() < until:
        pass
    if ended < ending.BITE:
        db.change(functools.partial(ending.cleared, run_ids=list(concerned)))
    return concerned


def end_held(run_id: str, holder: str) -> None:
    """End all that one step of a run holds."""
    db.change(functools.partial(ending.end_held, run_id=run_id, container=holder, actor="system"))
