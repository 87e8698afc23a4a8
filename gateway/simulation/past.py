"""What conditions ask about, played in memory: how many executions were recorded, and the events.

It notes what the rules that are tried decide about each arrival. Where an answer depends on what was before
the first of them, ``doubt`` says so.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.facts import Facts
from gateway.machines import Machine
from gateway.rules import event_conditions
from gateway.rules.recorded import ActiveEvent, EventState, Query

#: time-outs of an event that are followed at one look: machines may lead in a circle
_MOST_TIMEOUTS = 1_000


class Recorded(NamedTuple):
    """What conditions may ask of a record; ``at`` in milliseconds."""

    tenant: str
    at: int
    action_type: str | None
    outcome: str
    namespace: str | None
    provider: str | None
    rule: str | None


@dataclass(slots=True)
class _Event:
    machine: Machine
    state: str
    entered_at: int
    action_type: str
    labels: Mapping[str, str]

    def until(self, at: int) -> None:
        """Let its time-outs pass."""
        for _ in range(_MOST_TIMEOUTS):
            over = self.machine.timeouts.get(self.state)
            if over is None or self.entered_at + over.after_seconds * 1000 > at:
                return
            self.state, self.entered_at = over.to, self.entered_at + over.after_seconds * 1000


#: what a query asks for besides the time
_Pattern = tuple[str | None, str | None, str | None, str | None, str | None]


class Past:
    """The records and events so far."""

    def __init__(self, known_from: int | None, machines: Mapping[str, Machine]) -> None:
        """``known_from`` is the time from which all records are known; None: from the beginning of all."""
        self._known_from = known_from
        self._machines = machines
        self._records: dict[str, list[Recorded]] = {}
        #: tenant → pattern that was asked for → the times of records, in order
        self._times: dict[str, dict[_Pattern, list[int]]] = {}
        #: (tenant, namespace) → fingerprint → event
        self._events: dict[tuple[str, str], dict[str, _Event]] = {}
        self._at = 0
        #: whether an answer since ``begin`` depends on what is not known
        self.doubt = False

    def begin(self, at: int) -> None:
        """Begin with the decision of a moment (ms)."""
        self._at, self.doubt = at, False

    def note(self, record: Recorded) -> None:
        """Note a record."""
        self._records.setdefault(record.tenant, []).append(record)
        for pattern, times in self._times.get(record.tenant, {}).items():
            if _matches(pattern, record):
                insort(times, record.at)

    def count(self, query: Query, most: int) -> int:
        """How many records match, counted up to ``most``."""
        pattern = (query.action_type, query.outcome, query.namespace, query.provider, query.rule)
        of_tenant = self._times.setdefault(query.tenant, {})
        times = of_tenant.get(pattern)
        if times is None:
            found = (one.at for one in self._records.get(query.tenant, ()) if _matches(pattern, one))
            times = of_tenant[pattern] = sorted(found)
        number = bisect_left(times, query.until) - bisect_left(times, query.since)
        if number < most and self._known_from is not None and query.since < self._known_from:
            self.doubt = True
        return min(number, most)

    def is_active(self, event: ActiveEvent) -> bool:
        """Whether there is such an event."""
        for fingerprint, one in self._events.get((event.tenant, event.namespace), {}).items():
            if one.action_type != event.type or fingerprint == event.besides:
                continue
            one.until(self._at)
            if one.machine.is_active(one.state) and all(one.labels.get(name) == value for name, value in event.labels):
                return True
        self.doubt = self.doubt or self._known_from is not None
        return False

    def state(self, event: EventState) -> str | None:
        """The state of an event."""
        found = self._events.get((event.tenant, event.namespace), {}).get(event.fingerprint)
        if found is None:
            self.doubt = self.doubt or self._known_from is not None
            return None
        found.until(self._at)
        return found.state

    def move(self, machine: str, fingerprint: str, facts: Facts) -> None:
        """Move an event as a dispatch does."""
        mover = self._machines.get(machine)
        if mover is None:
            return
        events = self._events.setdefault((facts.tenant, facts.namespace), {})
        found, labels = events.get(fingerprint), {name: str(value) for name, value in facts.metadata.items()}
        wanted = mover.wanted(facts.status, facts.ends_at, facts.at)
        if found is None:
            step = mover.step(None, wanted)
            events[fingerprint] = _Event(mover, step.state, facts.at, facts.action_type, labels)
            return
        found.until(facts.at)
        if found.machine.name != mover.name:  # it belongs to the other one
            return
        step = mover.step(found.state, wanted)
        found.action_type, found.labels = facts.action_type, labels or found.labels
        if step.moves:
            found.state, found.entered_at = step.state, facts.at


def reach(condition: Any) -> int | None:
    """How far back a condition in its stored form looks, seconds; None: it asks for nothing that is recorded."""
    parts = condition.values() if isinstance(condition, dict) else condition if isinstance(condition, list) else ()
    found = [far for part in parts if (far := reach(part)) is not None]
    if isinstance(condition, dict):
        if "within_seconds" in condition:
            found.append(int(condition["within_seconds"]))
        elif any(kind in condition for kind in event_conditions.KINDS):
            found.append(0)
    return max(found, default=None)


def _matches(pattern: _Pattern, one: Recorded) -> bool:
    action_type, outcome, namespace, provider, rule = pattern
    return (
        (action_type is None or action_type == one.action_type)
        and (outcome is None or outcome == one.outcome)
        and (namespace is None or namespace == one.namespace)
        and (provider is None or provider == one.provider)
        and (rule is None or rule == one.rule)
    )
