"""How much work a definition makes, counted before any of it is looked into.

One walk over all values, whatever they mean, counts them, and the words and signs of everything that is read as code:
templates, conditions, variables of documents. It stops where there are too many, so it never takes longer than for a
definition of the greatest size allowed. What the checks do afterwards takes time in proportion to what was counted.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from expressions.limits import MAX_CONDITION_CHARACTERS, MAX_TEMPLATE_CHARACTERS
from playbooks.definitions.step_types import MAX_STEPS

#: keys and values of one definition; a playbook of 1 MiB whose values have ten characters has as many
MAX_VALUES = 100_000
#: words and signs in all templates and conditions of one definition: ``{{ steps.lookup.output.score }}`` has 11, and
#: reading one takes 5 to 10 microseconds
MAX_WORDS = 200_000

#: the same of an action, whose checks are done at once
MAX_VALUES_OF_ACTION, MAX_WORDS_OF_ACTION = 20_000, 20_000

#: members that are conditions, in all their spellings
_CONDITIONS = ("when", "expression", "while", "condition", "if")
_WORD = re.compile(r"\w+|[^\w\s]")
#: an expression with nothing in it that could hide where it ends
_PLAIN = re.compile(r"\{\{(?:[^{}\"'%#]|\"[^\"{}\\]*\"|'[^'{}\\]*')*\}\}")
_OPENING = re.compile(r"\{[{%#]")
#: what asks for a variable in a text of a CACAO document, and as how many words that counts
_VARIABLE, _OF_VARIABLE = ":value", 5
_MARKED = re.compile(r"\{|:value")
#: microseconds that checking takes for each value, and for each word or sign
_OF_VALUE, _OF_WORD = 5, 7


class Size(NamedTuple):
    """What was counted; of what has too much of something, perhaps not all."""

    values: int
    words: int
    steps: int

    @property
    def fault(self) -> str | None:
        """Why a playbook is not looked into, or None."""
        if self.steps > MAX_STEPS:
            return f"a playbook may have at most {MAX_STEPS} steps: make parts of it playbooks of their own"
        return self._fault("a playbook", MAX_VALUES, MAX_WORDS)

    @property
    def fault_of_action(self) -> str | None:
        """Why an action is not looked into, or None."""
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
        """About how long checking the definition takes."""
        return (self.values * _OF_VALUE + self.words * _OF_WORD) / 1000


def size(definition: Any) -> Size:
    """Count what a definition has; any JSON may be given."""
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
    return Size(values, words, steps)


def _words_in(text: str) -> int:
    words = _OF_VARIABLE * text.count(_VARIABLE) if _VARIABLE in text else 0
    return words + code_words(text) if "{" in text else words


def code_words(text: str) -> int:
    """The words and signs of a text that a template engine reads as code; none where it reads nothing.

    Prose between expressions does not count, unless something in the text makes it hard to say where one ends.
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
    """The items of all lists of steps, whatever they are, as far as the first list that is too long."""
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
