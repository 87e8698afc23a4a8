"""The parser of conditions: from text to CEL and its paths.

The text is split into tokens; ``{{ }}`` becomes a variable of its own (the template engine computes its value, which is
never pasted into the text), ``steps.create-ticket`` becomes ``steps["create-ticket"]``, and ``matches`` becomes a
function that runs on RE2. Then brackets, macros and functions are checked against the limits, and every name that is
read is noted with its path. CEL's own parser decides about the grammar.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from expressions import limits
from expressions.conditions import calls
from expressions.conditions.calls import FUNCTIONS, MACROS, Call
from expressions.conditions.comparisons import Comparison, comparisons
from expressions.template_syntax import Part, dashed_step, parse
from expressions.values import TemplateError, is_encodable

#: the name in CEL of the function that replaces ``matches``
MATCHES = "__matches"

#: atomic groups keep backtracking linear; possessive repetitions fail in early releases of Python 3.11
_TOKEN = re.compile(
    r"""(?P<blank>(?>(?:[ \t\r\n\f]|//[^\n]*)+))
    |(?P<template>\{\{(?>(?:"[^"]*"|'[^']*'|[^"'}]|\}(?!\}))*)\}\})
    |(?P<raw>[bB]?[rR](?:\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|"[^"\r\n]*"|'[^'\r\n]*'))
    |(?P<string>[bB]?(?:\"{3}(?s:\\.|[^\\])*?\"{3}|'{3}(?s:\\.|[^\\])*?'{3}
        |"(?>(?:\\.|[^"\\\r\n])*)"|'(?>(?:\\.|[^'\\\r\n])*)'))
    |(?P<number>(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||[=!<>]=|\{(?!\{)|[-+*/%<>!?:.,()\[\]}])""",
    re.VERBOSE,
)
_CONSTANTS = frozenset({"true", "false", "null", "in"})
_SHORTENING = ("filter", "map")  # their result is no longer than their list
_CLOSING = {")": "(", "]": "[", "}": "{"}


class ConditionError(Exception):
    """A condition cannot be read or evaluated; the message shows no value."""


class Token(NamedTuple):
    """A piece of the text; ``gap`` says that a blank precedes it."""

    kind: str
    text: str
    gap: bool = False


class Macro(NamedTuple):
    """One ``list.name(variable, body)``; numbers are indexes of tokens."""

    name: str
    variable: str
    body: int
    end: int
    outer: tuple["Macro", ...]
    source: tuple[str, ...] | int | None  # the path of its list, or its length, or None when neither is known


class Read(NamedTuple):
    """A name and the keys after it; ``local`` is a macro's variable."""

    path: tuple[str, ...]
    local: bool
    inside: tuple[Macro, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """A parsed condition: its CEL, its templates, and all it reads.

    ``templates`` are keyed by the name of their variable.
    """

    cel: str
    templates: dict[str, tuple[Part, ...]]
    reads: tuple[Read, ...]
    macros: tuple[Macro, ...]
    plain: tuple[tuple[Macro, ...], ...]  # for each other token the macros around it
    selects: tuple[tuple[Macro, ...], ...]  # the same for each selection from a value that is no path
    additions: int
    patterns: tuple[str, ...]  # of matches, as literals
    matches: tuple[tuple[Macro, ...], ...]  # for each pattern the macros around it
    comparisons: tuple[Comparison, ...]  # of two plain operands
    calls: tuple[Call, ...]  # of functions with a plain operand


@lru_cache(maxsize=limits.CACHED_CONDITIONS)
def read(source: str) -> Condition:
    """A parsed condition; the result is cached.

    Raises ConditionError.
    """
    if len(source) > limits.MAX_CONDITION_CHARACTERS:
        raise ConditionError(f"the condition is longer than {limits.MAX_CONDITION_CHARACTERS} characters")
    if not is_encodable(source):
        raise ConditionError("the condition holds half surrogates, which are not text")
    templates: dict[str, tuple[Part, ...]] = {}
    tokens = _tokens(source, templates)
    if not tokens:
        raise ConditionError("the condition is empty")
    if len(tokens) > limits.MAX_CONDITION_TOKENS:
        raise ConditionError(f"the condition has more than {limits.MAX_CONDITION_TOKENS} words and signs")
    return _Scan(tokens, _pairs(tokens), templates).condition()


def _tokens(source: str, templates: dict[str, tuple[Part, ...]]) -> list[Token]:
    tokens: list[Token] = []
    position, gap = 0, False
    while position < len(source):
        if (step := dashed_step(source, position)) and not (tokens and tokens[-1].text == "."):
            tokens += [
                Token("name", "steps", gap),
                Token("sign", "["),
                Token("string", f'"{step}"'),
                Token("sign", "]"),
            ]
            position, gap = position + len(f"steps.{step}"), False
            continue
        match = _TOKEN.match(source, position)
        if match is None:
            line, column = source.count("\n", 0, position) + 1, position - source.rfind("\n", 0, position)
            raise ConditionError(_unreadable(source, position, line, column))
        kind = str(match.lastgroup)
        position = match.end()
        if kind == "blank":
            gap = True
            continue
        tokens.append(_token(kind, match.group(), gap=gap, templates=templates))
        gap = False
    return tokens


#: beginning of a text that no token begins with → what to write instead; the first that fits
_INSTEAD = (
    ("=~", "ask with text.matches('^web-[0-9]+$')"),
    ("=>", "write >="),
    ("=<", "write <="),
    ("=", "compare with '=='"),
    ("&", "write && for and"),
    ("|", "write || for or; a filter stands between {{ and }}"),
    ("\u2265", "write >="),
    ("\u2264", "write <="),
    ("\u2260", "write !="),
    ("{{", "'{{' is not closed: write {{ finding.title }}"),
    ("$", "names are written without $: severity"),
)


def _unreadable(source: str, position: int, line: int, column: int) -> str:
    """The words about a text at which no token begins."""
    where = f"column {column}" if "\n" not in source else f"line {line}, column {column}"
    rest = source[position:]
    if rest[0] in "\"'":
        return f"{where}: the text that begins with {rest[0]} is not closed"
    if rest[0] in "\u201c\u201d\u201e\u2018\u2019`":
        return f"{where}: text stands in plain quotes: 'critical'"
    for beginning, instead in _INSTEAD:
        if rest.startswith(beginning):
            return f"'{beginning}' at {where}: {instead}" if not instead.startswith("'") else f"{where}: {instead}"
    return f"'{rest[0]}' at {where} has no meaning in a condition"


def _token(kind: str, text: str, *, gap: bool, templates: dict[str, tuple[Part, ...]]) -> Token:
    if kind == "name" and text.startswith("__"):
        raise ConditionError(f"names like '{text[:64]}' are not allowed")
    quoted = kind in ("string", "raw") and "{{" in text
    if kind != "template" and not quoted:
        return Token("string" if kind == "raw" else kind, text, gap)
    if quoted and (kind == "raw" or "\\" in text or text[:1] in "bB" or text[:3] in ('"""', "'''")):
        raise ConditionError("write {{ }} without quotes, or in plain quotes without backslashes")
    try:
        parts = parse(text[1:-1] if quoted else text)
    except TemplateError as error:
        raise ConditionError(str(error)) from None
    if quoted:
        parts = ("", *parts)  # never a single expression: in quotes it is text
    elif len(parts) != 1 or isinstance(parts[0], str):
        raise ConditionError("between {{ and }} stands one expression")
    name = f"__value_{len(templates)}"
    templates[name] = parts
    return Token("name", name, gap)


def _pairs(tokens: list[Token]) -> dict[int, int]:
    """For each bracket the index of its partner."""
    pairs: dict[int, int] = {}
    waiting: list[int] = []
    for place, token in enumerate(tokens):
        if token.kind != "sign" or token.text not in "()[]{}":
            continue
        if token.text in "([{":
            waiting.append(place)
            if len(waiting) > limits.MAX_NESTING:
                raise ConditionError(f"brackets are nested more than {limits.MAX_NESTING} deep")
            continue
        if not waiting or tokens[waiting[-1]].text != _CLOSING[token.text]:
            raise ConditionError(f"a '{token.text}' closes nothing")
        opened = waiting.pop()
        pairs[opened], pairs[place] = place, opened
    if waiting:
        raise ConditionError(f"a '{tokens[waiting[-1]].text}' is never closed")
    return pairs


class _Scan:
    """The single scan over the tokens of a condition."""

    def __init__(self, tokens: list[Token], pairs: dict[int, int], templates: dict[str, tuple[Part, ...]]) -> None:
        self.tokens = tokens
        self.templates = templates
        self.pairs = pairs
        self.macros: list[Macro] = []
        self.patterns: list[tuple[str, tuple[Macro, ...]]] = []
        self.in_path: set[int] = set()
        self.spans: dict[int, tuple[tuple[str, ...] | None, int]] = {}

    def text(self, place: int) -> str:
        """The sign or name at an index, "" for a text literal."""
        inside = 0 <= place < len(self.tokens) and self.tokens[place].kind != "string"
        return self.tokens[place].text if inside else ""

    def around(self, place: int) -> tuple[Macro, ...]:
        return tuple(macro for macro in self.macros if macro.body <= place < macro.end)

    def condition(self) -> Condition:
        reads: list[Read] = []
        for place, token in enumerate(self.tokens):
            if token.kind != "name" or token.text in _CONSTANTS or place in self.in_path:
                continue
            if self.text(place + 1) == "(":
                self.call(place)
            elif self.text(place - 1) != ".":
                reads.append(self.read(place))
        for macro in self.macros:
            if macro.name == "map":
                self.check_map(macro)
        others = [place for place in range(len(self.tokens)) if place not in self.in_path]
        return Condition(
            cel="".join(f" {token.text}" if token.gap else token.text for token in self.tokens),
            templates=self.templates,
            reads=tuple(reads),
            macros=tuple(self.macros),
            plain=tuple(self.around(place) for place in others),
            selects=tuple(self.around(place) for place in others if self.is_select(place)),
            additions=sum(token.text == "+" for token in self.tokens),
            patterns=tuple(pattern for pattern, _ in self.patterns),
            matches=tuple(around for _, around in self.patterns),
            comparisons=tuple(comparisons(self.tokens, self.spans)),
            calls=tuple(calls.calls(self.tokens, self.pairs, self.spans)),
        )

    def is_select(self, place: int) -> bool:
        if self.text(place) == ".":
            return self.text(place + 2) != "("
        return self.text(place) == "[" and place > 0 and _ends_value(self.tokens[place - 1])

    def read(self, place: int) -> Read:
        """The name at an index and the literal part of its path."""
        around = self.around(place)
        root = self.tokens[place].text
        path, end = self.path(place)
        self.in_path.update(range(place, end))
        if self.text(place - 1) == ".":
            raise ConditionError("a name does not start with a dot")
        local = any(macro.variable == root for macro in around)
        self.spans[place] = (None if local or root in self.templates else path, end)
        return Read(path, local, around)

    def path(self, place: int) -> tuple[tuple[str, ...], int]:
        """The path that starts at an index, and the index after it."""
        path = [self.tokens[place].text]
        place += 1
        while True:
            step = self.tokens[place + 1] if place + 1 < len(self.tokens) else None
            if self.text(place) == "." and step and step.kind == "name" and self.text(place + 2) != "(":
                path.append(step.text)
                place += 2
            elif self.text(place) == "[" and step and self.pairs[place] == place + 2 and _key(step) is not None:
                path.append(str(_key(step)))
                place += 3
            else:
                return tuple(path), place

    def call(self, place: int) -> None:
        """Note a macro or check a function."""
        name = self.tokens[place].text
        if self.text(place - 1) == "." and name in MACROS:
            self.macro(place)
        elif name not in MACROS | FUNCTIONS:
            raise ConditionError(calls.unknown(self.tokens, self.pairs, place))
        elif fault := calls.misuse(self.tokens, self.pairs, place):
            raise ConditionError(fault)
        elif name == "matches":
            self.match(place)

    def match(self, place: int) -> None:
        end = self.pairs[place + 1]
        pattern = self.tokens[end - 1]
        if self.text(place - 1) != "." or end != place + 3 or pattern.kind != "string":
            raise ConditionError("matches takes one pattern, written out: text.matches('^web-[0-9]+$')")
        self.patterns.append((pattern.text, self.around(place)))
        self.tokens[place] = self.tokens[place]._replace(text=MATCHES)

    def macro(self, place: int) -> None:
        name, variable, end = self.tokens[place].text, self.text(place + 2), self.pairs[place + 1]
        if self.text(place + 3) != "," or not variable.isidentifier() or variable in _CONSTANTS:
            raise ConditionError(f"{name} takes a name and a question: list.{name}(item, item.open)")
        outer = self.around(place)
        if len(outer) >= limits.MAX_MACRO_NESTING:
            raise ConditionError(
                f"{', '.join(sorted(MACROS))} stand at most {limits.MAX_MACRO_NESTING} inside one another"
            )
        source = self.list_source(place - 1, outer)
        self.in_path.add(place + 2)
        self.macros.append(Macro(name, variable, place + 4, end, outer, source))

    def list_source(self, end: int, outer: tuple[Macro, ...]) -> tuple[str, ...] | int | None:
        """The path or length of the list that ends before ``end``.

        Raises ConditionError for a list that is computed.
        """
        start = end
        while start > 0 and (self.text(start - 1) in (")", "]") or self.tokens[start - 1].kind == "name"):
            opened = self.pairs.get(start - 1)
            if opened is None:
                start -= 1
            elif (
                self.text(opened) == "(" and self.text(opened - 1) in ("filter", "map") and self.text(opened - 2) == "."
            ):
                start = opened - 2
                continue
            elif self.text(opened) == "[" and _ends_value(self.tokens[opened - 1] if opened else None):
                start = opened
                continue
            elif self.text(opened) == "[" and self.is_constant(opened):
                return start - 1 - opened
            else:
                break
            if self.text(start - 1) != ".":
                path, _ = self.path(start)
                return None if any(macro.variable == path[0] for macro in outer) else path
            start -= 1
        raise ConditionError("a list to walk is named or written out: finding.tags.exists(tag, tag == 'pci')")

    def is_constant(self, opened: int) -> bool:
        inside = self.tokens[opened + 1 : self.pairs[opened]]
        return all(token.kind in ("string", "number") or token.text in (",", "-", "true", "false") for token in inside)

    def check_map(self, macro: Macro) -> None:
        path, end = self.path(macro.body)
        if path[0] != macro.variable or end != macro.end:
            raise ConditionError("map takes a name and a path from it: findings.map(item, item.severity)")


def _ends_value(token: Token | None) -> bool:
    return token is not None and (token.text in (")", "]") or (token.kind == "name" and token.text not in _CONSTANTS))


def _key(token: Token) -> str | None:
    if token.kind == "number":
        return token.text
    simple = token.kind == "string" and token.text[0] in "\"'" and "\\" not in token.text
    return token.text[1:-1] if simple and token.text[1:3] != token.text[0] * 2 else None
