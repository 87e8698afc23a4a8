"""What an action definition means beyond its shape.

A definition comes in one of the forms users write: ``normalise`` brings it into the one that is stored, ``check``
names every fault of it, ``next_version`` numbers a change. What ``config`` must hold is each executor's own
business; which names its templates may use is ``known_names``.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from expressions.suggestions import did_you_mean
from expressions.values import is_encodable
from playbooks import parameters
from playbooks.parameter_values import is_number
from playbooks.parameters import MAX_NAMED

TYPES = (
    "notification",
    "remediation",
    "webhook",
    "script",
    "approval",
    "enrichment",
    "investigation",
    "containment",
)
EXECUTORS = ("local", "remote", "opservant", "webhook", "notification", "approval")

MAX_NAME_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 1024
MAX_TAGS = 50
MAX_TAG_CHARACTERS = 64
MAX_TIMEOUT_SECONDS = 86_400
MAX_ATTEMPTS = 10
MAX_BACKOFF_SECONDS = 3600
MAX_SLUG_CHARACTERS = 80

DEFAULT_TIMEOUT_SECONDS = 300
DEFAULT_RETRY: dict[str, Any] = {"max_attempts": 1, "backoff_seconds": 5, "jitter": True}
FIRST_VERSION = "1.0.0"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
#: a change of one of these changes what an execution does
_BEHAVIOUR = (
    "type",
    "executor",
    "parameters",
    "config",
    "timeout_seconds",
    "retry",
    "idempotent",
    "conditions",
    "input_mapping",
    "output_mapping",
)
#: a change of one of these changes how the action is found and shown
_METADATA = ("name", "description", "tags", "enabled")


def normalise(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in the form that is stored; what is wrong in it stays as it is, for ``check`` to name.

    An executor given as an object becomes its name, and its other members become part of ``config``.
    """
    form = {
        "description": "",
        "parameters": [],
        "config": {},
        "tags": [],
        "timeout_seconds": DEFAULT_TIMEOUT_SECONDS,
        "idempotent": True,
        "enabled": True,
        "version": FIRST_VERSION,
        **{field: value for field, value in definition.items() if value is not None},
    }
    retry = definition.get("retry")
    form["retry"] = {**DEFAULT_RETRY, **retry} if isinstance(retry, dict) else retry or dict(DEFAULT_RETRY)
    executor = form.get("executor")
    if isinstance(executor, dict) and isinstance(form["config"], dict):
        form["executor"] = executor.get("type")
        form["config"] = {**{key: value for key, value in executor.items() if key != "type"}, **form["config"]}
    if form.get("type") == "approval" and form.get("executor", "local") == "local" and not form["config"]:
        form["executor"] = "approval"  # asking a person needs no program of the operator's
    if not parameters.check_definitions(form["parameters"]):
        form["parameters"] = parameters.normalise(form["parameters"])
    return form


def check(definition: Mapping[str, Any]) -> list[Problem]:
    """Every fault of a definition, in the order of reading; pointers are relative to the definition."""
    form = normalise(definition)
    problems = _check_identity(form)
    problems += _check_word(form, "type", TYPES) + _check_word(form, "executor", EXECUTORS)
    if form.get("executor") == "approval" and form.get("type") in TYPES and form["type"] != "approval":
        problems.append(Problem("/executor", "only actions of type approval have the executor approval"))
    problems += _check_tags(form["tags"])
    problems.extend(
        Problem(f"/{field}", "must be true or false")
        for field in ("idempotent", "enabled")
        if not isinstance(form[field], bool)
    )
    if not isinstance(form["config"], dict):
        problems.append(Problem("/config", "must be an object"))
    problems += _check_limits(form)
    found = parameters.check_definitions(form["parameters"])
    return problems + [problem.under("/parameters") for problem in found]


def _check_identity(form: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if "id" in form and not _matches(_ID, form["id"]):
        problems.append(
            Problem("/id", "must be 1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit")
        )
    name = form.get("name")
    if name is None:
        problems.append(Problem("/name", "an action needs a name"))
    elif not _is_line(name, MAX_NAME_CHARACTERS):
        problems.append(Problem("/name", f"must be 1 to {MAX_NAME_CHARACTERS} printable characters"))
    description = form["description"]
    if (
        not isinstance(description, str)
        or len(description) > MAX_DESCRIPTION_CHARACTERS
        or not is_encodable(description)
    ):
        problems.append(Problem("/description", f"must be text of at most {MAX_DESCRIPTION_CHARACTERS} characters"))
    if not _matches(_VERSION, form["version"]):
        problems.append(Problem("/version", "must be MAJOR.MINOR.PATCH, for example 1.0.0"))
    return problems


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_line(value: Any, most: int) -> bool:
    """Whether the value is text of one line that can be seen."""
    return isinstance(value, str) and len(value) <= most and value.isprintable() and bool(value.strip())


def _check_word(form: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> list[Problem]:
    given = form.get(field)
    if given in allowed:
        return []
    words = ", ".join(allowed)
    if given is None:
        return [Problem(f"/{field}", f"an action needs its {field}: one of {words}")]
    shown = str(given)[:64] if isinstance(given, str) else type(given).__name__
    hint = did_you_mean(shown, allowed)
    return [Problem(f"/{field}", f"Invalid action {field} '{shown}'. Allowed: {words}{hint}")]


def _check_tags(tags: Any) -> list[Problem]:
    if not isinstance(tags, list) or len(tags) > MAX_TAGS:
        return [Problem("/tags", f"must be a list of at most {MAX_TAGS} strings")]
    return [
        Problem(f"/tags/{index}", f"must be 1 to {MAX_TAG_CHARACTERS} printable characters")
        for index, tag in enumerate(tags)
        if not _is_line(tag, MAX_TAG_CHARACTERS)
    ]


def _check_limits(form: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if not _is_whole(form["timeout_seconds"], 1, MAX_TIMEOUT_SECONDS):
        problems.append(
            Problem("/timeout_seconds", f"must be a whole number of seconds from 1 to {MAX_TIMEOUT_SECONDS}")
        )
    retry = form["retry"]
    if not isinstance(retry, dict):
        return [*problems, Problem("/retry", "must be an object with max_attempts and backoff_seconds")]
    unknown = [str(field) for field in retry if field not in DEFAULT_RETRY]
    problems.extend(
        Problem("/retry", f"'{field[:64]}' is no field of retry" + did_you_mean(field, DEFAULT_RETRY))
        for field in unknown[:MAX_NAMED]
    )
    if not _is_whole(retry["max_attempts"], 1, MAX_ATTEMPTS):
        problems.append(Problem("/retry/max_attempts", f"must be a whole number from 1 to {MAX_ATTEMPTS}"))
    backoff = retry["backoff_seconds"]
    if not is_number(backoff) or not 0 <= backoff <= MAX_BACKOFF_SECONDS:
        problems.append(Problem("/retry/backoff_seconds", f"must be from 0 to {MAX_BACKOFF_SECONDS} seconds"))
    if not isinstance(retry["jitter"], bool):
        problems.append(Problem("/retry/jitter", "must be true or false"))
    return problems


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def slug(name: str) -> str:
    """The id an action gets from its name: ``act-`` and what of the name is ASCII letters and digits."""
    ascii_name = unicodedata.normalize("NFKD", name[:MAX_NAME_CHARACTERS]).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return ("act-" + (words or "action"))[:MAX_SLUG_CHARACTERS].rstrip("-")


def next_version(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The version of ``new`` as the successor of ``old`` (both normalised).

    A change of behaviour raises the minor number, a change of name, description, tags and the like the patch
    number; no change at all keeps the version.
    """
    major, minor, patch = (int(number) for number in old["version"].split("."))
    if any(old.get(field) != new.get(field) for field in _BEHAVIOUR):
        return f"{major}.{minor + 1}.0"
    if any(old.get(field) != new.get(field) for field in _METADATA):
        patch += 1
    return f"{major}.{minor}.{patch}"


def known_names(definition: Mapping[str, Any]) -> set[str]:
    """The names the templates of this action may start from; faulty declarations are passed over."""
    declared = definition.get("parameters")
    known = set(parameters.RESERVED)
    if isinstance(declared, list):
        known.update(str(one["name"]) for one in declared if isinstance(one, dict) and "name" in one)
    return known
