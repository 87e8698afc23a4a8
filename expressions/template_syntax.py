"""The parser of templates: from text to a closed list of expressions.

Jinja2 parses the text; this module refuses every node that is not listed here, and keeps a form of its own: pieces of
text, paths, constants and filters. Nothing that a template names is ever compiled or called, so there is no sandbox to
escape from: ``a.b`` is the key ``b`` of the object ``a``, whatever ``a`` is. The id of a playbook step may have dashes:
``steps.block-ip.output`` is read as ``steps['block-ip'].output``. ``{% raw %}`` and comments are as in Jinja2; in a
text with expressions every line end becomes a line feed.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any, Protocol

from jinja2 import Environment, TemplateSyntaxError, nodes

from expressions.filters import FILTERS, Filter
from expressions.limits import CACHED_TEMPLATES, MAX_EXPRESSIONS, MAX_NESTING, MAX_TEMPLATE_CHARACTERS
from expressions.suggestions import did_you_mean
from expressions.values import MissingValue, TemplateError, is_encodable, step_into

_ENVIRONMENT = Environment(keep_trailing_newline=True)  # noqa: S701 - it only parses, nothing is rendered by it
_MARKUP = re.compile(r"\{[{%#]")
_STEP = re.compile(r"(?<![\w.])steps\.(?=[0-9]|[0-9A-Za-z_]+-)([0-9A-Za-z_]+(?>(?:-+[0-9A-Za-z_]+)*))", re.ASCII)
#: the path after an opening
_NAMED = re.compile(r"\{\{-?\s*([A-Za-z_][\w.-]{0,63})(?=\s*(?:\}|\Z|[^\w.|\s-]))")
#: an opening and a closing without anything between them
_EMPTY = re.compile(r"\{\{[-+]?[ \t]{0,16}[-+]?\}\}")
_NO_CODE = frozenset({"data", "string", "comment_begin", "comment", "comment_end", "raw_begin", "raw_end"})
#: what other template languages call a filter → its name
_OTHER_WORDS = {
    **dict.fromkeys(("uppercase", "upcase", "toupper"), "upper"),
    **dict.fromkeys(("lowercase", "downcase", "tolower"), "lower"),
    **dict.fromkeys(("count", "size", "len"), "length"),
    **dict.fromkeys(("tojson", "to_json", "json_encode", "tojson_pretty"), "json"),
    **dict.fromkeys(("to_string", "tostring", "str"), "string"),
    **dict.fromkeys(("strip",), "trim"),
    **dict.fromkeys(("to_int", "number", "integer"), "int"),
    **dict.fromkeys(("url_encode", "escape", "quote"), "urlencode"),
}
_INTERNAL_NAME = re.compile(r"__.*__", re.DOTALL)
_LARGEST_INTEGER = 2**63
_ALLOWED = "there are paths like {{ a.b.c }} and filters like {{ a | upper }}"
_REFUSED: dict[type[nodes.Node], str] = {
    nodes.Call: "calls",
    nodes.Sub: "subtractions (for a name with a dash write steps['block-ip'])",
    nodes.BinExpr: "arithmetic and logic",
    nodes.UnaryExpr: "arithmetic and logic",
    nodes.Compare: "comparisons",
    nodes.Concat: "concatenation",
    nodes.CondExpr: "conditions",
    nodes.Test: "tests",
    nodes.Slice: "slices",
    nodes.Literal: "lists and objects",
    nodes.Stmt: "statements",
}


class Expression(Protocol):
    """An expression between ``{{`` and ``}}``."""

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """Its value; raises TemplateError."""

    def reads(self, *, optional: bool = False) -> "Iterator[tuple[Path, bool]]":
        """The paths it reads, each with whether a ``default`` covers its absence."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A text, number, boolean or null written in the template."""

    value: Any

    def evaluate(self, context: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """The constant."""
        return self.value

    def reads(self, *, optional: bool = False) -> "Iterator[tuple[Path, bool]]":  # noqa: ARG002
        """None."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Path:
    """A name and the keys and indexes after it."""

    root: str
    steps: tuple[str | int, ...]

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """The value at the path.

        Raises MissingValue with the first step that does not exist.
        """
        try:
            value = context[self.root]
        except KeyError:
            raise MissingValue(f"'{self.root}' is not known" + did_you_mean(self.root, context)) from None
        for position, step in enumerate(self.steps):
            if type(value) is dict and step in value:
                value = value[step]
            else:
                value = step_into(value, step, self._spelled(position))
        return value

    def _spelled(self, steps: int) -> str:
        return self.root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.steps[:steps])

    def reads(self, *, optional: bool = False) -> "Iterator[tuple[Path, bool]]":
        """Itself."""
        yield self, optional


@dataclass(frozen=True, slots=True)
class Filtered:
    """A value and the filter that it goes through."""

    operand: Expression
    filter: Filter
    arguments: tuple[Expression, ...]

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """The result of the filter."""
        arguments = [argument.evaluate(context) for argument in self.arguments]
        return self.filter.apply(self.operand.evaluate(context), *arguments)

    def reads(self, *, optional: bool = False) -> Iterator[tuple[Path, bool]]:
        """The paths of the value and of the arguments."""
        for part in (self.operand, *self.arguments):
            yield from part.reads(optional=optional)


@dataclass(frozen=True, slots=True)
class Default:
    """A value, or a replacement when it is missing or null.

    ``also_if_empty`` asks for it when the value is empty, zero or false, too.
    """

    operand: Expression
    replacement: Expression
    also_if_empty: Expression

    def evaluate(self, context: Mapping[str, Any]) -> Any:
        """The value or its replacement."""
        try:
            value = self.operand.evaluate(context)
        except MissingValue:
            return self.replacement.evaluate(context)
        if value is None or (not value and self.also_if_empty.evaluate(context)):
            return self.replacement.evaluate(context)
        return value

    def reads(self, *, optional: bool = False) -> Iterator[tuple[Path, bool]]:
        """The paths of the value, which may be absent, and the replacement's.

        The replacement's must exist.
        """
        yield from self.operand.reads(optional=True)
        yield from self.replacement.reads(optional=optional)
        yield from self.also_if_empty.reads(optional=optional)


Part = str | Expression


def has_markup(source: str) -> bool:
    """Whether the text is a template; any other text stays unchanged."""
    return "{" in source and _MARKUP.search(source) is not None


@lru_cache(maxsize=CACHED_TEMPLATES)
def parse(source: str) -> tuple[Part, ...]:
    """The texts and expressions of a template in order; cached.

    Raises TemplateError.
    """
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateError(f"the template is longer than {MAX_TEMPLATE_CHARACTERS} characters")
    if not is_encodable(source):
        raise TemplateError("the template holds half surrogates, which are not text")
    if source.rstrip("-+").endswith("{#"):  # the only unclosed comment that Jinja2 accepts
        raise TemplateError("Missing end of comment tag")
    parts: list[Part] = []
    for node in _read(source).body:
        if not isinstance(node, nodes.Output):
            raise _refusal(node)
        parts.extend(
            item.data if isinstance(item, nodes.TemplateData) else _convert(item, MAX_NESTING) for item in node.nodes
        )
    if sum(not isinstance(part, str) for part in parts) > MAX_EXPRESSIONS:
        raise TemplateError(f"the template holds more than {MAX_EXPRESSIONS} expressions")
    return tuple(parts)


def _read(source: str) -> nodes.Template:
    try:
        return _ENVIRONMENT.parse(_with_brackets(source) if _STEP.search(source) else source)
    except TemplateSyntaxError as error:
        raise TemplateError(_unclosed(source) or f"line {error.lineno}: {error.message}; {_ALLOWED}") from None
    except RecursionError:
        raise TemplateError(f"an expression is nested more than {MAX_NESTING} deep") from None
    except (ValueError, SyntaxError, OverflowError, MemoryError):  # a number literal has wrong or too many digits
        raise TemplateError("a number in the template cannot be read") from None


def _unclosed(source: str) -> str:
    """The words about a statement, or a ``{{`` without its ``}}``; empty without one."""
    if "{%" in source:
        line = source.count("\n", 0, source.index("{%")) + 1
        return f"line {line}: statements such as {{% if %}} are not allowed; {_ALLOWED}"
    position = -1
    while (position := source.find("{{", position + 1)) >= 0:
        end, following = source.find("}}", position), source.find("{{", position + 2)
        if end < 0 or 0 <= following < end:
            break
        position = end
    if position < 0:
        empty = _EMPTY.search(source)
        return f"'{empty[0]}' is empty: put a name in it, such as {{{{ finding.title }}}}" if empty else ""
    line, name = source.count("\n", 0, position) + 1, _NAMED.match(source, position)
    written = name[1] if name else "finding.title"
    return f"line {line}: '{{{{' is not closed: write {{{{ {written} }}}}"


def _with_brackets(source: str) -> str:
    """The template with dashed step ids in brackets.

    Its texts and comments stay unchanged.
    """
    pieces = []
    for is_code, tokens in groupby(_ENVIRONMENT.lex(source), lambda token: token[1] not in _NO_CODE):
        text = "".join(value for _, _, value in tokens)
        pieces.append(_STEP.sub(r"steps['\1']", text) if is_code else text)
    return "".join(pieces)


def dashed_step(source: str, position: int) -> str | None:
    """The step id of a ``steps.<id>`` at this position.

    None unless the id is no plain name.
    """
    match = _STEP.match(source, position)
    return match[1] if match else None


def _refusal(node: nodes.Node) -> TemplateError:
    what = next((words for kind, words in _REFUSED.items() if isinstance(node, kind)), type(node).__name__)
    return TemplateError(f"line {node.lineno}: {what} are not allowed; {_ALLOWED}")


def _convert(node: nodes.Node, depth: int) -> Expression:
    if depth <= 0:
        raise TemplateError(f"an expression is nested more than {MAX_NESTING} deep")
    if isinstance(node, nodes.Const):
        return Constant(_constant(node.value))
    if isinstance(node, nodes.Filter):
        return _filter(node, depth)
    if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
        return _path(node)
    raise _refusal(node)


def _constant(value: Any) -> Any:
    if isinstance(value, str) and not is_encodable(value):
        raise TemplateError("a constant holds half surrogates, which are not text")
    if isinstance(value, float) and not math.isfinite(value):
        raise TemplateError("a number in the template is too large")
    if isinstance(value, int) and value >= _LARGEST_INTEGER:
        raise TemplateError("a number in the template is too large")
    return value


def _path(node: nodes.Node) -> Path:
    steps: list[str | int] = []
    while not isinstance(node, nodes.Name):
        if isinstance(node, nodes.Getattr):
            step: Any = node.attr
        elif isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
            step = _constant(node.arg.value)
        else:
            raise _refusal(node.arg if isinstance(node, nodes.Getitem) else node)
        steps.append(_step(step))
        if len(steps) >= MAX_NESTING:
            raise TemplateError(f"a path has more than {MAX_NESTING} steps")
        node = node.node
    return Path(str(_step(node.name)), tuple(reversed(steps)))


def _step(step: Any) -> str | int:
    if type(step) not in (str, int):
        raise TemplateError("a path is made of names and whole numbers")
    if isinstance(step, str) and _INTERNAL_NAME.fullmatch(step):
        raise TemplateError(f"names like '{step[:64]}' are not allowed")
    return step  # type: ignore[no-any-return]


def _filter(node: nodes.Filter, depth: int) -> Expression:
    if node.kwargs or node.dyn_args or node.dyn_kwargs or node.node is None:
        raise TemplateError(f"line {node.lineno}: filters take plain arguments, like {{{{ a | default('b') }}}}")
    if node.name != "default" and node.name not in FILTERS:
        known = sorted([*FILTERS, "default"])
        hint = did_you_mean(node.name, known, synonyms=_OTHER_WORDS) + "; there are " + ", ".join(known)
        raise TemplateError(f"line {node.lineno}: there is no filter '{node.name[:64]}'{hint}")
    least, most = (0, 2) if node.name == "default" else (FILTERS[node.name].least, FILTERS[node.name].most)
    if not least <= len(node.args) <= most:
        number = str(least) if least == most else f"{least} to {most}"
        raise TemplateError(f"line {node.lineno}: '{node.name}' takes {number} arguments")
    operand = _convert(node.node, depth - 1)
    arguments = [_convert(argument, depth - 1) for argument in node.args]
    if node.name != "default":
        return Filtered(operand, FILTERS[node.name], tuple(arguments))
    replacement = arguments[0] if arguments else Constant("")
    return Default(operand, replacement, arguments[1] if len(arguments) == most else Constant(value=False))
