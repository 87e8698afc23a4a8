"""News of ends for the processes that wait for them, over Redis.

A worker names the execution on the channel of the process that waits. Nothing depends on it: who waits also looks at
the database.
"""

import contextlib
from collections.abc import Iterator

from redis.client import PubSub
from redis.exceptions import RedisError

from store import redis

CHANNEL = "tocsin:ended:"


def tell(process: str, execution_id: str) -> None:
    """Tell a process of an end, if Redis can be reached."""
    with contextlib.suppress(RedisError):
        redis.client().publish(CHANNEL + process, execution_id)


@contextlib.contextmanager
def listening(process: str) -> Iterator[PubSub]:
    """The news for a process.

    Raises:
        RedisError: Redis cannot be reached.
    """
    heard: PubSub = redis.client().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    try:
        heard.subscribe(CHANNEL + process)
        yield heard
    finally:
        with contextlib.suppress(RedisError, OSError):
            heard.close()


def heard(news: PubSub, seconds: float) -> str | None:
    """The next execution that has ended; None when none does in time.

    Raises:
        RedisError: Redis cannot be reached any more.
    """
    message = news.get_message(timeout=seconds)
    return str(message["data"]) if message is not None and message.get("type") == "message" else None
