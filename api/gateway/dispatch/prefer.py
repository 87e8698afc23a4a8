"""The header ``Prefer`` (RFC 7240): how long a sender waits for an outcome."""

import re

from flask import Request

_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,6})\"?", re.IGNORECASE)
_ASYNC = "respond-async"

#: the header's documentation
PREFER = {
    "in": "header",
    "name": "Prefer",
    "description": "wait=N: answer with the outcome if there is one within N seconds. respond-async: do not wait.",
    "schema": {"type": "string"},
    "example": "wait=10",
}


def seconds(asked: Request, most: int) -> int:
    """How long a request waits, at most ``most``.

    What is not understood is ignored.
    """
    wanted = [one.partition(";")[0].strip() for text in asked.headers.getlist("Prefer") for one in text.split(",")]
    waits = [int(found[1]) for one in wanted if (found := _WAIT.fullmatch(one))]
    if waits:
        return min(waits[0], most)
    return 0 if any(one.lower() == _ASYNC for one in wanted) else most
