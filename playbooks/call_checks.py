"""Whether the actions and playbooks that steps call exist, and are given the parameters they ask for."""

from collections.abc import Collection, Mapping
from typing import Any

from expressions.template_syntax import has_markup
from playbooks import parameters
from playbooks.faults import Faults, below, shown
from playbooks.places import Place

#: an action's definition, as far as it matters here: ``parameters`` (normalised), ``enabled``
ActionFacts = Mapping[str, Any]


def check_calls(
    form: Mapping[str, Any],
    found: Collection[Place],
    actions: Mapping[str, ActionFacts] | None,
    playbooks: Collection[str] | None,
    faults: Faults,
) -> None:
    """Name calls of what does not exist, and wrong parameters; None for ``actions`` or ``playbooks``: not known."""
    for place in found:
        if faults.full:
            return
        step = place.step
        if step.get("type") == "action" and _is_id(step.get("action_ref")) and actions is not None:
            _check_action(place, actions, faults)
        if step.get("type") == "playbook" and _is_id(step.get("playbook_ref")):
            _check_playbook(place, form.get("id"), playbooks, faults)


def _is_id(reference: Any) -> bool:
    return isinstance(reference, str) and bool(reference) and not has_markup(reference)


def _check_action(place: Place, actions: Mapping[str, ActionFacts], faults: Faults) -> None:
    step = place.step
    name = step["action_ref"]
    facts = actions.get(name)
    if facts is None:
        faults.add(
            below(place.pointer, "action_ref"), f"there is no action '{shown(name)}'{faults.hint(name, actions)}"
        )
        return
    given = step.get("parameters", {})
    if not isinstance(given, dict):
        return
    declared = facts.get("parameters") or []
    names = {one["name"] for one in declared}
    filled = {name for name, value in given.items() if name in names and holds_template(value)}
    _, problems = parameters.resolve(
        [one for one in declared if one["name"] not in filled],
        {name: value for name, value in given.items() if name not in filled},
    )
    faults.extend(below(place.pointer, "parameters"), problems)


def _check_playbook(place: Place, own: Any, playbooks: Collection[str] | None, faults: Faults) -> None:
    name = place.step["playbook_ref"]
    pointer = below(place.pointer, "playbook_ref")
    if name == own:
        faults.add(pointer, "a playbook cannot run itself: what is to be repeated needs a step of type loop")
    elif playbooks is not None and name not in playbooks:
        faults.add(pointer, f"there is no playbook '{shown(name)}'{faults.hint(name, playbooks)}")


def holds_template(value: Any) -> bool:
    """Whether a value has a template in it anywhere."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if has_markup(one):
                return True
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend(one)
            waiting.extend(one.values())
    return False
