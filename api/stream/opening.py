"""Opens a stream: its place, where it begins, and the answer that goes on."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from flask import Response, current_app

from api.http import auth, errors
from api.http.current_request import present
from api.stream import missed, reading
from api.stream.follow import Client, Reader
from api.stream.message import Wanted
from api.stream.missed import Gap, Parts
from api.stream.places import AGAIN, Places
from api.stream.reading import Start
from api.stream.sending import Sending
from config.errors import InvalidRequest, Problem, StreamOff
from config.settings import settings
from gateway.grants import ANY
from store.access import Caller
from store.streams import ids
from store.streams.ids import Mark
from store.trail import Position
from tasks import tenants

CONTENT_TYPE = "text/event-stream"
#: the documentation of the header by which a client goes on
LAST_EVENT_ID = {
    "in": "header",
    "name": "Last-Event-ID",
    "description": "The id that came last: what was missed since is sent first, each event once.",
    "schema": {"type": "string", "pattern": "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$"},
    "example": "01a3185c-507b-70fa-8162-4175044f5834",
}
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A stream that is asked for."""

    wanted: Wanted
    #: where it begins, and what reads from there on
    start: Callable[[], Start | None]
    missed: Callable[[Gap], Parts]
    tagged: bool = False
    #: of a run, as ``Sending`` has them
    end: Position | None = None
    last: Callable[[], Position] | None = None


def named() -> Mark | None:
    """What the header of the present request says that the client has had last.

    Raises:
        InvalidRequest: it is no id of an event.
    """
    text = present().headers.get("Last-Event-ID", "")
    if not text:
        return None
    mark = ids.read(text)
    if mark is None:
        problem = Problem("/headers/Last-Event-ID", "must be the id of an event of this server, as it was sent")
        raise InvalidRequest("The header Last-Event-ID is not valid.", problems=[problem])
    return mark


def of_stream(wanted: Wanted, *, tagged: bool) -> Response:
    """The answer with the events that are wanted.

    Raises:
        InvalidRequest, StreamOff, Unavailable, TooManyRequests: as they are.
    """
    mark = named()
    return opened(
        Asked(
            wanted=wanted,
            start=lambda: None if mark is None else reading.start(mark, missed.MOST_ROWS),
            missed=missed.gather,
            tagged=tagged,
        )
    )


def opened(asked: Asked) -> Response:
    """The answer that goes on.

    Raises:
        StreamOff, Unavailable, TooManyRequests: as they are.
    """
    if settings().stream == "off":
        raise StreamOff
    if present().method == "HEAD":
        return Response(headers=_HEADERS, content_type=CONTENT_TYPE)
    reader: Reader = current_app.extensions["tocsin.streams"]
    places: Places = current_app.extensions["tocsin.places"]
    me = auth.caller()
    owner = _owner(me)
    place = places.take(owner, settings().streams)
    if place is None:
        raise errors.too_many(f"{settings().streams} streams are open already; close one of them.", AGAIN)
    client = Client(asked.wanted, me.key_id, present().environ.get("gunicorn.socket"))
    try:
        joined = reader.join(client)
        start = asked.start()
    except BaseException:
        reader.leave(client)
        places.leave(owner, place)
        raise
    sending = Sending(
        reader=reader,
        client=client,
        joined=joined,
        start=start,
        missed=asked.missed,
        owner=owner,
        tagged=asked.tagged,
        again=auth.again(),
        caller=me,
        leave=functools.partial(places.leave, owner, place),
        end=asked.end,
        last=asked.last,
    )
    return Response(sending, headers=_HEADERS, content_type=CONTENT_TYPE)


def _owner(me: Caller) -> str:
    """Whose places the streams of a caller take: its tenant's, or its own where it covers several."""
    grants = tenants.of(me)
    names = {name for grant in grants for name in grant.tenants}
    if len(names) == 1 and ANY not in names and all(grant.exact for grant in grants):
        return f"tenant/{names.pop()}"
    return f"caller/{me.key_id}"
