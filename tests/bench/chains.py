"""The cost of a step by chain length and runs in flight.

``lengths`` does about the same number of steps with each length, first one run at a time, then all runs at once.
``flight`` compares runs that are done one by one with many that are all accepted before a worker begins.
"""

import measure
import workloads
from layouts import Layout
from measure import Numbers
from processes import BenchError
from shapes import LENGTHS, SEQUENCE

MARGIN = 50  # runs at either end that do not count: the worker starts up, or runs dry


def lengths(layout: Layout, steps: int) -> Numbers:
    """CPU and wall milliseconds per step by length, ``alone`` and at once.

    All at once is about ``steps`` steps, one at a time a fifth of them.
    """
    numbers: Numbers = {}
    workloads.single(layout, "sequence", "warm", 20)
    for length in LENGTHS:
        work = layout.add_sequence(length)
        alone = workloads.single(layout, work, "alone", max(1, steps // length // 5))
        burst = workloads.many(layout, work, max(2, steps // length))
        numbers |= {
            f"chain_alone_wall_ms_{length}": alone["idle_p50_ms"] / length,
            f"chain_alone_cpu_ms_{length}": alone["cpu_ms"] / length,
            f"chain_wall_ms_{length}": 1000 / burst["runs_per_s"] / length,
            f"chain_cpu_ms_{length}": burst["cpu_ms"] / length,
        }
    first, last = (numbers[f"chain_cpu_ms_{length}"] for length in (LENGTHS[0], LENGTHS[-1]))
    return numbers | {"chain_growth": last / first}


def flight(layout: Layout, runs: int) -> Numbers:
    """CPU per step: one run at a time, and ``runs`` accepted beforehand.

    The second is the cost of accepting and the cost of carrying out. Steps are counted as the sink sees them, because a
    product may carry out the first steps of all runs before it comes to the second ones.
    """
    workloads.single(layout, "sequence", "warm", 20)
    alone = workloads.single(layout, "sequence", "alone", max(20, runs // 10))
    layout.stop_steps()
    layout.sink.forget()
    all_runs, before, seen = runs + 2 * MARGIN, layout.processes.cpu_seconds(), layout.sink.totals()["calls"]
    workloads.accept(layout, "sequence", all_runs)
    accepting = (layout.processes.cpu_seconds() - before) * 1000 / (all_runs * SEQUENCE)
    layout.start_steps()

    def steps() -> int:
        return layout.sink.totals()["calls"] - seen

    began = measure.moment(layout, steps, MARGIN * SEQUENCE, measure.STALL)
    ended = measure.moment(layout, steps, (MARGIN + runs) * SEQUENCE, 4 * measure.STALL)
    measure.drain(layout, all_runs)
    if layout.sink.summary()["count"] != all_runs:
        raise BenchError(f"{layout.name}: of {all_runs} runs in flight the sink has seen {layout.sink.summary()}")
    counted = ended.count - began.count
    one, many = alone["cpu_ms"] / SEQUENCE, accepting + (ended.cpu - began.cpu) * 1000 / counted
    return {
        "flight_one_cpu_ms": one,
        "flight_many_cpu_ms": many,
        "flight_cpu_ratio": many / one,
        "flight_steps_per_s": counted / (ended.at - began.at),
    }
