"""The checks of members that actions and playbooks share.

Pointers are relative to the definition.
"""

import re
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.suggestions import did_you_mean
from expressions.values import is_encodable
from playbooks.definitions.parameter_values import is_integer, is_number
from playbooks.definitions.parameters import MAX_NAMED
from playbooks.definitions.versions import is_version

MAX_NAME_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 1024
MAX_TAGS = 50
MAX_TAG_CHARACTERS = 64
MAX_ATTEMPTS = 10
MAX_BACKOFF_SECONDS = 3600

DEFAULT_RETRY: dict[str, Any] = {"max_attempts": 1, "backoff_seconds": 5, "jitter": True}

#: other words for members of ``retry``
_WORDS = {
    **dict.fromkeys(("retries", "max_retries", "attempts", "max", "count", "times", "limit"), "max_attempts"),
    **dict.fromkeys(("backoff", "delay", "delay_seconds", "interval", "interval_seconds", "wait"), "backoff_seconds"),
}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def check_identity(form: Mapping[str, Any], what: str) -> list[Problem]:
    """The faults of ``id``, ``name``, ``description`` and ``version``.

    ``what`` is "an action" or "a playbook".
    """
    problems = []
    given = form.get("id", "a")
    if not isinstance(given, str) or not _ID.fullmatch(given):
        problems.append(
            Problem("/id", "must be 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit")
        )
    name = form.get("name")
    if name is None:
        problems.append(Problem("/name", f"{what} needs a name"))
    elif not is_line(name, MAX_NAME_CHARACTERS):
        problems.append(Problem("/name", f"must be 1 to {MAX_NAME_CHARACTERS} printable characters"))
    if not is_text(form.get("description", ""), MAX_DESCRIPTION_CHARACTERS):
        problems.append(Problem("/description", f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"))
    if not is_version(form.get("version")):
        problems.append(Problem("/version", "must be MAJOR.MINOR.PATCH, for example 1.0.0"))
    return problems


def check_tags(tags: Any) -> list[Problem]:
    """The faults of ``tags``."""
    if not isinstance(tags, list) or len(tags) > MAX_TAGS:
        return [Problem("/tags", f"must be a list of at most {MAX_TAGS} strings")]
    return [
        Problem(f"/tags/{index}", f"must be 1 to {MAX_TAG_CHARACTERS} printable characters")
        for index, tag in enumerate(tags)
        if not is_line(tag, MAX_TAG_CHARACTERS)
    ]


def check_retry(retry: Any) -> list[Problem]:
    """The faults of ``retry``; missing members have defaults."""
    if not isinstance(retry, dict):
        return [Problem("/retry", "must be an object with max_attempts and backoff_seconds")]
    unknown = [str(field) for field in retry if field not in DEFAULT_RETRY]
    problems = [
        Problem(
            f"/retry{step(field)}",
            f"'{field[:64]}' is no member of retry{did_you_mean(field, DEFAULT_RETRY, synonyms=_WORDS)}",
        )
        for field in unknown[:MAX_NAMED]
    ]
    form = {**DEFAULT_RETRY, **retry}
    if not is_whole(form["max_attempts"], 1, MAX_ATTEMPTS):
        problems.append(Problem("/retry/max_attempts", f"must be a whole number from 1 to {MAX_ATTEMPTS}"))
    backoff = form["backoff_seconds"]
    if not is_number(backoff) or not 0 <= backoff <= MAX_BACKOFF_SECONDS:
        problems.append(Problem("/retry/backoff_seconds", f"must be from 0 to {MAX_BACKOFF_SECONDS} seconds"))
    if not isinstance(form["jitter"], bool):
        problems.append(Problem("/retry/jitter", "must be true or false"))
    return problems


def is_line(value: Any, most: int) -> bool:
    """Whether the value is one line of visible text."""
    return isinstance(value, str) and len(value) <= most and value.isprintable() and bool(value.strip())


def is_text(value: Any, most: int) -> bool:
    """Whether the value is text of at most ``most`` characters."""
    return isinstance(value, str) and len(value) <= most and is_encodable(value)


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether the value is a whole number within the bounds."""
    return is_integer(value) and least <= value <= most
