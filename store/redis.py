"""Redis apart from the broker: short time-outs, no retries, a mark.

The mark shows when Redis was emptied. The truth needs nothing in here; every caller can go on without it.
"""

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
#: how far monitors have been informed
MONITORS = "tocsin:monitors"
#: how long a text is kept, and how long a turn lasts at most, seconds
KEPT, TURN = 600, 10
#: what is written to see whether it takes writes
WRITTEN = "tocsin:written"

log = logs.logger(__name__)


#: process → its client
_clients: dict[int, "Redis"] = {}


def client() -> "Redis":
    """The client of this process (never shared across a fork)."""
    pid = os.getpid()
    known = _clients.get(pid)
    if known is not None:
        return known
    # of two threads that make one at once both get the first: the other's connections would be closed in their use
    return _clients.setdefault(pid, _made())


def _made() -> "Redis":
    return Redis.from_url(
        settings().redis_url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        decode_responses=True,
    )


def emptied() -> bool | None:
    """Whether Redis has lost its data since the last ``set_mark``.

    None when it cannot be asked.
    """
    try:
        return not client().exists(MARK)
    except RedisError:
        return None


def set_mark() -> None:
    """Leave the mark that ``emptied`` looks for."""
    client().set(MARK, "1")


def tell_done(number: int, queues: Iterable[str]) -> tuple[int, dict[str, int]]:
    """Add what this process has done lately; returns totals and queue lengths.

    The first is what all processes together have done so far.

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


def kept(name: str) -> str | None:
    """The text kept under a name.

    Raises:
        RedisError: Redis cannot be asked.
    """
    text = client().get(name)
    return None if text is None else str(text)


def keep(name: str, text: str) -> None:
    """Keep a text under a name for a while.

    Raises:
        RedisError: Redis cannot be asked.
    """
    client().set(name, text, ex=KEPT)


def take_turn(name: str, mine: str) -> bool:
    """Whether it is this caller's turn, among all processes.

    Raises:
        RedisError: Redis cannot be asked.
    """
    return bool(client().set(f"{name}:turn", mine, nx=True, ex=TURN))


def keep_turn(name: str, mine: str) -> None:
    """Keep a turn for longer, unless it has lapsed and another caller has it.

    Raises:
        RedisError: Redis cannot be asked.
    """
    if client().get(f"{name}:turn") == mine:
        client().expire(f"{name}:turn", TURN)


def end_turn(name: str, mine: str) -> None:
    """Let the next caller have its turn.

    Raises:
        RedisError: Redis cannot be asked.
    """
    if client().get(f"{name}:turn") == mine:
        client().delete(f"{name}:turn")


def state() -> str:
    """The state of Redis: ``ok``, ``read_only`` or ``away``.

    ``read_only``: it answers and takes no writes, because its memory is full or it is a copy.
    """
    try:
        client().set(WRITTEN, "1", ex=60)
    except ResponseError:
        return "read_only"
    except RedisError:
        return "away"
    return "ok"


def refuse_unsound() -> None:
    """Check at start-up which Redis server answers.

    A server with known vulnerabilities is logged as a warning, and refused in production. Without an answer the process
    starts, and uses Redis when it comes.

    Raises:
        SettingsError: it has known vulnerabilities, and the operator has not said that a distribution has fixed them.
    """
    try:
        with Redis.from_url(settings().redis_url, socket_timeout=2, socket_connect_timeout=2) as once:
            server = redis_version.reported(dict(once.info("server")))
    except (RedisError, OSError):
        return
    if server.sound or settings().redis_patched:
        return
    if not settings().development:
        raise SettingsError(
            f"{server} at TOCSIN_REDIS_URL has known vulnerabilities (CVE-2025-49844): update it to "
            f"{redis_version.ADVICE}; where your distribution has fixed it under its old number, say so with "
            "TOCSIN_REDIS_PATCHED=true"
        )
    log.warning("Redis server has known vulnerabilities (CVE-2025-49844): update it", server=str(server))
