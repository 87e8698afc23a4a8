"""The known name that a wrong one means, as a message's end.

It is the name that people from other products use another word for, or else the nearest by spelling.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice

from expressions.limits import MAX_SUGGESTION_CANDIDATES, MAX_SUGGESTION_CHARACTERS

_NONE: Mapping[str, str] = {}


def nearest(name: str, known: Iterable[object], likeness: float = 0.6) -> str | None:
    """The known name most like ``name``, or None.

    ``likeness`` 1.0 means equal. Compares a limited number of short names.
    """
    if len(name) > MAX_SUGGESTION_CHARACTERS:
        return None
    texts = (item for item in known if isinstance(item, str) and len(item) <= MAX_SUGGESTION_CHARACTERS)
    candidates = {text.lower(): text for text in islice(texts, MAX_SUGGESTION_CANDIDATES)}
    found = get_close_matches(name.lower(), candidates, n=1, cutoff=likeness)
    return candidates[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[object], prefix: str = "", synonyms: Mapping[str, str] = _NONE) -> str:
    """``"; did you mean 'host'?"``, or nothing without a similar known name.

    ``synonyms`` are the known names by other words for them, in lower case.
    """
    near = synonyms.get(name.lower()) or nearest(name, known)
    return f"; did you mean '{prefix}{near}'?" if near is not None else ""
