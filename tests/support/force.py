"""Rules in force inside a test's own process."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gateway import current
from gateway.configuration.generation import Generation
from gateway.configuration.providers import definition
from gateway.current import InForce, Stop
from gateway.rules import written
from store.engine import db
from store.gateway import providers
from store.ids import new_id
from tasks.policy import checks
from tests.support.rules import faults_of

_numbers = itertools.count(1)


def put(*rules: dict[str, Any], stops: tuple[Stop, ...] = (), revisions: Mapping[str, str] | None = None) -> None:
    """Put these rules in force in place of those before."""
    for rule in rules:
        assert faults_of(rule) == [], rule
    forms = [written.normalise(rule, "rules.yaml", place) for place, rule in enumerate(rules)]
    current.put(InForce(next(_numbers), Generation(rules=forms), stops=stops, revisions=revisions))


def provider(name: str, **entry: Any) -> str:
    """Store a provider as a load of the configuration does; the id of its revision."""
    revision_id = new_id("rev")
    with db.write() as connection:
        providers.add_revision(connection, name, revision_id, definition(name, entry), None, "test")
        providers.put(connection, {name: revision_id})
    return revision_id


@contextmanager
def clean() -> Iterator[None]:
    """No rules before and after."""
    current.forget()
    checks.forget()
    yield
    current.forget()
    checks.forget()


def rule(name: str, kind: str, condition: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A rule about everything, unless a condition says otherwise; members of the action and of the rule in one."""
    outer = ("priority", "mode", "continue", "origins", "tenants", "enabled", "timezone")
    action = {"type": kind, **{member: value for member, value in more.items() if member not in outer}}
    given = {member: value for member, value in more.items() if member in outer}
    return {
        "name": name,
        "condition": condition or {"field": "action.tenant", "exists": True},
        "action": action,
        **given,
    }
