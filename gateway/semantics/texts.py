"""The text of a value that is compared by its meaning.

A text goes to the provider of embeddings, which may be another system: credentials are masked in it.
"""

from collections.abc import Mapping
from typing import Any

from playbooks.credentials import MASK, is_secret_member, replaced, spans

#: characters of a text that are compared: what follows changes little of what a text is about, and costs as much
MAX_CHARACTERS = 4096
#: parts of a value that are looked into
_MAX_PARTS = 10_000


def of(value: Any) -> str:
    """The text in a value: of an object or a list all texts at any depth, in their order; "" where there is none.

    What members are called is no part of it.
    """
    found, length = list[str](), 0
    waiting, left = [value], _MAX_PARTS
    while waiting and left and length < MAX_CHARACTERS:
        one, left = waiting.pop(), left - 1
        if isinstance(one, str):
            part = one[:MAX_CHARACTERS]
            found.append(replaced(part, spans(part)))
            length += len(part) + 1
        elif isinstance(one, Mapping):
            shown = [part for name, part in one.items() if not is_secret_member(str(name))]
            waiting.extend(reversed(shown))
        elif isinstance(one, list):
            waiting.extend(one[:left][::-1])
    return " ".join(found)[:MAX_CHARACTERS]


def has_words(text: str) -> bool:
    """Whether a text has a letter or a digit of any script, besides masks."""
    return any(character.isalnum() for character in text.replace(MASK, ""))
