"""The size of a definition, counted before any check reads it.

One traversal of all values, whatever they mean, counts them, and the words and signs of everything that is parsed as
code: templates, conditions, variables of documents. It stops at the limit, so it never takes longer than for the
largest definition allowed. The checks that follow take time in proportion to the counts.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from expressions.limits import MAX_CONDITION_CHARACTERS, MAX_TEMPLATE_CHARACTERS
from playbooks.definitions.step_types import MAX_STEPS

#: keys and values of one definition; as many as a playbook of 1 MiB with values of ten characters has
MAX_VALUES = 100_000
#: words and signs in all templates and conditions of one definition: ``{{ steps.lookup.output.score }}`` has 11, and
#: reading one takes 5 to 10 microseconds
MAX_WORDS = 200_000

#: the same for an action, whose checks run in the request itself
MAX_VALUES_OF_ACTION, MAX_WORDS_OF_ACTION = 20_000, 20_000

#: members that are conditions, in all their spellings
_CONDITIONS = ("when", "expression", "while", "condition", "if")
_WORD = re.compile(r"\w+|[^\w\s]")
#: an expression whose end is unambiguous
_PLAIN = re.compile(r"\{\{(?:[^{}\"'%#]|\"[^\"{}\\]*\"|'[^'{}\\]*')*\}\}")
_OPENING = re.compile(r"\{[{%#]")
#: the suffix of a variable in a CACAO document, and the number of words that it counts as
_VARIABLE, _OF_VARIABLE = ":value", 5
_MARKED = re.compile(r"\{|:value")
#: microseconds of checking for each value, and for each word or sign
_OF_VALUE, _OF_WORD = 5, 7


class DefinitionSize(NamedTuple):
    """The counts of a definition, perhaps incomplete beyond a limit."""

    values: int
    words: int
    steps: int

    @property
    def fault(self) -> str | None:
        """The reason why a playbook is too large, or None."""
        if self.steps > MAX_STEPS:
            return f"a playbook may have at most {MAX_STEPS} steps: make parts of it playbooks of their own"
        return self._fault("a playbook", MAX_VALUES, MAX_WORDS)

    @property
    def fault_of_action(self) -> str | None:
        """The reason why an action is too large, or None."""
        return self._fault("an action", MAX_VALUES_OF_ACTION, MAX_WORDS_OF_ACTION)

    def _fault(self, what: str, most_values: int, most_words: int) -> str | None:
        if self.values > most_values:
            return f"{what} may have at most {most_values} keys and values: give large data as parameters"
        if self.words > most_words:
            text = f"{what} may have at most {most_words} words and signs in all its templates and conditions"
            return f"{text}: divide it into several"
        return None

    @property
    def milliseconds(self) -> float:
        """The approximate time that checking the definition takes."""
        return (self.values * _OF_VALUE + self.words * _OF_WORD) / 1000


def size(definition: Any) -> DefinitionSize:
    """Count the parts of a definition; accepts any JSON."""
    steps = _steps(definition)
    values = words = 0
    waiting = [] if steps > MAX_STEPS else [definition]
    while waiting and values <= MAX_VALUES and words <= MAX_WORDS:
        one = waiting.pop()
        if isinstance(one, dict):
            values += 2 * len(one)
            if values <= MAX_VALUES:
                words += sum(_words_of(one[name]) for name in _CONDITIONS if name in one)
                if _MARKED.search("\n".join(map(str, one))):
                    words += sum(_words_in(str(key)) for key in one)
                waiting.extend(one.values())
        elif isinstance(one, list):
            values += len(one)
            if values <= MAX_VALUES:
                waiting.extend(one)
        elif isinstance(one, str):
            words += _words_in(one)
    return DefinitionSize(values, words, steps)


def _words_in(text: str) -> int:
    words = _OF_VARIABLE * text.count(_VARIABLE) if _VARIABLE in text else 0
    return words + code_words(text) if "{" in text else words


def code_words(text: str) -> int:
    """The words and signs of a text that the template engine parses.

    Prose between expressions does not count, unless the end of an expression is ambiguous.
    """
    opening = _OPENING.search(text)
    if opening is None or len(text) > MAX_TEMPLATE_CHARACTERS:
        return 0
    if "}}" not in text:
        return len(_WORD.findall(text, opening.start()))
    found = sum(len(_WORD.findall(plain)) for plain in _PLAIN.findall(text))
    rest = _PLAIN.sub("", text)
    opening = _OPENING.search(rest)
    return found + (len(_WORD.findall(rest, opening.start())) if opening else 0)


def _words_of(condition: Any) -> int:
    read = isinstance(condition, str) and len(condition) <= MAX_CONDITION_CHARACTERS
    return len(_WORD.findall(condition)) if read else 0


def _steps(definition: Any) -> int:
    """The items of all lists of steps.

    The count stops at the first list that exceeds the limit.
    """
    found = branches = 0
    waiting = [definition]
    while waiting and max(found, branches) <= MAX_STEPS:
        one = waiting.pop()
        if isinstance(one, list):
            found += len(one)
            waiting.extend(one if found <= MAX_STEPS else ())
        elif isinstance(one, Mapping):
            waiting.append(one.get("steps"))
            inner = one.get("branches")
            if isinstance(inner, list):
                branches += len(inner)
                waiting.extend(inner if branches <= MAX_STEPS else ())
    return max(found, branches)
