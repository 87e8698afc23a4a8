"""What a simulation has come to: a table of decisions before and after, rules, and examples of each change."""

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.simulation.arrivals import Arrival, Became

#: examples of each change
EXAMPLES = 10


class _Change(NamedTuple):
    before: str
    before_to: str | None
    after: str
    after_to: str | None


class Example(NamedTuple):
    """One arrival that is decided otherwise."""

    record_id: str
    action_id: str
    at: int
    before_rule: str | None
    after_rule: str | None


@dataclass
class Row:
    """How many went from one decision to another."""

    before: str
    before_to: str | None
    after: str
    after_to: str | None
    count: int = 0
    examples: list[Example] = field(default_factory=list)

    @functools.cached_property
    def changed(self) -> bool:
        """Whether the decisions differ."""
        return (self.before, self.before_to) != (self.after, self.after_to)


class Tally:
    """The counts so far."""

    def __init__(self) -> None:
        self._rows: dict[_Change, Row] = {}
        #: the same rows by what has become of an arrival, and by which rules
        self._of: dict[tuple[Became, Became], Row] = {}
        self.decided = 0
        #: decided alike, by another rule
        self.by_another_rule = 0
        self.matched = Counter[str]()
        self.decides = Counter[str]()
        self.decided_before = Counter[str]()
        #: why it cannot be decided → the number, and the first few
        self.undecided = Counter[str]()
        self.undecided_examples: dict[str, list[str]] = {}

    def add(self, arrival: Arrival, after: Became, matched: Iterable[str]) -> None:
        """Count an arrival that is decided again."""
        before = arrival.before
        row = self._of.get((before, after)) or self._row(before, after)
        row.count += 1
        self.decided += 1
        for rule in matched:
            self.matched[rule] += 1
        if before.rule is not None:
            self.decided_before[before.rule] += 1
        if after.rule is not None:
            self.decides[after.rule] += 1
        if row.changed:
            if len(row.examples) < EXAMPLES:
                named = str(arrival.id), arrival.action_id, arrival.facts.at
                row.examples.append(Example(*named, before.rule, after.rule))
        elif before.rule != after.rule:
            self.by_another_rule += 1

    def _row(self, before: Became, after: Became) -> Row:
        """The row in which this change is counted."""
        tos = (before.to, after.to)
        if before.decision == after.decision and None in tos:
            tos = (None, None)  # where it went then is not kept
        change = _Change(before.decision, tos[0], after.decision, tos[1])
        row = self._of[before, after] = self._rows.setdefault(change, Row(*change))
        return row

    def give_up(self, why: str, record_id: str) -> None:
        """Count a record that cannot be decided again."""
        self.undecided[why] += 1
        found = self.undecided_examples.setdefault(why, [])
        if len(found) < EXAMPLES:
            found.append(record_id)

    @property
    def rows(self) -> list[Row]:
        """The table: what changes first, the most frequent first."""
        return sorted(self._rows.values(), key=lambda row: (not row.changed, -row.count, row.before, row.after))

    @property
    def before(self) -> set[str]:
        """What was decided then."""
        return {row.before for row in self._rows.values()}

    @property
    def changed(self) -> int:
        """How many are decided otherwise."""
        return sum(row.count for row in self._rows.values() if row.changed)
