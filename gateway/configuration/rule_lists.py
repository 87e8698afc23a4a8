"""Lists of rules: no two share a name, and all together are bounded in number and cost."""

from collections.abc import Callable
from typing import Any

from gateway.rules import condition_checks, written
from gateway.rules.effects import Names
from playbooks.checks.faults import Faults, shown

#: rules together; deciding compares an execution with each at worst once
MAX_RULES = 10_000
#: expressions and patterns of all rules: compiled ones are kept, an expression beyond that is compiled at each use
MAX_EXPRESSIONS = 500
MAX_PATTERNS = 1000
#: comparisons by meaning in all rules: the vectors of their topics stay in memory
MAX_TOPICS = 500


class Lists:
    """The lists of one set of rules, checked one after the other; ``whole`` is what the set is called."""

    def __init__(self, names: Names, whole: str = "the folder") -> None:
        self._names, self._whole = names, whole
        self._number = 0
        #: name → where that rule is
        self.places: dict[str, str] = {}
        self._used = {"expression": 0, "regex": 0, "matches": 0, "semantic_match": 0}

    def count(self, rules: Any) -> None:
        """Count rules that are there already."""
        self._number += len(rules)
        self._used = {kind: count + condition_checks.leaves(rules, kind) for kind, count in self._used.items()}

    def check(self, given: Any, pointer: str, place_of: Callable[[str], str], found: Faults) -> bool:
        """Report every fault of a list; whether another one is worth a look.

        ``place_of`` says where the rule at a pointer is.
        """
        if not isinstance(given, list):
            found.add(pointer, "must be a list of rules")
            return True
        if self._number + len(given) > MAX_RULES:
            found.add(pointer, f"{self._whole} has more than {MAX_RULES} rules with these {len(given)}")
            return False
        for number, rule in enumerate(given):
            if found.full:
                break
            self._rule(rule, f"{pointer}/{number}", place_of, found)
        self.count(given)
        if self._used["expression"] > MAX_EXPRESSIONS:
            text = f"{self._whole} has more than {MAX_EXPRESSIONS} expressions: write fields instead"
            found.add(pointer, text)
        if self._used["regex"] + self._used["matches"] > MAX_PATTERNS:
            found.add(pointer, f"{self._whole} has more than {MAX_PATTERNS} patterns: write in_list or starts_with")
        if self._used["semantic_match"] > MAX_TOPICS:
            found.add(
                pointer, f"{self._whole} compares with more than {MAX_TOPICS} topics: write one with several words"
            )
        return True

    def _rule(self, rule: Any, pointer: str, place_of: Callable[[str], str], found: Faults) -> None:
        written.check(rule, pointer, self._names, found)
        name = rule.get("name") if isinstance(rule, dict) else None
        if not isinstance(name, str):
            return
        if name in self.places:
            text = f"there are two rules named '{shown(name)}': the other is at {self.places[name]}"
            found.add(f"{pointer}/name", text)
        self.places.setdefault(name, place_of(pointer))
