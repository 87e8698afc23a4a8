"""Entity tags: how they are made, how a header lists them, and when two are the same.

A tag is made of what an answer shows, so it changes exactly when that does. The tag of a definition has a part before
that: of the definition alone. A writer relies on this part; what else an answer shows of a definition (when a schedule
fires next, which of its actions are missing) may change while it is written, and is no reason to refuse the change.
"""

import base64
import hashlib
import re
from typing import NamedTuple

from config.errors import InvalidRequest

#: between the part of a tag that stands for a definition, and that of all that is shown of it
_PARTS = "."
_DIGEST_BYTES = 12
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ONE = re.compile(rf"[ \t]*({_TAG})[ \t]*")
_LIST = re.compile(rf"[ \t,]*{_TAG}[ \t]*(?:,[ \t]*(?:{_TAG}[ \t]*)?)*")


class Listed(NamedTuple):
    """The tags of a header: the strong ones, and the opaque part of all; or ``*``, which is any."""

    strong: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    is_any: bool = False

    def has(self, tag: str) -> bool:
        """Whether the tag is one of them by the weak comparison, which readers are answered by."""
        return self.is_any or tag in self.opaque

    def has_state(self, state: str) -> bool:
        """Whether one of them, weak or not, is of a definition in this state."""
        return self.is_any or any(_state(tag) == state for tag in self.opaque)

    def relies_on(self, state: str) -> bool:
        """Whether one of them is of a definition in this state, by the strong comparison, which writers need."""
        return self.is_any or any(_state(tag) == state for tag in self.strong)


def of(shown: str, state: str = "") -> str:
    """The tag of an answer with these members; ``state`` is that of the definition it shows."""
    return f"{state}{_PARTS}{digest(shown)}" if state else digest(shown)


def digest(text: str) -> str:
    """A short text that another text has only by a chance that does not come."""
    found = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()
    return base64.urlsafe_b64encode(found).decode()


def listed(header: str, name: str) -> Listed:
    """What the header of this name lists.

    Raises:
        InvalidRequest: it is neither ``*`` nor a list of entity tags.
    """
    text = header.strip(" \t")
    if text == "*":
        return Listed(is_any=True)
    if not _LIST.fullmatch(text):
        raise InvalidRequest(f'{name} must be * or entity tags in double quotes, as ETag has them: {name}: "abc".')
    found = _ONE.findall(text)
    strong = frozenset(tag[1:-1] for tag in found if not tag.startswith("W/"))
    return Listed(strong, frozenset(tag.removeprefix("W/")[1:-1] for tag in found))


def _state(tag: str) -> str:
    return tag.partition(_PARTS)[0] if _PARTS in tag else ""
