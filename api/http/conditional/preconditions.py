"""The headers If-None-Match and If-Match of the present request, and the answers that they lead to.

A reader names the tags that it knows. Where the present one is among them the answer is 304 without a body; with
``wait`` it comes at once if the state is another one, and else when that changes. A writer names the tag that its
change is based on. The definition is locked and compared in the transaction of the change (412 ``changed``), so of
several writers with the same tag one wins.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Response

from api.http.conditional import entity_tags
from api.http.conditional.entity_tags import Listed
from api.http.current_request import present
from api.http.long_poll import wait_for_news
from config.errors import PreconditionFailed
from store.definitions.locks import locked
from store.definitions.versioned import Definition, DefinitionKind
from store.engine.db import Connection


class Seen(NamedTuple):
    """What a reader is shown of an execution, and its state as a waiting reader watches it."""

    members: str
    state: tuple[str, int]
    has_ended: bool


def known() -> Listed | None:
    """The tags that the reader knows; None where none is named.

    Raises:
        InvalidRequest: the header is malformed.
    """
    return _header("If-None-Match")


def creates() -> bool:
    """Whether the request is to create what it names, and to leave alone what is there."""
    found = known()
    return found is not None and found.is_any


def tagged(make: Callable[[dict[str, str]], Response], tag: str) -> Response:
    """The answer that ``make(headers)`` gives, with its tag; without a body where the reader knows it."""
    headers = {"ETag": f'"{tag}"'}
    relied_on = _header("If-Match")
    if relied_on is not None and not relied_on.is_any and tag not in relied_on.strong:
        raise PreconditionFailed
    found = known()
    return not_modified(headers) if found is not None and found.has(tag) else make(headers)


def not_modified(headers: dict[str, str]) -> Response:
    """The answer 304."""
    response = Response(status=304, headers=headers)
    del response.headers["Content-Type"]
    return response


def when_new(
    execution_id: str, read: Callable[[], Seen], seconds: float, make: Callable[[str, dict[str, str]], Response]
) -> Response:
    """What ``read`` shows of an execution, at the latest after ``seconds``.

    A reader who names the tag that it knows waits from there; any other waits from what is read first.
    ``make(members, headers)`` makes the answer.
    """
    until, knows = time.monotonic() + seconds, known()
    seen = read()
    if knows is None and seconds and not seen.has_ended and wait_for_news(execution_id, seen.state, seconds):
        seen = read()
    while knows is not None and knows.has(entity_tags.of(seen.members)) and not seen.has_ended:
        left = until - time.monotonic()
        if left <= 0 or not wait_for_news(execution_id, seen.state, left):
            break
        before, seen = seen, read()
        if seen.state == before.state:  # the time is up, or the process is about to stop
            break
    return tagged(lambda headers: make(seen.members, headers), entity_tags.of(seen.members))


def state_of(kept: Definition) -> str:
    """The part of a definition's tags that stands for it alone."""
    revision = kept.revision
    parts = (kept.uid, revision.id, revision.lasting, kept.enabled, kept.updated_at)
    return entity_tags.digest("\n".join(map(str, parts)))


def guard(kind: DefinitionKind[Any], workspace_id: str, definition_id: str) -> Callable[[Connection], None] | None:
    """What the present request relies on, to be called at the beginning of the transaction that makes the change.

    None where it relies on nothing.

    Raises:
        InvalidRequest: a header is malformed.
    """
    relied_on, unless = _header("If-Match"), known()
    if relied_on is None and unless is None:
        return None

    def check(connection: Connection) -> None:
        state = state_of(locked(connection, kind, workspace_id, definition_id))
        if (relied_on is not None and not relied_on.relies_on(state)) or (
            unless is not None and unless.has_state(state)
        ):
            raise PreconditionFailed

    return check


def _header(name: str) -> Listed | None:
    given = present().headers.get(name)
    return None if given is None else entity_tags.listed(given, name)
