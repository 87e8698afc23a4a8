"""The budget of a run, with the runs that it starts.

Iterations multiply: a few nested loops ask for millions of steps. Each process notes how many steps it adds to a run
that may grow like this, and counts the rows in the database whenever it has added a small part of what was left; a run
with too many steps fails. Small runs are never counted.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from config.errors import Unavailable
from store.engine import db
from store.executions import runs
from tasks.attempts.failure import failure
from tasks.runs.errors import StepError
from tasks.runs.run import Run

#: runs that one run may start, directly and indirectly
MOST_RUNS = 1_000
#: steps of a run and of all that it starts, directly and indirectly
MOST_ROWS = 20_000
#: the rows are counted again when this process has added this part of what was left; others may add as much
PART = 16
#: with fewer rows a run is not counted
FEW = 100
#: runs that are remembered; the one unused for longest is forgotten first
MOST_KNOWN = 1_000

#: the error of a run with too many steps
TOO_LARGE = failure(
    "run_too_large",
    f"The run, with those that it has started, has come to {MOST_ROWS} steps; it may not have more. "
    "Let it go through fewer items, or start a run for each part of them.",
)


def refuse_too_many_runs(run: Run) -> None:
    """Bound the runs that one run may start: they multiply.

    Raises:
        StepError: no further run may be started.
    """
    if db.read_one(runs.descendants, run.root) >= MOST_RUNS:
        raise StepError("too_many_runs", f"One run may start at most {MOST_RUNS} others, directly and by those.")


def _count(root: str) -> int:
    return db.read_one(runs.rows, root)


class Budget:
    """The steps that one process has added to runs.

    ``count`` counts those of a root.
    """

    def __init__(self, count: Callable[[str], int] = _count) -> None:
        self._count = count
        self._lock = threading.Lock()
        #: root → the rows that may be added here before the next count
        self._left: OrderedDict[str, int] = OrderedDict()

    def exceeded(self, run: Run, adding: int) -> bool:
        """Note that a run is about to get rows.

        Returns whether it has too many already.
        """
        if not adding or not (run.plan.grows or run.parent_id):
            return False
        root = run.root
        with self._lock:
            left = self._left.get(root, FEW) - adding
            self._note(root, left)
        if left > 0:
            return False
        try:
            free = MOST_ROWS - self._count(root)
        except Unavailable:
            return False
        with self._lock:
            self._note(root, max(FEW, free // PART) if free > 0 else 0)
        return free <= 0

    def _note(self, root: str, left: int) -> None:
        self._left[root] = left
        self._left.move_to_end(root)
        while len(self._left) > MOST_KNOWN:
            self._left.popitem(last=False)


#: the budgets as this process knows them
budget = Budget()
