"""What a process of the product does, timed inside one: ``inside.py times N`` and ``inside.py retention DAYS``.

``times`` prints the milliseconds of a tick and of the reading behind /health. ``retention`` says that it is
ready, waits for a line, deletes the executions older than DAYS, and prints how many they were and how long that took.
"""

import json
import math
import os
import sys
import time
from statistics import quantiles


def times(number: int) -> dict[str, float]:
    """Milliseconds, of the quickest quarter; what was filled in behind the product's back is counted before."""
    from api.health import Inspector, _read
    from tasks.entrypoints.tick import tick

    catch_up()
    inspector, found = Inspector(), {}
    for name, work in (("tick_ms", tick), ("health_ms", lambda: _read(inspector))):
        work()
        took = []
        for _ in range(number):
            begin = time.perf_counter()
            work()
            took.append((time.perf_counter() - begin) * 1000)
        found[name] = quantiles(took)[0]
    return found


def catch_up() -> None:
    """Count all that has ended.

    One count is not enough: it ends where the tick of the product under measurement has taken a bite before it.
    """
    from store import trail
    from store.engine import db
    from tasks.clock import metrics
    from tasks.clock.duty import TimeSlice

    rest = True
    while rest:
        metrics.count(TimeSlice(math.inf))
        with db.read() as connection:
            rest = bool(trail.settled(connection, trail.mark(connection, metrics.READER), 1))


def retention(days: str) -> dict[str, float]:
    """Rows deleted, and seconds."""
    os.environ["TOCSIN_RETENTION_DAYS"] = days  # noqa: TID251 - before the settings are read
    from tasks.clock import retention as duties
    from tasks.clock.duty import TimeSlice

    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    rows = duties.forget_executions(TimeSlice(math.inf))
    return {"rows": rows, "seconds": time.monotonic() - begin}


if __name__ == "__main__":
    what, given, *_ = sys.argv[1:]
    print(json.dumps(times(int(given)) if what == "times" else retention(given)))
