"""Ending what a run has begun, once the run itself is over.

The run is ended first, in a transaction of its own: from then on no step of it can be claimed, and nothing that a step
does is followed by anything. Then its steps are ended, and the runs they have started, and the steps of those.
"""

import functools

from store import db, executions, steps
from tasks import doorbell


def end_steps(run_id: str, actor: str, *, holder: str | None = None) -> set[str]:
    """End every step of a run that is over (or all that one holder of it holds); returns the runs concerned."""
    concerned, ahead = {run_id}, []
    ahead += db.change(lambda connection: steps.cancel_all(connection, run_id, actor, holder=holder))
    while ahead:
        child = ahead.pop()
        ended = db.change(functools.partial(executions.transition, execution_id=child, to="cancelled", actor=actor))
        if ended is not None:
            doorbell.revoke(child)
        concerned.add(child)
        ahead += db.change(functools.partial(steps.cancel_all, run_id=child, actor=actor))
    return concerned
