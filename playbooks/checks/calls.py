"""Whether called actions and playbooks exist and get their parameters."""

from collections.abc import Collection, Mapping
from typing import Any

from expressions.references import paths
from expressions.template_syntax import has_markup
from expressions.values import TemplateError
from playbooks.checks.faults import Faults, below, shown
from playbooks.definitions import asking, parameters
from playbooks.definitions.places import PlacedStep

#: the members of an action's definition that count here: ``parameters`` (normalised), ``enabled``
ActionFacts = Mapping[str, Any]
#: the ids of all playbooks, or by id the members that count here: ``parameters`` (normalised)
PlaybookFacts = Collection[str] | Mapping[str, Mapping[str, Any]]

_WRITTEN_OUT = (
    "a secret written here can be read by whoever may read the playbook: "
    "hand it in as a run parameter of type secret or keep it in the action's config"
)


def check_calls(
    form: Mapping[str, Any],
    found: Collection[PlacedStep],
    actions: Mapping[str, ActionFacts] | None,
    playbooks: PlaybookFacts | None,
    faults: Faults,
) -> None:
    """Report calls of missing actions and playbooks, wrong parameters, and notices by missing providers.

    ``actions`` or ``playbooks`` None means that they are unknown.
    """
    for place in found:
        if faults.full:
            return
        step = place.step
        if step.get("type") == "action" and _is_id(step.get("action_ref")) and actions is not None:
            _check_action(place, actions, faults)
        if step.get("type") == "playbook" and _is_id(step.get("playbook_ref")):
            _check_playbook(place, form.get("id"), playbooks, faults)
        if step.get("type") == "approval" and actions is not None:
            providers = {name.removeprefix(asking.PROVIDER) for name in actions if name.startswith(asking.PROVIDER)}
            if missing := asking.unknown(step, providers, faults.hint):
                faults.add(below(place.pointer, "notify"), missing)


def _is_id(reference: Any) -> bool:
    return isinstance(reference, str) and bool(reference) and not has_markup(reference)


def _check_action(place: PlacedStep, actions: Mapping[str, ActionFacts], faults: Faults) -> None:
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
    _refuse_secrets(place, declared, faults)


def _refuse_secrets(place: PlacedStep, declared: list[dict[str, Any]], faults: Faults) -> None:
    """Report secrets written out; a step hands on its run's instead."""
    given = place.step.get("parameters")
    for name in sorted(parameters.secret_names(declared)):
        value = given.get(name) if isinstance(given, dict) else None
        if value not in (None, "") and not _reads(value):
            faults.add(below(below(place.pointer, "parameters"), name), _WRITTEN_OUT)


def _reads(value: Any) -> bool:
    """Whether a value reads anything from the run.

    A template of constants only counts as written out.
    """
    try:
        return bool(paths(value))
    except TemplateError:  # reported elsewhere
        return True


def _check_playbook(place: PlacedStep, own: Any, playbooks: PlaybookFacts | None, faults: Faults) -> None:
    name = place.step["playbook_ref"]
    pointer = below(place.pointer, "playbook_ref")
    if name == own:
        faults.add(pointer, "a playbook cannot run itself: what is to be repeated needs a step of type loop")
    elif playbooks is not None and name not in playbooks:
        faults.add(pointer, f"there is no playbook '{shown(name)}'{faults.hint(name, playbooks)}")
    elif isinstance(playbooks, Mapping):
        _refuse_secrets(place, playbooks[name].get("parameters") or [], faults)


def holds_template(value: Any) -> bool:
    """Whether a value contains a template anywhere."""
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
