"""The definition of an action: normalised, checked and numbered.

A definition arrives in one of the forms that users write: ``normalise`` turns it into the stored one, ``check`` reports
every fault, ``next_version`` numbers a change. Each executor checks its own ``config``; ``known_names`` are the names
that its templates may use.
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from expressions.suggestions import did_you_mean
from playbooks.definitions import parameters, versions
from playbooks.definitions.fields import (
    DEFAULT_RETRY,
    MAX_ATTEMPTS,
    MAX_BACKOFF_SECONDS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
    MAX_TAG_CHARACTERS,
    MAX_TAGS,
    check_identity,
    check_retry,
    check_tags,
    is_whole,
)
from playbooks.definitions.versions import FIRST_VERSION

__all__ = [
    "EXECUTORS",
    "MAX_ATTEMPTS",
    "MAX_BACKOFF_SECONDS",
    "MAX_DESCRIPTION_CHARACTERS",
    "MAX_NAME_CHARACTERS",
    "MAX_TAGS",
    "MAX_TAG_CHARACTERS",
    "MAX_TIMEOUT_SECONDS",
    "TYPES",
    "check",
    "known_names",
    "next_version",
    "normalise",
    "slug",
]

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

MAX_TIMEOUT_SECONDS = 86_400

DEFAULT_TIMEOUT_SECONDS = 300

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
    """The definition in its stored form; faults stay, for ``check`` to report.

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
    retry = definition["retry"] if definition.get("retry") is not None else {}
    form["retry"] = {**DEFAULT_RETRY, **retry} if isinstance(retry, dict) else retry
    executor = form.get("executor")
    if isinstance(executor, dict) and isinstance(form["config"], dict):
        form["executor"] = executor.get("type")
        form["config"] = {**{key: value for key, value in executor.items() if key != "type"}, **form["config"]}
    if form.get("type") == "approval" and form.get("executor", "local") == "local" and not form["config"]:
        form["executor"] = "approval"  # a question to a person needs no program of the operator's
    if not parameters.check_definitions(form["parameters"]):
        form["parameters"] = parameters.normalise(form["parameters"])
    return form


def check(definition: Mapping[str, Any], executors: tuple[str, ...] = EXECUTORS) -> list[Problem]:
    """Every fault of a definition, in reading order.

    Pointers are relative to the definition; ``executors`` are those that it may name.
    """
    form = normalise(definition)
    problems = check_identity(form, "an action")
    problems += _check_word(form, "type", TYPES) + _check_word(form, "executor", executors)
    if form.get("executor") == "approval" and form.get("type") in TYPES and form["type"] != "approval":
        problems.append(Problem("/executor", "only actions of type approval have the executor approval"))
    problems += check_tags(form["tags"])
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


#: executors by what other products call them
_EXECUTOR_SYNONYMS = {
    **dict.fromkeys(("bash", "shell", "python", "script", "function", "handler"), "local"),
    **dict.fromkeys(("http", "https", "rest", "api", "request"), "webhook"),
    **dict.fromkeys(("slack", "email", "mail", "pagerduty"), "notification"),
    **dict.fromkeys(("human", "manual"), "approval"),
}


def _check_word(form: Mapping[str, Any], field: str, allowed: tuple[str, ...]) -> list[Problem]:
    given = form.get(field)
    if given in allowed:
        return []
    words = ", ".join(allowed)
    if given is None:
        return [Problem(f"/{field}", f"an action needs its {field}: one of {words}")]
    shown = str(given)[:64] if isinstance(given, str) else type(given).__name__
    hint = did_you_mean(shown, allowed, synonyms=_EXECUTOR_SYNONYMS if field == "executor" else {})
    return [Problem(f"/{field}", f"Invalid action {field} '{shown}'. Allowed: {words}{hint}")]


def _check_limits(form: Mapping[str, Any]) -> list[Problem]:
    problems = []
    if not is_whole(form["timeout_seconds"], 1, MAX_TIMEOUT_SECONDS):
        problems.append(
            Problem("/timeout_seconds", f"must be a whole number of seconds from 1 to {MAX_TIMEOUT_SECONDS}")
        )
    return problems + check_retry(form["retry"])


def slug(name: str) -> str:
    """The id for an action's name: ``act-``, then ASCII letters and digits."""
    return versions.slug("act-", name, "action")


def next_version(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The version of ``new`` as the successor of ``old`` (both normalised).

    A change of behaviour raises the minor number, a change of name, description, tags and the like the patch
    number; no change at all keeps the version.
    """
    return versions.next_version(old, new, _BEHAVIOUR, _METADATA)


def known_names(definition: Mapping[str, Any]) -> set[str]:
    """The names that this action's templates may start from.

    Faulty declarations are skipped.
    """
    declared = definition.get("parameters")
    known = set(parameters.RESERVED)
    if isinstance(declared, list):
        known.update(str(one["name"]) for one in declared if isinstance(one, dict) and "name" in one)
    return known
