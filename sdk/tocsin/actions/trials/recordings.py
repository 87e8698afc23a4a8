"""Recordings: the calls of a trial as JSON, to be repeated without a network.

In order of time: with ``--record`` each call is made and kept, secrets masked; ``save`` writes the file; later each
call is looked up there instead of being made. A recorded call answers once, in the order of recording among equal ones.
Two calls are equal when method, URL, query and body are; headers do not count. A call that was not recorded fails and
names the option that records it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tocsin.actions.errors import HttpFailed
from tocsin.actions.http import Transport, packed
from tocsin.actions.trials.masks import Masks

_FORMAT = 1
#: headers of answers that say nothing of the call
_FLEETING = frozenset({"date", "connection", "keep-alive", "transfer-encoding", "content-length", "server"})


class NotRecorded(HttpFailed):
    """A call is not in the recording."""

    def __init__(self, request: dict[str, Any], remedy: str) -> None:
        super().__init__("not_recorded", f"{request['method']} {request['url']} is not recorded: {remedy}")


class Recording:
    """The calls of a file.

    Args:
        path: the file; it may not exist yet.
        secrets: values that never reach the file.

    Raises:
        ValueError: the file is no recording.
    """

    def __init__(self, path: Path | None, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.masks = Masks(secrets)
        #: each ``{request, response}`` or ``{request, failed}``
        self.calls: list[dict[str, Any]] = []
        #: what this trial has asked for, in order, secrets masked
        self.asked: list[dict[str, Any]] = []
        self._left: list[dict[str, Any]] = []
        if path is not None and path.exists():
            self.calls = _read(path)
            self._left = list(self.calls)

    def add(self, method: str, url: str, *, status: int = 200, json: Any = None, **more: Any) -> None:
        """Add a call by hand, as if it had been recorded.

        Args:
            method: the HTTP method.
            url: the URL without the query.
            status: what is answered.
            json: the body of the answer; ``text`` gives another one.
            more: ``request``, further members of the request (``params``, ``json``, …); ``headers``, of the answer;
                ``text``, the body of the answer.

        Example::

            http_recording.add("POST", "https://fw.acme.example/rules", status=201, json={"id": 7})
        """
        request = {"method": method.upper(), "url": url, **more.pop("request", {})}
        headers = [list(pair) for pair in dict(more.pop("headers", {})).items()]
        body = {"text": more.pop("text")} if "text" in more else {"json": json}
        if more:
            raise TypeError(f"a recorded call has no {next(iter(more))}")
        call = {"request": request, "response": {"status": status, "headers": headers, **body}}
        self.calls.append(call)
        self._left.append(call)

    def replaying(self, remedy: str) -> Transport:
        """The transport that answers from the recording; ``remedy`` says how to record a call that is missing."""

        def send(request: dict[str, Any]) -> dict[str, Any]:
            asked = self.masks.message(request)
            self.asked.append(asked)
            for call in self._left:
                if _same(call["request"], asked):
                    self._left.remove(call)
                    if "failed" in call:
                        raise HttpFailed(**call["failed"])
                    response: dict[str, Any] = call["response"]
                    return response
            raise NotRecorded(asked, remedy)

        return send

    def recording(self, live: Transport, *, keep: bool = False) -> Transport:
        """The transport that makes calls and keeps them in place of those of the file.

        With ``keep`` they are added to what this trial has recorded before.
        """
        if not keep:
            self.calls, self._left = [], []

        def send(request: dict[str, Any]) -> dict[str, Any]:
            asked = self.masks.message(request)
            self.asked.append(asked)
            try:
                response = live(request)
            except HttpFailed as failed:
                how = {"code": failed.code, "message": self.masks.text(failed.message), "retryable": failed.retryable}
                self.calls.append({"request": asked, "failed": how})
                raise
            self.calls.append({"request": asked, "response": self._kept(response)})
            return response

        return send

    def _kept(self, response: dict[str, Any]) -> dict[str, Any]:
        kept = {**response, "headers": [pair for pair in response["headers"] if pair[0].lower() not in _FLEETING]}
        try:
            kept["json"] = json.loads(kept["text"])
            del kept["text"]
        except (KeyError, ValueError):
            pass
        return self.masks.message(kept)

    def save(self) -> None:
        """Write the file."""
        assert self.path is not None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"recording": _FORMAT, "calls": self.calls}, indent=2, ensure_ascii=False)
        self.path.write_text(text + "\n", encoding="utf-8")


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known, calls = content["recording"] == _FORMAT, list(content["calls"])
        whole = all({"method", "url"} <= set(call["request"]) and len(call) > 1 for call in calls)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no recording of tocsin.actions: {error!r}") from error
    if not (known and whole):
        raise ValueError(f"{path} is a recording of another version of tocsin.actions, or has been cut")
    return calls


def _same(recorded: dict[str, Any], asked: dict[str, Any]) -> bool:
    return all(recorded.get(part) == asked.get(part) for part in ("method", "url", "params", "json", "text", "base64"))


def answer(status: int, headers: Iterable[tuple[str, str]], content: bytes) -> dict[str, Any]:
    """A response of these parts."""
    return {"status": status, "headers": [list(pair) for pair in headers], **packed(content)}
