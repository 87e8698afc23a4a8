"""The error answers of an operation in the document: its statuses, and the codes that each of them can have.

The statuses that every operation has, and the codes that every operation may answer with them, are listed here; those
that only some have, by their handlers. To which status a code belongs, the table of error codes says.
"""

from collections.abc import Iterable
from typing import Any

from api.http import errors
from api.http.schemas import Error
from config.error_codes.table import CODES

#: what every operation behind a key may answer, and what those with a body may
_ALWAYS = (400, 401, 403, 429, 503)
_WITH_BODY = (408, 413, 415)
#: status → the codes that every operation with this status may answer
_COMMON: dict[int, tuple[str, ...]] = {
    400: ("invalid_request", "invalid_cursor"),
    401: ("unauthorized",),
    403: ("forbidden", "not_granted"),
    404: ("not_found",),
    408: ("request_timeout",),
    412: ("changed",),
    413: ("too_large",),
    415: ("unsupported_media_type",),
    429: ("rate_limited",),
    503: ("unavailable", "busy"),
}
#: status → when it comes, and an example of its detail
_WHEN = {
    400: ("The request is malformed or misses something.", "/name: an action needs a name"),
    401: ("No valid API key.", "Send an API key, as 'Authorization: Bearer KEY' or as 'X-API-Key: KEY'."),
    403: ("The key lacks the permission.", "This needs the permission write:actions, which the key does not carry."),
    404: ("There is no such thing in this workspace.", "There is no action 'act-block-ip'."),
    408: ("The body does not arrive in time.", "The body did not arrive in time; send it without pauses."),
    409: ("The state of the thing does not allow it.", "The action 'act-block-ip' is disabled; enable it first."),
    410: ("It has expired or is decided.", "The link has expired."),
    412: ("It is no longer as If-Match says, or there although If-None-Match says that it is not.", "Read it again."),
    413: ("The body is larger than 1 MiB.", "The body has 2,000,008 bytes; at most 1,048,576 are taken."),
    415: ("The body is not plain JSON.", "Send the body as JSON, with Content-Type: application/json."),
    422: ("Values do not fit the declared parameters.", "/parameters/ip_address: is required"),
    429: ("Too many requests; Retry-After says when to come back.", "This key may ask 6000 per 1 minute; slow down."),
    500: ("What it needs has failed.", "The similarity is not known: the embeddings request was answered with 502."),
    503: (
        "The database cannot be reached, or more is asked than can be done.",
        "The database cannot be reached; nothing was accepted.",
    ),
}
_ERROR = Error()

#: what keeps something from going out: its action, its provider, or one to which a rule sends it
OUTWARD = (
    "action_disabled",
    "action_missing",
    "no_agent",
    "provider_disabled",
    "provider_missing",
    "provider_not_found",
    "sealed",
)
#: what becomes of a second request under the same Idempotency-Key, where the first has created something
CREATED = ("idempotency_key_reused", "already_created")
#: what keeps a vote from counting, and what was approved from going on
VOTED = (
    "not_an_approver",
    "not_by_starter",
    "requester_may_not_approve",
    "not_waiting",
    "already_ended",
    "already_voted",
    "chain_not_found",
    "no_state_machine",
    "changed",
    *OUTWARD,
)


def answers(fails: Iterable[int | str], *, takes_body: bool = False) -> list[tuple[int, dict[str, Any]]]:
    """The error answers of an operation behind a key, each with its status.

    ``fails`` are the statuses and the codes that not all operations have; of a code with several statuses, one must be
    among them.

    Raises:
        ValueError: none is.
    """
    codes = [one for one in fails if isinstance(one, str)]
    single = [status for code in codes for status in CODES[code].statuses if len(CODES[code].statuses) == 1]
    further = [one for one in fails if isinstance(one, int)]
    statuses = list(dict.fromkeys([*_ALWAYS, *further, *single, *(_WITH_BODY if takes_body else ())]))
    astray = [code for code in codes if not set(CODES[code].statuses) & set(statuses)]
    if astray:
        raise ValueError(f"codes without their status: {astray}")
    return [(status, answer(status, codes)) for status in statuses]


def answer(status: int, codes: Iterable[str] = ()) -> dict[str, Any]:
    """One error answer, as the library documents it, with those of the codes that belong to this status."""
    named = [code for code in codes if status in CODES[code].statuses]
    known = list(dict.fromkeys([*_COMMON.get(status, ()), *named])) or [errors.CODES[status]]
    words, detail = _WHEN[status]
    return {
        "schema": {"allOf": [_ERROR, {"type": "object", "properties": {"code": {"type": "string", "enum": known}}}]},
        "description": words,
        "example": {**errors.body(status, detail, code=known[0]), "request_id": "5f0c2a9be1d34c7f"},
        "content_type": errors.CONTENT_TYPE,
    }
