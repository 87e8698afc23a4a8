"""Conditions over recorded outcomes, ``state_seen`` and ``state_counter``; and what is asked of events.

They ask how many executions of the same tenant ended within a time. The store behind ``Recorded`` answers from the
records and stops counting at ``most``; what a condition must name has an index (``is_found``), so that a query does not
read what is recorded of others. They are evaluated after everything that is known in memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from config.types import Json
from gateway.facts import Facts
from gateway.rules import operators

#: a week: the longest time that a condition looks back
MAX_WITHIN_SECONDS = 604_800
MAX_COUNT = 10_000
#: members of the object that says what is looked for; text means its ``action_type``
MEMBERS = ("action_type", "outcome", "namespace", "provider", "rule")


#: the outcome of most records, by which they are found no faster
USUAL = "executed"


def is_found(what: Mapping[str, Any]) -> bool:
    """Whether records have an index by something that is looked for."""
    return bool({"action_type", "provider", "rule"} & what.keys()) or what.get("outcome", USUAL) != USUAL


class Query(NamedTuple):
    """What is counted; None matches anything."""

    tenant: str
    since: int
    until: int
    action_type: str | None
    outcome: str | None
    namespace: str | None
    provider: str | None
    rule: str | None
    #: how the rule names it, for values given by hand
    name: str


class ActiveEvent(NamedTuple):
    """An active event of a type that is looked for.

    ``labels`` are those that it has; ``besides`` is the fingerprint of the event that asks, which is no answer.
    """

    tenant: str
    namespace: str
    type: str
    labels: tuple[tuple[str, str], ...]
    besides: str | None = None

    @property
    def name(self) -> str:
        """How it is named in a trace, and for values given by hand."""
        return f"active event {self.type}"


class EventState(NamedTuple):
    """An event whose state is asked for."""

    tenant: str
    namespace: str
    fingerprint: str


class Recorded(Protocol):
    """The recorded outcomes, and the events."""

    def count(self, query: Query, most: int) -> int:
        """How many records match, counted up to ``most``."""

    def is_active(self, event: ActiveEvent) -> bool:
        """Whether there is such an event."""

    def state(self, event: EventState) -> str | None:
        """The state of an event; None where there is none."""


class NothingRecorded:
    """Recorded outcomes where there are none."""

    def count(self, query: Query, most: int) -> int:  # noqa: ARG002
        """None."""
        return 0

    def is_active(self, event: ActiveEvent) -> bool:  # noqa: ARG002
        """None is."""
        return False

    def state(self, event: EventState) -> str | None:  # noqa: ARG002
        """None."""
        return None


@dataclass
class MockRecords:
    """Recorded outcomes given by hand, by the name of what is counted, and the states of events by fingerprint.

    ``asked`` are the names that were looked up.
    """

    counts: Mapping[str, int]
    states: Mapping[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def count(self, query: Query, most: int) -> int:
        """The number given for the query's name."""
        self.asked.append(query.name)
        return min(self.counts.get(query.name, 0), most)

    def is_active(self, event: ActiveEvent) -> bool:
        """Whether a number is given for the event's name."""
        self.asked.append(event.name)
        return self.counts.get(event.name, 0) > 0

    def state(self, event: EventState) -> str | None:
        """The state given for the fingerprint."""
        self.asked.append(event.fingerprint)
        return self.states.get(event.fingerprint)


def name_of(what: Mapping[str, str]) -> str:
    """How a rule's query is named: its action type, and what else it asks for."""
    parts = [f"{member}={what[member]}" for member in MEMBERS[1:] if member in what]
    return " ".join([what.get("action_type", "*"), *parts])


def query_maker(what: Mapping[str, str], within_seconds: int) -> Callable[[Facts], Query]:
    """The query of a condition for given facts."""
    wanted = {member: what.get(member) for member in MEMBERS}
    pattern = Query("", 0, 0, **wanted, name=name_of(what))
    return lambda facts: pattern._replace(tenant=facts.tenant, since=facts.at - within_seconds * 1000, until=facts.at)


def seen(what: Mapping[str, str], within_seconds: int) -> Callable[[Facts, Recorded], bool]:
    """Whether a matching execution is recorded."""
    query = query_maker(what, within_seconds)
    return lambda facts, recorded: recorded.count(query(facts), 1) > 0


def counter(what: Mapping[str, str], within_seconds: int, wanted: Json) -> Callable[[Facts, Recorded], bool]:
    """Whether the number of matching executions passes every operator."""
    query = query_maker(what, within_seconds)
    tests = [operators.test(operator, value) for operator, value in wanted.items()]
    most = int(max(wanted.values())) + 1

    def test(facts: Facts, recorded: Recorded) -> bool:
        number = recorded.count(query(facts), most)
        return all(test(number) for test in tests)

    return test
