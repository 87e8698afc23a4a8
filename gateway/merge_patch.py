"""JSON merge patches (RFC 7396): the changes of a ``modify`` rule."""

from collections.abc import Iterable
from typing import Any


def patched(value: Any, patch: Any) -> Any:
    """The value with the patch applied; neither is changed, and unchanged parts are shared."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for name, change in patch.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = patched(result.get(name), change)
    return result


def all_patched(value: Any, patches: Iterable[Any]) -> Any:
    """The value with several patches applied, one after the other."""
    for patch in patches:
        value = patched(value, patch)
    return value
