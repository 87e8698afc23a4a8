"""The call of a provider through its circuit breaker.

In order of time: ``through`` finds out by which provider the call of an attempt goes out, and takes the one probe of a
breaker that is half open; the executor makes the call; ``counting`` says what its end means for the breaker, which is
written in the transaction that ends the attempt; ``let_go`` gives back the probe of an attempt whose end this process
does not write. A closed breaker without failures costs no access to the database, and what is no call of a provider
not even a look.
"""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from config import logs
from config.errors import Problem, Unavailable
from gateway import breakers, circuits, current, gate_column
from gateway.breakers import CLOSED, BreakerConfig, End
from gateway.current import InForce
from gateway.facts import PLAYBOOKS, PROVIDER_PREFIX
from gateway.gate_column import APPROVED, Gate
from playbooks.states import Mode, Status
from providers.base import Abandoned
from store import audit
from store.definitions.actions import Revision
from store.engine import db
from store.engine.db import Connection
from tasks.attempts.patience import with_patience
from tasks.generations import breaker_rows
from tasks.generations.breaker_rows import Change

#: the code of an attempt for which every breaker is open
OPEN = "circuit_open"
#: problems of a payload that its message names
_MOST_PROBLEMS = 5
#: a probe may take this much longer than its call, ms
_GRACE = 5_000
#: the workspace in the audit trail of what belongs to none
_NO_WORKSPACE = ""

log = logs.logger(__name__)


class CircuitOpen(Exception):  # noqa: N818
    """The breaker of the provider is open, and no fallback lets the call through.

    ``problems`` are those of a payload that does not fit the action for which the last fallback stands.
    """

    def __init__(self, provider: str, tried: tuple[str, ...], problems: Sequence[Problem] = ()) -> None:
        fallbacks = tried[1:]
        also = f", nor by {' or '.join(fallbacks)}" if fallbacks else ""
        unfit = "; ".join(f"/payload{one.pointer}: {one.detail}" for one in problems[:_MOST_PROBLEMS])
        why = f" The provider {fallbacks[-1]!r} takes other values: {unfit}." if unfit else ""
        super().__init__(f"The circuit breaker of {provider!r} is open: nothing goes out by it{also}.{why}")
        self.details = {"provider": provider, "fallback_chain": list(fallbacks)}


class Way(NamedTuple):
    """The provider that was asked for, and the one by which the call goes out.

    ``config`` is that of the latter's breaker, None without one; ``probe`` says that the call is its one probe.
    """

    asked: str
    by: str
    config: BreakerConfig | None = None
    probe: bool = False
    action_type: str = ""


def provider_of(revision: Revision, action_id: str, sent_to: str | None = None) -> str | None:
    """The provider by which an execution goes out; None for an action of the catalogue.

    ``sent_to`` is that to which a rule sends what names another one, or an action.
    """
    if not revision.workspace_id:
        return str(revision.definition["id"])
    if sent_to is not None:
        return sent_to
    named = action_id.removeprefix(PROVIDER_PREFIX)  # one that stands for an action, and is pinned as that
    return named if named != action_id else None


def through(row: Any, revision: Revision, dispatch: Mapping[str, Any], sent_to: str | None = None) -> Way | None:
    """By which provider the call of this attempt goes out; None where no breaker is concerned.

    ``sent_to`` is the provider to which a rule sends it.

    Raises:
        CircuitOpen: it must not go out. Abandoned: this process cannot learn whether it may.
    """
    provider = provider_of(revision, row.action_id, sent_to) if row.mode == Mode.LIVE else None
    if provider is None:
        return None
    held = _patiently(current.current)
    if provider not in held.breakers:
        return None
    way = _found(row, provider, held, _approved(row))._replace(action_type=str(dispatch.get("action_type", "")))
    if way.by != provider:
        log.info("circuit breaker open; a fallback is used", provider=provider, fallback=way.by)
    return way


def _approved(row: Any) -> Collection[str] | None:
    """The fallbacks that were shown to those who approved it; None where no approval was asked."""
    if row.gate is None or APPROVED not in row.gate:
        return None
    gate = gate_column.read(row.gate)
    return None if gate is None else gate.fallbacks


def _found(row: Any, provider: str, held: InForce, shown: Collection[str] | None) -> Way:
    refused = frozenset[str]()
    while True:
        found = breakers.route(provider, held.breakers, circuits.known(), db.now_ms(), refused)
        unseen = shown is not None and found.provider not in (provider, *shown)
        if found.provider is None or unseen:
            raise CircuitOpen(provider, found.tried)
        config = held.breakers.get(found.provider)
        if not found.probe:
            return Way(provider, found.provider, config)
        taken = _take_probe(row, found.provider)
        if taken.after.state == "half_open" and taken.after != taken.before:
            return Way(provider, found.provider, config, probe=True)
        if taken.after.state != "closed":  # another call probes, or it was opened again
            refused |= {found.provider}


def _take_probe(row: Any, provider: str) -> Change:
    lease = max(breakers.PROBE_LEASE_MS, row.timeout_ms + _GRACE)

    def take(connection: Connection) -> Change:
        return breaker_rows.changed(
            connection, provider, lambda breaker: breakers.probing(breaker, row.id, db.now_ms(), lease)
        )

    taken: Change = _patiently(lambda: db.change(take))
    breaker_rows.told({provider: taken})
    return taken


def _patiently(work: Any) -> Any:
    found = with_patience(lambda: (work(),))
    if found is None:
        raise Abandoned
    return found[0]


@dataclass
class Counting:
    """What the end of a call means for the breaker of its provider."""

    provider: str
    config: BreakerConfig
    execution_id: str
    end: End
    #: what the last run of ``write`` has changed
    made: Change = field(default_factory=lambda: Change(CLOSED, CLOSED))

    def write(self, connection: Connection) -> None:
        """Count the call, in the transaction that ends its attempt."""
        self.made = breaker_rows.changed(
            connection,
            self.provider,
            lambda breaker: breakers.ended(breaker, self.config, self.end, self.execution_id, db.now_ms()),
        )
        if self.made.turned:
            event = "breaker.opened" if self.made.opened else "breaker.closed"
            details = {"execution": self.execution_id, "failures": self.made.after.failures}
            audit.record(connection, _NO_WORKSPACE, audit.SYSTEM, event, self.provider, **details)

    def tell(self) -> None:
        """Let everybody know, after the commit."""
        breaker_rows.told({self.provider: self.made})
        if self.made.turned:
            log.warning("circuit breaker turned", provider=self.provider, state=self.made.after.state)


def counting(way: Way | None, execution_id: str, end: End) -> Counting | None:
    """What there is to count at the end of a call; None for nothing."""
    if way is None or way.config is None:
        return None
    quiet = end == "final" or (end == "success" and breakers.is_idle(circuits.known().get(way.by, CLOSED)))
    return None if quiet and not way.probe else Counting(way.by, way.config, execution_id, end)


def end_of(status: Status, *, retryable: bool) -> End:
    """How a call ended, for its breaker: a time-out may pass."""
    if status == Status.COMPLETED:
        return "success"
    return "retryable" if retryable or status == Status.TIMEOUT else "final"


def let_go(way: Way | None, execution_id: str) -> None:
    """Give the probe back, if the attempt has it; where that fails its lease lapses."""
    if way is None or not way.probe:
        return

    def write(connection: Connection) -> Change:
        return breaker_rows.changed(connection, way.by, lambda breaker: breakers.released(breaker, execution_id))

    with contextlib.suppress(Unavailable):
        breaker_rows.told({way.by: db.change(write)})


def account(way: Way | None, before: Gate | None) -> Mapping[str, str]:
    """The column ``gate`` of an attempt that a fallback has carried out, or of the one after such a one.

    ``before`` is the gate's account of it; a step without one is of no rule.
    """
    if way is None or (way.by == way.asked and (before is None or before.provider == way.asked)):
        return {}
    known = before or Gate(origin="step", namespace=PLAYBOOKS, provider=way.asked, action_type=way.action_type)
    first = known.original_provider or way.asked
    original, asked = (None if first == way.by else first), (None if way.asked == way.by else way.asked)
    return {"gate": replace(known, provider=way.by, original_provider=original, asked_provider=asked).text()}
