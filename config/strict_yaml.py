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
from config.pointers import unescape
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


class YamlFault(InvalidRequest):
    """The text is not YAML, or uses what is not taken here.

    ``detail`` is the fault without its place, ``line`` counts from 1 (0: unknown). A process that reads large bodies
    sends it to another: what is pickled is made again from the message.
    """

    def __init__(self, message: str, detail: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.detail = detail
        self.line = line


class Document:
    """The value of a file, and the line of each of its members."""

    def __init__(self, value: Any, lines: dict[int, dict[Any, int]]) -> None:
        self.value = value
        self._lines = lines

    def line(self, pointer: str) -> int:
        """The line of the member at a pointer; of the nearest one around it where it is missing."""
        value, line = self.value, 1
        for part in pointer.split("/")[1:]:
            step: Any = unescape(part)
            if isinstance(value, list):
                step = int(step) if step.isdecimal() and int(step) < len(value) else None
            elif not isinstance(value, dict) or step not in value:
                step = None
            if step is None:
                break
            line = self._lines[id(value)].get(step, line)
            value = value[step]
        return line


def load(text: str) -> Any:
    """The value of a document, None for an empty one.

    Raises:
        InvalidRequest: it is not YAML, or uses what is not taken here.
    """
    return _built(text, _Builder()).value


def located(text: str) -> Document:
    """The value of a file with the lines of its members.

    Raises:
        InvalidRequest: as ``load``; YamlFault where the line is known.
    """
    builder = _Builder(lines={})
    return Document(_built(text, builder).value, builder.lines or {})


def _built(text: str, builder: "_Builder") -> "_Builder":
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = _own_words(error, text) or f"{error.problem or error.context}{_remedy(error, text)}"
        raise YamlFault(
            f"The body is not YAML: {detail}{_place(error)}.", f"not YAML: {detail}", mark.line + 1 if mark else 0
        ) from error
    except yaml.YAMLError as error:  # characters that YAML does not have
        detail = str(error).splitlines()[0]
        raise YamlFault(f"The body is not YAML: {detail}.", f"not YAML: {detail}") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidRequest("The body holds a number that is too long.") from error
    return builder


def dump(value: Any) -> str:
    """A value as YAML, in the order of its members."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    return text


class _Builder:
    """The value so far, with its open containers.

    Each container has the key that waits for its value. ``lines`` collects the lines of the members of each container
    by its identity: the containers stay alive as parts of the value.
    """

    def __init__(self, lines: dict[int, dict[Any, int]] | None = None) -> None:
        self.value: Any = None
        self.lines = lines
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
            fault = YamlFault("The body is nested too deep.", detail, event.start_mark.line + 1)
            fault.problems = [Problem("", detail)]
            raise fault
        if self._awaits_key():
            template = isinstance(event, yaml.MappingStartEvent)  # what {{ }} without quotes is read as
            _refuse("a key must be text" + ('; put templates in quotes: "{{ host }}"' if template else ""), event)
        self._add(container, event)
        self._open.append((container, _NO_KEY))

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._awaits_key():
            container, _ = self._open[-1]
            if event.value in container:
                _refuse(f"the key {event.value[:64]!r} is there twice", event)
            self._open[-1] = (container, event.value)
        else:
            self._add(_plain(event) if event.implicit[0] else event.value, event)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._open[-1][1] is _NO_KEY

    def _add(self, value: Any, event: yaml.Event) -> None:
        if self.lines is not None and isinstance(value, dict | list):
            self.lines[id(value)] = {}
        if not self._open:
            self.value = value
            return
        container, key = self._open[-1]
        if self.lines is not None:
            place = len(container) if isinstance(container, list) else key
            self.lines[id(container)][place] = event.start_mark.line + 1
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
    message = f"The body cannot be read: {detail} (line {mark.line + 1}, column {mark.column + 1})."
    raise YamlFault(message, detail, mark.line + 1)


def _own_words(error: yaml.MarkedYAMLError, text: str) -> str:
    """The words about a sign that begins no text, and about a quote that is not closed; empty for any other fault."""
    problem, mark = error.problem or "", error.problem_mark
    sign = text[mark.index : mark.index + 1] if mark else ""
    if "cannot start any token" in problem and sign in ("@", "`", "%"):
        return f"no text begins with {sign} without quotes: write '{sign}…'"
    if "end of stream" in problem and "quoted scalar" in (error.context or "") and error.context_mark:
        return f"the quote that opens on line {error.context_mark.line + 1} is not closed"
    return ""


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
