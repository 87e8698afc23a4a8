"""News between processes, by Redis: which edition is the newest, and which process has it.

Nothing here is the truth. The number in Redis only goes up; a Redis that was emptied or is away answers None or raises,
and the reader asks the database.
"""

from typing import Any

from redis.client import PubSub

from store import redis

#: where news is published, one line of text each: its kind, a blank, what it says
CHANNEL = "tocsin:news"
#: the kind of news that says that an edition is in force
GENERATION = "generation"
#: the kind of news that says that the circuit breaker of a provider has changed
BREAKER = "breaker"
#: the newest edition
NUMBER = "tocsin:generation"
#: process → the edition that it has, and when it said so, ms
APPLIED = "tocsin:applied"
#: in the same place: since when it is kept, ms; later than the processes' start when Redis was emptied
SINCE = ""
#: a process that has said nothing for this long, ms, is frozen, cut off or gone
SILENT = 2_000
#: entries of processes older than this, ms, are deleted
FORGOTTEN = 60_000

_RAISE = """
if tonumber(redis.call('GET', KEYS[1]) or '-1') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
"""


def announce(edition: int) -> None:
    """Say that this edition is in force.

    Raises:
        RedisError: Redis cannot be asked.
    """
    with redis.client().pipeline(transaction=False) as pipeline:
        pipeline.eval(_RAISE, 1, NUMBER, edition)
        pipeline.publish(CHANNEL, f"{GENERATION} {edition}")
        pipeline.execute()


def announce_breaker(provider: str) -> None:
    """Say that the circuit breaker of a provider has changed.

    Raises:
        RedisError: Redis cannot be asked.
    """
    redis.client().publish(CHANNEL, f"{BREAKER} {provider}")


def tells_of_breaker(message: Any) -> bool:
    """Whether a message of a subscription is news of a circuit breaker."""
    return isinstance(message, dict) and str(message.get("data", "")).startswith(f"{BREAKER} ")


def check_in(process: str, edition: int, now: int) -> int | None:
    """Say which edition a process has; returns the newest, None when Redis does not know it.

    Raises:
        RedisError: Redis cannot be asked.
    """
    with redis.client().pipeline(transaction=False) as pipeline:
        pipeline.hset(APPLIED, process, f"{edition} {now}")  # before the number is read
        pipeline.hsetnx(APPLIED, SINCE, now)
        pipeline.get(NUMBER)
        *_, number = pipeline.execute()
    return None if number is None else int(number)


def leave(process: str) -> None:
    """Forget a process that ends.

    Raises:
        RedisError: Redis cannot be asked.
    """
    redis.client().hdel(APPLIED, process)


def living(now: int) -> tuple[dict[str, int], bool]:
    """Each living process with the edition that it has, and whether that is all of them.

    It may not be while Redis was emptied a moment ago.

    Raises:
        RedisError: Redis cannot be asked.
    """
    found, gone = dict[str, int](), list[str]()
    said: Any = redis.client().hgetall(APPLIED)
    since = said.pop(SINCE, None)
    for process, text in said.items():
        edition, _, at = text.partition(" ")
        if now - int(at) <= SILENT:
            found[process] = int(edition)
        elif now - int(at) > FORGOTTEN:
            gone.append(process)
    if gone:
        redis.client().hdel(APPLIED, *gone)
    return found, since is not None and now - int(since) > SILENT


def subscribe() -> PubSub:
    """A subscription to all news.

    Raises:
        RedisError: Redis cannot be asked.
    """
    client: Any = redis.client()
    subscription: PubSub = client.pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(CHANNEL)
    return subscription
