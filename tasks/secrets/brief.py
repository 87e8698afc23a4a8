"""Short forms of values for answers that explain, without credentials."""

from collections.abc import Mapping
from typing import Any

from expressions.values import compact
from playbooks.credentials import MASK, is_secret_member, replaced, spans

#: characters of a text, and of an object or list as JSON
LONGEST = 200
#: members or items of an object or a list that are looked at
_MOST = 50
_DEEPEST = 4


def brief(value: Any, path: str = "") -> Any:
    """A value, shortened, with a mask for what looks like a credential.

    ``path`` names the members that lead to it.
    """
    if any(is_secret_member(name) for name in path.split(".") if name) and value is not None:
        return MASK
    shown = _masked(value, 0)
    if isinstance(shown, dict | list):
        text = compact(shown)
        return shown if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    return shown


def _masked(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        short = value[: LONGEST + 1]
        text = replaced(short, spans(short))
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
    if isinstance(value, Mapping | list) and depth == _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        some = list(value.items())[:_MOST]
        return {
            name: MASK if is_secret_member(str(name)) and inner is not None else _masked(inner, depth + 1)
            for name, inner in some
        }
    if isinstance(value, list):
        return [_masked(inner, depth + 1) for inner in value[:_MOST]]
    return value
