"""The rows of circuit breakers as values: read, changed and known to this process.

``changed`` makes a change in the caller's transaction. When that is committed the caller calls ``told``: this process
knows at once, the others by news. A breaker that opens or closes is an edition of its own, as a stop is, so that a
process that was frozen or cut off learns of it before it decides.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, NamedTuple

from redis.exceptions import RedisError

from event_loop import loop
from gateway import circuits
from gateway.breakers import CLOSED, Breaker
from store.engine.db import Connection
from store.gateway import breakers, configurations, news

_NAMES = tuple(one.name for one in fields(Breaker))


class Change(NamedTuple):
    """A breaker before and after; ``edition`` is that of one that has opened or closed."""

    before: Breaker
    after: Breaker
    edition: int | None = None

    @property
    def turned(self) -> bool:
        """Whether it has opened or closed."""
        return (self.before.state == "closed") != (self.after.state == "closed") or self.opened

    @property
    def opened(self) -> bool:
        """Whether it has opened, for the first time or again."""
        return self.after.state == "open" and self.before.opened_at != self.after.opened_at


def read(rows: Iterable[Any]) -> dict[str, Breaker]:
    """The breakers of rows, by provider."""
    return {row.provider: _breaker(row) for row in rows}


def _breaker(row: Any) -> Breaker:
    return Breaker(**{name: getattr(row, name) for name in _NAMES})


def changed(connection: Connection, provider: str, change: Callable[[Breaker], Breaker | None]) -> Change:
    """Change the breaker of a provider; ``change`` returns None where nothing is to be written."""
    while True:
        row = breakers.locked(connection, provider)
        before = CLOSED if row is None else _breaker(row)
        after = change(before)
        if after is None:
            return Change(before, before)
        if breakers.put(connection, provider, asdict(after), new=row is None):
            made = Change(before, after)
            return made._replace(edition=configurations.end(connection)) if made.turned else made


def told(made: Mapping[str, Change]) -> None:
    """Let this process and the others know of changes that are committed."""
    circuits.put({provider: change.after for provider, change in made.items()})
    changes = {provider: change for provider, change in made.items() if change.edition or change.after != change.before}
    if changes:
        loop.offload(_announce, changes)  # Redis may stand still


def _announce(changes: Mapping[str, Change]) -> None:
    with contextlib.suppress(RedisError):  # the others look
        for provider, change in changes.items():
            if change.edition is not None:
                news.announce(change.edition)
            else:
                news.announce_breaker(provider)
