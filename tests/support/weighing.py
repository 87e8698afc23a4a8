"""Processor time of work, as a multiple of work of known length."""

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from expressions.template_syntax import parse

#: what the work of ``unit`` takes on the machine that the bounds were found on, seconds
_UNIT = 0.100
#: of work that takes too long the shortest of this number of trials counts: a machine that stands still only adds
_TRIALS = 4


def _unit() -> None:
    """The work of a request: parse JSON, traverse it, parse templates."""
    value = json.loads(json.dumps([{"id": f"s{number}", "of": [number, str(number)]} for number in range(8_000)]))
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.values() if isinstance(one, dict) else one if isinstance(one, list) else ())
    for number in range(350):
        parse(f"{{{{ a.b{number}.c[0] | upper }}}} and {{{{ d{number}.e.f }}}}")
        parse.cache_clear()


@cache
def calibration() -> float:
    """How much slower this machine is than the bounds', at least 1."""
    return max(1.0, min(_time(_unit) for _ in range(5)) / _UNIT)


def pace() -> float:
    """How many times as long work takes now, under present load."""
    began = time.monotonic()
    _unit()
    return max(1.0, (time.monotonic() - began) / _UNIT)


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
