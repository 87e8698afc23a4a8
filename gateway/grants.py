"""Grants: which tenants, namespaces, providers and actions a caller covers.

A pattern is ``*``, a name, or the parent of names with dots: ``acme`` covers ``acme`` and ``acme.eu``, never
``acme-corp``. One grant must cover all four parts; several grants add up. A caller without grants has the own workspace
and nothing below it (``own``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.errors import Problem
from config.pointers import step
from config.types import Json
from expressions.suggestions import did_you_mean
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line

ANY = "*"
PARTS = ("tenants", "namespaces", "providers", "actions")
MAX_GRANTS = 50
MAX_PATTERNS = 200


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern covers a name."""
    return pattern in (ANY, name) or name.startswith(pattern + ".")


def covers_pattern(pattern: str, other: str) -> bool:
    """Whether a pattern covers every name that another pattern covers."""
    return pattern == ANY or (other != ANY and covers(pattern, other))


@dataclass(frozen=True, slots=True)
class Grant:
    """Patterns for each part; ``exact`` tenants have no children."""

    tenants: tuple[str, ...] = (ANY,)
    namespaces: tuple[str, ...] = (ANY,)
    providers: tuple[str, ...] = (ANY,)
    actions: tuple[str, ...] = (ANY,)
    exact: bool = False

    def covers_tenant(self, tenant: str) -> bool:
        """Whether it covers the tenant."""
        return tenant in self.tenants if self.exact else _any(self.tenants, tenant)

    def covers(self, tenant: str, namespace: str, provider: str, action: str) -> bool:
        """Whether it covers all four parts."""
        return (
            self.covers_tenant(tenant)
            and _any(self.namespaces, namespace)
            and _any(self.providers, provider)
            and _any(self.actions, action)
        )

    @property
    def only_tenants(self) -> bool:
        """Whether it limits nothing but the tenants."""
        return all(ANY in patterns for patterns in (self.namespaces, self.providers, self.actions))

    def written(self) -> Json:
        """The grant as callers write it."""
        return {part: list(getattr(self, part)) for part in PARTS}


@dataclass(frozen=True, slots=True)
class TenantScope:
    """The tenants of some grants, for a query: all, or names and parents.

    A parent covers itself and the names that begin with it and a dot.
    """

    everything: bool
    names: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


def own(workspace_id: str) -> tuple[Grant, ...]:
    """The grants of a caller that has none: its own workspace."""
    return (Grant(tenants=(workspace_id,), exact=True),)


def allows(grants: Iterable[Grant], tenant: str, namespace: str, provider: str, action: str) -> bool:
    """Whether one of the grants covers all four parts."""
    return any(grant.covers(tenant, namespace, provider, action) for grant in grants)


def allows_tenants(grants: Iterable[Grant], patterns: Iterable[str]) -> bool:
    """Whether grants without other limits cover each of these tenant patterns.

    Reload, stop and breakers ask it for ``*``, a toggle for the tenants that its rule names.
    """
    whole = [grant for grant in grants if grant.only_tenants]
    return all(any(_covers_tenants(grant, pattern) for grant in whole) for pattern in patterns)


def include(grants: Iterable[Grant], wanted: Grant) -> bool:
    """Whether one of the grants covers everything that ``wanted`` covers.

    A caller hands on no more than it has.
    """
    return any(_includes(grant, wanted) for grant in grants)


def _includes(grant: Grant, wanted: Grant) -> bool:
    if wanted.exact:
        tenants = all(grant.covers_tenant(tenant) for tenant in wanted.tenants)
    else:
        tenants = all(_covers_tenants(grant, pattern) for pattern in wanted.tenants)
    parts = (
        (grant.namespaces, wanted.namespaces),
        (grant.providers, wanted.providers),
        (grant.actions, wanted.actions),
    )
    return tenants and all(
        any(covers_pattern(own_pattern, other) for own_pattern in mine) for mine, theirs in parts for other in theirs
    )


def covers_provider(grants: Iterable[Grant], provider: str) -> bool:
    """Whether one of the grants covers a provider, for some tenant."""
    return any(_any(grant.providers, provider) for grant in grants)


def may_concern(grants: Iterable[Grant], patterns: Sequence[str]) -> bool:
    """Whether a tenant of the grants is among those that patterns cover; no patterns mean all.

    A caller sees the rules that may concern its tenants.
    """
    return not patterns or any(_meets(grant, pattern) for grant in grants for pattern in patterns)


def _meets(grant: Grant, pattern: str) -> bool:
    if grant.exact:
        return any(covers(pattern, tenant) for tenant in grant.tenants)
    return any(covers_pattern(tenant, pattern) or covers_pattern(pattern, tenant) for tenant in grant.tenants)


def _covers_tenants(grant: Grant, pattern: str) -> bool:
    if grant.exact:  # a pattern covers children, too
        return ANY in grant.tenants
    return any(covers_pattern(own_pattern, pattern) for own_pattern in grant.tenants)


def scope(grants: Iterable[Grant]) -> TenantScope:
    """The tenants that the grants cover together."""
    names: set[str] = set()
    parents: set[str] = set()
    for grant in grants:
        if ANY in grant.tenants:
            return TenantScope(everything=True)
        (names if grant.exact else parents).update(grant.tenants)
    parents = {one for one in parents if not any(one != other and covers(other, one) for other in parents)}
    names = {one for one in names if not _any(parents, one)}
    return TenantScope(everything=False, names=tuple(sorted(names)), parents=tuple(sorted(parents)))


def _any(patterns: Iterable[str], name: str) -> bool:
    return any(covers(pattern, name) for pattern in patterns)


def check(given: Any) -> list[Problem]:
    """Every fault of grants as callers write them; pointers are relative to the list."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_GRANTS:
        return [Problem("", f"must be a list of 1 to {MAX_GRANTS} grants, each with {', '.join(PARTS)}")]
    problems: list[Problem] = []
    for number, grant in enumerate(given):
        if not isinstance(grant, Mapping):
            problems.append(Problem(f"/{number}", f"must be an object with {', '.join(PARTS)}"))
            continue
        if "tenants" not in grant:
            problems.append(Problem(f"/{number}/tenants", "a grant names its tenants; ['*'] means all of them"))
        for part, patterns in grant.items():
            problems += [problem.under(f"/{number}{step(part)}") for problem in _check_part(part, patterns)]
    return problems


def _check_part(part: str, patterns: Any) -> list[Problem]:
    if part not in PARTS:
        return [Problem("", f"'{part[:64]}' is no part of a grant{did_you_mean(part, PARTS)}")]
    return check_patterns(patterns)


def check_patterns(patterns: Any) -> list[Problem]:
    """The faults of a list of patterns."""
    if not isinstance(patterns, list) or not 1 <= len(patterns) <= MAX_PATTERNS:
        return [Problem("", f"must be a list of 1 to {MAX_PATTERNS} names; ['*'] means all")]
    return [
        Problem(f"/{number}", "must be '*' or a name such as acme, which also covers acme.eu; no other wildcards")
        for number, pattern in enumerate(patterns)
        if not _is_pattern(pattern)
    ]


def _is_pattern(pattern: Any) -> bool:
    if not is_line(pattern, MAX_NAME_CHARACTERS):
        return False
    return pattern == ANY or ("*" not in pattern and pattern == pattern.strip() and all(pattern.split(".")))


def read(given: Sequence[Mapping[str, Any]]) -> tuple[Grant, ...]:
    """The grants, written without faults."""
    return tuple(_grant(one) for one in given)


def _grant(given: Mapping[str, Any]) -> Grant:
    tenants, namespaces, providers, actions = (tuple(given.get(part, (ANY,))) for part in PARTS)
    return Grant(tenants, namespaces, providers, actions)
