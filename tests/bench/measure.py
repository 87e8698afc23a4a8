"""What is measured on one running product, in order: memory, idle latency, a burst, deep queues.

Each function returns plain numbers; ``burst`` also proves that nothing accepted was lost.
"""

import time
from statistics import median

from layouts import Layout
from processes import BenchError, busy_seconds
from sinkclient import load

STALL = 45.0  # seconds without an arrival after which a backlog counts as stuck
LEAD, TAIL = 1000, 500  # arrivals at either end of a queue that do not count as steady
Numbers = dict[str, float]


def warm_up(layout: Layout, count: int = 200) -> None:
    """Make every process import and connect what it needs."""
    layout.sink.forget()
    load(
        "single",
        target=layout.target,
        key=layout.key,
        sink=layout.sink.url,
        count=count,
        pause=0,
        prefix="warm",
    )


def memory(layout: Layout) -> Numbers:
    """Memory of all processes while nothing happens, in MiB."""
    time.sleep(1)
    return {"pss_mib": sum(layout.processes.pss_mib().values())}


def idle_latency(layout: Layout, count: int) -> Numbers:
    """From sending a trigger to the arrival of its call, one at a time, in milliseconds."""
    layout.sink.forget()
    answer = load("single", target=layout.target, key=layout.key, sink=layout.sink.url, count=count, prefix="idle")
    return {name: answer[name] for name in ("idle_p50_ms", "idle_p95_ms")}


def burst(layout: Layout, seconds: float) -> Numbers:
    """16 connections trigger for some seconds, then the backlog drains.

    Raises ``BenchError`` when an accepted trigger never arrives or a call arrives with a wrong body.
    """
    sink = layout.sink
    sink.forget()
    before, begin = layout.processes.cpu_seconds(), time.monotonic()
    ours, machine = sink.cpu_seconds() + time.process_time(), busy_seconds()
    answer = load("burst", target=layout.target, key=layout.key, seconds=seconds, prefix="burst")
    if not answer["accepted"]:
        raise BenchError(f"{layout.name} accepted nothing: {answer['statuses']}")
    drain(layout, answer["accepted"])
    wall, machine = time.monotonic() - begin, busy_seconds() - machine
    cpu = layout.processes.cpu_seconds() - before
    ours = sink.cpu_seconds() + time.process_time() + answer["cpu_s"] - ours
    summary, arrivals = sink.summary(), sink.arrivals()
    refused = set(answer["refused"])
    lost = [n for n in range(answer["issued"]) if f"burst-{n}" not in arrivals and f"burst-{n}" not in refused]
    if lost or summary["faults"]:
        raise BenchError(f"{layout.name}: {len(lost)} accepted triggers lost, {summary['faults']} bodies wrong")
    last = max(arrivals.values())
    return {
        "accepted_per_s": answer["accepted_per_s"],
        "completed_per_s": len(arrivals) / (last - answer["first_accept"]),
        "post_p50_ms": answer["post_p50_ms"],
        "post_p99_ms": answer["post_p99_ms"],
        "cpu_ms": cpu * 1000 / len(arrivals),
        "backlog_s": max(0.0, last - answer["last_accept"]),
        "product_cores": cpu / wall,
        "bench_cores": ours / wall,
        "other_cores": max(0.0, machine - cpu - ours) / wall,
        "accepted": answer["accepted"],
        "refused": len(refused),
        "repeats": summary["repeats"],
    }


def drain(layout: Layout, expected: int) -> None:
    """Wait until so many ids have arrived, or until nothing arrives any more."""
    seen, progress = -1, time.monotonic()
    while seen < expected:
        count = layout.sink.summary()["count"]
        if count > seen:
            seen, progress = count, time.monotonic()
        elif time.monotonic() - progress > STALL:
            return
        layout.processes.check()
        time.sleep(0.1)


def queued_rate(layout: Layout, count: int, window: float) -> float:
    """Completions per second with ``count`` calls queued before the worker starts.

    The first ``LEAD`` arrivals do not count (the worker starts up), nor do the last ``TAIL`` (it runs dry);
    counting ends ``window`` seconds after it began at the latest.
    """
    sink = layout.sink
    layout.stop_steps()
    sink.forget()
    layout.preload(f"queued{count}", count)
    layout.start_steps()
    seen, began, progress = 0, None, time.monotonic()
    while seen < count - TAIL and not (began and time.monotonic() - began > window):
        time.sleep(0.1)
        layout.processes.check()
        before, seen = seen, sink.summary()["count"]
        if seen > before:
            progress = time.monotonic()
        if began is None and seen >= LEAD:
            began = progress
        if time.monotonic() - progress > STALL:
            raise BenchError(f"{layout.name}: only {seen} of {count} queued calls arrived")
    times = sorted(sink.arrivals().values())
    last = min(len(times) - 1, count - TAIL)
    return (last - LEAD) / (times[last] - times[LEAD])


def queue_depth(layout: Layout, deep: int, window: float) -> Numbers:
    """The completion rate around 1,000 queued calls and with ``deep`` queued, and what is left of it."""
    shallow = median(queued_rate(layout, LEAD + 1000 + TAIL, window) for _ in range(3))
    rate = queued_rate(layout, deep, window)
    return {"rate_1000": shallow, "rate_deep": rate, "depth_ratio": rate / shallow}
