"""How a definition gets its id and its version number: the same for actions and playbooks."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

FIRST_VERSION = "1.0.0"

_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_MAX_READ_CHARACTERS = 128
_MAX_SLUG_CHARACTERS = 80


def is_version(value: Any) -> bool:
    """Whether the value is MAJOR.MINOR.PATCH."""
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def slug(prefix: str, name: str, otherwise: str) -> str:
    """An id made from a name: the prefix and what of the name is ASCII letters and digits, else ``otherwise``."""
    ascii_name = unicodedata.normalize("NFKD", name[:_MAX_READ_CHARACTERS]).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return (prefix + (words or otherwise))[:_MAX_SLUG_CHARACTERS].rstrip("-")


def next_version(
    old: Mapping[str, Any], new: Mapping[str, Any], behaviour: Iterable[str], metadata: Iterable[str]
) -> str:
    """The version of ``new`` as the successor of ``old`` (both normalised).

    A change of a member in ``behaviour`` raises the minor number, one in ``metadata`` the patch number; no change
    at all keeps the version.
    """
    major, minor, patch = (int(number) for number in old["version"].split("."))
    if any(old.get(field) != new.get(field) for field in behaviour):
        return f"{major}.{minor + 1}.0"
    if any(old.get(field) != new.get(field) for field in metadata):
        patch += 1
    return f"{major}.{minor}.{patch}"
