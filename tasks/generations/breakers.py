"""Circuit breakers as people see, open and close them.

Opening and closing is acknowledged as a load is: ``trip`` and ``reset`` return when every living process obeys, at the
latest when those that have not heard must look before they decide.
"""

from collections.abc import Callable

from config.errors import NotFound
from config.types import Json
from expressions.suggestions import did_you_mean
from gateway import breakers as machine
from gateway import current
from gateway.breakers import CLOSED, Breaker, BreakerConfig
from store import audit
from store.engine import db
from store.engine.db import Connection
from store.gateway import breakers, configurations
from tasks.generations import breaker_rows, changes, follow
from tasks.generations.breaker_rows import Change
from tasks.generations.changes import Author


def listed() -> list[Json]:
    """The circuit breakers by provider, with their state in the database.

    Raises:
        NotFound: none is configured. Unavailable.
    """
    follow.look()
    configs = _configs()
    rows = breaker_rows.read(db.read_one(breakers.listed))
    return [machine.shown(configs[name], rows.get(name, CLOSED)) for name in sorted(configs)]


def trip(provider: str, author: Author) -> Json:
    """Open the breaker of a provider; its recovery time begins now.

    Raises:
        NotFound: the provider has none. Unavailable: nothing was changed.
    """
    config = _config(provider)
    return _forced(
        provider, "breaker.tripped", author, lambda breaker: machine.tripped(breaker, config, author.actor, db.now_ms())
    )


def reset(provider: str, author: Author) -> Json:
    """Close the breaker of a provider.

    Raises:
        NotFound: the provider has none. Unavailable: nothing was changed.
    """
    _config(provider)
    return _forced(provider, "breaker.reset", author, machine.reset)


def _forced(provider: str, event: str, author: Author, change: Callable[[Breaker], Breaker]) -> Json:
    def write(connection: Connection) -> tuple[Change, int]:
        made = breaker_rows.changed(connection, provider, change)
        audit.record(connection, author.workspace_id, author.actor, event, provider)
        return made, configurations.end(connection) if made.edition is None else made.edition

    made, edition = db.change(write)
    breaker_rows.told({provider: made})
    changes.announced(edition)
    return machine.decided(provider, made.after)


def _configs() -> dict[str, BreakerConfig]:
    configs = current.held().breakers
    if not configs:
        raise NotFound("Circuit breakers are not enabled: no provider has one.", code="breakers_not_enabled")
    return configs


def _config(provider: str) -> BreakerConfig:
    follow.look()
    configs = _configs()
    config = configs.get(provider)
    if config is None:
        hint = did_you_mean(provider, configs) or "."
        raise NotFound(f"There is no circuit breaker of the provider {provider!r}{hint}")
    return config
