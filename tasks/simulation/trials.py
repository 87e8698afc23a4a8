"""The rules that a simulation tries: those in force, or those of a request, checked as a load checks them.

Rules that concern no tenant of the caller are left out: they decide nothing that it may see, and it may not know of
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.errors import InvalidRequest
from config.types import Json
from gateway import grants
from gateway.configuration import trial
from gateway.configuration.trial import Tried
from gateway.current import InForce
from gateway.grants import Grant
from gateway.rules.effects import Names
from gateway.rules.rule import Rule, compiled
from gateway.rules.ruleset import Ruleset
from tasks.generations import unknown
from tasks.offload import pool

#: rules that are checked in a millisecond, at least; and that are compiled before others have their turn
_PER_MILLISECOND, _TOGETHER = 5, 50
_PLACE = frozenset({"file", "position"})


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Rules to try."""

    ruleset: Ruleset
    #: those that are as they are in force, by name
    unchanged: frozenset[str]
    warnings: Sequence[str] = ()


def of(rules: Any, held: InForce, own: Sequence[Grant]) -> Trial:
    """What a request wants to try; ``rules`` None: what is in force.

    Raises:
        InvalidRequest: the rules have faults. Busy: too much is being checked.
    """
    mine = {rule.name: rule for rule in held.ruleset.rules if grants.may_concern(own, rule.tenants)}
    enabled = held.ruleset.enabled
    if rules is None:
        return Trial(ruleset=Ruleset.of(mine.values(), enabled), unchanged=frozenset(mine))
    tried = _checked(rules, [rule.form for rule in mine.values()], held)
    given = {form["name"] for form in tried.given}
    kept = [mine[form["name"]] for form in tried.forms if form["name"] not in given]
    made = [rule for some in _parts(tried.given) for rule in pool.in_turn(_compiled, some)]
    switches = {name: on for name, on in enabled.items() if name in mine and on != mine[name].form["enabled"]}
    ruleset = Ruleset.of([*kept, *made], switches)
    same = {rule.name for rule in made if rule.name in mine and _is_same(rule.form, mine[rule.name].form)}
    doubts = unknown.warnings(tried.given, held.generation.providers)
    doubts += [f"rule '{name}': a switch has it {_word(on)}" for name, on in switches.items() if name in given]
    return Trial(ruleset=ruleset, unchanged=frozenset(same | {rule.name for rule in kept}), warnings=doubts)


def _checked(rules: Any, in_force: Sequence[Json], held: InForce) -> Tried:
    made = held.generation
    names = Names(
        frozenset(made.providers), frozenset(made.chains), frozenset(made.state_machines), frozenset(held.calendars)
    )
    milliseconds = _number(rules) / _PER_MILLISECOND
    tried: Tried = pool.way(milliseconds)(trial.read, rules, in_force, names)
    if tried.faults:
        raise InvalidRequest("The rules have faults; nothing was simulated.", problems=tried.faults)
    return tried


def _number(rules: Any) -> int:
    """How many rules a request has, about."""
    if isinstance(rules, Mapping):
        return sum(len(one) for one in rules.values() if isinstance(one, list))
    return len(rules) if isinstance(rules, list) else 0


def _parts(forms: Sequence[Json]) -> list[Sequence[Json]]:
    return [forms[first : first + _TOGETHER] for first in range(0, len(forms), _TOGETHER)]


def _compiled(forms: Sequence[Json]) -> list[Rule]:
    return [compiled(form) for form in forms]


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two stored forms say the same, wherever they stand."""
    return {name: one[name] for name in one.keys() - _PLACE} == {name: other[name] for name in other.keys() - _PLACE}


def _word(on: object) -> str:
    return "enabled" if on else "disabled"
