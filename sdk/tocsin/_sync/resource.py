# Made by sdk/tools/sync.py from tocsin/_async/resource.py; do not edit.
"""What all resources share: operations called by name, and their answers decoded."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Type, TypeVar

from tocsin._answers import Answer
from tocsin._sync.pages import Pages
from tocsin._sync.transport import Transport
from tocsin._model import Model, decode
from tocsin._operations import OPERATIONS

Some = TypeVar("Some", bound=Model)
Path = Mapping[str, str]
Query = Mapping[str, Any]


class Resource:
    """One resource of the API."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _one(
        self, operation: str, into: Type[Some], path: Optional[Path] = None, query: Optional[Query] = None, **more: Any
    ) -> Some:
        """Carry out an operation that answers with one object."""
        answer = self._transport.call(operation, path, query, **more)
        return decoded(operation, into, answer)

    def _nothing(self, operation: str, path: Path, query: Optional[Query] = None, **more: Any) -> None:
        """Carry out an operation whose answer says no more than that it was done."""
        self._transport.call(operation, path, query, **more)

    def _list(
        self, operation: str, into: Type[Some], path: Optional[Path] = None, query: Optional[Query] = None
    ) -> Pages[Some]:
        """The list that an operation reads."""
        return Pages(self._transport.call, operation, into, path or {}, query or {})


def decoded(operation: str, into: Type[Some], answer: Answer) -> Some:
    """The object that an operation has answered, with what else the answer says of it."""
    body, within = answer.body, OPERATIONS[operation].within
    if within and isinstance(body, dict) and isinstance(body.get(within), dict):
        more = {name: value for name, value in body.items() if name in into.__annotations__ and name != within}
        body = {**more, **body[within]}
    return decode(into, body, answer.etag)
