"""The rules that a simulation tries: those in force, or those of a request, checked as a load checks them.

Rules that concern no tenant of the caller are left out: they decide nothing that it may see, and it may not know of
them.
"""

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from config.errors import InvalidRequest
from config.types import Json
from gateway import grants
from gateway.configuration import trial
from gateway.configuration.trial import Tried
from gateway.current import InForce
from gateway.grants import Grant
from gateway.rules import condition_checks, conditions
from gateway.rules.effects import Names
from gateway.rules.rule import Rule, compiled
from gateway.rules.ruleset import Ruleset
from tasks.generations import unknown
from tasks.offload import pool

#: characters that are checked in a millisecond, at least, and milliseconds for a pattern or an expression besides
_PER_MILLISECOND, _OF_LEAF = 1000, 5
#: for how long rules are compiled before others have their turn, seconds
_TURN = 0.025
_PLACE = frozenset({"file", "position"})
#: what of a condition takes long to check and to compile
_COSTLY = ("regex", "matches", "expression")


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
    made = _compiled(tried.given)
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
    leaves = sum(condition_checks.leaves(rules, kind) for kind in _COSTLY)
    milliseconds = len(json.dumps(rules)) / _PER_MILLISECOND + leaves * _OF_LEAF
    tried: Tried = pool.way(milliseconds)(trial.read, rules, in_force, names)
    if tried.faults:
        raise InvalidRequest("The rules have faults; nothing was simulated.", problems=tried.faults)
    return tried


def _compiled(forms: Sequence[Json]) -> list[Rule]:
    """The rules, compiled leaf by leaf: what is compiled once is at hand when its rule is."""
    waiting: list[Callable[[], object]] = []
    for form in forms:
        waiting += [functools.partial(_compile_leaf, leaf, form["name"]) for leaf in _leaves(form["condition"])]
    made: list[Rule] = []
    waiting += [functools.partial(_append, made, form) for form in forms]
    place = 0
    while place < len(waiting):
        place = pool.in_turn(_some, waiting, place)
    return made


def _some(waiting: Sequence[Callable[[], object]], place: int) -> int:
    """Compile for a moment; the place of what is next."""
    until = time.monotonic() + _TURN
    while place < len(waiting) and time.monotonic() < until:
        waiting[place]()
        place += 1
    return place


def _leaves(condition: Json) -> Iterator[Json]:
    """The parts of a condition that take long to compile."""
    for kind in ("all", "any"):
        for part in condition.get(kind, ()):
            yield from _leaves(part)
    if "not" in condition:
        yield from _leaves(condition["not"])
    if not condition.keys().isdisjoint(_COSTLY):
        yield condition


def _compile_leaf(leaf: Json, rule: str) -> None:
    conditions.compiled(leaf, UTC, rule)


def _append(made: list[Rule], form: Json) -> None:
    made.append(compiled(form))


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two stored forms say the same, wherever they stand."""
    return {name: one[name] for name in one.keys() - _PLACE} == {name: other[name] for name in other.keys() - _PLACE}


def _word(on: object) -> str:
    return "enabled" if on else "disabled"
