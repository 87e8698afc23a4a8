"""The header ``Idempotency-Key``: its documentation, its reading, and creations that it makes repeatable."""

import json
import re
from collections.abc import Callable
from typing import Any

from flask import Response

from api.http.auth import caller
from api.http.blueprint import finished
from api.http.current_request import present
from config.errors import CallerError, Conflict, InvalidRequest
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line
from store.engine.db import Connection, IntegrityError
from tasks.intake.creations import Answer, Creation, Earlier, Secret

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")
#: headers of an answer that are kept with it
_KEPT = ("Location", "ETag")

#: the header's documentation
KEY_HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Names this request: sent again with the same key it makes no second execution.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    "example": "alert-4711-block",
}
#: that of requests that create something
CREATION_KEY = {
    **KEY_HEADER,
    "description": "Names this request: sent again with the same key it creates nothing more, and has the same answer.",
    "example": "deploy-42-actions",
}

#: that of dispatches
DISPATCH_KEY = {
    **KEY_HEADER,
    "description": "Serves as the id of a dispatch that has none: the same dispatch is made once under it, and another "
    "one is refused (409 id_reused).",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,121}[!-~])?$"},
}

#: called with what is created, by its id, in the transaction that does it; and with the secret of it, if it has one
Remember = Callable[..., None]


class AlreadyCreated(Conflict):
    """A copy of this request has created it; its answer, which holds a secret, is no longer kept or true."""

    code = "already_created"

    def __init__(self, kind: str, created_id: str) -> None:
        super().__init__(
            f"This request has created the {kind} {created_id!r} already. The secret that it was made with is shown "
            f"for ten minutes, and while it is valid: rotate it, or revoke it and create another."
        )
        self.members = {"created_id": created_id}


def idempotency_key() -> str | None:
    """The key under which the present request may be repeated.

    Raises:
        InvalidRequest: the header holds no key.
    """
    key = present().environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key


def dispatch_key(*, room: int = 0) -> str | None:
    """The key of the present request as the id of a dispatch, which leaves ``room`` for its place in a batch.

    Raises:
        InvalidRequest: the header holds no key, or one that is too long for an id.
    """
    key, most = idempotency_key(), MAX_NAME_CHARACTERS - room
    if key is not None and not is_line(key, most):
        raise InvalidRequest(f"The Idempotency-Key of a dispatch must be 1 to {most} printable ASCII characters.")
    return key


def once(
    kind: str, body: Any, create: Callable[[Remember], Response], again: Callable[[str, Secret], Response]
) -> Response:
    """The answer to a request that creates something, made once under its key.

    ``create(remember)`` does it and answers. ``again(id, secret)`` shows what a copy of the request has created; with
    the secret, where ``remember`` was given one and it is still kept.

    Raises:
        KeyClash: the key was used for a different request.
    """
    key = idempotency_key()
    if key is None:
        return create(lambda *_: None)
    this = Creation(caller=caller(), key=key, kind=kind, body=json.loads(json.dumps(body, default=str)))
    earlier = this.earlier()
    if earlier is not None:
        return _repeated(earlier, again)
    created, secrets = list[str](), list[Secret]()

    def remember(connection: Connection, created_id: str, secret: Secret | None = None) -> None:
        this.remember(connection, created_id, secret)
        created.append(created_id)
        secrets.extend([secret] if secret is not None else [])

    try:
        response = create(remember)
    except (IntegrityError, CallerError):
        earlier = this.earlier()
        if earlier is None:
            raise
        return _repeated(earlier, again)
    if not created:  # it was there, made by a copy meanwhile or by another request
        earlier = this.earlier()
        return response if earlier is None else _repeated(earlier, again)
    if not secrets:
        headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
        this.keep(Answer(response.status_code, headers, response.get_data(as_text=True)))
    return response


def _repeated(earlier: Earlier, again: Callable[[str, Secret], Response]) -> Response:
    if earlier.answer is not None:
        response = finished(earlier.answer.text, earlier.answer.status, dict(earlier.answer.headers))
    else:
        response = again(earlier.created_id, earlier.secret)
    response.headers["Idempotency-Replayed"] = "true"
    return response
