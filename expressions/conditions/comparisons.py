"""Whether the two sides of a comparison fit together, before and after they have values.

CEL answers ``n == '5'`` with false where ``n`` is a number, and refuses ``n > '5'`` without a name. So each comparison
of two plain operands is noted when a condition is read. When it is written, ``mismatches`` compares the declared types;
when CEL has refused the values, ``explained`` says which they were. An operand that is computed is left to CEL.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from expressions.values import type_name

#: signs before and after which an operand is whole
_BEFORE = frozenset({"(", "[", "&&", "||", ",", "?", ":"})
_AFTER = frozenset({")", "]", "}", "&&", "||", ",", "?", ":"})
_AMONG = "in"
_SUMS, _ARITHMETIC = frozenset("+-"), frozenset("+-*/%")
_EQUAL, _ORDER = frozenset({"==", "!="}), frozenset({"<", "<=", ">", ">="})
_COMPARING = _EQUAL | _ORDER | {_AMONG}
#: declared type → what its values are to CEL
_KINDS = {
    "string": "text",
    "secret": "text",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
    "array": "list",
}
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")


class Piece(Protocol):
    """A token of a condition."""

    @property
    def kind(self) -> str:
        """What kind of token it is."""

    @property
    def text(self) -> str:
        """Its text as written."""


class Operand(NamedTuple):
    """One side: a path, or the kind of a value written out."""

    text: str
    path: tuple[str, ...] | None
    kind: str | None


class Comparison(NamedTuple):
    """Two operands, or one that stands where true or false is expected."""

    left: Operand
    operator: str
    right: Operand | None


#: start of a path → the path, or None for a macro's variable, and the index after it
Spans = Mapping[int, tuple[tuple[str, ...] | None, int]]


def comparisons(tokens: Sequence[Piece], spans: Spans) -> Iterator[Comparison]:
    """The comparisons of two whole operands, and the paths asked as they are."""
    ends = {end: start for start, (_, end) in spans.items()}
    for place, token in enumerate(tokens):
        if token.text in _COMPARING and token.kind != "string":
            left, right = _before(tokens, spans, ends, place), _after(tokens, spans, place + 1)
            if left and right:
                yield Comparison(left, token.text, right)
        elif token.text in _ARITHMETIC and token.kind == "sign":
            left = _before(tokens, spans, ends, place, _COMPARING)
            right = _after(tokens, spans, place + 1, _COMPARING | (_SUMS if token.text in _SUMS else _ARITHMETIC))
            if left and right:
                yield Comparison(left, token.text, right)
    for start, (path, end) in spans.items():
        before, after = _text(tokens, start - 1), _text(tokens, end)
        called = before == "(" and start > 1 and tokens[start - 2].kind == "name"
        if path and before in ("", "(", "&&", "||", "!") and after in ("", ")", "&&", "||", "?") and not called:
            yield Comparison(_path(tokens, path, start, end), "", None)


def _text(tokens: Sequence[Piece], place: int) -> str:
    """The sign or name at an index; "" at both ends."""
    return tokens[place].text if 0 <= place < len(tokens) else ""


def _before(
    tokens: Sequence[Piece], spans: Spans, ends: Mapping[int, int], end: int, more: frozenset[str] = frozenset()
) -> Operand | None:
    start = ends.get(end)
    found = _operand(tokens, spans[start][0], start, end) if start is not None else literal(tokens, end - 1)
    first = end - 1 if start is None else start
    return found if _text(tokens, first - 1) in _BEFORE | more | {""} else None


def _after(tokens: Sequence[Piece], spans: Spans, start: int, more: frozenset[str] = frozenset()) -> Operand | None:
    sign = "-" if _text(tokens, start) == "-" else ""
    start += len(sign)
    if start in spans:
        path, end = spans[start]
        found: Operand | None = None if sign else _operand(tokens, path, start, end)
    else:
        found, end = literal(tokens, start), start + 1
        found = found and found._replace(text=sign + found.text)
    return found if _text(tokens, end) in _AFTER | more | {""} else None


def _operand(tokens: Sequence[Piece], path: tuple[str, ...] | None, start: int, end: int) -> Operand | None:
    return _path(tokens, path, start, end) if path else None


def _path(tokens: Sequence[Piece], path: tuple[str, ...], start: int, end: int) -> Operand:
    return Operand("".join(token.text for token in tokens[start:end]), path, None)


def literal(tokens: Sequence[Piece], place: int) -> Operand | None:
    """The value written out at an index, or None."""
    if not 0 <= place < len(tokens):
        return None
    kind, text = tokens[place].kind, tokens[place].text
    if kind == "string" and text[:1] in "\"'":
        return Operand(text, None, "text")
    if kind == "number":
        return Operand(text, None, "number")
    words = {"true": "boolean", "false": "boolean", "null": "null"}
    return Operand(text, None, words[text]) if kind == "name" and text in words else None


def kind_of(declared: Mapping[str, Any]) -> str | None:
    """What the values of a declared parameter are; None if it varies."""
    kind = declared.get("type", "string")
    options = declared.get("options")
    if kind == "enum" and isinstance(options, list) and options:
        kinds = {_kind(option) for option in options}
        return kinds.pop() if len(kinds) == 1 else None
    return _KINDS.get(kind) if isinstance(kind, str) else None


def _kind(value: Any) -> str:
    names = {"a boolean": "boolean", "a number": "number", "an object": "object", "a list": "list"}
    name = type_name(value)
    return names.get(name, name)


def mismatches(found: Sequence[Comparison], kinds: Mapping[str, str]) -> list[str]:
    """The comparisons that can never be true, by the kinds of parameters."""
    faults = []
    for one in found:
        left, right = _declared(one.left, kinds), _declared(one.right, kinds) if one.right else "boolean"
        if one.operator == _AMONG:
            if one.right and right not in (None, "list", "object"):
                faults.append(f"{_described(one.right, right)}, not a list: {_among(one, right)}")
            continue
        if one.operator in _ARITHMETIC:
            faults += _unjoined(one, left, right)
            continue
        if not left or not right or left == right or (one.operator in _EQUAL and "null" in (left, right)):
            continue
        if one.right is None:
            faults.append(f"'{one.left.text}' holds {_named(left)}, not true or false: {_asked(one.left.text, left)}")
            continue
        what = "is never true" if one.operator == "==" else "is always true" if one.operator == "!=" else "always fails"
        sides = f"{_described(one.left, left)} and {_described(one.right, right)}"
        written = f"{one.left.text} {one.operator} {one.right.text}"
        faults.append(f"{sides}, so {written} {what}: {_remedy(one, left, right)}")
    return faults


def _unjoined(one: Comparison, left: str | None, right: str | None) -> list[str]:
    """Why an operator of arithmetic cannot take two kinds of values; empty where it can."""
    assert one.right is not None
    if not left or not right or (left == right and (left == "number" or (one.operator == "+" and left in _JOINED))):
        return []
    sides = f"{one.left.text} is {_named(left)} and {one.right.text} is {_named(right)}"
    if one.operator != "+":
        return [f"{sides}: {one.operator} takes numbers"]
    if {left, right} == {"number", "text"}:
        first, second = (
            f"string({side.text})" if kind == "number" else side.text
            for side, kind in ((one.left, left), (one.right, right))
        )
        return [f"{sides}: + cannot join them; write {first} + {second}"]
    return [f"{sides}: + cannot join them"]


def without_members(paths: Iterable[tuple[str, ...]], kinds: Mapping[str, str]) -> Iterator[str]:
    """The members that are asked of what has none, by the kinds of parameters."""
    for path in paths:
        first = 1 if path[0] == "parameters" else 0
        kind = kinds.get(path[first]) if len(path) > first + 1 else None
        if kind is not None and not _has(kind, path[first + 1]):
            yield _no_member(path[: first + 1], kind, path[first + 1])


def unreached(paths: Iterable[tuple[str, ...]], values: Mapping[str, Any]) -> str | None:
    """The first member that CEL could not read, because the value before it has none."""
    for path in paths:
        value: Any = values
        for place, step in enumerate(path):
            if place and not _has(_kind(value), step):
                return _no_member(path[:place], _kind(value), step)
            if not isinstance(value, dict) or step not in value:
                break
            value = value[step]
    return None


def _has(kind: str, member: str) -> bool:
    return kind == "object" or (kind == "list" and member.isdecimal())


def _no_member(path: tuple[str, ...], kind: str, member: str) -> str:
    name = ".".join(path)
    says = f"{name} is {_named(kind)} and has no member '{member[:64]}'"
    if kind == "null":
        return f"{says}: ask first, with {name} != null && …"
    return f"{says}: write size({name})" if member in _LENGTHS and kind in ("text", "list") else says


def _declared(operand: Operand, kinds: Mapping[str, str]) -> str | None:
    if operand.path is None:
        return operand.kind
    path = operand.path[1:] if operand.path[0] == "parameters" else operand.path
    return kinds.get(".".join(path))


def _described(operand: Operand, kind: str) -> str:
    return f"'{operand.text}' holds {_named(kind)}" if operand.path else f"{operand.text} is {_named(kind)}"


def _among(one: Comparison, right: str) -> str:
    assert one.right is not None
    if right == "text":
        return f"write {one.right.text}.contains({one.left.text})"
    return f"write {one.left.text} == {one.right.text}"


def _named(kind: str) -> str:
    return {"object": "an object", "text": "text", "null": "null"}.get(kind, f"a {kind}")


def _asked(text: str, kind: str) -> str:
    examples = {"text": f"{text} != ''", "number": f"{text} > 0", "list": f"size({text}) > 0"}
    return f"write for example {examples.get(kind, f'{text} != null')}"


def _remedy(one: Comparison, left: str, right: str) -> str:
    """The comparison that was probably meant."""
    assert one.right is not None
    if one.left.path is None and one.right.path is not None:  # the operand with a name is the one to convert
        swapped = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        operator = swapped.get(one.operator, one.operator)
        return _remedy(Comparison(one.right, operator, one.left), right, left)
    name, operator, other = one.left.text, one.operator, one.right.text
    bare = other[1:-1] if right == "text" and one.right.path is None else ""
    if left == "list":
        return f"ask for an item of it: {other} in {name}"
    if left == "object":
        return f"compare a member of it, such as {name}.id"
    if left == "number" and right == "text":
        return (
            f"write {name} {operator} {bare}" if _NUMBER.fullmatch(bare) else f"write string({name}) {operator} {other}"
        )
    if left == "boolean" and bare in ("true", "false"):
        return f"write {name} {operator} {bare}"
    if left == "text" and right == "number" and operator in _ORDER:
        return f"write int({name}) {operator} {other}"
    if left == "text" and one.right.path is None:
        return f"write {name} {operator} '{other}'"
    return f"compare it with {_named(left)}"


def explained(found: Sequence[Comparison], values: Mapping[str, Any]) -> str | None:
    """Which values CEL could not compare, or None.

    Text is shown only where it is a number or a word of CEL: another may be a secret.
    """
    for one in found:
        left = value_of(one.left, values)
        right = value_of(one.right, values) if one.right else (True, True)
        if left is None or right is None:
            continue
        kinds = _kind(left[0]), _kind(right[0])
        if one.right is None and kinds[0] != "boolean":
            return f"{one.left.text} is {_shown(left[0])}, not true or false: {_asked(one.left.text, kinds[0])}"
        if one.right is not None and one.operator == _AMONG and kinds[1] not in ("list", "object"):
            shown = _shown(right[0]) if one.right.path else _named(kinds[1])
            return f"{one.right.text} is {shown}, not a list: {_among(one, kinds[1])}"
        if one.right is not None and one.operator in _ARITHMETIC and (words := _unjoined(one, *kinds)):
            return words[0]
        if one.right is not None and one.operator in _ORDER and (kinds[0] != kinds[1] or kinds[0] in _UNORDERED):
            named, other = (one.left, right[0]) if one.left.path else (one.right, left[0])
            own = left[0] if one.left.path else right[0]
            beyond = next((side.text for side in (one.left, one.right) if side.path is None), None) or _shown(other)
            return f"{named.text} is {_shown(own)} and cannot be compared with {beyond}: {_at_run_time(one, *kinds)}"
    return None


_JOINED = ("text", "list")
_LENGTHS = ("length", "size", "count")
_UNORDERED = ("object", "list", "null")


def _at_run_time(one: Comparison, left: str, right: str) -> str:
    if "null" in (left, right):
        named = one.left if left == "null" else one.right
        assert named is not None
        return f"ask first, with {named.text} != null && …"
    return _remedy(one, left, right)


def value_of(operand: Operand, values: Mapping[str, Any]) -> tuple[Any, bool] | None:
    """The value of an operand in a tuple, or None where there is none."""
    if operand.path is None:
        samples: dict[str | None, Any] = {"text": "", "number": 0, "boolean": True, "null": None}
        return samples[operand.kind], False
    value: Any = values
    for key in operand.path:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return value, True


def _shown(value: Any) -> str:
    if isinstance(value, str):
        plain = _NUMBER.fullmatch(value) or value in ("", "true", "false", "null")
        return f"the text '{value}'" if plain else "text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"the number {value}" if isinstance(value, int | float) else type_name(value)
