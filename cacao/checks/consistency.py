"""Whether the statements of a CACAO document fit together.

Checks times, delays, keys and variables. All findings are warnings.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from cacao.model.findings import Findings, below, shown
from cacao.model.graph import Graph, member
from cacao.model.vocabulary import LONGEST_VARIABLE, TIMESTAMP, VARIABLE, VARIABLE_CHARACTERS, VARIABLE_USE

_MILLISECONDS = len(".000Z")
_SECONDS = len("2024-05-31T12:00:00")
#: members whose text is encoded or only shown to people
_UNREAD = frozenset({"name", "description", "command_b64", "content_b64", "external_references"})
_DEFINITIONS = ("agent_definitions", "target_definitions", "authentication_info_definitions")


def check_consistency(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    """Report statements that do not fit together."""
    _check_times(document, "", found)
    for name, marking in member(document, "data_marking_definitions").items():
        if isinstance(marking, dict):
            _check_times(marking, below("/data_marking_definitions", name), found)
    if document.get("playbook_types") and "playbook_activities" not in document:
        message = "'playbook_types' without 'playbook_activities': add at least one activity"
        found.add("activities_missing", "", message)
    for name, step in graph.steps.items():
        _check_waits(step, graph.pointer(name), found)
        _check_commands(step, graph.pointer(name), found)
    for name, info in member(document, "authentication_info_definitions").items():
        if isinstance(info, dict) and info.get("kms") is True and "kms_key_identifier" not in info:
            message = "'kms' is true: add 'kms_key_identifier', which says what to ask the key management for"
            found.add("kms_without_key", below("/authentication_info_definitions", name), message)
    _check_variables(document, graph, found)


def check_signature(signature: Mapping[str, Any], pointer: str, found: Findings) -> None:
    """Report statements of a signature that do not fit together."""
    _check_times(signature, pointer, found)


def _check_times(parent: Mapping[str, Any], pointer: str, found: Findings) -> None:
    times: dict[str, tuple[str, str]] = {}
    for name in ("created", "modified", "valid_from", "valid_until"):
        value = parent.get(name)
        if not isinstance(value, str) or not TIMESTAMP.fullmatch(value):
            continue
        times[name] = (value[:_SECONDS], value[_SECONDS:].strip(".Z").rstrip("0"))
        if name in ("created", "modified") and len(value) != _SECONDS + _MILLISECONDS:
            message = f"{shown(value)} has not exactly three digits behind the point: write milliseconds"
            found.add("not_milliseconds", below(pointer, name), message)
        if not _is_date(value):
            found.add("no_such_date", below(pointer, name), f"{shown(value)} is not in the calendar: correct the day")
    if "created" in times and "modified" in times and times["modified"] < times["created"]:
        message = "'modified' lies before 'created': correct one of them"
        found.add("modified_before_created", below(pointer, "modified"), message)
    if "valid_from" in times and "valid_until" in times and times["valid_until"] <= times["valid_from"]:
        message = "'valid_until' does not lie after 'valid_from': correct one of them"
        found.add("never_valid", below(pointer, "valid_until"), message)


def _is_date(value: str) -> bool:
    try:
        dt.date(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError:
        return False
    return True


def _check_waits(step: Mapping[str, Any], pointer: str, found: Findings) -> None:
    # the text of the standard allows 0, its schemas do not; without the member it means the same
    delay = step.get("delay")
    if delay == 0 and not isinstance(delay, bool):
        found.add("zero_delay", below(pointer, "delay"), "a delay of 0 is not allowed everywhere: leave it out")
    timeout = step.get("timeout")
    if isinstance(timeout, int | float) and timeout < 0:
        message = f"{shown(timeout)} is less than nothing: write milliseconds or leave it out"
        found.add("negative_timeout", below(pointer, "timeout"), message)


def _check_commands(step: Mapping[str, Any], pointer: str, found: Findings) -> None:
    commands = step.get("commands")
    for index, command in enumerate(commands if isinstance(commands, list) else ()):
        line = command.get("command") if isinstance(command, dict) else None
        if isinstance(line, str) and command.get("type") == "openc2-http" and not line.startswith("POST "):
            place = below(below(below(pointer, "commands"), index), "command")
            found.add("openc2_not_post", place, "OpenC2 commands are sent with POST: write 'POST /path HTTP/1.1'")


def _check_variables(document: Mapping[str, Any], graph: Graph, found: Findings) -> None:
    playbook = member(document, "playbook_variables")
    anywhere: set[str] = set()
    for name, step in graph.steps.items():
        own = member(step, "step_variables")
        anywhere.update(own)
        _check_external(own, below(graph.pointer(name), "step_variables"), found)
        for place, variable in _named(step, graph.pointer(name)):
            if variable not in own and variable not in playbook:
                _undefined(variable, place, found)
        for key in ("commands", "condition", "switch"):
            if key in step:
                _check_uses(step[key], below(graph.pointer(name), key), (own, playbook), found)
    for section in _DEFINITIONS:
        for name, value in member(document, section).items():
            # any step may use the definition, so the variables of all steps count
            _check_uses(value, below(f"/{section}", name), (anywhere, playbook), found)


def _check_external(variables: Mapping[str, Any], pointer: str, found: Findings) -> None:
    for name, variable in variables.items():
        if isinstance(variable, dict) and variable.get("external") is True:
            message = "only variables of the playbook come from outside: move it to 'playbook_variables'"
            found.add("external_step_variable", below(pointer, name), message)


def _named(step: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    """The variables that a step lists by name."""
    for key in ("in_args", "out_args"):
        names = step.get(key)
        for index, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str):
                yield below(below(pointer, key), index), name


def _undefined(variable: str, pointer: str, found: Findings) -> None:
    message = f"the variable {shown(variable)} is not defined: add it to 'playbook_variables' or correct its name"
    found.add("undefined_variable", pointer, message)


def _check_uses(value: Any, pointer: str, known: tuple[Any, ...], found: Findings) -> None:
    """Report unknown variables in every text of a value, at any depth."""
    pending = [(value, pointer)]
    while pending:
        inner, place = pending.pop()
        if isinstance(inner, dict):
            read = ((key, item) for key, item in inner.items() if key not in _UNREAD and "extensions" not in str(key))
            pending.extend((item, below(place, key)) for key, item in read)
        elif isinstance(inner, list):
            pending.extend((item, below(place, index)) for index, item in enumerate(inner))
        elif isinstance(inner, str) and (variable := _unknown_use(inner, known)):
            _undefined(variable, place, found)


def _unknown_use(text: str, known: tuple[Any, ...]) -> str:
    """The first unknown variable in a text, "" if there is none."""
    for use in VARIABLE_USE.finditer(text):
        end = use.start() + len("__")
        start = end
        while start > max(0, end - LONGEST_VARIABLE) and text[start - 1] in VARIABLE_CHARACTERS:
            start -= 1
        # a name may follow other letters and contain underscores: any known name that ends here counts
        run = text[start:end]
        names = [run[at:] for at in range(len(run)) if run.startswith("__", at) and VARIABLE.fullmatch(run[at:])]
        if names and not any(name in scope for name in names for scope in known):
            return names[0]
    return ""
