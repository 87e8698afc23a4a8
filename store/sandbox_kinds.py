"""The kind of sandbox on each living worker's machine, kept in Redis.

It says what bounds the memory of scripts there.
"""

from collections.abc import Iterable

from redis.exceptions import RedisError

from config import logs
from store import redis

#: from the weakest: no script can run; the filter of system calls and the watch; also a control group for each script
KINDS = ("none", "filter", "cgroup")
#: how long a worker's report is valid, seconds
GOOD_FOR = 120

log = logs.logger(__name__)


def keep(worker: str, kind: str) -> None:
    """Keep what one worker has found out.

    While Redis is away it is not published.
    """
    try:
        redis.client().set(_key(worker), kind, ex=GOOD_FOR)
    except RedisError:
        log.debug("kind of sandbox not recorded: Redis unavailable")


def weakest(workers: Iterable[str]) -> str | None:
    """The weakest kind that these workers have found.

    None where none of them runs scripts, or Redis is away.
    """
    keys = [_key(worker) for worker in workers]
    try:
        kinds = redis.client().mget(keys) if keys else []
    except RedisError:
        return None
    return min((kind for kind in kinds if kind in KINDS), key=KINDS.index, default=None)


def _key(worker: str) -> str:
    return f"tocsin:sandbox:{worker}"
