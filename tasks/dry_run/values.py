"""Values unknown before a run, and what becomes unknown through them.

A value that comes from an earlier step is an ``Assumed``: a text such as ``<steps.lookup.output.address>``. A
template that reads one becomes one itself, whatever its filters would do; everything else is filled in as in a run.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from expressions import references, templates
from expressions.template_syntax import Part, has_markup, parse
from expressions.templates import TemplateError
from expressions.values import bounded
from playbooks.definitions import parameters

_ALONE = re.compile(r"<[^<>]*>")
_MISSING = object()


class Assumed(str):
    """Stands for an unknown value.

    Its text says where the value comes from.
    """

    __slots__ = ()


def assumed(*path: str | int) -> Assumed:
    """The stand-in for the value at a path."""
    root, *rest = path
    return Assumed(f"<{root}{_spelled(rest)}>")


def below(value: Assumed, *path: str | int) -> Assumed:
    """The stand-in for a part of an unknown value."""
    whole = value[1:-1] if _ALONE.fullmatch(value) else "value"
    return Assumed(f"<{whole}{_spelled(path)}>")


def _spelled(steps: Iterable[str | int]) -> str:
    return "".join(f"[{step}]" if str(step).isdigit() else f".{step}" for step in steps)


def is_assumed(value: Any) -> bool:
    """Whether a value, or a part of it, is unknown."""
    if isinstance(value, Mapping):
        return any(is_assumed(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(is_assumed(item) for item in value)
    return isinstance(value, Assumed)


def without_assumed(value: Json) -> Json:
    """The members that are known whole."""
    return {name: inner for name, inner in value.items() if not is_assumed(inner)}


def unknown(paths: Iterable[tuple[str, ...]], context: Mapping[str, Any]) -> list[Assumed]:
    """The stand-ins at the paths that lead to unknown values."""
    found = (_followed(path, context) for path in sorted(paths))
    return [value for value in found if value is not None]


def _followed(path: tuple[str, ...], context: Mapping[str, Any]) -> Assumed | None:
    value: Any = context
    for position, step in enumerate(path):
        if isinstance(value, Assumed):
            return below(value, *path[position:])
        if isinstance(value, Mapping):
            value = value.get(step, _MISSING)
        elif isinstance(value, list | tuple) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    if isinstance(value, Assumed):
        return value
    return assumed(*path) if is_assumed(value) else None


def fill(source: Any, context: Mapping[str, Any]) -> Any:
    """Fill in the templates of a structure.

    Raises:
        TemplateError: its message begins with the place in ``source``.
    """
    if not unknown(references.paths(source), context):
        return templates.render(source, context)
    return _fill(source, context, "")


def _fill(source: Any, context: Mapping[str, Any], pointer: str) -> Any:
    if isinstance(source, dict):
        filled = {}
        for key, value in source.items():
            name = templates.as_text(_text(key, context, pointer)) if isinstance(key, str) else key
            filled[name] = _fill(value, context, f"{pointer}/{key}")
        return filled
    if isinstance(source, list):
        return [_fill(item, context, f"{pointer}/{index}") for index, item in enumerate(source)]
    return _text(source, context, pointer) if isinstance(source, str) else source


def _text(source: str, context: Mapping[str, Any], pointer: str) -> Any:
    if not has_markup(source):
        return source
    try:
        parts = parse(source)
        pieces = [_piece(part, context) for part in parts]
        if len(pieces) == 1:
            return pieces[0]
        whole = bounded("".join(map(templates.as_text, pieces)))
    except TemplateError as fault:
        raise (TemplateError(f"{pointer}: {fault}") if pointer else fault) from None
    return Assumed(whole) if any(isinstance(piece, Assumed) for piece in pieces) else whole


def _piece(part: Part, context: Mapping[str, Any]) -> Any:
    if isinstance(part, str):
        return part
    paths = [(path.root, *map(str, path.steps)) for path, _ in part.reads()]
    return next(iter(unknown(paths, context)), None) or part.evaluate(context)


def resolve(
    declared: list[dict[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str], list[Problem]]:
    """Resolve parameters: values, names of unknown ones, faults of the others.

    An unknown value counts as fitting.
    """
    names = {one["name"] for one in declared}
    open_ = [name for name, value in given.items() if name in names and is_assumed(value)]
    known = {name: value for name, value in given.items() if name not in open_}
    values, problems = parameters.resolve([one for one in declared if one["name"] not in open_], known)
    return {**values, **{name: given[name] for name in open_}}, open_, problems
