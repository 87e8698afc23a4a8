"""Verbs, declared by their operation.

A declaration names an operation of the API, what is given by position, and which members of the body are options; the
places in the path, the filters of the query and the headers are known from the table of operations. In order of time a
verb asks for confirmation if it destroys something, calls, and shows the answer: a list while it is read, else one
object (``tocsin.cli.request``).
"""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Optional, Sequence

import click

from tocsin._operation import Operation
from tocsin._operations import OPERATIONS
from tocsin.cli.options import kind_of, on_terminal, option, word_of
from tocsin.cli.request import PLACE, Meaning, Request
from tocsin.cli.session import session, shared_options
from tocsin.cli.suggestions import complete

#: header → the option for it, and what it says
_HEADERS = {
    "Idempotency-Key": ("--idempotency-key", "A name of your own for this request: sent twice, it is done once."),
    "If-Match": ("--if-match", "Only if it is still in the state with this ETag."),
    "Prefer": ("--wait", "Seconds to wait for the outcome."),
}
#: parameters that are meant for programs
HIDDEN = ("envelope",)
#: arguments whose words are not their names
_PLACES = {"calendar_name": "NAME", "from": "OLD", "to": "NEW"}


class Command(click.Command):
    """A command with the options that every command takes; ``carries`` names the operations that it carries out."""

    def __init__(self, name: str, *, carries: Sequence[str] = (), **more: Any) -> None:
        super().__init__(name, **more)
        self.carries = tuple(carries)
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

    found = Command(name, params=[*_parameters(known), *more], callback=carry_out, help=words, carries=[operation])
    if group is not None:
        group.add_command(found)
    return found


def _parameters(meaning: Meaning) -> List[click.Parameter]:
    known = OPERATIONS[meaning.operation]
    found: List[click.Parameter] = list(_positional(meaning, known))
    named = {one.name for one in found}
    if meaning.file:
        found.append(_file(meaning.file))
    left_out = {*named, *meaning.fixed, *HIDDEN}
    wished = dict.fromkeys([*known.query, *meaning.members])
    found += [option(meaning.operation, name) for name in wished if name not in left_out]
    if known.items and "limit" in known.query:
        found.append(click.Option(["--all", "everything"], is_flag=True, help="All of them, however many."))
    if meaning.asks:
        found.append(click.Option(["-y", "--yes"], is_flag=True, help="Do not ask."))
    return [*found, *_headers(known)]


def _positional(meaning: Meaning, known: Operation) -> Iterator[click.Parameter]:
    for one in (*PLACE.findall(known.path), *meaning.arguments):
        name, needed = one.rstrip("?"), not one.endswith("?")
        shown = _PLACES.get(name) or word_of(name).upper().replace("-", "_")
        # the moments between which a list is filtered have the names of versions that are compared
        kind: Any = None if name in _PLACES else kind_of(meaning.operation, name).type
        yield click.Argument(
            [name],
            required=needed,
            metavar=shown if needed else f"[{shown}]",
            type=kind,
            shell_complete=complete(name),
        )


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


def confirm(question: str, *, yes: bool) -> None:
    """Ask the person at the terminal; without a terminal require ``--yes``."""
    if not question or yes:
        return
    if not on_terminal():
        raise click.UsageError(f"{question} Outside a terminal this takes --yes.", click.get_current_context())
    if not click.confirm(question, err=True):
        raise click.Abort
