"""A client of server-sent events, written from the standard alone: it knows nothing of the product.

``parsed`` follows the algorithm of the HTML standard (9.2.6), as the EventSource of a browser does: it keeps the last
id also of blocks without data, and takes fields that it does not know for nothing.
"""

import codecs
import contextlib
import functools
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.support.waiting import eventually


@dataclass
class Event:
    """An event as a browser dispatches it."""

    type: str
    data: str
    last_id: str

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.data)


@dataclass
class Parser:
    """The state of a connection; ``last_id`` is of the last block that has come whole."""

    last_id: str = ""
    retry: int | None = None
    comments: int = 0
    _id: str = ""
    _type: str = ""
    _data: list[str] = field(default_factory=list)
    _rest: str = ""
    _decode: Any = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def __post_init__(self) -> None:
        self._id = self.last_id

    def feed(self, piece: bytes) -> Iterator[Event]:
        """The events that end in this piece."""
        self._rest += self._decode.decode(piece)
        lines = self._rest.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop()
        for line in lines:
            if line:
                self._line(line)
            else:
                self.last_id = self._id  # only now: whoever comes back after half a block is sent it once more
                if self._data:
                    yield Event(self._type or "message", "\n".join(self._data), self.last_id)
                self._type, self._data = "", []

    def _line(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name and colon:
            self.comments += 1
        elif name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)


def parsed(pieces: Iterable[bytes], parser: Parser | None = None) -> Iterator[Event]:
    """The events of a body."""
    parser = parser or Parser()
    for piece in pieces:
        yield from parser.feed(piece)


class Listener:
    """Reads one stream in a thread of its own; ``pieces`` is its body, ``close`` ends the connection."""

    def __init__(self, pieces: Iterable[bytes], close: Any, last_id: str = "") -> None:
        self.parser = Parser(last_id)
        self.events: list[Event] = []
        self.is_over = threading.Event()
        self._close = close
        self._thread = threading.Thread(target=self._read, args=(pieces,), daemon=True)
        self._thread.start()

    def _read(self, pieces: Iterable[bytes]) -> None:
        with contextlib.suppress(httpx.HTTPError, OSError, ValueError):
            for event in parsed(pieces, self.parser):
                self.events.append(event)
        self.is_over.set()

    @property
    def last_id(self) -> str:
        """The id that a browser would send when it reconnects."""
        return self.parser.last_id

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a type."""
        return [event.json for event in list(self.events) if event.type == kind]

    def wait(self, number: int, seconds: float = 20, kind: str = "") -> list[Event]:
        """All events of a type, once there are so many."""

        def look() -> list[Event] | None:
            found = [event for event in list(self.events) if not kind or event.type == kind]
            return found if len(found) >= number else None

        return eventually(look, seconds, f"{number} events {kind} have come, not {len(self.events)}", every=0.02)

    def end(self) -> None:
        """Close the connection, and wait until nothing reads it."""
        self._close()
        self._thread.join(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Line:
    """The connection of a client to the application inside this process."""

    def __init__(self) -> None:
        self._closed = False

    def is_there(self) -> bool:
        """Whether it is open."""
        return not self._closed

    def give_up(self) -> None:
        """Close it."""
        self._closed = True


def listen(door: Any, key: str | None = "", path: str = "/v1/stream", last_id: str = "") -> Listener:
    """A stream of the application inside this process; it is there when this returns."""
    line, headers = Line(), {"Last-Event-ID": last_id} if last_id else {}
    answer = door.call("GET", path, key, headers=headers, environ_overrides={"gunicorn.socket": line})
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/event-stream")
    return Listener(answer.response, line.give_up, last_id)


def _hang_up(answer: httpx.Response) -> None:
    """Close the connection of an answer that another thread reads."""
    with contextlib.suppress(OSError):
        answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)


class Source:
    """A server with streams, and the key of a caller."""

    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30, read=60),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        )

    def open(self, path: str = "/v1/stream", last_id: str = "", **query: str) -> Listener:
        """A stream; it is there when this returns."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        request = self.http.build_request("GET", path, params=query or None, headers=headers)  # {} would drop its own
        answer = self.http.send(request, stream=True)
        if answer.status_code != 200:
            text = answer.read().decode()
            raise AssertionError(f"{answer.status_code} {text}")
        assert answer.headers["Content-Type"].startswith("text/event-stream"), answer.headers
        return Listener(answer.iter_raw(), functools.partial(_hang_up, answer), last_id)

    def close(self) -> None:
        """Close what is left."""
        self.http.close()
