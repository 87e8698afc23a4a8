"""Providers that rules or callers name and that there are not, as warnings.

A rule may be loaded before its provider, so such a name is no fault of the rule.
"""

from collections.abc import Collection, Iterable

from config.types import Json
from expressions.suggestions import did_you_mean
from gateway.rules import domains
from playbooks.definitions.actions import EXECUTORS
from providers.notification import CHANNELS

#: warnings in one answer
MOST = 20


def warnings(rules: Iterable[Json], configured: Collection[str]) -> list[str]:
    """A warning for each provider that rules in their stored form ask for in vain."""
    found: list[str] = []
    for rule in rules:
        for name in dict.fromkeys(domains.providers_named(rule["condition"])):
            if len(found) < MOST and (words := warning(name, configured)):
                found.append(f"rule '{rule['name']}': {words}")
    return found


def warning(name: str, configured: Collection[str]) -> str | None:
    """What to say about a name that is no provider, executor or channel; None if it is one."""
    known = {*configured, *EXECUTORS, *CHANNELS}
    return None if name in known else f"no provider '{name[:64]}' is configured{did_you_mean(name, sorted(known))}"
