"""A call that a command line means, made of its operation and what was given, and its answer shown."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

from tocsin._operations import OPERATIONS
from tocsin.cli.options import given_of
from tocsin.cli.session import Session

PLACE = re.compile(r"{(\w+)}")
#: rows of a table where neither --limit nor --all is given
_SHOWN = 50


class Meaning(NamedTuple):
    """What a verb does in addition to its operation."""

    operation: str
    #: parameters that are given by position, behind the places of the path; ``name?`` may be left out
    arguments: Tuple[str, ...] = ()
    #: members of the body that are options
    members: Tuple[str, ...] = ()
    #: members that always have the same value
    fixed: Mapping[str, Any] = {}
    #: whether the body may come from a file: "may", "must", or "" for no
    file: str = ""
    #: the question before something is destroyed
    asks: str = ""
    #: the message where the answer has no content
    said: str = ""


class Request(NamedTuple):
    """A call that is about to be made."""

    meaning: Meaning
    path: Dict[str, str]
    query: Dict[str, Any]
    body: Any
    headers: Dict[str, Optional[str]]
    key: Optional[str]
    #: of a list: how many are shown, or all
    at_most: Optional[int]
    everything: bool

    @classmethod
    def of(cls, meaning: Meaning, given: Dict[str, Any]) -> Request:
        """The request that a command line means."""
        known = OPERATIONS[meaning.operation]
        path = {place: given[place] for place in PLACE.findall(known.path)}
        rest = {name: value for name, value in given.items() if name not in path}
        body = _body(meaning, rest)
        query = given_of(rest, [name for name in known.query if name not in (body or {})])
        query.update({name: value for name, value in meaning.fixed.items() if name in known.query})
        listing = bool(known.items) and "limit" in known.query
        at_most = query.pop("limit", None) if listing else None
        headers = {"If-Match": given.get("if_match"), "Prefer": _preference(given.get("prefer"))}
        key = given.get("idempotency_key")
        return cls(meaning, path, query, body, headers, key, at_most, bool(given.get("everything")))

    def call(self, here: Session) -> Any:
        """Call; returns the answer."""
        more: Dict[str, Any] = {"headers": self.headers, "key": self.key}
        return here.call(self.meaning.operation, self.path, self.query, body=self.body, **more)

    def shown(self, here: Session) -> None:
        """Call, and show the answer."""
        known = OPERATIONS[self.meaning.operation]
        if known.items:
            self._listed(here)
            return
        body = self.call(here).body
        if body is None or (self.meaning.said and here.output == "table"):
            here.say(self.meaning.said.format(**self.path, **(self.body or {})) if self.meaning.said else "Done.")
            return
        here.show(self.meaning.operation, body)

    def _listed(self, here: Session) -> None:
        from tocsin.cli.output.formats import show_list

        known = OPERATIONS[self.meaning.operation]
        query = dict(self.query)
        by_number = not query.keys().isdisjoint({"page", "per_page"})
        at_most = self.at_most or (_SHOWN if here.output == "table" else None)
        at_most = None if self.everything else at_most
        if at_most is not None and "limit" in known.query and not by_number:
            query["limit"] = min(at_most + 1, 100)
        pages = here.items(self.meaning.operation, self.path, query)
        items = iter(pages.page().items if by_number else pages)
        shown = items if at_most is None else islice(items, at_most)
        show_list(here, (one.to_dict() for one in shown), known.answer)
        # the caller must not take a part for the whole
        if at_most is not None and self.at_most is None and next(items, None) is not None:
            here.say(f"These are the first {at_most}; --all shows all, --limit N the first N.")


def _preference(wait: Optional[float]) -> Optional[str]:
    return None if wait is None else f"wait={wait:g}"


def _body(meaning: Meaning, given: Dict[str, Any]) -> Any:
    known = OPERATIONS[meaning.operation]
    if known.method in ("GET", "DELETE"):
        return None
    whole = given.get("file")
    from_file: Any = {}
    if whole is not None:
        from tocsin.cli.files import structure_of

        from_file = structure_of(whole)
        if isinstance(from_file, list):
            return from_file
    fixed = {name: value for name, value in meaning.fixed.items() if name in known.body}
    wanted = [name for name in _members(meaning) if name not in known.query or name not in given]
    body = {**from_file, **given_of(given, wanted), **fixed}
    return body if body or known.body else None


def _members(meaning: Meaning) -> List[str]:
    known = OPERATIONS[meaning.operation]
    arguments = [one.rstrip("?") for one in meaning.arguments]
    return [*[one for one in arguments if one in known.body], *meaning.members]
