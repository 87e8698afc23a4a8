"""One fixed sentence for each error code: what monitors may show.

The message of an error can quote a parameter, an answer or a script's output. Monitors, such as Flower, have a password
of their own and no roles, so they show none of that: the code and its meaning in the table of error codes. The API has
the message.
"""

from collections.abc import Mapping
from typing import Any

from config.error_codes.entry import UNKNOWN_NUMBERS
from config.error_codes.table import CODES

#: code → sentence; ``{status}`` and ``{exit_code}`` are numbers of the error's details
SENTENCES = {code: row.meaning for code, row in CODES.items() if row.ends}
#: for a code without a sentence, which a function of the operator may have made up
OTHER = "failed: The API has the error of this execution."


def sentence(error: Mapping[str, Any] | None) -> str:
    """The code of an error and its sentence, without any value."""
    given = error or {}
    code = str(given.get("code"))
    if code not in SENTENCES:
        return OTHER
    details = given.get("details")
    numbers = dict(UNKNOWN_NUMBERS)
    for name in numbers:
        number = details.get(name) if isinstance(details, dict) else None
        if isinstance(number, int):
            numbers[name] = str(number)
    return f"{code}: {CODES[code].sentence(numbers)}"
