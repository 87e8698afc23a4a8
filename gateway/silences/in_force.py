"""The silences in force in a process, and the few that may concern an execution.

For a key that was never seen, the silences of its tenant and of the tenant's parents are looked through, and those
that the key alone rules out are left out; the result is remembered for the 10,000 keys used last. What is left is
found by the label or field that it wants: a silence costs nothing to an execution that has another value there.
Whether a silence is active is answered from the period that was found last, by two comparisons.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from gateway.facts import Facts, Key
from gateway.grants import ANY
from gateway.silences import matchers
from gateway.silences.matchers import Matcher
from gateway.silences.periods import Period, Times

MAX_KEYS = 10_000
#: texts of which is remembered which patterns match, and the longest of them
MAX_TEXTS = 1_000
MAX_REMEMBERED = 1_024
#: silences in all different results together
MAX_HELD = 1_000_000
#: what becomes of what a silence keeps back, the strictest first
AFTER = ("drop", "summarise", "release")
DROP, SUMMARISE, RELEASE = AFTER
#: the origins that no silence concerns: its own notices, anchors, and questions to people who must decide
BEYOND = frozenset({"silence", "approval", "audit"})


class Silence:
    """One silence, compiled."""

    def __init__(
        self, *, id_: str, version: int, tenant: str, exact: bool, matchers_: Sequence[Mapping[str, str]], **more: Any
    ) -> None:
        """Compile it.

        ``exact``: children of the tenant are not concerned; ``more``: after, comment and the members of ``Times``.
        """
        self.id, self.version, self.tenant, self.exact = id_, version, tenant, exact
        self.after, self.comment = str(more.pop("after")), str(more.pop("comment"))
        self.times = Times(**more)
        compiled = matchers.compiled(matchers_)
        self._in_key = tuple(one for one in compiled if one.in_key)
        self._others = tuple(one for one in compiled if not one.in_key)
        #: the first matcher that wants a label or field to have one value, and the first that wants a pattern
        self.equal = next((one for one in self._others if one.op == "=" and one.value), None)
        self.alike = next((one for one in self._others if one.op == "=~"), None)
        self._period = Period(0, 0, active=False)

    @property
    def is_window(self) -> bool:
        """Whether it comes back."""
        return self.times.cron is not None

    def concerns(self, key: Key) -> bool:
        """Whether it may match executions with this key, whose tenant it covers."""
        return all(one.matches(key) for one in self._in_key)

    def matches(self, facts: Facts, texts: dict[matchers.Path, str] | None = None) -> bool:
        """Whether it matches, active or not; it concerns the key. ``texts``: as those of a matcher."""
        return all(one.matches(facts, texts) for one in self._others)

    def covers(self, tenant: str) -> bool:
        """Whether it covers a tenant."""
        return self.tenant in (ANY, tenant) or (not self.exact and tenant.startswith(f"{self.tenant}."))

    def active_until(self, at: int) -> int | None:
        """When the period ends in which it is active now (ms); None where it is not."""
        period = self._period
        if not period.begins <= at < period.ends:
            self._period = period = self.times.period(at)
        return period.ends if period.active else None


class Candidates:
    """Some silences, by the label or field that each wants.

    Which patterns match a text is remembered for the texts that came last.
    """

    def __init__(self, found: Iterable[Silence]) -> None:
        #: path → a matcher that reads it, and the silences that want it to be or to match something
        self._by_value: dict[matchers.Path, tuple[Matcher, dict[str, list[Silence]]]] = {}
        self._by_pattern: dict[matchers.Path, tuple[Matcher, list[Silence]]] = {}
        self._others: list[Silence] = []
        for one in found:
            if one.equal is not None:
                _, by_value = self._by_value.setdefault(one.equal.path, (one.equal, {}))
                by_value.setdefault(one.equal.value, []).append(one)
            elif one.alike is not None:
                self._by_pattern.setdefault(one.alike.path, (one.alike, []))[1].append(one)
            else:
                self._others.append(one)
        self._remembered = lru_cache(maxsize=MAX_TEXTS)(self._matching)

    def active(self, facts: Facts) -> list[tuple[Silence, int]]:
        """Those that keep an execution back, the strictest first, and until when."""
        at, found, texts = facts.at, [], dict[matchers.Path, str]()
        for one in self._few(facts, texts):
            until = one.active_until(at)
            if until is not None and one.matches(facts, texts):
                found.append((one, until))
        if len(found) > 1:
            found.sort(key=lambda item: (AFTER.index(item[0].after), -item[1], item[0].id))
        return found

    def _few(self, facts: Facts, texts: dict[matchers.Path, str]) -> Iterator[Silence]:
        yield from self._others
        for reads, by_value in self._by_value.values():
            yield from by_value.get(reads.text(facts, texts), ())
        for path, (reads, _) in self._by_pattern.items():
            text = reads.text(facts, texts)
            yield from (self._remembered if len(text) <= MAX_REMEMBERED else self._matching)(path, text)

    def _matching(self, path: matchers.Path, text: str) -> tuple[Silence, ...]:
        """Those whose pattern for a label or field matches a text."""
        _, silences = self._by_pattern[path]
        return tuple(one for one in silences if one.alike is not None and one.alike.matches_text(text))


class Silences:
    """All silences in force; ``held`` has those that are compiled already and unchanged."""

    def __init__(self, stored: Iterable[Mapping[str, Any]] = (), held: "Silences | None" = None) -> None:
        known = held.by_id if held is not None else {}
        self.by_id: dict[str, Silence] = {}
        self._by_tenant: dict[str, list[Silence]] = {}
        for one in stored:
            before = known.get(one["id_"])
            made = before if before is not None and before.version == one["version"] else Silence(**one)
            self.by_id[made.id] = made
            self._by_tenant.setdefault(made.tenant, []).append(made)
        self._remembered = lru_cache(maxsize=MAX_KEYS)(self._candidates)
        #: those that may concern executions with this origin, namespace, tenant, provider and action type
        self.candidates: Callable[..., Candidates | None] = self._remembered if self.by_id else _none
        self._shared: dict[tuple[Silence, ...], Candidates] = {}
        self._held = 0

    def _candidates(
        self, origin: str, namespace: str, tenant: str, provider: str, action_type: str
    ) -> Candidates | None:
        if origin in BEYOND:
            return None
        key = (origin, namespace, tenant, provider, action_type)
        found = tuple(one for one in self._of(tenant) if one.covers(tenant) and one.concerns(key))
        if not found:
            return None
        shared = self._shared.get(found)
        if shared is not None:
            return shared
        self._held += len(found)
        if self._held > MAX_HELD:
            self._remembered.cache_clear()
            self._shared.clear()
            self._held = len(found)
        made = self._shared[found] = Candidates(found)
        return made

    def _of(self, tenant: str) -> Iterator[Silence]:
        """The silences of a tenant, its parents, and all tenants."""
        yield from self._by_tenant.get(ANY, ())
        parts = tenant.split(".")
        for number in range(1, len(parts) + 1):
            yield from self._by_tenant.get(".".join(parts[:number]), ())


def _none(*_: str) -> None:
    """No silence concerns anything."""
    return


NOTHING = Silences()
