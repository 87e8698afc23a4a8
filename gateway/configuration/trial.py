"""A set of rules that is tried and never loaded: a whole one, or the one in force with changes.

``rules`` is a list, in the form of the rules files, or an object with ``replace`` and ``add`` (lists of rules) and
``remove`` (names). Faults are those of a load, with their pointers in the request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.errors import Problem
from config.types import Json
from gateway.configuration.rule_lists import Lists
from gateway.configuration.sources import unstorable
from gateway.rules import written
from gateway.rules.effects import Names
from playbooks.checks.faults import Faults, below, shown

#: where rules stand that a request has: behind those of all files with their priority
FILE = "~request"
MEMBERS = ("replace", "remove", "add")
_ROOT = "/rules"


@dataclass(frozen=True)
class Tried:
    """Rules in their stored form, and those of them that the request has; or the faults."""

    forms: Sequence[Json] = ()
    given: Sequence[Json] = ()
    faults: Sequence[Problem] = field(default_factory=list)


def read(rules: Any, in_force: Sequence[Json], names: Names) -> Tried:
    """The rules that a request wants to try; ``in_force`` are the rules that it may change."""
    found = Faults()
    problem = unstorable(rules)
    if problem is not None:
        return Tried(faults=[problem.under(_ROOT)])
    if isinstance(rules, list):
        Lists(names, "the set").check(rules, _ROOT, _place, found)
        if faults := found.listed():
            return Tried(faults=faults)
        forms = [written.normalise(rule, FILE, number) for number, rule in enumerate(rules)]
        return Tried(forms, forms)
    if isinstance(rules, dict):
        return _Changes(rules, in_force, names, found).read()
    found.add(_ROOT, f"must be a list of rules, or an object with some of {', '.join(MEMBERS)}")
    return Tried(faults=found.listed())


def _place(pointer: str) -> str:
    return pointer


class _Changes:
    """Changes of the rules in force."""

    def __init__(self, rules: Mapping[str, Any], in_force: Sequence[Json], names: Names, found: Faults) -> None:
        self._rules = rules
        self._in_force = {form["name"]: form for form in in_force}
        self._names = names
        self._found = found

    def read(self) -> Tried:
        for member in self._rules:
            if member not in MEMBERS:
                hint = self._found.hint(member, MEMBERS)
                text = f"'{shown(member)}' is no member of changes: {', '.join(MEMBERS)}{hint}"
                self._found.add(below(_ROOT, shown(member)), text)
        replaced = self._replaced()
        removed = self._removed(replaced)
        lists = Lists(self._names, "the set")
        kept = [form for name, form in self._in_force.items() if name not in replaced and name not in removed]
        lists.count(kept)
        lists.check(self._list("replace"), f"{_ROOT}/replace", _place, self._found)
        lists.places |= {form["name"]: form["file"] for form in kept}
        lists.check(self._list("add"), f"{_ROOT}/add", _place, self._found)
        if faults := self._found.listed():
            return Tried(faults=faults)
        changed = [_in_place(rule, self._in_force[rule["name"]]) for rule in self._list("replace")]
        changed += [written.normalise(rule, FILE, number) for number, rule in enumerate(self._list("add"))]
        return Tried([*kept, *changed], changed)

    def _list(self, member: str) -> Any:
        given = self._rules.get(member)
        return [] if given is None else given

    def _replaced(self) -> set[str]:
        """The names of the rules to replace."""
        given = self._list("replace")
        named = set[str]()
        for number, rule in enumerate(given if isinstance(given, list) else ()):
            name = rule.get("name") if isinstance(rule, dict) else None
            if isinstance(name, str):
                named.add(name)
                self._require(name, f"{_ROOT}/replace/{number}/name", ": put a new one into add")
        return named

    def _removed(self, replaced: set[str]) -> set[str]:
        """The names of the rules to remove."""
        given = self._list("remove")
        if not isinstance(given, list):
            self._found.add(f"{_ROOT}/remove", "must be a list of the names of rules")
            return set()
        named = set[str]()
        for number, name in enumerate(given):
            if self._found.full:
                break
            place = f"{_ROOT}/remove/{number}"
            if not isinstance(name, str):
                self._found.add(place, "must be the name of a rule")
                continue
            if name in replaced:
                self._found.add(place, f"the rule '{shown(name)}' is replaced: remove or replace it, not both")
            named.add(name)
            self._require(name, place, "")
        return named

    def _require(self, name: str, place: str, more: str) -> None:
        """Report a rule that is not in force."""
        if name not in self._in_force and not self._found.full:
            hint = self._found.hint(name, sorted(self._in_force))
            self._found.add(place, f"no rule '{shown(name)}' is in force{hint}{more}")


def _in_place(rule: Mapping[str, Any], of: Mapping[str, Any]) -> Json:
    return written.normalise(rule, of["file"], of["position"])
