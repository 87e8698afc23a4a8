"""One event of a stream, and what a client asks for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.http.blueprint import written
from api.stream.types import DISPATCHED, LAGGED, USUAL
from gateway import grants as covering
from gateway.grants import ANY, Grant
from store.streams import ids
from store.streams.ids import Mark
from store.trail import Position


@dataclass(slots=True, kw_only=True, eq=False)
class Message:
    """An event; its text is made once for all clients, when the first one wants it."""

    type: str
    #: the place of its row, and its number among the events of that row
    position: Position
    number: int
    at: int
    tenant: str
    #: None limits no caller
    namespace: str | None = None
    provider: str | None = None
    action_type: str | None = None
    #: the ids by which a client may ask for it
    action_ids: tuple[str, ...] = ()
    chain_id: str | None = None
    run_id: str | None = None
    outcome: str | None = None
    #: it concerns all tenants, or those of the pattern that is its tenant
    is_shared: bool = False
    #: it ends its run, and the stream of that
    ends: bool = False
    #: what is shown, as the document has it, and what makes that which replaces of it for existing clients
    members: dict[str, Any]
    tagged: Callable[[], dict[str, Any]] | None = None
    _texts: dict[bool, bytes] | None = None

    def text(self, *, tagged: bool) -> bytes:
        """The event as it is sent; ``tagged`` as existing clients read it."""
        tagged = tagged and self.tagged is not None
        if self._texts is None:
            self._texts = {}
        text = self._texts.get(tagged)
        if text is None:
            more = self.tagged() if tagged and self.tagged is not None else {}
            text = self._texts[tagged] = self._written({**self.members, **more})
        return text

    def _written(self, members: dict[str, Any]) -> bytes:
        name = ids.of(Mark(self.at, self.position.id, self.number))
        return event(self.type, {"id": name, **members}, name)


def event(kind: str, members: dict[str, Any], name: str = "") -> bytes:
    """An event as it is sent: JSON has no line break of its own."""
    line = f"id: {name}\n" if name else ""
    return f"event: {kind}\n{line}data: {written(members)}\n\n".encode(errors="replace")


def lagged(skipped: int, *, exact: bool = True) -> bytes:
    """What says how many events a client was not sent; at least that many where they were not counted."""
    return event(LAGGED, {"skipped": skipped, **({} if exact else {"exact": False})})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a client asks for and may see; clients that want the same share the work."""

    types: frozenset[str] = frozenset(USUAL)
    #: of the caller; for the stream of a run, which is reached by itself, those over everything
    grants: tuple[Grant, ...]
    outcomes: frozenset[str] | None = None
    tenant: str | None = None
    namespace: str | None = None
    action_type: str | None = None
    chain_id: str | None = None
    action_id: str | None = None
    run_id: str | None = None

    def takes(self, message: Message) -> bool:
        """Whether the client is sent this event."""
        if message.type not in self.types or not self._matches(message):
            return False
        return self._is_shared(message) if message.is_shared else self._covers(message)

    def _matches(self, message: Message) -> bool:
        if self.outcomes is not None and (message.type != DISPATCHED or message.outcome not in self.outcomes):
            return False
        return (
            self.tenant in (None, message.tenant)
            and self.namespace in (None, message.namespace)
            and self.action_type in (None, message.action_type)
            and self.chain_id in (None, message.chain_id)
            and self.run_id in (None, message.run_id)
            and (self.action_id is None or self.action_id in message.action_ids)
        )

    def _covers(self, message: Message) -> bool:
        return any(
            grant.covers_tenant(message.tenant)
            and _within(grant.namespaces, message.namespace)
            and _within(grant.providers, message.provider)
            and _within(grant.actions, message.action_type)
            for grant in self.grants
        )

    def _is_shared(self, message: Message) -> bool:
        """Whether the grants cover all tenants that it concerns, or its one tenant."""
        if message.tenant != ANY and any(grant.covers_tenant(message.tenant) for grant in self.grants):
            return True
        return covering.allows_tenants(self.grants, (message.tenant,))


def _within(patterns: tuple[str, ...], name: str | None) -> bool:
    return name is None or ANY in patterns or any(covering.covers(pattern, name) for pattern in patterns)
