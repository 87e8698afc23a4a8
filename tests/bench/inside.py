"""What a process of the product does, timed inside one: ``inside.py times N``, ``retention DAYS`` and ``trail N``.

``times`` prints the milliseconds of a tick and of the reading behind /health. ``retention`` says that it is
ready, waits for a line, deletes the executions older than DAYS, and prints how many they were and how long that took.
``trail`` writes N rows of the audit trail, seals them and checks them, and prints what either took of the processor.
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
    """Count all that has ended, and seal the trail.

    One count is not enough: it ends where the tick of the product under measurement has taken a bite before it.
    """
    from store import trail
    from store.engine import db
    from tasks.clock import metrics
    from tasks.clock.duty import TimeSlice
    from tasks.clock.trail import sealing

    rest = True
    while rest:
        metrics.count(TimeSlice(math.inf))
        with db.read() as connection:
            rest = bool(trail.settled(connection, trail.mark(connection, metrics.READER), 1))
    while sealing.seal(TimeSlice(math.inf)):
        pass


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


def sealed(number: int) -> dict[str, float]:
    """Processor seconds of sealing 1,000 rows, and the rows checked in one."""
    from store import audit
    from store.blocks import checking
    from store.blocks.findings import Progress, Want
    from store.engine import db
    from tasks.clock.duty import TimeSlice
    from tasks.clock.trail import sealing

    catch_up()
    rows, spent = 0, 0.0
    for bite in range(0, number, SECOND):
        with db.write() as connection:
            audit.record_ends(connection, [_row(bite + one) for one in range(SECOND)])
        begin = time.process_time()
        rows += sealing.seal(TimeSlice(math.inf))  # some of them by the product itself
        spent += time.process_time() - begin
    done, begin = Progress(), time.process_time()
    while not done.ended:
        with db.read() as connection:
            done = checking.check(connection, done, Want())
    if not done.valid or done.records < number:
        raise SystemExit(f"not as it was sealed: {done}")
    return {"seal_s_per_1000": spent / rows * 1000, "verify_per_s": done.records / (time.process_time() - begin)}


#: rows that are sealed at once, as many as busy workers write in a second
SECOND = 1_000


def _row(number: int) -> dict[str, object]:
    """A step's rows: it begins, it begins to run, it ends with its record."""
    from store import audit

    names = ("accepted", "running", "completed")
    subject = f"pexec-0199f3c2a1b46d0e8f2c41.s{number // 3}"
    more = {"attempt": 1} if number % 3 else {"action": "act-post-to-channel"}
    entry = audit.entry("default", "steps@host:4711", f"execution.{names[number % 3]}", subject, **more)
    record = {"outcome": "executed", "origin": "step", "namespace": "playbooks", "provider": "webhook"}
    record |= {"action_type": "act-post-to-channel", "caller": "3f1c9a60b2d4", "began_at": entry["at"]}
    return {**entry, **audit.NO_RECORD, **(record if number % 3 == 2 else {})}


if __name__ == "__main__":
    what, given, *_ = sys.argv[1:]
    found = {
        "times": lambda: times(int(given)),
        "retention": lambda: retention(given),
        "trail": lambda: sealed(int(given)),
    }
    print(json.dumps(found[what]()))
