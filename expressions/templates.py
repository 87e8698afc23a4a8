"""Templates: ``{{ a.b.c }}`` in texts, rendered once with plain data.

When an action is written, ``check`` parses every text in its configuration and reports each fault with its place. When
it runs, one of the ``render`` functions inserts the values: ``render`` descends into containers and keeps the type of a
value that stands alone, ``render_text`` escapes each value for its target, ``render_json`` makes a JSON document. An
inserted value is never parsed as a template. Unknown names raise ``TemplateError`` unless a ``default`` covers them.

An expression is a path (``a.b``, ``a[0]``, ``a['b-c']``), a constant, or one of these through a filter of the closed
list in ``expressions.filters``. Text without ``{{`` (or ``{%``, ``{#``) is no template and stays unchanged.
"""

from collections.abc import Callable, Mapping
from typing import Any

from config.errors import Problem
from config.pointers import step
from expressions.json_templates import check_json, render_json
from expressions.limits import MAX_DEPTH, MAX_TOTAL_CHARACTERS
from expressions.suggestions import did_you_mean
from expressions.template_syntax import Part, has_markup, parse
from expressions.values import TemplateError, as_text, bounded, compact

__all__ = ["TemplateError", "as_text", "check", "check_json", "names", "render", "render_json", "render_text"]


def names(source: str) -> set[str]:
    """The names that a template's expressions start from.

    Raises TemplateError.
    """
    return {root for root, _ in _roots(parse(source))} if has_markup(source) else set()


def _roots(parts: tuple[Part, ...]) -> list[tuple[str, bool]]:
    reads = (read for part in parts if not isinstance(part, str) for read in part.reads())
    return [(path.root, optional) for path, optional in reads]


def check(source: Any, known: set[str] | None = None) -> list[Problem]:
    """Every fault of every template in a text or container.

    Keys count too. With ``known``, names that are not in it are faults too, unless a ``default`` covers them.
    """
    problems: list[Problem] = []
    _check(source, known, "", problems)
    return problems


_TOO_DEEP = f"containers are nested more than {MAX_DEPTH} deep"


def _below(pointer: str, key: Any) -> str:
    return pointer + step(key)


def _check(source: Any, known: set[str] | None, pointer: str, problems: list[Problem]) -> None:
    if isinstance(source, str):
        problems.extend(Problem(pointer, detail) for detail in _faults(source, known))
    elif isinstance(source, dict | list) and pointer.count("/") >= MAX_DEPTH:
        problems.append(Problem(pointer, _TOO_DEEP))
    elif isinstance(source, dict):
        for key, value in source.items():
            below = _below(pointer, key)
            if isinstance(key, str):
                problems.extend(Problem(below, f"the key: {detail}") for detail in _faults(key, known))
            _check(value, known, below, problems)
    elif isinstance(source, list):
        for index, value in enumerate(source):
            _check(value, known, f"{pointer}/{index}", problems)


def _faults(source: str, known: set[str] | None) -> list[str]:
    if not has_markup(source):
        return []
    try:
        roots = _roots(parse(source))
    except TemplateError as error:
        return [str(error)]
    if known is None:
        return []
    unknown = dict.fromkeys(root for root, optional in roots if not optional and root not in known)
    return [f"'{root}' is not known" + did_you_mean(root, sorted(known)) for root in unknown]


def render_text(source: str, context: Mapping[str, Any], escape: Callable[[Any], str] = as_text) -> str:
    """The template as one text; ``escape`` writes each value for its target."""
    return _joined(parse(source), context, escape) if has_markup(source) else source


def _joined(parts: tuple[Part, ...], context: Mapping[str, Any], escape: Callable[[Any], str]) -> str:
    return bounded("".join([part if isinstance(part, str) else escape(part.evaluate(context)) for part in parts]))


def render(source: Any, context: Mapping[str, Any]) -> Any:
    """The same structure with every template in it rendered, keys included.

    A text that is one expression and nothing else becomes the value itself, with its type (a container is not copied);
    any other template becomes text. Raises TemplateError, beginning with the place in ``source``.
    """
    if isinstance(source, str) and not has_markup(source):
        return source
    return _Rendering(context).fill_in(source, "")


def _constant(value: Any) -> bool:
    """Whether it has no templates."""
    return not (has_markup(value) if isinstance(value, str) else isinstance(value, dict | list))


class _Rendering:
    """One descent into a structure, with the characters it may still insert."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self.context = context
        self.left = MAX_TOTAL_CHARACTERS

    def fill_in(self, source: Any, pointer: str) -> Any:
        if isinstance(source, str):
            return self.fill(source, pointer) if has_markup(source) else source
        if not isinstance(source, dict | list):
            return source
        if pointer.count("/") >= MAX_DEPTH:
            raise TemplateError(f"{pointer}: {_TOO_DEEP}")
        if isinstance(source, list):
            return [self.fill_in(item, f"{pointer}/{index}") for index, item in enumerate(source)]
        rendered = {}
        for key, value in source.items():
            if _constant(key) and _constant(value) and key not in rendered:
                rendered[key] = value
                continue
            below = _below(pointer, key)
            new = key
            if isinstance(key, str) and has_markup(key):
                new = as_text(self.fill(key, below))
            if new in rendered:
                raise TemplateError(f"{below}: two keys become the same")
            rendered[new] = self.fill_in(value, below)
        return rendered

    def fill(self, source: str, pointer: str) -> Any:
        try:
            parts = parse(source)
            if len(parts) == 1 and not isinstance(parts[0], str):
                value = parts[0].evaluate(self.context)
            else:
                value = _joined(parts, self.context, as_text)
            self.spend(value)
        except TemplateError as error:
            raise (type(error)(f"{pointer}: {error}") if pointer else error) from None
        return value

    def spend(self, value: Any) -> None:
        if isinstance(value, str):
            self.left -= len(bounded(value))
        elif isinstance(value, dict | list | tuple):
            self.left -= len(compact(value))
        if self.left < 0:
            raise TemplateError(f"all inserted values are longer than {MAX_TOTAL_CHARACTERS} characters together")
