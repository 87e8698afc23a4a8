"""The same work over a short and a long history.

In order of time: a history of a thousand executions is written by SQL, and bursts of W2 and W1 are measured; a history
of a million is added; the clock's duties seal it and count what ended in it, as they have long done where a history
grew by itself; and the same bursts are measured again. Within one start, so that only the history differs.
"""

import argparse
import time
from statistics import median

import measure
import workloads
from measure import Numbers
from processes import BenchError
from product import Tocsin
from reads import FEW, write

from tests.support.history import DAY, DAYS, HOUR

#: bursts of each work over each history
BURSTS = 3
#: an idle product uses less than this of a core; seconds of it in a row; and after how many it is not waited for
IDLE, QUIET, LONGEST = 0.25, 5, 900
#: measure -> what it is called in a burst of W2 and of W1
MEASURES = {"w2": ("completed_per_s", "accepted_per_s", "cpu_ms"), "w1": ("w1_runs_per_s", "w1_cpu_ms")}


def filled(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """W2 and W1 over the long history, as ratios to the short one; it is as long as ``--history`` says."""
    measure.warm_up(layout)
    now = int(time.time() * 1000) - HOUR // 60
    write(layout, FEW, now, live=0)
    few = bursts(layout, options)
    write(layout, options.history, now - DAYS * DAY - 2 * HOUR, live=0)
    come_to_rest(layout)
    many = bursts(layout, options)
    ratios: Numbers = {f"filled_{name}_ratio": many[name] / few[name] for name in few}
    return ratios | {f"filled_{name}": value for name, value in many.items()}


def come_to_rest(layout: Tocsin) -> None:
    """Wait until the duties of the clock have read what was written."""
    until = time.monotonic() + LONGEST
    quiet = 0
    while quiet < QUIET:
        before = layout.processes.cpu_seconds()
        time.sleep(1)
        quiet = quiet + 1 if layout.processes.cpu_seconds() - before < IDLE else 0
        if time.monotonic() > until:
            raise BenchError(f"{layout.name} is still at work on the history after {LONGEST} s")


def bursts(layout: Tocsin, options: argparse.Namespace) -> dict[str, float]:
    """Medians of several bursts of each."""
    found = [
        measure.burst(layout, options.seconds) | workloads.sequence_burst(layout, options.runs) for _ in range(BURSTS)
    ]
    return {
        f"{work}_{name.removeprefix('w1_')}": median(one[name] for one in found)
        for work, names in MEASURES.items()
        for name in names
    }
