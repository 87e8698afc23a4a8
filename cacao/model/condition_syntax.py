"""The parser of CACAO conditions: from text to a tree of comparisons.

The standard asks for STIX patterning; real documents are freer. The text is split into tokens, then read by recursive
descent: OR joins ANDs, AND joins terms, a term is NOT, brackets, EXISTS or a comparison. Square brackets around an
observation mean the same as round ones, because a variable has one value. Keywords may be upper or lower case; ``==``,
``&&``, ``||`` and ``!`` are understood; literals need no quotes. A text with unread tokens, or one nested too deep or
too long, is no condition: it is prose, and a person answers it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cacao.model.values import Value, moment, pattern_fault
from cacao.model.variables import NAME, NUMBER, VALUE
from expressions.limits import MAX_CONDITION_CHARACTERS, MAX_CONDITION_TOKENS, MAX_NESTING
from expressions.values import is_encodable

_ENDS = r"(?=[\s()\[\],=<>!&|]|\Z)"
#: atomic groups keep backtracking linear where a text can be read in many ways
_TOKEN = re.compile(
    rf"""(?P<blank>(?>\s+))
    |(?P<variable>__[A-Za-z_](?>[A-Za-z0-9_-]*)(?<=__){VALUE}){_ENDS}
    |(?P<timestamp>t'(?>[^'\\]*)')
    |(?P<quoted>'(?>(?:[^'\\]|\\.)*)'|"(?>(?:[^"\\]|\\.)*)"){_ENDS}
    |(?P<number>(?>{NUMBER.pattern})){_ENDS}
    |(?P<path>[A-Za-z](?>[A-Za-z0-9_-]*):[A-Za-z_](?>(?:[A-Za-z0-9_-]|\.[A-Za-z0-9_-]|\.'[^'\\]*'|\[(?:[0-9]+|\*)\])*)){_ENDS}
    |(?P<word>(?>[A-Za-z0-9_.:/@%*+~\#?-]+)){_ENDS}
    |(?P<sign>==|!=|<>|<=|>=|&&|\|\||[=<>!()\[\],])""",
    re.VERBOSE | re.DOTALL,
)
_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:[^\s]+")
_VARIABLE_INSIDE = re.compile(rf"__{VALUE}")
_ESCAPED = re.compile(r"\\(['\"\\])")
_OPERATORS = {"==": "=", "<>": "!="} | {sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=")}
_NAMED_OPERATORS = frozenset({"IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"})
_KEYWORDS = _NAMED_OPERATORS | {"AND", "OR", "NOT", "EXISTS"}
_JOINS = {"&&": "AND", "||": "OR", "!": "NOT"}
_CONSTANTS = {"true": "boolean", "false": "boolean", "null": "null"}
_CLOSING = {"(": ")", "[": "]"}


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference to a value: a variable's name or a STIX path."""

    name: str
    is_path: bool = False


Operand = Reference | Value


@dataclass(frozen=True, slots=True)
class ComparisonExpression:
    """``left operator right``; IN may have several on the right."""

    left: Operand
    operator: str
    right: tuple[Operand, ...]
    in_set: bool = False


@dataclass(frozen=True, slots=True)
class Exists:
    """Whether a reference exists and has a value."""

    operand: Reference


@dataclass(frozen=True, slots=True)
class Truth:
    """A value that stands alone, as a truth value."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions that all must hold or, with ``is_any``, one of them."""

    parts: tuple["Node", ...]
    is_any: bool


Node = ComparisonExpression | Exists | Truth | Not | Junction


class _Token(NamedTuple):
    kind: str  # of an operand: variable, path, word, literal; else sign, or keyword with its upper-case text
    text: str
    operand: Operand | None = None


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """The text is no condition."""


def read(text: str) -> Node | None:
    """The tree of a condition, or None if the text is none.

    Raises nothing, whatever the text.
    """
    if len(text) > MAX_CONDITION_CHARACTERS or not is_encodable(text):
        return None
    try:
        tokens = list(_tokens(text))
        return _Parser(tokens).parse() if 0 < len(tokens) <= MAX_CONDITION_TOKENS else None
    except _Unreadable:
        return None


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise _Unreadable
        position = found.end()
        if found.lastgroup != "blank":
            yield _token(str(found.lastgroup), found.group())


def _token(kind: str, text: str) -> _Token:
    if kind == "variable":
        return _Token(kind, text, _variable(text))
    if kind == "sign":
        return _Token("keyword", _JOINS[text]) if text in _JOINS else _Token(kind, text)
    if kind == "timestamp":
        if moment(text[2:-1]) is None:
            raise _Unreadable
        return _Token("literal", text, Value(text[2:-1], "timestamp"))
    if kind == "number":
        return _Token("literal", text, Value(text, "number"))
    if kind == "quoted":
        return _quoted(_ESCAPED.sub(r"\1", text[1:-1]))
    return _word(kind, text)


def _quoted(text: str) -> _Token:
    if _VARIABLE_INSIDE.search(text):
        return _Token("variable", text, _variable(text))  # a variable must be alone in its quotes
    return _Token("quoted", text, Value(text))


def _word(kind: str, text: str) -> _Token:
    if text.startswith("__") or _VARIABLE_INSIDE.search(text):
        raise _Unreadable  # a variable without ':value' or inside a longer word
    if text in (text.upper(), text.lower()) and text.upper() in _KEYWORDS:
        return _Token("keyword", text.upper())
    if text in (text.upper(), text.lower(), text.capitalize()) and text.lower() in _CONSTANTS:
        constant = _CONSTANTS[text.lower()]
        return _Token("literal", text, Value(None if constant == "null" else text, constant))
    return _Token(kind, text, Reference(text, is_path=True) if kind == "path" else Value(text))


def _variable(text: str) -> Reference:
    name = text.removesuffix(VALUE)
    if name == text or not NAME.fullmatch(name):
        raise _Unreadable
    return Reference(name)


class _Parser:
    """One recursive descent over the tokens of a text."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.depth = 0
        self.in_observation = False

    def parse(self) -> Node:
        node = self.joined()
        if self.place < len(self.tokens):
            raise _Unreadable
        return node

    def next_is(self, kind: str, text: str) -> bool:
        return self.place < len(self.tokens) and self.tokens[self.place][:2] == (kind, text)

    def take(self, kind: str, text: str) -> bool:
        """Consume this token if it comes next; return whether it did."""
        found = self.next_is(kind, text)
        self.place += found
        return found

    def demand(self, kind: str, text: str) -> None:
        if not self.take(kind, text):
            raise _Unreadable

    def joined(self) -> Node:
        alternatives = [self.together()]
        while self.take("keyword", "OR"):
            alternatives.append(self.together())
        return alternatives[0] if len(alternatives) == 1 else Junction(tuple(alternatives), is_any=True)

    def together(self) -> Node:
        parts = [self.term()]
        while self.take("keyword", "AND"):
            parts.append(self.term())
        return parts[0] if len(parts) == 1 else Junction(tuple(parts), is_any=False)

    def term(self) -> Node:
        negated = False
        while self.take("keyword", "NOT"):
            negated = not negated
        node = self.bracketed() or self.exists() or self.comparison()
        return Not(node) if negated else node

    def bracketed(self) -> Node | None:
        opened = next((sign for sign in _CLOSING if self.next_is("sign", sign)), None)
        if opened is None:
            return None
        is_observation = opened == "["
        if self.depth >= MAX_NESTING or (is_observation and self.in_observation):
            raise _Unreadable
        self.place += 1
        self.depth += 1
        self.in_observation = self.in_observation or is_observation
        node = self.joined()
        self.demand("sign", _CLOSING[opened])
        self.depth -= 1
        self.in_observation = self.in_observation and not is_observation
        return node

    def exists(self) -> Node | None:
        if not self.take("keyword", "EXISTS"):
            return None
        operand = self.operand().operand
        if not isinstance(operand, Reference):
            raise _Unreadable
        return Exists(operand)

    def comparison(self) -> Node:
        left = self.operand()
        negated = self.take("keyword", "NOT")
        operator = self.operator()
        if not operator:
            if negated or not _may_stand_alone(left):
                raise _Unreadable
            return Truth(_known(left.operand))
        in_set = operator == "IN" and self.take("sign", "(")
        rights = [self.operand()]
        while in_set and self.take("sign", ","):
            rights.append(self.operand())
        if in_set:
            self.demand("sign", ")")
        node = _compared(left, operator, rights, in_set=in_set)
        return Not(node) if negated else node

    def operator(self) -> str:
        """Consume and return the operator that comes next, or ""."""
        token = self.tokens[self.place] if self.place < len(self.tokens) else _Token("end", "")
        found = _OPERATORS.get(token.text, "") if token.kind == "sign" else ""
        if token.kind == "keyword" and token.text in _NAMED_OPERATORS:
            found = token.text
        self.place += bool(found)
        return found

    def operand(self) -> _Token:
        if self.place >= len(self.tokens) or self.tokens[self.place].operand is None:
            raise _Unreadable
        self.place += 1
        return self.tokens[self.place - 1]


def _known(operand: Operand | None) -> Operand:
    if operand is None:
        raise _Unreadable
    return operand


def _may_stand_alone(token: _Token) -> bool:
    """Whether a token is a condition alone: a variable, true or false.

    Any other word that stands alone is prose.
    """
    return token.kind == "variable" or (isinstance(token.operand, Value) and token.operand.kind == "boolean")


def _compared(left: _Token, operator: str, rights: list[_Token], *, in_set: bool) -> ComparisonExpression:
    """The comparison of two operands.

    Raises _Unreadable for a sentence that only looks like a comparison, and for a pattern that RE2 refuses.
    """
    first = _known(left.operand)
    others = tuple(_known(token.operand) for token in rights)
    if not any(isinstance(operand, Reference) for operand in (first, *others)):
        if left.kind == "quoted" and _PATH.fullmatch(left.text):
            first = Reference(left.text, is_path=True)  # "response:status" == 200
        elif "word" in (left.kind, *(token.kind for token in rights)):
            raise _Unreadable
    pattern = others[0]
    if operator in ("LIKE", "MATCHES") and isinstance(pattern, Value):
        if pattern.text is None or pattern_fault(pattern.text, is_like=operator == "LIKE"):
            raise _Unreadable
    elif operator in ("ISSUBSET", "ISSUPERSET") and isinstance(pattern, Value) and pattern.kind != "text":
        raise _Unreadable
    return ComparisonExpression(first, operator, others, in_set)
