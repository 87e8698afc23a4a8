"""``text.matches('pattern')`` in conditions, on RE2: linear, and compiled once.

CEL's own ``matches`` compiles its pattern at every call, which takes many seconds for a list of a thousand items. The
pattern is a literal in the condition, so the check of the condition checks it too.
"""

from functools import lru_cache
from typing import Any

import re2

from expressions import limits
from expressions.conditions.syntax import ConditionError
from expressions.values import type_name

_SHOWN_CHARACTERS = 64
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = limits.MAX_MATCH_BYTES


@lru_cache(maxsize=limits.CACHED_CONDITIONS)
def _compiled(pattern: str) -> tuple[Any, str]:
    """The compiled pattern, or None and the reason.

    Failures are cached too: they take as long as successes.
    """
    if len(pattern) > limits.MAX_MATCH_CHARACTERS:
        return None, f"it is longer than {limits.MAX_MATCH_CHARACTERS} characters"
    try:
        return re2.compile(pattern, options=_OPTIONS), ""
    except re2.error as error:
        return None, reason(error)


#: beginning of what RE2 says → what it lacks
_LACKING = {
    **dict.fromkeys(("invalid perl operator: (?=", "invalid perl operator: (?!"), "look-ahead or look-behind"),
    "invalid perl operator: (?<": "look-ahead or look-behind",
    **dict.fromkeys((f"invalid escape sequence: \\{digit}" for digit in range(1, 10)), "back-references"),
}


def reason(error: re2.error) -> str:
    """Why RE2 cannot use a pattern."""
    words = error.args[0] if error.args else ""
    said = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    lacking = next((what for beginning, what in _LACKING.items() if said.startswith(beginning)), None)
    return f"RE2 has no {lacking}" if lacking else f"RE2 says {said}"


def check_pattern(pattern: str) -> None:
    """Raise ConditionError when RE2 cannot use the pattern."""
    compiled, why = _compiled(pattern)
    if compiled is None:
        raise ConditionError(f"the pattern '{pattern[:_SHOWN_CHARACTERS]}' of matches cannot be used: {why}")


class Matching:
    """The function behind ``matches`` for one evaluation, with its remaining work.

    It never raises into CEL, which would log the error: ``fault`` has the reason instead.
    """

    def __init__(self) -> None:
        self.left = limits.MAX_MATCH_WORK
        self.fault = ""

    def __call__(self, text: Any, pattern: Any) -> bool | None:
        """Whether the pattern occurs in the text; None after a fault."""
        compiled = _compiled(pattern)[0] if isinstance(pattern, str) else None
        if compiled is None or not isinstance(text, str):
            self.fault = f"matches needs a text and a pattern, not {type_name(text)}"
            return None
        self.left -= (len(text) + 1) * compiled.programsize
        if self.left < 0:
            self.fault = "the patterns of the condition take too long for texts as long as these"
            return None
        return compiled.search(text) is not None
