"""The ids and version numbers of definitions, for actions and playbooks alike."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from config.errors import InvalidRequest, Problem

FIRST_VERSION = "1.0.0"

_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
_MAX_READ_CHARACTERS = 128
_MAX_SLUG_CHARACTERS = 80


def is_version(value: Any) -> bool:
    """Whether the value is MAJOR.MINOR.PATCH."""
    return isinstance(value, str) and _VERSION.fullmatch(value) is not None


def slug(prefix: str, name: str, otherwise: str) -> str:
    """An id from a name: the prefix, then ASCII letters and digits.

    ``otherwise`` replaces a name that has none.
    """
    ascii_name = unicodedata.normalize("NFKD", name[:_MAX_READ_CHARACTERS]).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return (prefix + (words or otherwise))[:_MAX_SLUG_CHARACTERS].rstrip("-")


def asked_for(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The version that a change asks for; None for the present one.

    Raises:
        InvalidRequest: it is not higher than the present one.
    """
    asked, present = str(new["version"]), str(old["version"])
    if asked == present:
        return None
    if not is_higher(asked, present):
        problem = Problem("/version", f"Must be higher than the present version {present}, or left out.")
        raise InvalidRequest("The version does not go up.", problems=[problem])
    return asked


def is_higher(version: str, other: str) -> bool:
    """Whether a version is higher than another."""
    return _numbers(version) > _numbers(other)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def next_version(
    old: Mapping[str, Any], new: Mapping[str, Any], behaviour: Iterable[str], metadata: Iterable[str]
) -> str:
    """The version of ``new`` as the successor of ``old`` (both normalised).

    A change of a member in ``behaviour`` raises the minor number, one in ``metadata`` the patch number; without changes
    the version stays.
    """
    major, minor, patch = _numbers(old["version"])
    if any(old.get(field) != new.get(field) for field in behaviour):
        return f"{major}.{minor + 1}.0"
    if any(old.get(field) != new.get(field) for field in metadata):
        patch += 1
    return f"{major}.{minor}.{patch}"
