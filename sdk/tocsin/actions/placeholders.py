"""Placeholders of secrets: what a function holds in place of a value, and how a call gets the value.

``context.secrets["FW_TOKEN"]`` is a text that means nothing outside its execution: it holds a random word (``nonce``)
that is not known before. The worker (in a trial, the author's machine) puts the value in its place, in headers,
authentication, query parameters and the texts of a JSON body; anywhere else a placeholder is refused, because the value
could not be kept apart from what surrounds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tocsin.actions.errors import HttpFailed

_PLACEHOLDER = "tocsin-secret-{nonce}-{name}-."
_NAMES = "[A-Z][A-Z0-9_]*"
MASK = "********"

Request = dict[str, Any]


def placeholder(nonce: str, name: str) -> str:
    """The text that stands for a secret."""
    return _PLACEHOLDER.format(nonce=nonce, name=name)


class Secrets(Mapping[str, str]):
    """The secrets of a bundle, by name: placeholders, or values where the manifest says ``reveal = true``.

    Example::

        context.http.get(url, auth=Bearer(context.secrets["FW_TOKEN"]))
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = dict(known)

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            there_are = ", ".join(sorted(self._known)) or "none"
            raise LookupError(f"there is no secret {name}; bundle.toml lists its names under [secrets]: {there_are}")
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._known))})"


def fill(request: Request, nonce: str, value_of: Callable[[str], str]) -> tuple[Request, set[str]]:
    """The request with the values in place of their placeholders, and the names that it uses.

    Args:
        request: the call, as ``tocsin.actions.http`` describes it.
        nonce: the random word of the execution.
        value_of: gives the value of a secret, or raises ``HttpFailed``.

    Raises:
        HttpFailed: ``secret_misplaced``, a placeholder stands in the URL, in a key or in a body that is not JSON.
    """
    written = re.compile(
        re.escape(_PLACEHOLDER).replace(r"\{nonce\}", re.escape(nonce)).replace(r"\{name\}", f"({_NAMES})")
    )
    used: set[str] = set()

    def replace(found: re.Match[str]) -> str:
        used.add(found[1])
        return value_of(found[1])

    def in_texts(value: Any) -> Any:
        if isinstance(value, str):
            return written.sub(replace, value)
        if isinstance(value, list):
            return [in_texts(one) for one in value]
        if isinstance(value, dict):
            return {key: in_texts(one) for key, one in value.items()}
        return value

    filled = {key: in_texts(request[key]) if key in ("auth", "json") else request[key] for key in request}
    for pairs in {"headers", "params"} & request.keys():
        filled[pairs] = [[name, in_texts(value)] for name, value in request[pairs]]
    if any(nonce in text for text in _texts({key: filled[key] for key in filled if key != "timeout"})):
        places = "headers, auth, params and the texts of a JSON body"
        raise HttpFailed("secret_misplaced", f"a secret's placeholder is filled in only in {places}")
    return filled, used


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
