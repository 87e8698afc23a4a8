"""Accepts only messages from the broker that this system writes.

A program with access to the broker can write anything. In order of time: a message is decoded (what is compressed never
is: ``tasks.broker``); its headers and its body are checked; Celery gets it, or it is taken off its queue and a line of
the log says why, without a word of what it contains. A message that Celery stumbles over all the same is dropped too:
nothing that comes from the broker may end a worker, or make it reconnect for ever. An execution whose message is
dropped stays pending, and tick publishes it again.
"""

import re
from collections.abc import Callable
from typing import Any

from celery.worker import consumer, state

from config import logs
from tasks.broker import dropped, is_outage

#: ids of executions, runs and steps, of messages with several (``tasks.messages.canvas``), and those that Celery makes
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\[\]@-]{0,399}")
#: a message brings no more executions than this
MOST_IDS = 100
#: messages that a worker holds without having begun them, at most: what waits on its queue can be overtaken
MOST_FETCHED = 4

_TEXTS = ("root_id", "parent_id", "group", "eta", "expires", "argsrepr", "kwargsrepr", "origin", "shadow")
_NO_LIMITS = [None, None]
_OURS = "tocsin."
_PROBE = "tocsin.probe"

log = logs.logger(__name__)


def is_id(value: object) -> bool:
    """Whether this may be the id of an execution or message."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def fault(message: Any) -> str:
    """The fault of a decoded message; empty for one of ours."""
    headers = message.headers
    if not isinstance(headers, dict):
        return "headers"
    name = headers.get("task")
    if not (isinstance(name, str) and name.startswith(_OURS)):
        return "task"
    if not is_id(headers.get("id")):
        return "id"
    for key in _TEXTS:  # every message comes by here: a loop costs half of what an expression does
        value = headers.get(key)
        if value is not None and not isinstance(value, str):
            return "headers"
    labels = headers.get("lanes") or []
    if not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        return "lanes"
    return _fault_of_numbers(headers) or _fault_of_body(message.payload, labels)


def _fault_of_numbers(headers: dict[str, Any]) -> str:
    limits = headers.get("timelimit")
    if limits != _NO_LIMITS and limits is not None:
        pair = isinstance(limits, list) and len(limits) == 2  # noqa: PLR2004
        if not pair or any(not isinstance(limit or 0, int | float) for limit in limits):
            return "timelimit"
    return "" if isinstance(headers.get("retries") or 0, int) else "retries"


def _fault_of_body(body: Any, labels: list[str]) -> str:
    if not (isinstance(body, list) and len(body) == 3):  # noqa: PLR2004
        return "body"
    ids, named, embed = body
    if not isinstance(ids, list) or len(ids) > MOST_IDS or not all(map(is_id, ids)):
        return "ids"
    if labels and len(labels) != len(ids):
        return "lanes"
    if named or not isinstance(embed, dict):
        return "body"
    chain, chord = embed.get("chain") or [], embed.get("chord") or {}
    if not (isinstance(chain, list) and all(map(_is_link, chain)) and (not chord or _is_link(chord))):
        return "chain"
    return "callbacks" if embed.get("callbacks") or embed.get("errbacks") else ""


def _is_link(link: Any) -> bool:
    """Whether ``link`` describes a message that follows another."""
    if not isinstance(link, dict) or not isinstance(link.get("options"), dict):
        return False
    name, ids = link.get("task"), link.get("args")
    named = isinstance(name, str) and name.startswith(_OURS) and not link.get("kwargs")
    return named and isinstance(ids, list) and all(map(is_id, ids)) and is_id(link["options"].get("task_id"))


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """Celery's consumer, behind the check of each message."""

    def __init__(self, *args: Any, initial_prefetch_count: int = MOST_FETCHED, **options: Any) -> None:
        fetched = min(initial_prefetch_count, MOST_FETCHED)
        super().__init__(*args, initial_prefetch_count=fetched, **options)

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Returns the function that Celery calls with each task message."""
        handle = super().create_task_handler(*args, **options)
        broken = (*self.connection_errors, *self.channel_errors)

        def take(message: Any) -> None:
            try:
                why = fault(message)
                if not why and self._is_probe_at_rest(message):
                    self._count(message)
                    return
                if not why:
                    if state.revoked:
                        state.revoked.purge()  # Celery purges when it adds to them: one may be the last for long
                    handle(message)
                    return
            except Exception as error:
                if is_outage(error, broken):
                    raise
                why = type(error).__name__
            self._drop(message, why)

        return take

    def _is_probe_at_rest(self, message: Any) -> bool:
        """Whether this is a probe, and no process is there to carry it out (``worker.pool``).

        Nothing is forked for it: that the consumer has it is what a probe is to show.
        """
        return message.headers["task"] == _PROBE and bool(getattr(self.pool, "idle", False))

    def _count(self, message: Any) -> None:
        """Count a message as taken, without a process."""
        message.ack_log_error(log, self.connection_errors)
        state.total_count[_PROBE] += 1
        state.all_total_count[0] += 1

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Drops a message that cannot be decoded; Celery would log its beginning."""
        self._drop(message, type(exc).__name__)

    def on_unknown_message(self, _body: Any, message: Any) -> None:
        """Drops a message that is not a task's."""
        self._drop(message, "unknown")

    def on_unknown_task(self, _body: Any, message: Any, _exc: Exception) -> None:
        """Drops a message of an unknown task."""
        self._drop(message, "task")

    def on_invalid_task(self, _body: Any, message: Any, _exc: Exception) -> None:
        """Drops a message from which Celery cannot make a task."""
        self._drop(message, "invalid")

    def _drop(self, message: Any, why: str) -> None:
        """Take a message off its queue for good."""
        info = message.delivery_info if isinstance(message.delivery_info, dict) else {}
        dropped(str(info.get("routing_key"))[:64], why)
        unacknowledged = info.get("consumer_tag") not in (message.channel.no_ack_consumers or ())
        if unacknowledged and not message.acknowledged:
            message.reject_log_error(log, self.connection_errors)
