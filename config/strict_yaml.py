"""Reads a YAML document as a JSON value, and writes one.

The parser's events are taken one by one and the value is built from them here, so that nothing grows beyond what is
written: anchors, aliases and tags are refused, nesting is bounded. Words mean what they mean in YAML 1.2: only
``true``, ``false``, ``null`` and numbers are more than text, so ``on``, ``no`` and ``2026-04-28`` are text. Keys are
always text.
"""

import math
import re
from typing import Any, NoReturn

import yaml

from config.errors import InvalidRequest, Problem
from config.strict_json import MAX_DEPTH

#: the most keys and values; reading them takes half a second
MAX_NODES = 200_000
#: about how long reading one takes, milliseconds
OF_NODE = 0.005

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
#: what the parser says of a list or mapping whose rest a comment has swallowed
_CUT_SHORT = re.compile(r"node content|expected ',' or")
#: the parser in C, where the library was built with it, is ten times as fast
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: no key has been read that waits for its value
_NO_KEY = object()


def load(text: str) -> Any:
    """The value of a document, None for an empty one.

    Raises:
        InvalidRequest: it is not YAML, or uses what is not taken here.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        fault = f"{error.problem or error.context}{_remedy(error, text)}{_place(error)}"
        raise InvalidRequest(f"The body is not YAML: {fault}.") from error
    except yaml.YAMLError as error:  # characters that YAML does not have
        raise InvalidRequest(f"The body is not YAML: {str(error).splitlines()[0]}.") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidRequest("The body holds a number that is too long.") from error
    return builder.value


def dump(value: Any) -> str:
    """A value as YAML, in the order of its members."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text


class _Builder:
    """The value so far, with its open containers.

    Each container has the key that waits for its value.
    """

    def __init__(self) -> None:
        self.value: Any = None
        self._documents = self._nodes = 0
        self._open: list[tuple[dict[str, Any] | list[Any], Any]] = []

    def take(self, event: yaml.Event) -> None:
        """Process one event of the parser."""
        if isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                _refuse("there must be one document", event)

    def _node(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            _refuse(f"there are more than {MAX_NODES} keys and values", event)
        if event.anchor is not None:  # of an alias, what it refers to
            _refuse("anchors and aliases are not taken; write the value where it is used", event)
        if event.tag not in (None, "!"):
            _refuse("tags are not taken", event)
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        else:
            self._begin({} if isinstance(event, yaml.MappingStartEvent) else [], event)

    def _begin(self, container: dict[str, Any] | list[Any], event: yaml.Event) -> None:
        if len(self._open) == MAX_DEPTH:
            detail = f"must not be nested more than {MAX_DEPTH} deep"
            raise InvalidRequest("The body is nested too deep.", problems=[Problem("", detail)])
        if self._awaits_key():
            template = isinstance(event, yaml.MappingStartEvent)  # what {{ }} without quotes is read as
            _refuse("a key must be text" + ('; put templates in quotes: "{{ host }}"' if template else ""), event)
        self._add(container)
        self._open.append((container, _NO_KEY))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._awaits_key():
            container, _ = self._open[-1]
            if event.value in container:
                _refuse(f"the key {event.value[:64]!r} is there twice", event)
            self._open[-1] = (container, event.value)
        else:
            self._add(_plain(event) if event.implicit[0] else event.value)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._open[-1][1] is _NO_KEY

    def _add(self, value: Any) -> None:
        if not self._open:
            self.value = value
            return
        container, key = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[key] = value
            self._open[-1] = (container, _NO_KEY)


def _plain(event: yaml.ScalarEvent) -> Any:
    """The value of a word without quotes."""
    word: str = event.value
    if word in _WORDS:
        return _WORDS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word) and math.isfinite(number := float(word)):
        return number
    if _FLOAT.fullmatch(word) or _NOT_FINITE.fullmatch(word):
        _refuse("there is a number that JSON does not have", event)
    return word


def _refuse(detail: str, event: yaml.Event) -> NoReturn:
    mark = event.start_mark
    raise InvalidRequest(f"The body cannot be read: {detail} (line {mark.line + 1}, column {mark.column + 1}).")


def _remedy(error: yaml.MarkedYAMLError, text: str) -> str:
    """The remedy for the commonest faults, as the end of a sentence."""
    problem, mark = error.problem or "", error.problem_mark
    if "cannot start any token" in problem and mark and text[mark.index : mark.index + 1] == "\t":
        return "; indent with blanks, not tabs"
    if "mapping values are not allowed" in problem:
        return "; wrong indentation, or text with ': ' in it that needs quotes"
    if _CUT_SHORT.search(problem) and " #" in text:
        return '; # begins a comment: quote "#x"'
    return ""


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
