# Made by sdk/tools/sync.py from tocsin/_async/pages.py; do not edit.
"""Lists: iterated, they read on by themselves; ``page()`` reads one part."""

from __future__ import annotations

from typing import Any, Iterator, Callable, Dict, Generic, List, Mapping, Optional, Type, TypeVar

from tocsin._answers import Answer
from tocsin._model import Model, decode
from tocsin._operations import OPERATIONS

Item = TypeVar("Item", bound=Model)
#: items of a part where the caller gives no number
_PART = 100


class Page(Generic[Item]):
    """One part of a list.

    Attributes:
        items: the items
        total: how many there are in all; None where the server was not asked or does not count
        next_cursor: what follows this part; None behind the last one
        body: the whole answer

    """

    def __init__(self, body: Mapping[str, Any], member: str, into: Type[Item]) -> None:
        meta = body.get("meta")
        meta = meta if isinstance(meta, dict) else body
        self.body = body
        self.items: List[Item] = [decode(into, one) for one in body.get(member) or []]
        self.total: Optional[int] = meta.get("total")
        self.next_cursor: Optional[str] = meta.get("next_cursor")

    def __repr__(self) -> str:
        return f"Page({len(self.items)} of {'?' if self.total is None else self.total})"


class Pages(Generic[Item]):
    """A list of the server: nothing is asked before it is read."""

    def __init__(
        self,
        call: Callable[..., Answer],
        operation: str,
        into: Type[Item],
        path: Mapping[str, str],
        query: Mapping[str, Any],
    ) -> None:
        self._call, self._operation, self._into = call, operation, into
        self._path = path
        self._query = {name: value for name, value in query.items() if value is not None}

    def __iter__(self) -> Iterator[Item]:
        """All items, in the list's order, each once, however many parts that takes."""
        for page in self.pages():
            for item in page.items:
                yield item

    def pages(self) -> Iterator[Page[Item]]:
        """The parts, one after the other."""
        known = OPERATIONS[self._operation].query
        query = dict(self._query)
        if "limit" in known and query.keys().isdisjoint({"limit", "page", "per_page", "offset"}):
            query["limit"] = _PART
        page = self._page(query)
        yield page
        following = {name: value for name, value in query.items() if name not in ("page", "per_page", "offset")}
        if "per_page" in query and "limit" in known:
            following["limit"] = query["per_page"]
        while page.next_cursor is not None:
            page = self._page({**following, "cursor": page.next_cursor})
            yield page

    def page(self) -> Page[Item]:
        """One part: the first, or the one that ``cursor`` or ``page`` names."""
        query: Dict[str, Any] = dict(self._query)
        if "limit" in query and "cursor" not in query and "per_page" in OPERATIONS[self._operation].query:
            query["per_page"] = query.pop("limit")  # parts by cursor are not counted
        return self._page(query)

    def all(self) -> List[Item]:
        """All items as a list."""
        return [item for item in self]

    def first(self) -> Optional[Item]:
        """The first item; None where there is none."""
        query = dict(self._query)
        if "limit" in OPERATIONS[self._operation].query:
            query = {name: value for name, value in query.items() if name not in ("page", "per_page")}
            query["limit"] = 1
        page = self._page(query)
        return page.items[0] if page.items else None

    def _page(self, query: Mapping[str, Any]) -> Page[Item]:
        answer = self._call(self._operation, self._path, query)
        return Page(answer.body, OPERATIONS[self._operation].items, self._into)
