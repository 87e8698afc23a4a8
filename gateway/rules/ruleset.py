"""The rules of one generation in their order, and the few that concern a key.

For a key that was never seen, every rule is evaluated in three values. Rules that no payload can make match are left
out, and so is everything behind a rule that always matches and ends the search. The result is remembered for the
10,000 keys used last, and equal results are kept once: a stream of ever new keys costs time for each, but no memory
without end.

Many rules want a certain text in the same field (a host, a team). Where at least ``LEAST`` do, the field is read once,
and of the candidates only those are asked that want the text that is there.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from config.types import Json
from gateway.facts import Facts, Key
from gateway.rules.fields import Path, Reader
from gateway.rules.rule import Rule, compiled
from gateway.verdicts import Modify

MAX_KEYS = 10_000
#: rules that want a text in the same field, from which on it is read for all of them at once; and how many such fields
LEAST, MOST_FIELDS = 4, 4
#: rules in all different results together, each eight bytes
MAX_HELD = 1_000_000


class _Wanted(NamedTuple):
    """Texts of which a field must have one for a rule to match."""

    read: Reader
    texts: frozenset[str]


class Ruleset:
    """All rules, and those in force: the enabled ones."""

    def __init__(self, forms: Iterable[Json], switches: Mapping[str, bool] | None = None) -> None:
        """``switches`` enable and disable rules by name, whatever their files say."""
        self._arrange(map(compiled, forms), switches or {})

    @classmethod
    def of(cls, rules: Iterable[Rule], switches: Mapping[str, bool] | None = None) -> "Ruleset":
        """The ruleset of rules that are compiled already."""
        made = cls(())
        made._arrange(rules, switches or {})
        return made

    def switched(self, switches: Mapping[str, bool] | None = None) -> "Ruleset":
        """The same rules under other switches; nothing is compiled again."""
        return self.of(self.rules, switches)

    def _arrange(self, rules: Iterable[Rule], switches: Mapping[str, bool]) -> None:
        self.rules = tuple(sorted(rules, key=lambda rule: rule.order))
        self.enabled = {rule.name: bool(switches.get(rule.name, rule.form["enabled"])) for rule in self.rules}
        self.in_force = tuple(rule for rule in self.rules if self.enabled[rule.name])
        #: the rules that may concern executions with this origin, namespace, tenant, provider and action type
        self.candidates = lru_cache(maxsize=MAX_KEYS)(self._candidates)
        #: field → what each rule wants there; the fields that many rules name
        self._wanted = _wanted(self.in_force)
        self._fields = [_together(rules.values()) for rules in self._wanted]
        self._narrowed = lru_cache(maxsize=MAX_KEYS)(self._narrow)
        self._shared: dict[tuple[Rule, ...], tuple[Rule, ...]] = {}
        self._held = 0

    def asked(self, key: Key, facts: Facts) -> tuple[Rule, ...]:
        """The candidates for a key, without those that the texts in its facts rule out."""
        if not self._fields:
            return self.candidates(*key)
        found = []
        for read, texts in self._fields:
            value = read(facts)
            found.append(value if isinstance(value, str) and value in texts else None)
        return self._narrowed(key, *found)

    def _narrow(self, key: Key, *found: str | None) -> tuple[Rule, ...]:
        """The candidates that want what was found, field by field, or nothing in particular."""
        rules = self.candidates(*key)
        for text, wanted in zip(found, self._wanted, strict=True):
            rules = tuple(rule for rule in rules if rule not in wanted or text in wanted[rule].texts)
        return self._kept(rules)

    def _candidates(
        self, origin: str, namespace: str, tenant: str, provider: str, action_type: str
    ) -> tuple[Rule, ...]:
        key = (origin, namespace, tenant, provider, action_type)
        found = []
        for rule in self.in_force:
            concerns = rule.concerns(key)
            if concerns is False:
                continue
            found.append(rule)
            if concerns and rule.ends:
                break
        return self._kept(tuple(found))

    def _kept(self, found: tuple[Rule, ...]) -> tuple[Rule, ...]:
        """The same result, as it is kept for all keys that have it."""
        shared = self._shared.get(found)
        if shared is not None:
            return shared
        self._held += len(found)
        if self._held > MAX_HELD:
            self.candidates.cache_clear()
            self._narrowed.cache_clear()
            self._shared.clear()
            self._held = len(found)
        self._shared[found] = found
        return found

    def named(self, name: str) -> Rule | None:
        """The rule of that name."""
        return next((rule for rule in self.rules if rule.name == name), None)

    def listed(self) -> list[Json]:
        """The rules as ``GET /v1/rules`` shows them."""
        return [shown(rule, enabled=self.enabled[rule.name]) for rule in self.rules]


def _wanted(rules: Iterable[Rule]) -> list[dict[Rule, _Wanted]]:
    """What rules want, in each of the fields that many of them name.

    The payload is read once, so a rule that may see a changed one is left out.
    """
    found: dict[Path, dict[Rule, _Wanted]] = {}
    is_changed = False
    for rule in rules:
        for part in rule.condition.needed:
            if (
                part.texts is None
                or part.path is None
                or part.read is None
                or (is_changed and part.path[1] == "payload")
            ):
                continue
            found.setdefault(part.path, {}).setdefault(rule, _Wanted(part.read, part.texts))
        is_changed = is_changed or isinstance(rule.effect, Modify)
    numbers = Counter({path: len(wanted) for path, wanted in found.items()})
    return [found[path] for path, number in numbers.most_common(MOST_FIELDS) if number >= LEAST]


def _together(wanted: Iterable[_Wanted]) -> _Wanted:
    """What some rules want in their field."""
    each = list(wanted)
    return _Wanted(each[0].read, frozenset(text for one in each for text in one.texts))


def shown(rule: Rule, *, enabled: bool) -> Json:
    """A rule as lists show it."""
    form: Mapping[str, Any] = rule.form
    return {
        "name": rule.name,
        "priority": form["priority"],
        "enabled": enabled,
        "description": form["description"],
        "mode": form["mode"],
        "file": form["file"],
        "action": form["action"]["type"],
        "origins": sorted(rule.origins),
        "tenants": list(rule.tenants) or None,
    }
