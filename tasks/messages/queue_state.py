"""What waits on each queue: how many messages, and for how long the oldest has.

An execution that waits is not overdue as long as the messages before it explain that (``tasks.messages.backlog``), so
that tick leaves it alone; whoever waits for it wants to know all the same.
"""

from typing import Any

from redis.exceptions import RedisError

from config.settings import settings
from store import redis as redis_store
from store.engine import db
from store.engine.db import Connection
from store.executions import recovery
from tasks.app import QUEUES
from tasks.messages.routing import with_former

#: queues on which nothing waits long unless the workers are held up: others hold what may wait
PROMPT = ("urgent", "steps", "notifications")


def queues(connection: Connection) -> dict[str, dict[str, Any]]:
    """Queue → ``messages`` (None where only the broker knows) and ``oldest_seconds``.

    The oldest is the one accepted first of what nobody has taken up yet; without any it is 0. What waits under a former
    name of a queue counts to it.

    Raises:
        Unavailable: the database is away.
    """
    since, now = recovery.oldest_waiting(connection), db.now_ms()
    lengths = _lengths()
    return {
        queue: {
            "messages": sum(lengths[name] for name in with_former((queue,))) if lengths else None,
            "oldest_seconds": max(0, now - min(since.get(name, now) for name in with_former((queue,)))) / 1000,
        }
        for queue in QUEUES
    }


def longest(waiting: dict[str, dict[str, Any]]) -> float:
    """For how long the oldest on a queue has waited on which nothing should, seconds."""
    return max(float(waiting[queue]["oldest_seconds"]) for queue in PROMPT)


def _lengths() -> dict[str, int]:
    if not settings().redis_is_broker:
        return {}
    try:
        return redis_store.lengths(with_former(QUEUES))
    except RedisError:
        return {}
