"""The rules of one generation in their order, and the few that concern a key.

For a key that was never seen, every rule is evaluated in three values. Rules that no payload can make match are left
out, and so is everything behind a rule that always matches and ends the search. The result is remembered for the
10,000 keys used last, and equal results are kept once: a stream of ever new keys costs time for each, but no memory
without end.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from config.types import Json
from gateway.rules.rule import Rule, compiled

MAX_KEYS = 10_000
#: rules in all different results together, each eight bytes
MAX_HELD = 1_000_000


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
        self._shared: dict[tuple[Rule, ...], tuple[Rule, ...]] = {}
        self._held = 0

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
