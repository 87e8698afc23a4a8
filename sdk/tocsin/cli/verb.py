"""Verbs, declared by their operation.

A declaration names an operation of the API, what is given by position, and which members of the body are options; the
places in the path, the filters of the query and the headers are known from the table of operations. In order of time a
verb asks whether it is meant where it destroys something, calls, and shows the answer: a list as it is read, else one
object.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import click

from tocsin._operation import Operation
from tocsin._operations import OPERATIONS
from tocsin.cli.options import given_of, kind_of, on_terminal, option, word_of
from tocsin.cli.session import Session, session, shared_options

_PLACE = re.compile(r"{(\w+)}")
#: header → the option for it, and what it says
_HEADERS = {
    "Idempotency-Key": ("--idempotency-key", "A name of your own for this request: sent twice, it is done once."),
    "If-Match": ("--if-match", "Only if it is still in the state with this ETag."),
    "Prefer": ("--wait", "Seconds to wait for the outcome."),
}
#: what a list of nobody's wish is cut to
_SHOWN = 50
#: parameters that are meant for programs
HIDDEN = ("envelope",)


class Meaning(NamedTuple):
    """What a verb does, beside what its operation says."""

    operation: str
    #: parameters that are given by position, behind the places of the path; ``name?`` may be left out
    arguments: Tuple[str, ...] = ()
    #: members of the body that are options
    members: Tuple[str, ...] = ()
    #: members that always have the same value
    fixed: Mapping[str, Any] = {}
    #: whether the body may come from a file: "may", "must", or "" for no
    file: str = ""
    #: the question to whoever destroys something
    asks: str = ""
    #: what is told where the answer says nothing
    said: str = ""


class Command(click.Command):
    """A command with the options that every command takes."""

    def __init__(self, *names: Any, **more: Any) -> None:
        super().__init__(*names, **more)
        self.params = [*self.params, *shared_options()]


def declare(
    group: Optional[click.Group],
    name: str,
    operation: str,
    words: str,
    *,
    more: Sequence[click.Parameter] = (),
    act: Optional[Callable[..., Any]] = None,
    **meaning: Any,
) -> Command:
    """The command for an operation.

    Args:
        group: the noun
        name: the verb
        operation: what it carries out
        words: what it is for
        more: parameters that the operation knows nothing of
        act: what is done in place of calling and showing; it takes the session, the request and ``more``
        meaning: the members of ``Meaning``
    """
    known = Meaning(operation, **meaning)
    extra = [one.name or "" for one in more]

    def carry_out(**given: Any) -> Any:
        wished = {one: given.pop(one) for one in extra}
        here = session()
        confirm(known.asks.format(**given) if known.asks else "", yes=bool(given.pop("yes", False)))
        request = Request.of(known, given)
        if act is not None:
            return act(here, request, **wished)
        return request.shown(here)

    found = Command(name, params=[*_parameters(known), *more], callback=carry_out, help=words)
    found.carries = operation  # type: ignore[attr-defined]
    if group is not None:
        group.add_command(found)
    return found


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
        path = {place: given[place] for place in _PLACE.findall(known.path)}
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
        # without this nobody knows whether there is more
        if at_most is not None and self.at_most is None and next(items, None) is not None:
            here.say(f"These are the first {at_most}; --all shows all, --limit so many.")


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


def _parameters(meaning: Meaning) -> List[click.Parameter]:
    from tocsin.cli.suggestions import complete

    known = OPERATIONS[meaning.operation]
    found: List[click.Parameter] = [
        click.Argument([place], metavar=place.upper().replace("CALENDAR_", ""), shell_complete=complete(place))
        for place in _PLACE.findall(known.path)
    ]
    positional = []
    for one in meaning.arguments:
        name = one.rstrip("?")
        positional.append(name)
        kind = kind_of(meaning.operation, name)
        needed = not one.endswith("?")
        shown = (
            word_of(name).upper().replace("-", "_")
            if name not in ("from", "to")
            else {"from": "OLD", "to": "NEW"}[name]
        )
        metavar = shown if needed else f"[{shown}]"
        kinds: Any = None if name in ("from", "to") else kind.type
        found.append(
            click.Argument([name], required=needed, metavar=metavar, type=kinds, shell_complete=complete(name))
        )
    if meaning.file:
        found.append(_file(meaning.file))
    listed = bool(known.items) and "limit" in known.query
    for name in dict.fromkeys([*known.query, *meaning.members]):
        if name not in positional and name not in meaning.fixed and name not in HIDDEN:
            found.append(option(meaning.operation, name))
    if listed:
        found.append(click.Option(["--all", "everything"], is_flag=True, help="All of them, however many."))
    return [*found, *_headers(known), *_asking(meaning)]


def _file(how: str) -> click.Parameter:
    words = "The whole as YAML or JSON; - reads standard input."
    return click.Option(
        ["-f", "--file"], required=how == "must", metavar="FILE", help=words, type=click.Path(allow_dash=True)
    )


def _headers(known: Operation) -> List[click.Parameter]:
    wanted = dict.fromkeys([*known.headers, *(["Idempotency-Key"] if known.creates else [])])
    return [_header(one, *_HEADERS[one]) for one in wanted if one in _HEADERS]


def _header(name: str, flag: str, words: str) -> click.Parameter:
    kind: Any = int if name == "Prefer" else str
    return click.Option([flag, name.lower().replace("-", "_")], type=kind, help=words)


def _asking(meaning: Meaning) -> List[click.Parameter]:
    if not meaning.asks:
        return []
    return [click.Option(["-y", "--yes"], is_flag=True, help="Do not ask.")]


def confirm(question: str, *, yes: bool) -> None:
    """Ask whoever sits at a terminal; elsewhere it takes ``--yes``."""
    if not question or yes:
        return
    if not on_terminal():
        raise click.UsageError(f"{question} Outside a terminal this takes --yes.", click.get_current_context())
    if not click.confirm(question, err=True):
        raise click.Abort
