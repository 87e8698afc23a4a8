"""Measurements of one product, in order: memory, idle latency, burst, queues.

Each function returns plain numbers; ``burst`` also proves that nothing accepted was lost.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from layouts import Layout
from processes import BenchError, busy_seconds
from sinkclient import load

STALL = 45.0  # seconds without an arrival after which a backlog counts as stuck
LEAD, TAIL = 1000, 500  # arrivals at either end of a queue that do not count as steady
Numbers = dict[str, Any]  # measure -> value


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


def idle_latency(layout: Layout, count: int, target: str = "") -> Numbers:
    """Milliseconds from trigger to its call's arrival, one at a time."""
    layout.sink.forget()
    options = {"target": target or layout.target, "key": layout.key, "sink": layout.sink.url}
    answer = load("single", count=count, prefix="idle", **options)
    return {name: answer[name] for name in ("idle_p50_ms", "idle_p95_ms")}


def burst(layout: Layout, seconds: float, target: str = "", **more: str) -> Numbers:
    """16 connections trigger for some seconds, then the backlog drains; ``more`` says how (``load``).

    Raises ``BenchError`` when an accepted trigger never arrives or a call arrives with a wrong body.
    """
    sink = layout.sink
    sink.forget()
    before, begin = layout.processes.cpu_seconds(), time.monotonic()
    ours, machine = sink.cpu_seconds() + time.process_time(), busy_seconds()
    answer = load("burst", target=target or layout.target, key=layout.key, seconds=seconds, prefix="burst", **more)
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
    """Wait until ``expected`` ids have arrived, or until arrivals stop."""
    seen, progress = -1, time.monotonic()
    while seen < expected:
        count = layout.sink.summary()["count"]
        if count > seen:
            seen, progress = count, time.monotonic()
        elif time.monotonic() - progress > STALL:
            return
        layout.processes.check()
        time.sleep(0.1)


def queued(layout: Layout, count: int, window: float) -> tuple[float, float]:
    """Completions per second and CPU milliseconds each, with ``count`` queued.

    The first ``LEAD`` arrivals do not count (the worker starts up), nor do the last ``TAIL`` (it runs dry);
    counting ends ``window`` seconds after it began at the latest.
    """
    sink = layout.sink
    layout.stop_steps()
    sink.forget()
    layout.preload(f"queued{count}", count)
    layout.start_steps()

    def arrived() -> int:
        return sink.summary()["count"]

    began = moment(layout, arrived, LEAD, STALL)
    ended = moment(layout, arrived, count - TAIL, window)
    if began.count < LEAD or ended.count <= began.count:
        raise BenchError(f"{layout.name}: only {ended.count} of {count} queued calls arrived")
    times = sorted(sink.arrivals().values())
    last = min(len(times) - 1, ended.count)
    rate = (last - began.count) / (times[last] - times[began.count])
    return rate, (ended.cpu - began.cpu) * 1000 / (ended.count - began.count)


class Moment(NamedTuple):
    """A count of arrivals, the product's CPU seconds, and the time."""

    count: int
    cpu: float
    at: float


def moment(layout: Layout, counted: Callable[[], int], count: int, patience: float) -> Moment:
    """Wait until ``count`` are counted, ``patience`` seconds at most."""
    end = time.monotonic() + patience
    while (seen := counted()) < count and time.monotonic() < end:
        layout.processes.check()
        time.sleep(0.05)
    return Moment(seen, layout.processes.cpu_seconds(), time.monotonic())


def queue_depth(layout: Layout, deep: int, window: float, times: int) -> Numbers:
    """Rate and CPU per item with 1,000 and with ``deep`` queued."""
    shallow = [queued(layout, LEAD + 1000 + TAIL, window) for _ in range(times)]
    few_rate, few_cpu = (median(found) for found in zip(*shallow, strict=True))
    rate, cpu = queued(layout, deep, window)
    return {
        "rate_1000": few_rate,
        "rate_deep": rate,
        "depth_ratio": rate / few_rate,
        "cpu_ms_1000": few_cpu,
        "cpu_ms_deep": cpu,
        "depth_cpu_ratio": cpu / few_cpu,
    }
