"""Conditions in CEL over a step's context, such as ``finding.severity == 'critical'``.

When a playbook is written, ``check`` reports the faults of a condition. When a step is decided, ``holds`` takes the
values that the condition reads out of the context, computes what its evaluation may cost, and asks CEL. No input can
stop or block the worker: CEL cannot be interrupted, so everything that decides its cost (``expressions.limits``) is
bounded before it starts.

The template engine evaluates ``{{ path | filter }}`` inside a condition, and the value keeps its type; in quotes it is
text. ``steps.create-ticket.status`` means the step with that id. Comprehensions iterate over lists that are named or
written out. Integers have 64 bits; numbers that are not finite and keys that are no text are refused.
"""

import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from types import ModuleType
from typing import Any

from expressions import limits
from expressions.conditions import calls, comparisons
from expressions.conditions.patterns import Matching, check_pattern
from expressions.conditions.syntax import MATCHES, Condition, ConditionError, read
from expressions.conditions.values import Plain, bound_work, taken
from expressions.suggestions import did_you_mean
from expressions.template_syntax import Part
from expressions.values import TemplateError, as_text, bounded, type_name

__all__ = ["ConditionError", "check", "evaluate", "holds"]

_PARSER = re.compile(r"ERROR: <input>:(.{1,160})", re.DOTALL)
#: the line, the column and the word that the parser did not expect
_WORD = re.compile(r"ERROR: <input>:(\d+):(\d+): Syntax error: (?:mismatched|extraneous) input '(\w{1,64}|<EOF>|>)'")
#: the line, the column and the piece at which the parser stopped
_UNEXPECTED = re.compile(r"ERROR: <input>:(\d+):(\d+): Syntax error: [a-z ]+'(.{1,64}?)'(?: expecting| at|\s|$)")
_HAS = re.compile(r"ERROR: <input>:(\d+):(\d+): invalid argument to has\(\)")
#: a word between two values → what to write instead
_INFIX = {
    "equals": "write == for equals",
    "contains": "contains is a function: title.contains('sql')",
    "like": "ask with title.contains('sql') or title.matches('^web-')",
    "matches": "matches is a function: host.matches('^web-[0-9]+$')",
    "startswith": "startsWith is a function: host.startsWith('web-')",
    "endswith": "endsWith is a function: host.endsWith('.org')",
}
_IS = re.compile(r"is\s+(not\s+)?([\w.]{1,64}|'[^']{0,64}'|\"[^\"]{0,64}\")")
#: other words for what a condition may hold
_WORDS = {"none": "null", "nil": "null", "undefined": "null", "true": "true", "false": "false"}
_UNKNOWN = re.compile(r"Undefined variable or function: '(\w{1,64})'")
_KINDS = (
    "the types of two values do not fit together, or a value has not the type a function needs; "
    "int(), double() and string() convert, '== null' asks for null"
)
#: exception of CEL → message, first match; CEL's own messages may hold values, which must not be shown
_FAULTS: tuple[tuple[type[BaseException], str], ...] = (
    (IndexError, "an index lies outside of its list"),
    (ZeroDivisionError, "a division by zero"),
    (ArithmeticError, "a number is too large"),
    (TypeError, _KINDS),
)


def check(
    source: str,
    known: set[str] | None = None,
    kinds: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
) -> list[str]:
    """The faults of a condition, none when it can be used.

    With ``known``, names that are not in it are faults. ``kinds`` are the kinds of the values by name, for members
    ``name.member``, where they are known (``comparisons.kind_of``). ``words`` are known names by other words for
    them.
    """
    try:
        condition = read(source)
        _program(condition.cel)
        for literal in condition.patterns:
            check_pattern(_program(literal).execute({}))
    except ConditionError as error:
        return [str(error)]
    paths = [item.path for item in condition.reads if not item.local]
    faults = comparisons.mismatches(condition.comparisons, kinds or {})
    faults += dict.fromkeys(comparisons.without_members(paths, kinds or {}))
    if known is None:
        return faults
    names = [item.path[0] for item in condition.reads if not item.local and item.path[0] not in condition.templates]
    for parts in condition.templates.values():
        inner = (item for part in parts if not isinstance(part, str) for item in part.reads())
        names += [path.root for path, optional in inner if not optional]
    unknown = dict.fromkeys(name for name in names if name not in known)
    return [
        f"'{name[:64]}' is not known" + did_you_mean(name, sorted(known), synonyms={**_WORDS, **(words or {})})
        for name in unknown
    ] + faults


def holds(source: str, context: Mapping[str, Any]) -> bool:
    """Whether the condition is true.

    Raises ConditionError, also when the result is no boolean.
    """
    value = evaluate(source, context)
    if not isinstance(value, bool):
        raise ConditionError(f"the condition gives {type_name(value)}, not true or false")
    return value


def evaluate(source: str, context: Mapping[str, Any]) -> Any:
    """The value of an expression as plain data; raises ConditionError."""
    condition = read(source)
    program = _program(condition.cel)
    values = taken(context, (item.path for item in condition.reads if not item.local))
    for name, parts in condition.templates.items():
        values[name] = _filled(parts, context)
    plain = Plain()
    values = {name: plain.copy(value) for name, value in values.items()}
    bound_work(condition, values)
    matching = Matching()
    try:
        result = _run(condition, program, values, matching if condition.patterns else None)
    except KeyError as error:
        raise _missing(condition, context, error) from None
    if matching.fault:
        raise ConditionError(matching.fault)
    return Plain().copy(result)


def _filled(parts: tuple[Part, ...], context: Mapping[str, Any]) -> Any:
    try:
        if len(parts) == 1 and not isinstance(parts[0], str):
            return parts[0].evaluate(context)
        return bounded("".join(part if isinstance(part, str) else as_text(part.evaluate(context)) for part in parts))
    except TemplateError as error:
        raise ConditionError(str(error)) from None


def _cel() -> ModuleType:
    """The evaluator, without its command line.

    The package imports that by default, which costs 25 MiB in every process.
    """
    sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))
    import cel

    return cel


@lru_cache(maxsize=limits.CACHED_CONDITIONS)
def _program(source: str) -> Any:
    try:
        return _cel().compile(source)
    except ValueError as error:
        found = _PARSER.search(str(error))
        if has := _HAS.search(str(error)):
            raise ConditionError(_has(source, int(has[1]), int(has[2]))) from None
        reason = found[1].split("\n")[0] if found else "it cannot be read"
        words = _written_out(str(error), source) or _stumbled(str(error))
        raise ConditionError(words or f"not a CEL expression: {reason}") from None
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
        raise _panic(error) from None


def _has(source: str, line: int, column: int) -> str:
    """What to write instead of ``has`` with a name."""
    given = re.match(r"\(\s*([A-Za-z_][A-Za-z0-9_]{0,63})\s*\)", source.split("\n")[line - 1][column - 2 :])
    name = given[1] if given and not given[1].startswith("__") else "owner"
    return f"has() takes a member: has(finding.title); for a name write {name} != null"


def _written_out(fault: str, source: str) -> str:
    """What to write instead of the word or sign that CEL stumbles over.

    Empty where it is none that other languages have.
    """
    found = _WORD.search(fault)
    if not found:
        return ""
    line, column, word = int(found[1]) - 1, int(found[2]) - 1, found[3]
    if word == "<EOF>":
        return "it ends where a value is expected"
    before = source.split("\n")[line][:column].split()
    last = before[-1] if before else ""
    if word.lower() in ("and", "or", "not") or last.lower() == "not":
        return "use && for and, || for or, ! for not"
    if word == ">" and last.endswith("<"):
        return "write != for '<>'"
    if word == "is":
        return _is(last, source.split("\n")[line][column:])
    return _INFIX.get(word.lower(), "")


def _is(name: str, rest: str) -> str:
    """The comparison that ``name is …`` means."""
    found = _IS.match(rest)
    if not found or not name.replace(".", "").isidentifier():
        return "write == for is, as in owner == null"
    return f"write {name} {'!=' if found[1] else '=='} {_WORDS.get(found[2].lower(), found[2])}"


def _stumbled(fault: str) -> str:
    """Where CEL's parser stopped, without the signs that it expected there."""
    found = _UNEXPECTED.search(fault)
    if not found:
        return ""
    line = f"line {found[1]}, " if found[1] != "1" else ""
    return f"{line}column {found[2]}: '{found[3]}' is not expected here; a sign such as == or && joins two values"


def _run(condition: Condition, program: Any, values: dict[str, Any], matching: Matching | None) -> Any:
    """The result of CEL; a KeyError propagates, because it names the key."""
    try:
        if matching is None:
            return program.execute(values)
        surroundings = _cel().Context(values)
        surroundings.add_function(MATCHES, matching)
        return program.execute(surroundings)
    except KeyError:
        raise
    except (IndexError, TypeError, ArithmeticError, ValueError, RuntimeError) as error:
        raise _fault(error, condition, values) from None
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
        raise _panic(error) from None


def _fault(error: Exception, condition: Condition, values: Mapping[str, Any]) -> ConditionError:
    unknown = _UNKNOWN.match(str(error))
    if unknown and unknown[1] in calls.FUNCTIONS:  # CEL has it, for other types
        taken = calls.explained(condition.calls, values, unknown[1])
        return ConditionError(taken or f"{unknown[1]} was given a value it cannot take")
    if unknown:
        return ConditionError(f"'{unknown[1]}' is not known" + did_you_mean(unknown[1], values, synonyms=_WORDS))
    if isinstance(error, TypeError):
        paths = (item.path for item in condition.reads if not item.local and item.path[0] not in condition.templates)
        told = comparisons.explained(condition.comparisons, values) or comparisons.unreached(paths, values)
        if told:
            return ConditionError(told)
    words = next((words for kind, words in _FAULTS if isinstance(error, kind)), None)
    words = words or calls.explained(condition.calls, values)
    return ConditionError(words or "a function was given a value it cannot take")


def _panic(error: BaseException) -> BaseException:
    """A panic inside CEL as ConditionError; any other exception unchanged.

    Others, such as a time limit or an interrupt, are for the caller.
    """
    if type(error).__name__ != "PanicException":
        return error
    return ConditionError("CEL cannot work this expression out")


def _missing(condition: Condition, context: Mapping[str, Any], error: KeyError) -> ConditionError:
    """An error that spells out the first path without the missing key.

    Where no path matches, it names the key alone.
    """
    key = error.args[0] if error.args else None
    for item in condition.reads:
        value: Any = None if item.local else dict(context)
        for position, step in enumerate(item.path):
            if not isinstance(value, dict):
                break
            if step not in value:
                if step != key:
                    break
                before = "".join(f"{name}." for name in item.path[:position])
                return ConditionError(f"'{before}{step}' does not exist" + did_you_mean(step, value, prefix=before))
            value = value[step]
    written = any(key in item.path for item in condition.reads)  # any other key is a value
    return ConditionError(f"'{key}' does not exist" if written else "a key that the condition asks for does not exist")
