"""Runs of several calls: sequence (W1) and fan (W3), see ``shapes``.

In order of time: some runs one at a time, for the latency from the POST to the last call's arrival; for the sequence
then many at once. The sink takes a run's last call only when all others have come, each with the right values;
where the product keeps a record, every run and step must be ``completed`` in it before the CPU time is read.
"""

import time

from layouts import Layout
from measure import Numbers, drain
from processes import BenchError, busy_seconds
from sinkclient import load

PATIENCE = 30.0  # seconds in which a product has to write down what the sink has seen
REST = 0.2  # seconds for what comes after the last call


def sequence_alone(layout: Layout, count: int) -> Numbers:
    """W1, one run at a time: its latency."""
    single(layout, "sequence", "warm", min(count, 40))
    alone = single(layout, "sequence", "idle", count)
    return {f"w1_{name}": value for name, value in alone.items() if name != "cpu_ms"}


def fan(layout: Layout, count: int) -> Numbers:
    """Measure W3, one run at a time: latency and CPU."""
    single(layout, "fan", "warm", 3)
    return {f"w3_{name}": value for name, value in single(layout, "fan", "idle", count).items()}


def single(layout: Layout, work: str, prefix: str, count: int) -> Numbers:
    """One run at a time: milliseconds to the last call, and CPU."""
    sink = layout.sink
    sink.forget()
    recorded, before = layout.recorded(work), layout.processes.cpu_seconds()
    options = {"target": layout.targets[work], "key": layout.key, "sink": sink.url, "prefix": f"{slug(work)}-{prefix}"}
    answer = load("single", count=count, **options)
    settle(layout, work, recorded, count)
    cpu = layout.processes.cpu_seconds() - before
    return {
        "idle_p50_ms": answer["idle_p50_ms"],
        "idle_p95_ms": answer["idle_p95_ms"],
        "cpu_ms": cpu * 1000 / count,
    }


def sequence_burst(layout: Layout, runs: int) -> Numbers:
    """W1, many at once."""
    return {f"w1_{name}": value for name, value in many(layout, "sequence", runs).items()}


def many(layout: Layout, work: str, runs: int) -> Numbers:
    """16 connections start ``runs`` runs as fast as they are accepted.

    The rate counts from the first POST to the arrival of the last call of all.
    """
    sink = layout.sink
    sink.forget()
    recorded, before, begin = layout.recorded(work), layout.processes.cpu_by_name(), time.monotonic()
    ours, machine = sink.cpu_seconds() + time.process_time(), busy_seconds()
    answer = accept(layout, work, runs)
    drain(layout, runs)
    time.sleep(REST)
    wall, machine = time.monotonic() - begin, busy_seconds() - machine
    shares = {name: seconds - before[name] for name, seconds in layout.processes.cpu_by_name().items()}
    settle(layout, work, recorded, runs)  # counting what is on record is no work of the product
    cpu = sum(shares.values())
    ours = sink.cpu_seconds() + time.process_time() + answer["cpu_s"] - ours
    return {
        "runs_per_s": runs / (max(sink.arrivals().values()) - answer["begin"]),
        "accepted_per_s": answer["accepted_per_s"],
        "cpu_ms": cpu * 1000 / runs,
        "other_cores": max(0.0, machine - cpu - ours) / wall,
    } | {f"cpu_ms_{name}": seconds * 1000 / runs for name, seconds in shares.items()}


def accept(layout: Layout, work: str, runs: int) -> dict:
    """Start ``runs`` runs at full speed; raises ``BenchError`` when one is refused."""
    options = {"target": layout.targets[work], "key": layout.key, "prefix": f"{slug(work)}-burst"}
    answer = load("burst", seconds=60, most=runs, **options)
    if answer["accepted"] != runs:
        raise BenchError(f"{layout.name} accepted {answer['accepted']} of {runs} runs: {answer['statuses']}")
    return answer


def slug(work: str) -> str:
    """The begin of a workload's ids."""
    return work.replace(" ", "-")


def settle(layout: Layout, work: str, before: dict[str, int] | None, runs: int) -> None:
    """Wait until ``runs`` more runs are on record, all completed.

    Raises ``BenchError`` when a run is missing, a call came twice or was wrong, or the record says otherwise.
    """
    summary = layout.sink.summary()
    if summary != {"count": runs, "repeats": 0, "faults": 0}:
        raise BenchError(
            f"{layout.name}: of {runs} runs ({work}) the sink has seen {summary}\n{layout.processes.log_tails()}"
        )
    time.sleep(REST)
    if before is None:
        return
    wanted = {"playbook completed": runs, "step completed": runs * layout.steps[work]}
    wanted = before | {name: before.get(name, 0) + count for name, count in wanted.items()}
    end = time.monotonic() + PATIENCE
    while (found := layout.recorded(work)) != wanted:
        if time.monotonic() > end:
            raise BenchError(f"{layout.name} has {found} on record ({work}) instead of {wanted}")
        time.sleep(REST)
