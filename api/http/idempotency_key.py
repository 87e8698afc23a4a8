"""The header ``Idempotency-Key``: its documentation, and its reading."""

import re

from api.http.current_request import present
from config.errors import InvalidRequest

_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}")


#: the header's documentation
KEY_HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "Names this request: sent again with the same key it makes no second execution.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    "example": "alert-4711-block",
}


def idempotency_key() -> str | None:
    """The key under which the present request may be repeated.

    Raises:
        InvalidRequest: the header holds no key.
    """
    key = present().environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key must be 1 to 255 printable ASCII characters.")
    return key
