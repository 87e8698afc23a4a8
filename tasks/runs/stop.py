"""End the steps of a run that has ended.

The run is ended first, in a transaction of its own, with the runs it has started: from then on no step of them can be
claimed, and the end of a step has no successors. Then their steps are ended, in bites
(``store.executions.ending``).
"""

import functools
import time
from collections.abc import Sequence

from store.engine import db, rest
from store.executions import ending

#: how long one call takes bites, seconds; tick goes on with the rest
AT_ONCE = 0.25


def end_steps(run_ids: Sequence[str], actor: str) -> set[str]:
    """End ended runs' started runs and all steps.

    Returns the runs concerned. It ends as many steps as ``AT_ONCE`` allows.
    """
    until = time.monotonic() + AT_ONCE
    concerned = {*run_ids, *db.change(functools.partial(ending.end_below, run_ids=run_ids, actor=actor))}
    bite = functools.partial(ending.clear, run_ids=list(concerned), actor=actor)
    began = time.monotonic()
    while (ended := db.change(bite)) == ending.BITE and time.monotonic() < until:
        rest.after_bite(began)
        began = time.monotonic()
    if ended < ending.BITE:
        db.change(functools.partial(ending.cleared, run_ids=list(concerned)))
    return concerned


def end_steps_of(run_id: str, container: str) -> None:
    """End all steps in a container of a run."""
    db.change(functools.partial(ending.end_held, run_id=run_id, container=container, actor="system"))
