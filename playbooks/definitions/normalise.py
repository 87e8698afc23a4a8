"""The stored form of a playbook definition.

``normalise`` turns the forms that users write into one: other spellings become the canonical members, in every block,
and absent members of the top level get their defaults. Faults stay, for ``playbooks.checks.playbook`` to report.
``slug`` makes the id, ``next_version`` numbers a change.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from playbooks.definitions import durations, parameters, versions
from playbooks.definitions.parameter_values import TYPES as VALUE_TYPES
from playbooks.definitions.parameter_values import is_number
from playbooks.definitions.step_types import (
    ALIASES,
    COMMON_ALIASES,
    DEFAULT_TIMEOUT_MINUTES,
    MAX_DEPTH,
    MEMBERS_IN_PARAMETERS,
    OPTIONAL,
    PARAMETER_TYPES,
    REQUIRED,
    TOP_ALIASES,
)

#: a change of one of these changes what a run does, or when one starts
_BEHAVIOUR = (
    "trigger",
    "parameters",
    "steps",
    "on_failure",
    "max_retries",
    "timeout_minutes",
    "target_required",
    "exception_step",
)
#: a change of one of these changes how the playbook is found and shown
_METADATA = ("name", "description", "tags", "enabled")
_SECONDS_PER_MINUTE = 60


def normalise(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition in its stored form; idempotent.

    A member given in two spellings keeps both, and a null member counts as absent.
    """
    given = _renamed(definition, TOP_ALIASES.items())
    form: dict[str, Any] = {
        "version": versions.FIRST_VERSION,
        "description": "",
        "trigger": "manual",
        "parameters": [],
        "on_failure": "abort",
        "max_retries": 0,
        "timeout_minutes": DEFAULT_TIMEOUT_MINUTES,
        "tags": [],
        "enabled": True,
        "target_required": False,
        **given,
    }
    form.setdefault("exception_step", None)
    form["trigger"] = _trigger(form["trigger"])
    form["parameters"] = _parameters(form["parameters"])
    if "steps" in form:
        form["steps"] = _steps(form["steps"], 0)
    return form


def _renamed(given: Mapping[str, Any], aliases: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The members that are not null, in canonical spelling where free."""
    form = {field: value for field, value in given.items() if value is not None}
    for alias, canonical in aliases:
        if alias in form and canonical not in form:
            form[canonical] = form.pop(alias)
    return form


def _trigger(trigger: Any) -> Any:
    if isinstance(trigger, str):
        trigger = {"event": trigger}
    if not isinstance(trigger, dict):
        return trigger
    form = {"event": "manual", "conditions": {}}
    form.update((field, value) for field, value in trigger.items() if value is not None)
    if form["event"] == "schedule":
        form.setdefault("timezone", "UTC")
    return form


def _parameters(declared: Any) -> Any:
    if not isinstance(declared, list):
        return declared
    spelled = [
        {**one, "type": _value_type(one["type"])} if isinstance(one, dict) and isinstance(one.get("type"), str) else one
        for one in declared
    ]
    return spelled if parameters.check_definitions(spelled) else parameters.normalise(spelled)


def _value_type(word: str) -> str:
    lower = word.lower()
    known = PARAMETER_TYPES.get(lower, lower)
    return known if known in VALUE_TYPES else word


def _steps(steps: Any, depth: int) -> Any:
    """The steps of one block; steps nested too deep stay unchanged."""
    if not isinstance(steps, list):
        return steps
    return [_step(step, depth) if isinstance(step, dict) else step for step in steps]


def _step(step: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kind = step.get("type")
    form = _renamed(step, COMMON_ALIASES.items())
    if isinstance(kind, str):
        form = _spelled(kind, form)
        if kind in MEMBERS_IN_PARAMETERS and isinstance(form.get("parameters"), dict):
            form = _unwrapped(kind, form)
        if depth < MAX_DEPTH:
            _normalise_blocks(kind, form, depth + 1)
    if isinstance(form.get("id"), str):
        form.setdefault("name", form["id"])
    return form


def _spelled(kind: str, form: dict[str, Any]) -> dict[str, Any]:
    """The members of a step in their canonical spelling."""
    if kind == "delay":
        form = _delay(form)
    if kind == "approval":
        form = _approval(form)
    return _renamed(form, ALIASES.get(kind, {}).items())


def _unwrapped(kind: str, form: dict[str, Any]) -> dict[str, Any]:
    """A step with its members taken out of its ``parameters``.

    What is no member of the step, or says something else than the step itself, stays there.
    """
    known = {*REQUIRED[kind], *OPTIONAL[kind], "on_success", "on_failure"}
    given = _spelled(kind, _renamed(form["parameters"], ()))
    whole = {name: value for name, value in form.items() if name != "parameters"}
    left = {name: value for name, value in given.items() if name not in known or whole.get(name, value) != value}
    whole.update((name, value) for name, value in given.items() if name not in left)
    return {**whole, "parameters": left} if left else whole


def _delay(form: dict[str, Any]) -> dict[str, Any]:
    """A delay step in seconds; an unreadable spelling stays unchanged."""
    for spelling in ("seconds", "duration_seconds", "duration", "delay_seconds"):
        if spelling in form:
            try:
                length = durations.seconds(form[spelling])
            except ValueError:
                return form
            return {**{field: value for field, value in form.items() if field != spelling}, "seconds": length}
    return form


def _approval(form: dict[str, Any]) -> dict[str, Any]:
    """An approval step with its time-out in seconds."""
    minutes: Any = form.get("timeout_minutes")
    if "timeout_seconds" in form or not is_number(minutes):
        return form
    kept = {field: value for field, value in form.items() if field != "timeout_minutes"}
    return {**kept, "timeout_seconds": durations.whole(minutes * _SECONDS_PER_MINUTE)}


def _normalise_blocks(kind: str, form: dict[str, Any], depth: int) -> None:
    if kind in ("loop", "for_each") and "steps" in form:
        form["steps"] = _steps(form["steps"], depth)
    if kind == "parallel":
        if "branches" not in form and isinstance(form.get("steps"), list):
            form["branches"] = [{"steps": [step]} for step in form.pop("steps")]
        if isinstance(form.get("branches"), list):
            form["branches"] = [_branch(branch, depth) for branch in form["branches"]]


def _branch(branch: Any, depth: int) -> Any:
    if isinstance(branch, list):
        branch = {"steps": branch}
    if not isinstance(branch, dict):
        return branch
    form = _renamed(branch, ())
    if "steps" in form:
        form["steps"] = _steps(form["steps"], depth)
    return form


def slug(name: str) -> str:
    """The id for a playbook's name: ``pb-``, then ASCII letters and digits."""
    return versions.slug("pb-", name, "playbook")


def next_version(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The version of ``new`` as the successor of ``old`` (both normalised).

    A change of what a run does, or of what starts one, raises the minor number, a change of name, description,
    tags and the like the patch number; no change at all keeps the version.
    """
    return versions.next_version(old, new, _BEHAVIOUR, _METADATA)
