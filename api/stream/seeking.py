"""The rows of the trail that clients want, so that the reader reads no others.

Of each client the narrowest of its filters counts; ``Wanted.takes`` looks at all of them once the event is made.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from api.stream import types
from api.stream.message import Wanted
from gateway.grants import ANY
from store.audit import USUAL
from store.streams import sought
from store.streams.sought import Sought

#: events of the trail after which a key, and a user, are looked up again
OF_KEYS = frozenset({"key.revoked", "key.rotated"})
OF_USERS = frozenset({"user.changed", "user.disabled", "session.closed"})
#: the events of the trail that are about circuit breakers and silences
OF_BREAKERS = frozenset({"breaker.opened", "breaker.closed", "breaker.tripped", "breaker.reset"})
OF_SILENCES = frozenset({"silence.created", "silence.changed", "silence.ended", "silence.expired"})

#: type → the events of the trail of which it is made, where these are of one type
_EVENTS = {
    types.FLUSHED: frozenset({"group.flushed"}),
    types.TIMEOUT: frozenset({"event.timeout"}),
    types.REQUIRED: frozenset({"approval.requested"}),
    types.VOTED: frozenset({"approval.voted"}),
    types.BREAKER: OF_BREAKERS,
    types.SILENCE: OF_SILENCES,
}
_OF_CALLERS = OF_KEYS | OF_USERS
_OF_RUNS = frozenset({types.RUN, types.STEP})
_STARTED = "chain_started"


class Seeking(NamedTuple):
    """The types of events that any client wants, and the rows of which they may be made."""

    types: frozenset[str]
    rows: Sought

    def covers(self, other: "Seeking") -> bool:
        """Whether who reads for this reads enough for the other."""
        if self is other or self is EVERYTHING:
            return True
        return self.types >= other.types and self.rows.covers(other.rows)


#: what any client may want
EVERYTHING = Seeking(
    frozenset({*types.USUAL, *types.NAMED}),
    Sought(events=_OF_CALLERS.union(*_EVENTS.values()), all_records=True, all_runs=True),
)


def of(clients: Collection[Wanted]) -> Seeking:
    """What these clients want, together."""
    return Seeking(frozenset[str]().union(*(one.types for one in clients)), sought.together(map(_sought, clients)))


def _sought(wanted: Wanted) -> Sought:
    if wanted.outcomes is not None:  # only records have one
        return sought.together([Sought(events=_OF_CALLERS), *_records(wanted)])
    events = _OF_CALLERS.union(*(_EVENTS.get(kind, ()) for kind in wanted.types))
    return sought.together([Sought(events=events), *_records(wanted), *_runs(wanted)])


def _records(wanted: Wanted) -> Iterable[Sought]:
    if types.DISPATCHED in wanted.types:
        tenants = _tenants(wanted)
        if named := _named(wanted):
            yield named
            if wanted.chain_id is not None:  # what started the chain has its id among the details
                yield Sought(outcomes=frozenset({_STARTED}))
        elif wanted.outcomes is not None and USUAL not in wanted.outcomes:
            yield Sought(outcomes=wanted.outcomes)
        elif wanted.namespace is not None:
            yield _in_namespace(wanted.namespace, tenants)
        elif wanted.action_type is not None:
            yield Sought(action_types=frozenset({wanted.action_type}))
        elif ANY in tenants:
            yield Sought(all_records=True)
        else:
            yield Sought(tenants=frozenset(map(sought.root, tenants)))


def _in_namespace(namespace: str, tenants: Collection[str]) -> Sought:
    if ANY in tenants:
        return Sought(namespaces=frozenset({namespace}))
    return Sought(pairs=frozenset(sought.pair(tenant, namespace) for tenant in tenants))


def _runs(wanted: Wanted) -> Iterable[Sought]:
    if named := _named(wanted):
        yield named
        return
    if types.ADVANCED in wanted.types:
        yield Sought(chains=True)
    if not _OF_RUNS.isdisjoint(wanted.types):
        tenants = _tenants(wanted)
        yield Sought(all_runs=True) if ANY in tenants else Sought(tenants_of_runs=frozenset(map(sought.root, tenants)))


def _named(wanted: Wanted) -> Sought | None:
    """The rows about the one thing that a client asks for by its id."""
    for run_id in (wanted.run_id, wanted.chain_id):
        if run_id is not None:
            return Sought(runs=frozenset({run_id}))
    return None if wanted.action_id is None else Sought(ids=frozenset({wanted.action_id}))


def _tenants(wanted: Wanted) -> set[str]:
    """The tenants whose events a client may be sent, as far as they are limited; else ``*``."""
    if wanted.tenant is not None:
        return {wanted.tenant}
    tenants = {tenant for grant in wanted.grants for tenant in grant.tenants}
    return {ANY} if ANY in tenants else tenants
