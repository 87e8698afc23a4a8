# Made by sdk/tools/sync.py from tocsin/_async/stream.py; do not edit.
"""Streams of the server, followed over cuts: each message once, in order.

In order of time: a connection is opened, with the id of the last block as ``Last-Event-ID`` where there was one; the
blocks are read, also those without data, whose ids are places to go on from; when the connection is lost or ended, it
is opened again after a pause. A stream that ends by itself is over when the server answers 204: nothing was missed.
"""

from __future__ import annotations

import time
import json
import random
from time import monotonic
from typing import Any, Iterator, Dict, Mapping

import httpx

from tocsin._sync.transport import Transport
from tocsin._errors import ApiError, ConnectionFailed, ServerError, TooManyRequests, UnexpectedAnswer
from tocsin._messages import Message

#: a server that cannot be reached for longer is not waited for
OUTAGE = 120.0
_LONGEST_PAUSE = 3.0


def follow(
    transport: Transport, path: str, query: Mapping[str, Any], last_id: str = ""
) -> Iterator[Message]:
    """The messages of a stream, behind ``last_id`` where that is given.

    Raises:
        ApiError: the stream is refused; only the first time if the refusal may pass (429, 5xx).
        UnexpectedAnswer: there is no stream at this address.
        ConnectionFailed: the server is away for longer than two minutes.
    """
    place: Dict[str, str] = {"id": last_id}
    opened, failures, heard = False, 0, monotonic()
    while True:
        try:
            with transport.stream(path, query, _resuming(place["id"])) as response:
                opened, heard = True, monotonic()
                if response.status_code == httpx.codes.NO_CONTENT:
                    return
                for message in _read(response, place):
                    failures, heard = 0, monotonic()
                    yield message
            heard = monotonic()
        except (TooManyRequests, ServerError) as refusal:
            if not opened or monotonic() - heard > OUTAGE:
                raise
            time.sleep(min(refusal.retry_after or 0.0, OUTAGE))
        except httpx.DecodingError as error:
            raise UnexpectedAnswer(f"GET {path}: the stream is garbled: {error}") from error
        except httpx.TransportError as error:
            if monotonic() - heard > OUTAGE or not (opened or transport.known):
                raise ConnectionFailed(f"GET {path}: the stream is cut off: {error or type(error).__name__}") from error
        failures += 1
        time.sleep(random.uniform(0.0, min(_LONGEST_PAUSE, 0.1 * 2.0**failures)))  # noqa: S311 - no secret


def _read(response: httpx.Response, place: Dict[str, str]) -> Iterator[Message]:
    from httpx_sse import EventSource  # most programs follow nothing

    kind = response.headers.get("Content-Type", "")
    if not kind.startswith("text/event-stream"):
        raise UnexpectedAnswer(f"{response.request.url} answers with {kind or 'nothing'} where a stream is expected")
    for block in EventSource(response).iter_sse():
        place["id"] = block.id or place["id"]
        if not block.data:
            continue
        try:
            data = json.loads(block.data)
        except (ValueError, RecursionError):
            raise UnexpectedAnswer(f"{response.request.url} sends a block that is not JSON") from None
        known = {"type": block.event, **data} if isinstance(data, dict) else {"type": block.event, "value": data}
        yield Message.from_dict(known)


def _resuming(last_id: str) -> Dict[str, str]:
    return {"Last-Event-ID": last_id} if last_id else {}


def is_passing(error: ApiError) -> bool:
    """Whether there is no stream for now, so that asking again and again takes its place."""
    return isinstance(error, (TooManyRequests, ServerError))
