"""Makes an action's answer into an output: one JSON object.

What JSON or a database's JSON column cannot hold is refused: NaN, half of a surrogate pair, the character NUL.
"""

import json
import re
from typing import Any

from config.types import Json

_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # the escape itself, not a backslash followed by u0000


def output_of(value: Any) -> Json:
    """An object as it is, any other value as ``{"result": value}``.

    Raises:
        ValueError: it cannot be stored as JSON.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if _NUL.search(text):
        raise ValueError("it holds a NUL character")
    plain = json.loads(text)
    return plain if isinstance(plain, dict) else {"result": plain}


def output_in(line: str) -> Json | None:
    """The output in a line; None unless it is storable JSON."""
    try:
        return output_of(json.loads(line))
    except (ValueError, RecursionError):
        return None
