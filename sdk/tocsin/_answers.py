"""Answers of the server: read, named, and turned into errors."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Mapping, NamedTuple, Optional

from tocsin import errors
from tocsin._errors import ApiError, Fault, UnexpectedAnswer, of_status
from tocsin._operation import Operation

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
        UnexpectedAnswer: it names another address, says that it is JSON and is not, or is a page for people.
    """
    if status >= 300 and status != 304:
        raise UnexpectedAnswer(_moved(url, status, headers.get("location", "")))
    if not content or status in (204, 304):
        return Answer(status, headers, None)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):  # and not lines of it
        try:
            return Answer(status, headers, json.loads(content))
        except (ValueError, RecursionError):
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
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return of_status(status)(status, detail=_start(content), retry_after=retry_after(headers))
    code = str(body.get("code") or "")
    told = body.get("errors")
    faults = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
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


def checked(url: str, operation: Operation, answer: Answer, *, conditional: bool) -> Answer:
    """The answer of an operation, if it can be one.

    Members are not looked at, so that a newer server breaks no older client; but what has not the outline of the
    answer comes from a proxy or another program, and must not pass for the answer that the caller asked for.

    Raises:
        UnexpectedAnswer: it is no such answer.
    """
    if answer.status == 204 or (answer.status == 304 and conditional):
        return answer
    outline = operation.items or operation.within
    if operation.answer or outline:
        if not isinstance(answer.body, dict):
            raise UnexpectedAnswer(f"{url} answers {answer.status} without an object: is it a Tocsin server?")
        if outline and outline not in answer.body:
            raise UnexpectedAnswer(f"{url} answers {answer.status} without {outline!r}: is it a Tocsin server?")
    return answer


def accepted(answer: Answer) -> Dict[str, Any]:
    """What was accepted, with its id.

    Raises:
        UnexpectedAnswer: the answer names nothing.
    """
    data = answer.body.get("data", answer.body)
    if not isinstance(data, dict) or not isinstance(data.get("execution_id"), str):
        raise UnexpectedAnswer(f"The answer {answer.status} names no execution: is it one of a Tocsin server?")
    return data


def _moved(url: str, status: int, location: str) -> str:
    # the query of an address may hold a secret
    place = f" and names {location.partition('?')[0][:_SHOWN]}" if location else ""
    return f"{url} answers {status}{place}: the client goes to no other address; give it the one of the server"


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
