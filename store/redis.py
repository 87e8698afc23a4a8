"""Redis apart from the broker: short time-outs, no retries, and a mark that shows when it was emptied.

Nothing here is needed for the truth; every caller has a way to go on without it.
"""

import functools
import os
from collections.abc import Iterable

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from config import logs
from config.settings import SettingsError, settings
from store import redis_version

#: present as long as Redis keeps its data; gone after a flush or an empty restart
MARK = "tocsin:mark"
#: what the workers have done, a number
DONE = "tocsin:done"
#: what is written to see whether it takes writes
WRITTEN = "tocsin:written"

log = logs.logger(__name__)


@functools.cache
def _client(_pid: int) -> "Redis":
    return Redis.from_url(
        settings().redis_url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        decode_responses=True,
    )


def client() -> "Redis":
    """The client of this process (never shared across a fork)."""
    return _client(os.getpid())


def emptied() -> bool | None:
    """Whether Redis has lost its memory since the last call of ``set_mark``; None when it cannot be asked."""
    try:
        return not client().exists(MARK)
    except RedisError:
        return None


def set_mark() -> None:
    """Leave the mark that ``emptied`` looks for."""
    client().set(MARK, "1")


def tell_done(number: int, queues: Iterable[str]) -> tuple[int, dict[str, int]]:
    """Add what this process has done lately; returns what all together have done so far, and how long queues are.

    Raises:
        RedisError: Redis cannot be asked.
    """
    names = list(queues)
    with client().pipeline(transaction=False) as pipeline:
        pipeline.incrby(DONE, number)
        for name in names:
            pipeline.llen(name)
        done, *lengths = pipeline.execute()
    return int(done), dict(zip(names, lengths, strict=True))


def lengths(queues: Iterable[str]) -> dict[str, int]:
    """How many messages wait in each of these queues.

    Raises:
        RedisError: Redis cannot be asked.
    """
    names = list(queues)
    with client().pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.llen(name)
        return dict(zip(names, map(int, pipeline.execute()), strict=True))


def state() -> str:
    """``ok``, ``read_only`` (it answers and takes no writes: its memory is full, or it is a copy) or ``away``."""
    try:
        client().set(WRITTEN, "1", ex=60)
    except ResponseError:
        return "read_only"
    except RedisError:
        return "away"
    return "ok"


def refuse_unsound() -> None:
    """Look, as a process starts, at which server answers: one with known holes is warned of, and refused in production.

    A server that does not answer is none to look at: processes start without it, and go on when it comes.

    Raises:
        SettingsError: it has known holes, and the operator has not said that a distribution has mended them.
    """
    try:
        with Redis.from_url(settings().redis_url, socket_timeout=2, socket_connect_timeout=2) as once:
            server = redis_version.told(dict(once.info("server")))
    except (RedisError, OSError):
        return
    if server.sound or settings().redis_patched:
        return
    if not settings().development:
        raise SettingsError(
            f"{server} at TOCSIN_REDIS_URL has known holes (CVE-2025-49844): update it to {redis_version.ADVICE}; "
            "where your distribution has mended it under its old number, say so with TOCSIN_REDIS_PATCHED=true"
        )
    log.warning("the Redis server has known holes (CVE-2025-49844): update it", server=str(server))
