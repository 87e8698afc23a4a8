"""Processor time of work, as a multiple of work of known length."""

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from expressions.template_syntax import parse

#: what the work of ``unit`` takes on the machine that the bounds were found on, seconds
_UNIT = 0.100
#: of work that takes too long the shortest of this number of trials counts: a machine that stands still only adds
_TRIALS = 4
#: parts of the unit that a bystander works at a time, and how long it sleeps between two, seconds
_PART, _BREAK = 10, 0.1


def _unit(part: int = 1) -> None:
    """The work of a request, or a part of it: parse JSON, traverse it, parse templates."""
    value = json.loads(json.dumps([{"id": f"s{n}", "of": [n, str(n)]} for n in range(8_000 // part)]))
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    for number in range(350 // part):
        parse(f"{{{{ a.b{number}.c[0] | upper }}}} and {{{{ d{number}.e.f }}}}")
        parse.cache_clear()


@cache
def calibration() -> float:
    """How much slower this machine is than the bounds', at least 1."""
    return max(1.0, min(_time(_unit) for _ in range(5)) / _UNIT)


@contextmanager
def bystander() -> Iterator[list[float]]:
    """How many times as long another process took for its work while the block ran; after the block."""
    found = [1.0]
    command = [sys.executable, "-m", "tests.support.weighing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it is ready
        yield found
        said, _ = other.communicate()
    found[0] = float(said)


def _stand_by() -> None:
    """Work a little now and then until standard input ends; print how slow it went."""
    ended, took = threading.Event(), []
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    print("ready", flush=True)
    while not ended.wait(_BREAK):
        began = time.monotonic()
        _unit(_PART)
        took.append((time.monotonic() - began) * _PART / _UNIT)
    print(max(1.0, statistics.fmean(took or [1.0])))


def seconds(work: Callable[[], object], enough: float) -> float:
    """Processor time of work, scaled to that machine; retried above ``enough``.

    The time of other processes does not count.
    """
    found = _time(work) / calibration()
    for _ in range(_TRIALS - 1):
        if found <= enough:
            break
        # a neighbour that shares the core or its caches slows both down at this moment; a stall of one unit is none
        now = max(calibration(), min(_time(_unit) for _ in range(3)) / _UNIT)
        found = min(found, _time(work) / now)
    return found


def _time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    _stand_by()
