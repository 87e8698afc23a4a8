"""One bulk replay at a time for each tenant: each reads, accepts and rests in turn, many side by side would not.

The turn is a key in Redis with a lease, renewed with each bite, so that a process that dies gives it back. While Redis
is away, each process has turns of its own.
"""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis.exceptions import RedisError

from config.errors import Conflict
from store import redis

_PREFIX = "tocsin:replays:"

_here = set[str]()
_lock = threading.Lock()


class Turn:
    """The turn of one bulk replay."""

    def __init__(self, tenant: str) -> None:
        self._name, self._mine = _PREFIX + tenant, secrets.token_hex(8)

    def take(self) -> bool:
        """Whether no other process has it."""
        try:
            return redis.take_turn(self._name, self._mine)
        except RedisError:
            return True

    def keep(self) -> None:
        """Renew the lease."""
        with suppress(RedisError):
            redis.keep_turn(self._name, self._mine)

    def end(self) -> None:
        """Let the next one have it."""
        with suppress(RedisError):
            redis.end_turn(self._name, self._mine)


@contextmanager
def turn(tenant: str) -> Iterator[Turn]:
    """The turn of a tenant.

    Raises:
        Conflict: a bulk replay of it is under way.
    """
    under_way = Conflict(
        f"A bulk replay for the tenant {tenant!r} is under way: send this one again when it has ended.",
        code="replay_under_way",
    )
    mine = Turn(tenant)
    with _lock:
        if tenant in _here:
            raise under_way
        _here.add(tenant)
    try:
        if not mine.take():
            raise under_way
        try:
            yield mine
        finally:
            mine.end()
    finally:
        _here.discard(tenant)
