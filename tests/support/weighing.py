"""How long the processor is at work, as a multiple of work whose length is known."""

import json
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from expressions.template_syntax import parse

#: what the work of ``unit`` takes on the machine that the bounds were found on, seconds
_UNIT = 0.100
#: of what takes too long the shortest of so many trials counts: a machine that stands still only ever adds
_TRIALS = 4


def _unit() -> None:
    """The kinds of work that requests are made of: reading JSON, walking it, reading templates."""
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
    """How many times as slow this machine is as the one that the bounds were found on."""
    return max(1.0, min(_time(_unit) for _ in range(5)) / _UNIT)


def pace() -> float:
    """How many times as long work takes at this moment, with all that others do on this machine."""
    began = time.monotonic()
    _unit()
    return max(1.0, (time.monotonic() - began) / _UNIT)


def seconds(work: Callable[[], object], enough: float) -> float:
    """The processor time of this process for some work, as it were on that machine; tried again when above ``enough``.

    What other processes do for it does not count.
    """
    found = _time(work) / calibration()
    for _ in range(_TRIALS - 1):
        if found <= enough:
            break
        found = min(found, _time(work) / calibration())
    return found


def _time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
