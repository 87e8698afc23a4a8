"""Durations as people write them, in seconds.

Examples: 90, "90", "30s", "5m", "2h", "1d", "1h30m", "PT5M", "P1DT12H".
"""

import math
import re
from typing import Any

from playbooks.definitions.parameter_values import is_number

_UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_NUMBER = r"(?:(\d{1,9}(?:\.\d{1,6})?)%s)?"
_SHORT = re.compile("".join(rf"(?:(\d{{1,9}}(?:\.\d{{1,6}})?)\s*{unit}\s*)?" for unit in _UNITS))
_ISO = re.compile(f"P{_NUMBER % 'D'}(?:T(?=.){_NUMBER % 'H'}{_NUMBER % 'M'}{_NUMBER % 'S'})?")
_PLAIN = re.compile(r"\d{1,9}(?:\.\d{1,6})?")


def seconds(given: Any) -> int | float:
    """The length of a duration in seconds, an integer where possible.

    Raises ValueError with the accepted forms.
    """
    if is_number(given) and given >= 0:
        return given  # type: ignore[no-any-return]
    if isinstance(given, str):
        text = given.strip()
        if _PLAIN.fullmatch(text):
            return whole(float(text))
        found = _SHORT.fullmatch(text.lower()) or _ISO.fullmatch(text.upper())
        if found and any(found.groups()):
            parts = zip(found.groups(), _UNITS.values(), strict=True)
            return whole(sum(float(number) * unit for number, unit in parts if number))
    raise ValueError("must be a number of seconds or a duration such as '30s', '5m', '2h', '1d' or 'PT5M'")


def whole(number: float) -> int | float:
    """The same number, as an integer where it is one."""
    if isinstance(number, int):
        return number
    return int(number) if math.isfinite(number) and number == int(number) else number
