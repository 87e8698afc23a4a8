"""The transport to the broker, where kombu's own costs too much.

A message with the header ``ahead`` goes to the front of its queue, because it has waited before. A worker
that lost the broker comes back soon after the broker does (kombu's pause between two tries grows to half a minute). A
Redis channel keeps one client instead of building a new one for every message fetched, acknowledged and published,
which took a fifth of a busy worker's time. What does not parse is dropped: kombu raises in the middle of a worker's
loop, which ends the worker or has it reconnect. Nothing is ever decompressed: this system never compresses, and a small
message can become a very large one. ``worker.consumer`` says which messages are accepted.
"""

import threading
import time
from queue import Empty
from typing import Any

from celery.app.amqp import AMQP
from kombu import compression, transport
from kombu.connection import Connection
from kombu.transport import redis
from kombu.utils.json import dumps, loads
from redis.exceptions import RedisError

from config import logs

#: the longest pause between two tries to reach the broker, seconds
LONGEST_PAUSE = 3.0
#: the log reports dropped messages at most this often, seconds
REPORT_EVERY = 1.0

log = logs.logger(__name__)

compression._decoders.clear()  # noqa: SLF001 - kombu has no other way to switch it off


class _Dropped:
    """Logs dropped messages, however many, in few and short lines."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._reported = float("-inf")

    def __call__(self, queue: str, why: str) -> None:
        """Log that one was dropped, without its contents."""
        with self._lock:
            self._number += 1
            number, now = self._number, time.monotonic()
            if now - self._reported < REPORT_EVERY:
                return
            self._number, self._reported = 0, now
        log.warning("foreign message dropped", queue=queue, why=why, messages=number)


dropped = _Dropped()


def is_outage(error: Exception, errors: tuple[type[Exception], ...]) -> bool:
    """Whether an error is an outage, and not a malformed message.

    kombu counts every KeyError as an outage, although most come from a message in which a member is missing.
    """
    return isinstance(error, (RedisError, *errors)) and not isinstance(error, KeyError)


def _is_message(given: object) -> bool:
    """Whether a value has the form of kombu's messages in Redis."""
    if not isinstance(given, dict) or not isinstance(given.get("properties"), dict):
        return False
    properties, headers = given["properties"], given.get("headers")
    place = properties.get("delivery_info")
    addressed = isinstance(place, dict) and {type(place.get("exchange")), type(place.get("routing_key"))} == {str}
    texts = (properties.get("delivery_tag"), given.get("body"), properties.get("body_encoding") or "")
    return addressed and isinstance(headers or {}, dict) and all(isinstance(text, str) for text in texts)


class Channel(redis.Channel):
    """Redis channel with one client for blocking calls.

    The event loop has its own.
    """

    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._kept is not None and self._pool is None:  # the channel is being closed: no new pool for that
            return self._kept
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()  # type: ignore[no-untyped-call]
        return self._kept

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        """Add a message at the end of its queue, or in front."""
        if not message.get("headers", {}).get("ahead"):
            super()._put(queue, message, **options)  # type: ignore[no-untyped-call]
            return
        command = ("rpush", queue, dumps(message))  # type: ignore[no-untyped-call]
        batch = options.get("_publish_batch")
        if batch is not None:
            batch.add(*command)
        else:
            with self.conn_or_acquire() as client:
                client.execute_command(*command)

    def _brpop_read(self, **options: Any) -> Any:
        """Read one message; one that is not JSON is dropped."""
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]
        except Empty:
            raise
        except Exception as error:
            if is_outage(error, self.connection_errors):
                raise
            dropped("", type(error).__name__)
            return True

    def _handle_message(self, client: Any, r: Any) -> Any:
        """Read one broadcast message; kombu ignores one without data."""
        payload = super()._handle_message(client, r)  # type: ignore[no-untyped-call]
        if payload["type"] in (b"message", b"pmessage", "message", "pmessage"):
            try:
                loads(payload["data"])  # type: ignore[no-untyped-call]
            except Exception as error:  # noqa: BLE001
                dropped("to all", type(error).__name__)
                payload["data"] = None
        return payload


class Transport(redis.Transport):
    """Redis transport with the channel above."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        """Deliver a message to its consumer, or drop a malformed one."""
        try:
            if _is_message(message):
                super()._deliver(message, queue)  # type: ignore[no-untyped-call]
                return
            why = "form"
        except Exception as error:
            if is_outage(error, (*self.connection_errors, *self.channel_errors)):
                raise
            why = type(error).__name__
        dropped(queue, why)


#: by name, because kombu's pools, over which everything is published, make connections of its own class
transport.TRANSPORT_ALIASES.update(redis=f"{__name__}:Transport", rediss=f"{__name__}:Transport")


class PromptConnection(Connection):
    """A broker connection that reconnects soon after an outage."""

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        """Reconnect as kombu does, with a short longest pause between two tries."""
        options.update(interval_start=0.5, interval_step=0.5, interval_max=LONGEST_PAUSE)
        return super().ensure_connection(*args, **options)  # type: ignore[no-untyped-call]


class PromptAMQP(AMQP):  # type: ignore[misc]
    """Celery's AMQP part with our connection."""

    Connection = PromptConnection
