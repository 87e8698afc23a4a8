"""The state of each queue: messages, and age of the oldest.

An execution is not overdue as long as the messages before it explain its wait (``tasks.messages.backlog``), so tick
leaves it alone; the operator still needs to see how long it has waited.
"""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from config.settings import settings
from store import redis as redis_store
from store.engine import db
from tasks.app import QUEUES
from tasks.messages.routing import with_former

#: queues on which a message waits long only if the workers are held up; on the others it may wait
PROMPT = ("urgent", "steps", "notifications")


def queues(since: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Queue → ``messages`` (None where only the broker knows) and ``oldest_seconds``.

    The oldest is the first accepted of the executions that no worker has claimed; without any, the age is 0. Messages
    under a former name of a queue count to it.
    ``since`` says what ``store.executions.recovery.oldest_waiting`` does.
    """
    now, lengths = db.now_ms(), _lengths()
    return {
        queue: {
            "messages": sum(lengths[name] for name in with_former((queue,))) if lengths else None,
            "oldest_seconds": max(0, now - min(since.get(name, now) for name in with_former((queue,)))) / 1000,
        }
        for queue in QUEUES
    }


def longest(waiting: dict[str, dict[str, Any]]) -> float:
    """How long the oldest execution on ``PROMPT`` queues has waited, seconds."""
    return max(float(waiting[queue]["oldest_seconds"]) for queue in PROMPT)


def _lengths() -> dict[str, int]:
    if not settings().redis_is_broker:
        return {}
    try:
        return redis_store.lengths(with_former(QUEUES))
    except RedisError:
        return {}
