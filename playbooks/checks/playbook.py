"""Every fault of a playbook definition, with its place and remedy.

First the definition gets its stored form, and pointers lead into that form. Then come, in this order: size, the members
of the top level, each step by itself, ids and links, templates and conditions, and the actions and playbooks that steps
call. The work is bounded by the size of the definition.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from config.errors import Problem
from expressions.values import TemplateError, compact
from playbooks.checks.calls import ActionFacts, PlaybookFacts, check_calls
from playbooks.checks.faults import Faults, below, shown
from playbooks.checks.links import check_links
from playbooks.checks.size import DefinitionSize, size
from playbooks.checks.steps import check_list, check_step
from playbooks.checks.templates import check_templates
from playbooks.definitions import fields, parameters, triggers
from playbooks.definitions.events import trigger_doubt
from playbooks.definitions.normalise import normalise
from playbooks.definitions.places import PlacedStep, places
from playbooks.definitions.step_types import (
    GIVEN_BY_EVENTS,
    MAX_DEFINITION_CHARACTERS,
    MAX_RETRIES,
    MAX_STEPS,
    MAX_TIMEOUT_MINUTES,
    MEMBERS,
    RESERVED_NAMES,
    STRATEGIES,
    TOP_ALIASES,
    TOP_SYNONYMS,
)
from playbooks.widths import MOST_LIVE, too_wide

#: types of actions that protect something: a run should not ignore their failure
_PROTECTING = ("remediation", "containment")


def check(
    definition: Mapping[str, Any],
    actions: Mapping[str, ActionFacts] | None = None,
    playbooks: PlaybookFacts | None = None,
) -> list[Problem]:
    """The faults of a definition; without any it can run.

    ``actions`` are the definitions of all actions, by id, ``playbooks`` those of all playbooks or their ids alone; with
    None, references to them are not looked up.
    """
    fault = size_fault(definition)
    if fault:
        return [fault]
    faults = Faults()
    form = normalise(definition)
    found = list(places(form))
    _check_top(form, faults)
    for place in found:
        if not faults.full:
            check_step(place, faults)
    _check_widths(found, faults)
    graph = check_links(form, found, faults)
    check_templates(form, found, graph, faults)
    check_calls(form, found, actions, playbooks, faults)
    return faults.listed()


def judged(
    definition: Mapping[str, Any], actions: Mapping[str, ActionFacts], playbooks: PlaybookFacts
) -> tuple[list[Problem], list[Problem]]:
    """The faults of a definition, and the warnings about one without faults."""
    problems = check(definition, actions, playbooks)
    return problems, [] if problems else warnings(definition, actions)


def _check_widths(found: list[PlacedStep], faults: Faults) -> None:
    for place, number in too_wide(found):
        text = (
            f"with the iterations around it and the branches inside it, up to {number} steps would run at once; "
            f"a run may have {MOST_LIVE}: lower max_concurrency here or further out"
        )
        faults.add(below(place.pointer, "max_concurrency"), text)


def size_fault(definition: Any, counted: DefinitionSize | None = None) -> Problem | None:
    """The reason why a definition is too large to check, or None.

    ``counted`` is its size where that is known.
    """
    if not isinstance(definition, Mapping):
        return Problem("", "a playbook must be an object with a name and steps")
    counted = counted or size(definition)
    if counted.fault:
        return Problem("/steps" if counted.steps > MAX_STEPS else "", counted.fault)
    try:
        characters = len(compact(definition))
    except TemplateError:
        return Problem("", "cannot be written as JSON: it is nested too deep, or holds a number that is not finite")
    if characters > MAX_DEFINITION_CHARACTERS:
        return Problem("", f"a playbook may have at most {MAX_DEFINITION_CHARACTERS} characters as JSON")
    return None


def _check_top(form: Mapping[str, Any], faults: Faults) -> None:
    for member in form:
        if member in TOP_ALIASES:
            canonical = TOP_ALIASES[member]
            faults.add(below("", member), f"says the same as '{canonical}', which is given too: keep one of them")
        elif member not in MEMBERS and not faults.full:
            hint = faults.hint(member, MEMBERS, TOP_SYNONYMS)
            faults.add(below("", shown(member)), f"'{shown(member)}' is no member of a playbook{hint}")
    faults.extend("", fields.check_identity(form, "a playbook"))
    faults.extend("/trigger", triggers.check_trigger(form["trigger"]))
    faults.extend("/parameters", parameters.check_definitions(form["parameters"], RESERVED_NAMES - GIVEN_BY_EVENTS))
    if "steps" in form:
        check_list(form["steps"], "/steps", faults)
    else:
        faults.add("/steps", "a playbook needs its steps: a list of at least one step")
    if form["on_failure"] not in STRATEGIES:
        hint = faults.hint(form["on_failure"], STRATEGIES)
        faults.add("/on_failure", f"must be one of {', '.join(STRATEGIES)}{hint}")
    if not fields.is_whole(form["max_retries"], 0, MAX_RETRIES):
        faults.add("/max_retries", f"must be a whole number from 0 to {MAX_RETRIES}")
    if not fields.is_whole(form["timeout_minutes"], 1, MAX_TIMEOUT_MINUTES):
        faults.add("/timeout_minutes", f"must be a whole number of minutes from 1 to {MAX_TIMEOUT_MINUTES}")
    faults.extend("", fields.check_tags(form["tags"]))
    for switch in ("enabled", "target_required"):
        if not isinstance(form[switch], bool):
            faults.add(below("", switch), "must be true or false")


def warnings(definition: Mapping[str, Any], actions: Mapping[str, ActionFacts] | None = None) -> list[Problem]:
    """Doubtful parts of a definition that is free of faults."""
    form = normalise(definition)
    faults = Faults()
    if form["on_failure"] == "retry" and not form["max_retries"]:
        faults.add("/max_retries", "with on_failure retry and max_retries 0 nothing is tried again: set max_retries")
    if form["on_failure"] != "retry" and form["max_retries"]:
        faults.add("/max_retries", "counts only with on_failure retry: set that, or leave max_retries out")
    if doubt := trigger_doubt(form["trigger"]["event"]):
        faults.add("/trigger/event", doubt)
    for place in islice(places(form), MAX_STEPS):
        if place.step.get("type") == "approval" and "timeout_seconds" not in place.step:
            faults.add(
                place.pointer, "waits for an answer until the time of the whole run is over: set timeout_seconds"
            )
        facts = (actions or {}).get(str(place.step.get("action_ref")))
        if place.step.get("type") == "action" and facts is not None:
            _warn_of_action(form, place, facts, faults)
    return faults.listed()


def _warn_of_action(form: Mapping[str, Any], place: PlacedStep, facts: ActionFacts, faults: Faults) -> None:
    step = place.step
    if facts.get("enabled") is False:
        faults.add(
            below(place.pointer, "action_ref"), "this action is disabled: the step will fail until it is enabled"
        )
    if facts.get("executor") == "opservant":
        text = "this action needs an agent (executor opservant), and none is connected: the step will fail"
        faults.add(below(place.pointer, "action_ref"), text)
    passed_over = step.get("on_failure") or ("next" if step.get("continue_on_error") else form["on_failure"])
    if facts.get("type") in _PROTECTING and passed_over in ("continue", "next"):
        text = f"when this {facts['type']} fails the run goes on as if it had not: name a step in on_failure"
        faults.add(place.pointer, text)
