"""Compare Tocsin with raw Celery on this machine: ``.venv/bin/python tests/bench/run.py`` (``make bench``).

Each round starts one product after the other (raw Celery, Tocsin on SQLite, Tocsin on PostgreSQL), measures
it and stops it, so that a slow minute of the machine hits all alike; ratios are taken within a round. The
work: a POST that leads to one HTTP call (W2), to five in sequence (W1), to fifty side by side and one more (W3);
more with --all or --only (see ``stages``; docs/performance.md tells what each is for). The tables go to standard
output, every number to ``var/bench/<time>.json``, from which ``report.py`` makes them again. Needs Linux; binds to
127.0.0.1 only.
"""

import argparse
import datetime as dt
import json
import signal
import sys
from pathlib import Path

import report
import sides
import tables
from layouts import versions
from measure import Numbers
from options import arguments
from processes import BenchError, machine_facts
from product import Tocsin
from sinkclient import Sink
from stages import STAGES, Stage, say


def measure_all(options: argparse.Namespace, rounds: list[dict[str, Numbers]]) -> None:
    """Fill ``rounds`` measurement by measurement, so that an interruption keeps them."""
    for line in sides.left_out(options):
        say(line)
    with Sink(tls="tls" in options.work) as sink:
        for stage in STAGES:
            work = options.work & set(stage.work)
            times = getattr(options, stage.rounds) if stage.rounds else 1
            for number in range(times if work else 0):
                say(f"{stage.title}, round {number + 1} of {times}")
                rounds.extend({} for _ in range(number + 1 - len(rounds)))
                one_round(stage, options, sink, rounds[number])


def one_round(stage: Stage, options: argparse.Namespace, sink: Sink, found: dict[str, Numbers]) -> None:
    """Measure a stage once on every side."""
    for layout in sides.layouts(options, sink, options.work & set(stage.work)):
        if stage.own and not isinstance(layout, Tocsin):
            continue
        with layout:
            numbers = stage.measured(layout, options)
        found.setdefault(layout.name, {}).update(numbers)


def save(options: argparse.Namespace, rounds: list[dict[str, Numbers]]) -> Path:
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
    """End on a signal through the context managers; ignore further signals."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    options = arguments(__doc__)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stopped)
    rounds: list[dict[str, Numbers]] = []
    status = 0
    try:
        measure_all(options, rounds)
    except KeyboardInterrupt:
        say("interrupted; everything started is stopped")
        status = 130
    except BenchError as error:
        say(f"failed: {error}")
        status = 1
    if any(rounds):
        path = save(options, rounds)
        print(tables.tables(rounds))
        say(f"all numbers: {path}")
        if options.publish and not status:
            report.publish([path])
    return status


if __name__ == "__main__":
    sys.exit(main())
