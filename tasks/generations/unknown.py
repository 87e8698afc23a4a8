"""Providers, tenants and means of comparing that rules or callers ask for and that there are not, as warnings.

A rule may be loaded before its provider, and a tenant stopped before its first execution, so such a name is no fault.
"""

from collections.abc import Collection, Iterable

from config.types import Json
from expressions.suggestions import did_you_mean
from gateway import current, grants
from gateway.grants import ANY
from gateway.rules import condition_checks, domains
from playbooks.definitions.actions import EXECUTORS
from store import access
from store.access import Caller
from store.engine import db
from tasks import tenants
from tasks.policy import meaning

#: warnings in one answer
MOST = 20
#: tenants among which the nearest name is looked for
_MOST_TENANTS = 1_000


def warnings(rules: Iterable[Json], configured: Collection[str]) -> list[str]:
    """A warning for each provider that rules in their stored form ask for in vain, and for comparisons by meaning."""
    rules, found = list(rules), list[str]()
    for rule in rules:
        for name in dict.fromkeys(domains.providers_named(rule["condition"])):
            if len(found) < MOST and (words := warning(name, configured)):
                found.append(f"rule '{rule['name']}': {words}")
    return found + _meaningless(rules)


def _meaningless(rules: Iterable[Json]) -> list[str]:
    """A warning where rules compare texts by meaning and nothing can."""
    if meaning.is_configured():
        return []
    named = [rule["name"] for rule in rules if condition_checks.leaves(rule["condition"], "semantic_match")]
    words = "compares texts by meaning, and TOCSIN_EMBEDDINGS_PROVIDER is none: its on_error decides"
    others = f" (and {len(named) - 1} more rules)" if len(named) > 1 else ""
    return [f"rule '{named[0]}'{others}: {words}"] if named else []


def warning(name: str, configured: Collection[str]) -> str | None:
    """What to say about a name that is no provider, executor or channel; None if it is one."""
    from providers.notification import CHANNELS  # brings every way to notify, which few web processes need

    known = {*configured, *EXECUTORS, *CHANNELS}
    return None if name in known else f"no provider '{name[:64]}' is configured{did_you_mean(name, sorted(known))}"


def tenant(caller: Caller, name: str) -> str | None:
    """What to say about a stop of an unknown tenant; None of one that is known, or of all.

    Only tenants that the caller covers are suggested.
    """
    if name == ANY:
        return None
    with db.read() as connection:
        if access.workspaces_below(connection, name, 1):
            return None
        there = access.some_workspaces(connection, _MOST_TENANTS)
    own = tenants.of(caller)
    mine = [one for one in there if any(grant.covers_tenant(one) for grant in own)]
    return f"no tenant '{name[:64]}' is known: this stops nothing now{did_you_mean(name, mine)}"


def stopped(caller: Caller) -> str:
    """The tenants that are stopped now and that the caller covers, as the end of an answer."""
    own = tenants.of(caller)
    names = [stop.tenant for stop in current.held().stops if grants.allows_tenants(own, (stop.tenant,))]
    shown = [name if name != ANY else "all tenants" for name in sorted(names)[:MOST]]
    return f" Stopped now: {', '.join(shown)}." if shown else ""
