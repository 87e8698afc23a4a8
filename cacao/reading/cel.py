"""Conditions of a CACAO document translated into CEL.

Each comparison that ``conditions`` has parsed is written in CEL, so that the two agree wherever both have an answer.
Where a comparison has none (a number compared with a word) the CEL fails, and the step's failure leads to a person.
What CEL cannot express at all (networks, objects) gives None: then a person is asked from the start.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from cacao.model.condition_syntax import ComparisonExpression, Exists, Junction, Node, Not, Operand, Reference, Truth
from cacao.model.conditions import parse
from cacao.model.values import DOUBTFUL, Value, like_pattern, value_of
from cacao.model.variables import Variable
from cacao.reading.names import Names
from expressions.conditions import evaluation as ours
from expressions.limits import MAX_CONDITION_CHARACTERS

#: texts that are numbers; those that CEL represents exactly as integers; those it distinguishes as doubles
_NUMBER = "^[+-]?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$"
_WHOLE = "^-?[0-9]{1,18}$"
_EXACT = "^[+-]?[0-9]{1,8}([.][0-9]{1,7})?([eE][+-]?[0-9]{1,2})?$"
#: a condition known to be false
_NEVER = "false"
_MOMENT = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?Z$"
#: an expression without a value: the condition fails
_NO_ANSWER = "[true][1]"
_VARIABLE = re.compile(r"(__[A-Za-z_][A-Za-z0-9_-]{0,199}__)(?::value)?")
#: kinds of values that are equal when their texts are, after these filters
_FILTERS = {"folded": " | lower", "boolean": " | lower", "mac": " | lower | replace(':', '') | replace('-', '')"}


class _Unsayable(Exception):  # noqa: N818 - never leaves this module
    """CEL cannot express the condition."""


def condition(text: Any, names: Names) -> str | None:
    """The condition in CEL, None where a person decides instead."""
    found = parse(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        written = _CelWriter(names).write(found.root)
    except _Unsayable:
        return None
    return None if ours.check(written) else written


def may_change(text: Any, names: Names) -> bool:
    """Whether any step sets a variable that the condition reads.

    Otherwise its answer never changes.
    """
    found = parse(text) if isinstance(text, str) else None
    return found is not None and any(names.is_returned(name) for name in found.variables())


def may_fail(written: str) -> bool:
    """Whether a condition in CEL has no answer for some values."""
    return any(one in written for one in ("double(", "timestamp(", _NO_ANSWER))


def switch(text: Any, names: Names) -> str | None:
    """The template of a switch's value; None where it is no variable."""
    found = _VARIABLE.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or not names.known(found[1]) or names.only_people_know(found[1]):
        return None
    return f"{{{{ {names.read(found[1])} | string }}}}"


def _chosen(*cases: tuple[str, str], otherwise: str) -> str:
    """The first case that holds, without cases known to be false."""
    return f"({''.join(f'{when} ? {what} : ' for when, what in cases if when != _NEVER)}{otherwise})"


class _CelWriter:
    def __init__(self, names: Names) -> None:
        self.names = names

    def write(self, node: Node) -> str:
        if isinstance(node, Junction):
            return "(" + (" || " if node.is_any else " && ").join(self.parts(node)) + ")"
        if isinstance(node, Not):
            return f"!({self.write(node.part)})"
        if isinstance(node, Exists):
            return f"{{{{ {self.path(node.operand, 'none')} }}}} != null"
        if isinstance(node, Truth):
            return self.truth(node.operand)
        return self.compare(node)

    def parts(self, node: Junction) -> Iterator[str]:
        """The parts of a condition, while they fit into one."""
        left = MAX_CONDITION_CHARACTERS
        for part in node.parts:
            written = self.write(part)
            left -= len(written)
            if left < 0:
                raise _Unsayable
            yield written

    def kind(self, operand: Operand) -> str:
        if isinstance(operand, Value):
            return operand.kind
        return value_of(Variable(type=self.names.type(operand.name))).kind

    def path(self, reference: Reference, otherwise: str = '""') -> str:
        """The expression for a variable's value in a template."""
        name = reference.name
        if reference.is_path or not self.names.known(name) or self.names.only_people_know(name):
            raise _Unsayable
        return self.names.read(name, otherwise)

    def text(self, operand: Operand, kind: str = "text") -> str:
        """The text of a value, normalised so that equal values compare equal."""
        if isinstance(operand, Reference):
            return f"{{{{ {self.path(operand)} | string{_FILTERS.get(kind, '')} }}}}"
        text = operand.text
        if text is None or "{{" in text or "{%" in text or "{#" in text:
            raise _Unsayable
        text = text.lower() if kind in _FILTERS else text
        return json.dumps(re.sub("[:-]", "", text) if kind == "mac" else text, ensure_ascii=False)

    def compare(self, node: ComparisonExpression) -> str:
        left, right, operator = node.left, node.right[0], node.operator
        if operator == "IN" and node.in_set:
            return "(" + " || ".join(self.equal(left, one) for one in node.right) + ")"
        if operator in ("=", "!="):
            return self.equal(left, right) if operator == "=" else f"!({self.equal(left, right)})"
        if operator in ("<", "<=", ">", ">="):
            return self.order(left, operator, right)
        if operator in ("LIKE", "MATCHES") and isinstance(right, Value) and right.text is not None:
            if self.kind(left) in ("number", "boolean", "object"):
                raise _Unsayable  # such a value is no text here, so its spelling is lost
            pattern = like_pattern(right.text) if operator == "LIKE" else right.text
            return f"{self.text(left)}.matches({self.text(Value(pattern))})"
        raise _Unsayable

    def equal(self, left: Operand, right: Operand) -> str:
        kinds = {self.kind(left), self.kind(right)}
        kind = next(
            (one for one in ("boolean", "number", "timestamp", "object", "address", "mac", "folded") if one in kinds),
            "text",
        )
        if kind == "object" or (kind == "address" and not self._is_plain_address(left, right)):
            raise _Unsayable
        one, other = self.text(left, kind), self.text(right, kind)
        same = f"{one} == {other}"
        if kind == "number":
            unsure = (self.both(left, right, _NUMBER), _NO_ANSWER)
            return _chosen(*self.numbers(left, "==", right), unsure, otherwise=same)
        if kind == "timestamp":
            moments = (self.both(left, right, _MOMENT), f"timestamp({one}) == timestamp({other})")
            return _chosen(moments, otherwise=same)
        if kind == "boolean":
            words = "['true', 'false']"
            return f"({one} in {words} && {other} in {words} ? {same} : {_NO_ANSWER})"
        if kind == "address":
            return f"({one}.contains('/') || {other}.contains('/') ? {_NO_ANSWER} : {same})"
        return same

    def numbers(self, left: Operand, operator: str, right: Operand) -> list[tuple[str, str]]:
        """Cases that compare as numbers: when CEL is exact, and the comparison."""
        one, other = self.text(left), self.text(right)
        return [
            (self.both(left, right, _WHOLE), f"int({one}) {operator} int({other})"),
            (self.both(left, right, _EXACT), f"double({one}) {operator} double({other})"),
        ]

    def both(self, left: Operand, right: Operand, pattern: str) -> str:
        """The test whether both texts match; literals are decided right away."""
        asked = [f'{self.text(one)}.matches("{pattern}")' for one in (left, right) if isinstance(one, Reference)]
        known = [one.text or "" for one in (left, right) if isinstance(one, Value)]
        return " && ".join(asked or ["true"]) if all(re.search(pattern, one) for one in known) else _NEVER

    def _is_plain_address(self, left: Operand, right: Operand) -> bool:
        """Whether equal addresses have equal texts, as those of IPv4 have."""
        references = [one for one in (left, right) if isinstance(one, Reference)]
        return all(self.names.type(one.name) in ("ipv4-addr", "string") for one in references)

    def order(self, left: Operand, operator: str, right: Operand) -> str:
        kinds = {self.kind(left), self.kind(right)}
        if kinds & {"boolean", "object", "address", "mac", "folded"}:
            raise _Unsayable
        if "number" in kinds:
            return _chosen(*self.numbers(left, operator, right), otherwise=_NO_ANSWER)
        one, other = self.text(left), self.text(right)
        if "timestamp" in kinds:
            return f"timestamp({one}) {operator} timestamp({other})"
        return f"({one} != '' && {other} != '' ? {one} {operator} {other} : {_NO_ANSWER})"

    def truth(self, operand: Operand) -> str:
        kind, text = self.kind(operand), self.text(operand, "folded")
        if kind == "number":
            return f"({text} != '' && double({text}) != 0.0)"
        doubtful = (
            _NO_ANSWER if kind == "boolean" else f"({text} in {json.dumps(sorted(DOUBTFUL))} ? {_NO_ANSWER} : true)"
        )
        return f"({text} in ['', 'false'] ? false : {text} == 'true' ? true : {doubtful})"
