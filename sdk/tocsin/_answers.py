"""Answers of the server: read, named, and turned into errors."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Mapping, NamedTuple, Optional

from tocsin import errors
from tocsin._errors import ApiError, Fault, UnexpectedAnswer, of_status

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_SHOWN = 200


class Answer(NamedTuple):
    """An answer that is no error."""

    status: int
    #: names are in lower case
    headers: Mapping[str, str]
    #: the JSON; of another kind the text; None where there is none
    body: Any

    @property
    def etag(self) -> str:
        """What the server calls this state of the thing; empty where it does not say."""
        return self.headers.get("etag", "")


def read(url: str, status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """The answer with its body read.

    Raises:
        UnexpectedAnswer: it says that it is JSON and is not, or is a page for people.
    """
    if not content or status in (204, 304):
        return Answer(status, headers, None)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):  # and not lines of it
        try:
            return Answer(status, headers, json.loads(content))
        except ValueError:
            raise UnexpectedAnswer(f"The answer of {url} says that it is JSON and is not: {_start(content)}") from None
    if kind == "text/html":
        raise UnexpectedAnswer(
            f"{url} answers with a page for people: is it the address of a Tocsin server? {_start(content)}"
        )
    return Answer(status, headers, content.decode("utf-8", "replace"))


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> ApiError:
    """The error that an answer tells of; that of a proxy has no code."""
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return of_status(status)(status, detail=_start(content), retry_after=retry_after(headers))
    code = str(body.get("code") or "")
    faults = [one for one in body.get("errors") or [] if isinstance(one, dict)]
    return (errors.BY_CODE.get(code) or of_status(status))(
        status,
        code,
        str(body.get("detail") or body.get("message") or body.get("error") or ""),
        errors=[Fault(str(one.get("pointer", "")), str(one.get("detail", ""))) for one in faults],
        request_id=str(body.get("request_id") or headers.get("x-request-id", "")),
        retryable=bool(body.get("retryable")),
        retry_after=retry_after(headers),
        body=body,
    )


def retry_after(headers: Mapping[str, str]) -> Optional[float]:
    """The seconds after which the server wants to be asked again, given as such or as a time."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", text):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (moment - datetime.now(timezone.utc)).total_seconds())


def _start(content: bytes) -> str:
    text = content[:65536].decode("utf-8", "replace")
    title = _TITLE.search(text)
    return " ".join((title[1] if title else text).split())[:_SHOWN]
