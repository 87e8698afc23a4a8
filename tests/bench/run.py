"""Compare Tocsin with raw Celery on this machine: ``.venv/bin/python tests/bench/run.py`` (``make bench``).

Each round starts one product after the other (raw Celery, Tocsin on SQLite, Tocsin on PostgreSQL), measures
it and stops it, so that a slow minute of the machine hits all alike; ratios are taken within a round. The
work: a POST that leads to one HTTP call (W2), to five in sequence (W1), to fifty side by side and one more (W3).
Queue depth is measured after the rounds. The table goes to standard output, every number to
``var/bench/<time>.json``. Needs Linux; binds to 127.0.0.1 only.
"""

import argparse
import datetime as dt
import json
import signal
import sys
import time
from pathlib import Path

import measure
import profiler
import report
import workloads
from layouts import Layout, RawCelery, versions
from processes import ROOT, BenchError, machine_facts
from product import Tocsin
from sinkclient import Sink

BEGIN = time.monotonic()
DATABASES = ("sqlite", "postgres")
PRODUCTS = {"raw", "tocsin", *DATABASES}
WORK = {"w1", "w2", "w3", "deep"}


def say(text: str) -> None:
    """A line of progress, with the seconds since the start."""
    print(f"[{time.monotonic() - BEGIN:6.1f} s] {text}", file=sys.stderr, flush=True)


def words(text: str) -> set[str]:
    """The value of ``--only``."""
    chosen = set(text.split(","))
    if not chosen <= PRODUCTS | WORK:
        raise argparse.ArgumentTypeError(f"some of {', '.join(sorted(PRODUCTS | WORK))}")
    return chosen


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--databases", default="sqlite,postgres", help="databases to run Tocsin on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="length of a burst")
    parser.add_argument("--idle", type=int, default=100, help="triggers for the idle latency")
    parser.add_argument("--runs", type=int, default=500, help="runs of the burst of sequences")
    parser.add_argument("--joins", type=int, default=50, help="runs of the fan")
    parser.add_argument("--deep", type=int, default=100_000, help="size of the deep queue, 0 leaves it out")
    parser.add_argument("--deep-rounds", type=int, default=1)
    parser.add_argument("--window", type=float, default=30, help="seconds for which a deep queue is watched")
    parser.add_argument("--quick", action="store_true", help="one short round, no deep queue unless --only asks for it")
    parser.add_argument(
        "--only",
        type=words,
        default=set(),
        help="some of raw, tocsin, sqlite, postgres (sides) and w1, w2, w3, deep (work), separated by commas",
    )
    parser.add_argument("--flower", action="store_true", help="run Tocsin with Flower, which costs speed and memory")
    parser.add_argument("--profile", choices=["web", "worker"], help="py-spy on this part during each burst")
    parser.add_argument("--output", type=Path, default=ROOT / "var" / "bench")
    options = parser.parse_args()
    if options.deep and options.deep < 2 * measure.LEAD:
        parser.error(f"--deep is 0 or at least {2 * measure.LEAD}")
    if options.quick and "deep" not in options.only:
        options.deep = 0
    if options.quick:
        options.rounds, options.deep_rounds = 1, min(options.deep_rounds, 1)
        options.seconds, options.idle = min(options.seconds, 2), min(options.idle, 30)
        options.runs, options.joins = min(options.runs, 150), min(options.joins, 10)
        options.deep, options.window = min(options.deep, 10_000), min(options.window, 5)
    options.sides = options.only & PRODUCTS or {"raw", "tocsin"}
    options.work = options.only & WORK or WORK
    if "deep" not in options.work:
        options.deep = 0
    if not options.work - {"deep"}:
        options.rounds = 0
    return options


def chosen_layouts(options: argparse.Namespace, sink: Sink) -> list[Layout]:
    """Fresh layouts for one round, in the order in which they are measured."""
    databases = [name for name in options.databases.split(",") if name] if "tocsin" in options.sides else []
    databases += [name for name in DATABASES if name in options.sides and name not in databases]
    layouts: list[Layout] = [RawCelery(sink)] if "raw" in options.sides else []
    return [*layouts, *(Tocsin(sink, name, flower=options.flower) for name in databases)]


def one_round(layout: Layout, options: argparse.Namespace) -> measure.Numbers:
    """Everything but queue depth, on one product."""
    numbers: measure.Numbers = {}
    with layout:
        for work, measured in (("w2", single_calls), ("w1", sequences), ("w3", fans)):
            if work in options.work:
                numbers |= measured(layout, options)
    return numbers


def single_calls(layout: Layout, options: argparse.Namespace) -> measure.Numbers:
    """W2: one call a trigger; and memory, before anything else has been asked of the product."""
    measure.warm_up(layout)
    numbers = measure.memory(layout) | measure.idle_latency(layout, options.idle)
    with profiler.profiled(layout, options, "w2", say):
        numbers |= measure.burst(layout, options.seconds)
    say(
        f"{layout.name}: idle {numbers['idle_p50_ms']:.1f} ms, accepted {numbers['accepted_per_s']:.0f}/s, "
        f"completed {numbers['completed_per_s']:.0f}/s, {numbers['cpu_ms']:.2f} ms CPU, "
        f"{numbers['pss_mib']:.0f} MiB, {numbers['other_cores'] * 100:.0f} % of a core used by others"
    )
    return numbers


def sequences(layout: Layout, options: argparse.Namespace) -> measure.Numbers:
    """W1: five calls one after the other."""
    numbers = workloads.sequence_alone(layout, options.idle)
    with profiler.profiled(layout, options, "w1", say):
        numbers |= workloads.sequence_burst(layout, options.runs)
    say(
        f"{layout.name}: sequence {numbers['w1_idle_p50_ms']:.1f} ms, {numbers['w1_runs_per_s']:.0f} runs/s, "
        f"{numbers['w1_cpu_ms']:.2f} ms CPU, {numbers['w1_other_cores'] * 100:.0f} % of a core used by others"
    )
    return numbers


def fans(layout: Layout, options: argparse.Namespace) -> measure.Numbers:
    """W3: fifty calls side by side, and one that joins them."""
    with profiler.profiled(layout, options, "w3", say):
        numbers = workloads.fan(layout, options.joins)
    say(
        f"{layout.name}: fan {numbers['w3_idle_p50_ms']:.1f} ms (p95 {numbers['w3_idle_p95_ms']:.1f}), "
        f"{numbers['w3_cpu_ms']:.1f} ms CPU"
    )
    return numbers


def one_depth(layout: Layout, options: argparse.Namespace) -> measure.Numbers:
    """Queue depth on one product."""
    with layout:
        measure.warm_up(layout)
        numbers = measure.queue_depth(layout, options.deep, options.window)
        say(
            f"{layout.name}: {numbers['rate_1000']:.0f}/s with 1,000 queued, "
            f"{numbers['rate_deep']:.0f}/s with {options.deep:,}"
        )
    return numbers


def measure_all(options: argparse.Namespace, rounds: list[dict[str, measure.Numbers]]) -> None:
    """Fill ``rounds`` as the measurements come in, so that an interruption keeps what there is."""
    with Sink() as sink:
        for number in range(max(options.rounds, options.deep_rounds if options.deep else 0)):
            rounds.append({})
            if number < options.rounds:
                say(f"round {number + 1} of {options.rounds}")
                for layout in chosen_layouts(options, sink):
                    rounds[-1][layout.name] = one_round(layout, options)
        for number in range(options.deep_rounds if options.deep else 0):
            say(f"queue depth {number + 1} of {options.deep_rounds}")
            for layout in chosen_layouts(options, sink):
                rounds[number].setdefault(layout.name, {}).update(one_depth(layout, options))


def save(options: argparse.Namespace, rounds: list[dict[str, measure.Numbers]]) -> Path:
    """Write everything as JSON and return where."""
    options.output.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    content = {
        "at": now.isoformat(timespec="seconds"),
        "machine": machine_facts(),
        "versions": versions(),
        "options": {name: str(value) for name, value in vars(options).items()},
        "rounds": rounds,
    }
    path = options.output / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path


def stopped(*_: object) -> None:
    """A signal ends us through the context managers that stop everything; a second one cannot disturb them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    options = arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    rounds: list[dict[str, measure.Numbers]] = []
    status = 0
    try:
        measure_all(options, rounds)
    except KeyboardInterrupt:
        say("interrupted; everything started is stopped")
        status = 130
    except BenchError as error:
        say(f"failed: {error}")
        status = 1
    products = list(dict.fromkeys(name for found in rounds for name in found))
    if products:
        print(report.table(rounds, products, RawCelery.name))
        say(f"all numbers: {save(options, rounds)}")
    return status


if __name__ == "__main__":
    sys.exit(main())
