"""Redis beside the broker: short time-outs, no retries, and a mark that tells when it has been emptied.

Nothing here is needed for the truth; every caller has a way to go on without it.
"""

import functools
import os

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from config.settings import settings

#: present as long as Redis remembers what we told it; gone after a flush or an empty restart
MARK = "tocsin:mark"
#: what is written to see whether it takes writes
WRITTEN = "tocsin:written"


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


def state() -> str:
    """``ok``, ``read_only`` (it answers and takes no writes: its memory is full, or it is a copy) or ``away``."""
    try:
        client().set(WRITTEN, "1", ex=60)
    except ResponseError:
        return "read_only"
    except RedisError:
        return "away"
    return "ok"
