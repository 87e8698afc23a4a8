"""Parameters of actions and playbooks, as ``-p`` takes them, typed by what is declared.

``-p ip=203.0.113.50`` is read as the declared type says, ``-p hosts:='["a"]'`` as JSON, ``-p body=@file`` is the text
of a file (``@@`` begins a text with ``@``), ``--params FILE`` has them all. Secret parameters that are required and
not given are asked for without echo.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import click

from tocsin.cli.failures import USAGE, Failure
from tocsin.cli.options import on_terminal

_GIVEN = re.compile(r"([^=:]+)(:?=)(.*)", re.DOTALL)
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def parameter_options() -> List[click.Parameter]:
    """The options by which parameters are given."""
    return [
        click.Option(
            ["-p", "--param", "given"],
            multiple=True,
            metavar="NAME=VALUE",
            help="A parameter; NAME:=JSON, NAME=@FILE; may be repeated.",
        ),
        click.Option(
            ["--params", "params"], metavar="FILE", help="Parameters from a YAML or JSON file; - reads standard input."
        ),
    ]


def parameters_of(
    given: Sequence[str], params: Optional[str], declared: Callable[[], Sequence[Mapping[str, Any]]]
) -> Dict[str, Any]:
    """The parameters of a command line; what is declared is asked for if it matters."""
    found: Dict[str, Any] = {}
    if params is not None:
        from tocsin.cli.files import structure_of

        whole = structure_of(params)
        if not isinstance(whole, dict):
            raise Failure(f"{params}: parameters are an object of names with values.")
        found.update(whole)
    known = {str(one["name"]): one for one in declared()}
    for one in given:
        name, value = _one(one, known)
        found[name] = value
    for name, about in known.items():
        if about.get("type") == "secret" and about.get("required") and name not in found:
            found[name] = _asked(name, about)
    return found


def _one(given: str, known: Mapping[str, Mapping[str, Any]]) -> Tuple[str, Any]:
    match = _GIVEN.fullmatch(given)
    if match is None:
        raise Failure(f"-p {given!r} is not NAME=VALUE.", USAGE, "usage")
    name, how, text = match[1].strip(), match[2], match[3]
    if how == ":=":
        try:
            return name, json.loads(text)
        except ValueError as error:
            raise Failure(f"-p {name}:= takes JSON, and {text[:60]!r} is none: {error}") from None
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        from tocsin.cli.files import text_of

        text = text_of(text[1:])
    return name, _typed(name, text, str(known.get(name, {}).get("type") or "string"))


def _typed(name: str, text: str, kind: str) -> Any:
    """The text as a declared type reads it."""
    reader = _READERS.get(kind)
    try:
        return text if reader is None else reader(text)
    except ValueError:
        hint = f"; -p {name}:=… takes JSON" if kind in ("array", "object", "list", "multiselect") else ""
        raise Failure(f"-p {name}: {text[:60]!r} is no {kind}{hint}.") from None


def _boolean(text: str) -> bool:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise ValueError
    return text.lower() in _TRUE


def _number(text: str) -> Any:
    value = json.loads(text)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError  # noqa: TRY004 - one kind of error for all readers
    return value


def _array(text: str) -> Any:
    if text.lstrip().startswith("["):
        return json.loads(text)
    return [part.strip() for part in text.split(",")] if text else []


def _object(text: str) -> Any:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - one kind of error for all readers
    return value


_READERS: Dict[str, Callable[[str], Any]] = {
    "integer": int,
    "int": int,
    "number": _number,
    "float": _number,
    "boolean": _boolean,
    "bool": _boolean,
    "array": _array,
    "list": _array,
    "multiselect": _array,
    "object": _object,
}


def _asked(name: str, about: Mapping[str, Any]) -> str:
    if not on_terminal():
        raise Failure(
            f"{name} is a secret and required: -p {name}=@FILE, or call this from a terminal.", USAGE, "usage"
        )
    label = about.get("label") or name
    found: str = click.prompt(str(label), hide_input=True, err=True)
    return found
