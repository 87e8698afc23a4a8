"""The matchers of a silence: each compares one label, or one field that rules read, with a text.

A name is a label (``severity``) or the path of a field (``action.provider``, ``action.payload.host``). A missing value
reads as the empty text, so that ``!=`` and ``!~`` match it; numbers, true and false read as JSON writes them. A regular
expression matches the whole text, of which it reads the first 16,384 characters, and runs on RE2. A silence is silent
only where all of its matchers match.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from typing import Any

from config.errors import Problem
from expressions.suggestions import did_you_mean
from expressions.values import is_encodable
from gateway.facts import Facts, Key
from gateway.grants import ANY, covers
from gateway.rules import fields, operators
from playbooks.definitions.fields import MAX_NAME_CHARACTERS, is_line

MAX_MATCHERS = 20
MAX_VALUE_CHARACTERS = 1024
#: characters of a text that a pattern reads: a hundred patterns over all of a large payload would take half a second
MAX_READ = 16_384
#: the operators, and what existing clients call them
OPERATORS = ("=", "!=", "=~", "!~")
ALIASES = {"equal": "=", "not_equal": "!=", "regex": "=~", "not_regex": "!~"}
MEMBERS = ("name", "op", "value")

Matches = Callable[[str], bool]
Path = fields.Path

#: texts of every kind: what matches all of them matches everything that a field may say
_PROBES = ("a", "Z", "0", "-", "x-1", "zq7 k", "ß", "{", "a.b/c:d@e", "q" * 300)


#: the fields besides the key that every execution has, with texts of every kind: that they are there says nothing
_NEVER_MISSING: Mapping[Path, Sequence[str]] = {
    **dict.fromkeys(
        (("action", "payload"), ("action", "metadata")), ("{}", '{"a": 1}', '{"zq7": "k", "b": [true, {}]}')
    ),
    **dict.fromkeys((("action", "id"), ("action", "caller")), _PROBES),
}


def path_of(name: str) -> Path:
    """The path that a matcher reads.

    Raises:
        FieldError: there is no such field.
    """
    if not name.startswith(("action.", "time.")):
        return ("action", "metadata", name)
    return fields.parse(name)


def matches(op: str, value: str) -> Matches:
    """The test of a text; the matcher is free of faults."""
    if op == "=":
        return lambda text: text == value
    if op == "!=":
        return lambda text: text != value
    whole, wanted = operators.pattern(value).fullmatch, op == "=~"

    def test(text: str) -> bool:
        try:
            return (whole(text[:MAX_READ]) is not None) is wanted
        except UnicodeEncodeError:  # half surrogates have no form in UTF-8, on which RE2 works
            return not wanted

    return test


def text_of(value: Any) -> str:
    """What a matcher reads of a value."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)


class Matcher:
    """One compiled matcher; ``in_key`` says that the key of an execution decides it."""

    __slots__ = ("_matches", "_read", "in_key", "op", "path", "value")

    def __init__(self, name: str, op: str, value: str) -> None:
        self.path, self.op, self.value = path_of(name), op, value
        self.in_key = fields.in_key(self.path)
        self._read, self._matches = fields.reader(self.path, UTC), matches(op, value)

    def text(self, facts: Facts | Key, texts: dict[Path, str] | None = None) -> str:
        """What it reads of facts, or of a key.

        ``texts`` has those of the same facts that were read before: to write out a large object takes long.
        """
        if texts is None:
            return text_of(self._read(facts))  # type: ignore[arg-type]
        text = texts.get(self.path)
        if text is None:
            text = texts[self.path] = text_of(self._read(facts))  # type: ignore[arg-type]
        return text

    def matches_text(self, text: str) -> bool:
        """Whether what it reads matches."""
        return self._matches(text)

    def matches(self, facts: Facts | Key, texts: dict[Path, str] | None = None) -> bool:
        """Whether facts match; of a matcher that is ``in_key``, whether a key does. ``texts``: as those of ``text``."""
        return self._matches(self.text(facts, texts))


def compiled(written: Sequence[Mapping[str, str]]) -> tuple[Matcher, ...]:
    """The matchers of a silence as it is stored."""
    return tuple(Matcher(one["name"], one["op"], one["value"]) for one in written)


def normal(given: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Matchers without faults, as they are stored."""
    found = []
    for one in given:
        op = one.get("op", "=")
        found.append({"name": one["name"], "op": ALIASES.get(op, op), "value": one["value"]})
    return found


def check(given: Any, tenant: str) -> list[Problem]:
    """Every fault of the matchers of a silence for a tenant; pointers are relative to the list."""
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_MATCHERS:
        return [Problem("", f"must be a list of 1 to {MAX_MATCHERS} matchers, each with {', '.join(MEMBERS)}")]
    problems = [one.under(f"/{number}") for number, matcher in enumerate(given) for one in _check_one(matcher)]
    if not problems and not any(_selects(one, tenant) for one in normal(given)):
        problems.append(
            Problem(
                "",
                "these match everything: at least one matcher must leave something out, as severity = warning does; "
                "to hold back all of a tenant there is POST /admin/stop",
            )
        )
    return problems


def _check_one(given: Any) -> list[Problem]:
    if not isinstance(given, Mapping):
        return [Problem("", 'must be an object such as {"name": "severity", "op": "=", "value": "warning"}')]
    problems = [
        Problem(f"/{str(name)[:64]}", f"is no member of a matcher{did_you_mean(str(name)[:64], MEMBERS)}")
        for name in given
        if name not in MEMBERS
    ][:MAX_MATCHERS]
    if fault := _name_fault(given.get("name")):
        problems.append(Problem("/name", fault))
    op = given.get("op", "=")
    if not isinstance(op, str) or ALIASES.get(op, op) not in OPERATORS:
        problems.append(Problem("/op", f"must be one of {', '.join(OPERATORS)}"))
    elif fault := _value_fault(ALIASES.get(op, op), given.get("value")):
        problems.append(Problem("/value", fault))
    return problems


def _name_fault(name: Any) -> str | None:
    if not is_line(name, MAX_NAME_CHARACTERS):
        return f"must be a label or a field, text of 1 to {MAX_NAME_CHARACTERS} printable characters"
    if name.startswith("time."):
        return "a silence has times of its own: starts_at and ends_at, or cron and duration_minutes"
    if name in fields.ACTION_FIELDS:
        return f"write action.{name} for the field; a label of that name is action.metadata.{name}"
    try:
        path = path_of(name)
    except fields.FieldError as fault:
        return str(fault)
    if fields.is_secret(path):
        return "names a credential, which no matcher reads"
    return None


def _value_fault(op: str, value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > MAX_VALUE_CHARACTERS or not is_encodable(value):
        return f"must be text of at most {MAX_VALUE_CHARACTERS} characters"
    return operators.fault("regex", value) if op in ("=~", "!~") else None


def _selects(one: Mapping[str, str], tenant: str) -> bool:
    """Whether a matcher leaves something out that another one may leave in."""
    path, test = path_of(one["name"]), matches(one["op"], one["value"])
    if path == ("action", "tenant"):
        own = tenant if tenant != ANY else "a"
        return not test(own) and not (one["op"] == "=" and covers(one["value"], own))
    if fields.in_key(path):
        return not all(map(test, _PROBES))
    return not test("") and not (path in _NEVER_MISSING and all(map(test, _NEVER_MISSING[path])))
