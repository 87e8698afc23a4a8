"""A soak of mixed work at half capacity finds growth and errors.

In order of time: short bursts find out what the product can do; three load generators then keep a rate each (a sixth
of the measured one for single calls, sequences and fans), while every few seconds the memory of every process is
noted; at the end everything accepted must have arrived and be on record as completed. The first fifth of the time is
warm-up: slopes are fitted to the rest, and latencies (from the turn of a trigger to its last call) of the fifth
after it are compared with those of the last fifth.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import linear_regression

import measure
import workloads
from layouts import Layout
from load import percentile
from measure import Numbers
from sinkclient import load

SERVERS = ("redis", "postgres", "rabbitmq", "epmd", "initdb")  # not the product's own processes
EVERY = 5.0  # seconds between two looks at the memory
SHARE = 1 / 6  # of what can be done, for each of three kinds of work
CONNECTIONS = 4
PATIENCE = 30.0  # seconds after the end in which the last rows have to be completed


def soak(layout: Layout, minutes: float, quick: bool, say: Callable[[str], None]) -> Numbers:
    """Memory slopes, errors, first and last latencies, sizes, and all samples."""
    measure.warm_up(layout)
    rates = {work: rate * SHARE for work, rate in capacity(layout, quick).items()}
    say(f"{layout.name}: {', '.join(f'{rate:.1f} {work}/s' for work, rate in rates.items())} for {minutes:g} minutes")
    layout.sink.forget()
    seconds, redis_before = minutes * 60, layout.redis_mib()
    samples: list[dict] = []
    begin = time.monotonic()
    targets = {"call": layout.target} | layout.targets
    with ThreadPoolExecutor(len(rates)) as pool:
        steady = {"key": layout.key, "seconds": seconds, "connections": CONNECTIONS, "record": 1}
        loads = {
            work: pool.submit(load, "burst", target=targets[work], rate=rate, prefix=work, **steady)
            for work, rate in rates.items()
        }
        while not all(future.done() for future in loads.values()):
            layout.processes.check()
            samples.append(sample(layout, begin))
            time.sleep(min(EVERY, seconds / 20))
        answers = {work: future.result() for work, future in loads.items()}
    accepted = sum(answer["accepted"] for answer in answers.values())
    measure.drain(layout, accepted)
    arrivals = layout.sink.arrivals()
    numbers = growth(samples, seconds) | {"soak_runs": accepted, "soak_errors": errors(layout, answers, arrivals)}
    for work, answer in answers.items():
        numbers |= latencies(work, answer, arrivals, begin, seconds)
    sizes = {"soak_database_mib": layout.database_mib(), "soak_redis_mib": layout.redis_mib()}
    return numbers | sizes | {"soak_redis_growth_mib": sizes["soak_redis_mib"] - redis_before, "soak_samples": samples}


def capacity(layout: Layout, quick: bool) -> dict[str, float]:
    """About how many calls, sequences or fans a second are possible."""
    fans = workloads.single(layout, "fan", "capacity", 4 if quick else 10)
    return {
        "call": measure.burst(layout, 1 if quick else 4)["completed_per_s"],
        "sequence": workloads.many(layout, "sequence", 100 if quick else 400)["runs_per_s"],
        "fan": 1000 / fans["idle_p50_ms"],
    }


def sample(layout: Layout, begin: float) -> dict:
    """Each process's memory now, in MiB, and the number of completed runs."""
    count = layout.sink.summary()["count"]
    memories = layout.processes.memory_by_process()
    named = {layout.labels.get(name, name): memory for name, memory in memories.items()}
    return {"at": time.monotonic() - begin, "runs": count, "processes": named}


def own(entry: dict, kind: str) -> float:
    """Memory of the product's own processes in a sample."""
    mine = [memory for name, memory in entry["processes"].items() if not name.startswith(SERVERS)]
    return sum(memory[kind] for memory in mine)


def growth(samples: list[dict], seconds: float) -> Numbers:
    """Memory slopes after warm-up, per hour and thousand runs; memory before, after."""
    steady = [entry for entry in samples if entry["at"] >= seconds / 5]
    pss, rss = ([own(entry, kind) for entry in steady] for kind in ("Pss", "Rss"))
    hours, runs = [entry["at"] / 3600 for entry in steady], [entry["runs"] / 1000 for entry in steady]
    return {
        "soak_pss_mib_first": pss[0],
        "soak_pss_mib_last": pss[-1],
        "soak_pss_mib_per_h": linear_regression(hours, pss).slope,
        "soak_rss_mib_per_h": linear_regression(hours, rss).slope,
        "soak_pss_mib_per_1000": linear_regression(runs, pss).slope,
    }


def errors(layout: Layout, answers: dict[str, dict], arrivals: dict[str, float]) -> int:
    """Refused triggers, missing, repeated or wrong calls, and rows not completed."""
    refused = {key for answer in answers.values() for key in answer["refused"]}
    lost = [key for answer in answers.values() for key in answer["sent"] if key not in arrivals and key not in refused]
    summary, end = layout.sink.summary(), time.monotonic() + PATIENCE
    while (open_rows := layout.unfinished()) and time.monotonic() < end:
        time.sleep(0.5)
    return len(refused) + len(lost) + summary["repeats"] + summary["faults"] + open_rows


def latencies(work: str, answer: dict, arrivals: dict[str, float], begin: float, seconds: float) -> Numbers:
    """Milliseconds from trigger to last call, in second and last fifth."""
    numbers: Numbers = {}
    for part, start in (("first", seconds / 5), ("last", seconds * 4 / 5)):
        took = [
            (arrivals[key] - at) * 1000
            for key, at in answer["sent"].items()
            if key in arrivals and start <= at - begin < start + seconds / 5
        ]
        numbers |= {f"soak_{work}_p{share}_ms_{part}": percentile(took, share / 100) for share in (50, 99) if took}
    return numbers
