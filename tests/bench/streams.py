"""What open streams cost, and how soon an event comes.

In order of time: the delay from the end of a dispatch to its event, among ``OPEN`` streams; then W1 and dispatches
without streams and next to ``OPEN`` of them, in turn. Those follow another namespace, as a page that shows one thing
does: they cost what being open costs. Last the same next to ``WHOLE`` streams that are sent every event.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median, quantiles

import measure
import workloads
from dispatches import ASYNC, answered, dispatch, others, put_in_force
from measure import Numbers
from processes import BENCH, BenchError
from product import Tocsin

OPEN, WHOLE = 300, 10
ELSEWHERE, EVERYTHING = "/v1/stream?namespace=elsewhere", "/v1/stream"
TURNS = (0, OPEN, OPEN, 0, 0, OPEN, OPEN, 0, 0, OPEN)
#: seconds after opening and after closing: places are taken and freed meanwhile, which no turn is to pay for
REST = 2.0


@contextlib.contextmanager
def followed(layout: Tocsin, clients: int, path: str) -> Iterator[Numbers]:
    """Streams are open during the block; behind it the answer has what came to them."""
    found: Numbers = {}
    if not clients:
        yield found
        return
    command = [sys.executable, str(BENCH / "followers.py"), str(layout.port), layout.key, str(clients), path]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        if process.stdout.readline() != "open\n":
            raise BenchError(f"{layout.name} does not open {clients} streams")
        time.sleep(REST)
        yield found
        said, _ = process.communicate("")
        found |= json.loads(said)
    finally:
        process.kill()
        process.wait()
        time.sleep(REST)
    if found["ended"]:
        raise BenchError(f"{layout.name}: {found['ended']} of {clients} streams have ended by themselves")


def streams(layout: Tocsin, options: argparse.Namespace) -> Numbers:
    """All of it; every number's name begins with ``streams``."""
    measure.warm_up(layout)
    put_in_force(layout, others(10))
    workloads.single(layout, "sequence", "warm", 20)
    numbers = delays(layout, options.idle)
    runs, sent = ({clients: [] for clients in TURNS} for _ in range(2))
    for clients in TURNS:
        with followed(layout, clients, ELSEWHERE) as quiet:
            runs[clients].append(sequences(layout, options.runs))
            sent[clients].append(dispatched(layout, options.seconds))
        if quiet.get("events"):
            raise BenchError(f"{layout.name}: streams of another namespace had {quiet['events']:g} events")
    with followed(layout, WHOLE, EVERYTHING) as whole:
        every = sequences(layout, options.runs) / median(runs[0]), dispatched(layout, options.seconds) / median(sent[0])
    return numbers | {
        "streams_w1_ratio": median(runs[OPEN]) / median(runs[0]),
        "streams_dispatch_ratio": median(sent[OPEN]) / median(sent[0]),
        "streams_whole_w1_ratio": every[0],
        "streams_whole_dispatch_ratio": every[1],
        "streams_whole_skipped": whole["skipped"] / WHOLE / (whole["events"] + whole["skipped"] / WHOLE),
    }


def delays(layout: Tocsin, count: int) -> Numbers:
    """Milliseconds from when an end is recorded until a client has the event, dispatches one at a time."""
    with followed(layout, OPEN, ELSEWHERE), followed(layout, 1, EVERYTHING) as listened:
        answered(layout, count)
        time.sleep(1)  # the last event is on its way
    took = listened["delays_ms"][:count]
    if len(took) < count:
        raise BenchError(f"{layout.name}: {len(took)} of {count} events have come")
    return {"streams_event_p50_ms": median(took), "streams_event_p95_ms": quantiles(took, n=20)[-1]}


def sequences(layout: Tocsin, runs: int) -> float:
    """W1, many at once: runs completed per second."""
    return workloads.many(layout, "sequence", runs)["runs_per_s"]


def dispatched(layout: Tocsin, seconds: float) -> float:
    """Dispatches completed per second."""
    target = f"http://127.0.0.1:{layout.port}/v1/dispatch"
    return measure.burst(layout, seconds, target, header=ASYNC, body=json.dumps(dispatch()))["completed_per_s"]
