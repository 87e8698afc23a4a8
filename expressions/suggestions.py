"""The nearest known name for a misspelt one, as a message's end."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from expressions.limits import MAX_SUGGESTION_CANDIDATES, MAX_SUGGESTION_CHARACTERS


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


def did_you_mean(name: str, known: Iterable[object], prefix: str = "") -> str:
    """``"; did you mean 'host'?"``, or nothing without a similar known name."""
    near = nearest(name, known)
    return f"; did you mean '{prefix}{near}'?" if near is not None else ""
