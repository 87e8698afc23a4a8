"""A payload as records keep and show it: without what its members' names call a secret."""

from collections.abc import Mapping
from typing import Any

from playbooks.credentials import MASK, is_secret_member, replaced, spans


def redacted(value: Any) -> Any:
    """The same value; masks stand for secrets, in members so named and in texts with credentials."""
    if isinstance(value, str):
        return replaced(value, spans(value))
    if isinstance(value, Mapping):
        return {
            name: MASK if is_secret_member(str(name)) and inner is not None else redacted(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    return value
