"""Mask secrets in an action's result before it is stored.

In order of time: a ``Redactor`` computes every form that its secrets may take (in clear, URL, JSON, base64); the first
four bytes of all forms become one expression for RE2, which reads any text once, for any number of forms. Wherever it
finds such a beginning, the forms with that beginning are compared, longest first.
"""

import base64
import json
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import re2

from playbooks.credentials import MASK

#: a secret this short would be found in innocent text; it is masked only where it stands alone
_SHORT = 4
#: a line of a longer secret that is this short would be found in innocent text
_LINE = 8
#: the levels of JSON inside JSON that are looked for
_NESTED = 4
#: the mark at the end of a text that was cut
CUT = " […]"
#: where texts are cut without a mark: bytes of an answer's body, characters of a mail server's or launcher's words
_BODY, _WORDS = 2048, (300, 500)
#: the lines of a secret that are looked for in every form; the others only in clear and in JSON
_LINES = 200
#: the most forms that can be looked for at a reasonable cost
_FORMS = 10_000
_MEMORY = 256 << 20
#: bytes that may be compared for one text, and for each byte of it
_ROOM, _ROOM_EACH = 1 << 20, 256
#: beginnings often come in runs; a call to RE2 costs as much as looking at this many bytes
_NEAR = 64


__all__ = ["CUT", "MASK", "NO_SECRETS", "Redactor", "masked", "redactor", "texts"]


def masked(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Values by name, with those of the secret ``names`` masked."""
    return {name: MASK if name in names and value is not None else value for name, value in values.items()}


class Redactor:
    """Masks a set of secrets, in clear and encoded (URL, JSON, base64).

    A secret of several lines is masked line by line too, and if a text was cut in the middle of a secret, the rest of
    the secret is masked. With more forms than can be looked for, every longer text is masked as a whole.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._whole = {secret for secret in secrets if secret}
        forms = {form for secret in self._whole for form in _forms_of(secret)}
        self._too_many = len(forms) > _FORMS
        self._forms = [] if self._too_many else sorted(form.encode(errors="surrogatepass") for form in forms)
        lengths: dict[bytes, set[int]] = {}
        for form in self._forms:
            lengths.setdefault(form[:_SHORT], set()).add(len(form))
        self._lengths = {start: sorted(found, reverse=True) for start, found in lengths.items()}
        self._known = frozenset(self._forms)
        self._starts = _expression(self._lengths) if self._lengths else None

    def text(self, value: str) -> str:
        """A text with the secrets masked."""
        if value in self._whole:
            return MASK
        if len(value) < _SHORT:
            return value
        if self._too_many:
            return MASK if len(value) >= _LINE else value
        kept = value.removesuffix(CUT)
        data = kept.encode(errors="surrogatepass")
        cut = kept != value or len(value) in _WORDS or len(value) <= _BODY <= len(data)
        pieces, done = [], 0
        for start, end in self._places(data, cut=cut):
            pieces += [data[done:start], MASK.encode()]
            done = end
        if not pieces:
            return value
        return b"".join([*pieces, data[done:]]).decode(errors="surrogatepass") + value[len(kept) :]

    def _places(self, data: bytes, *, cut: bool) -> list[tuple[int, int]]:
        """The places of the secrets, from left to right.

        ``cut`` says that the last may lack its end. A text that almost contains a secret again and again is masked as a
        whole, so that the work stays in proportion to it.
        """
        found: list[tuple[int, int]] = []
        room = _ROOM + _ROOM_EACH * len(data)
        at = self._next(data, 0, 0)
        while at is not None:
            lengths = self._lengths[data[at : at + _SHORT]]
            room -= sum(lengths)
            if room < 0:
                return [(0, len(data))]
            length = next((length for length in lengths if data[at : at + length] in self._known), 0)
            if not length and cut and len(data) - at < lengths[0] and self._begins(data[at:]):
                length = len(data) - at
            if length:
                found.append((at, at + length))
            at = self._next(data, at + (length or 1), 0 if length else _NEAR)
        return found

    def _next(self, data: bytes, at: int, near: int) -> int | None:
        """The next place where a form may begin.

        The first ``near`` bytes are tried without RE2.
        """
        for place in range(at, min(at + near, len(data))):
            if data[place : place + _SHORT] in self._lengths:
                return place
        found = None if self._starts is None else self._starts.search(data, at + near)
        return None if found is None else int(found.start())

    def _begins(self, rest: bytes) -> bool:
        """Whether a form begins with ``rest``."""
        at = bisect_left(self._forms, rest)
        return at < len(self._forms) and self._forms[at].startswith(rest)

    def __call__(self, value: Any) -> Any:
        """A JSON value, secrets masked in keys and values."""
        if not self._whole:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        return value


#: the redactor without secrets
NO_SECRETS = Redactor(())


def redactor(secrets: Collection[str]) -> Redactor:
    """The redactor of these secrets; all actions without secrets share one."""
    return Redactor(secrets) if secrets else NO_SECRETS


def texts(value: Any) -> list[str]:
    """Every text inside a JSON value."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in texts(item)]
    return [str(value)] if value is not None else []


def _expression(starts: Iterable[bytes]) -> Any:
    """One expression for all beginnings, byte by byte."""
    options = re2.Options()
    options.log_errors, options.max_mem, options.encoding = False, _MEMORY, re2.Options.Encoding.LATIN1
    return re2.compile(b"|".join(map(re2.escape, sorted(starts))), options)


def _forms_of(secret: str) -> set[str]:
    """Every form of one secret that is looked for."""
    lines = [line.strip() for line in secret.splitlines()] if "\n" in secret else []
    lines = [line for line in dict.fromkeys(lines) if len(line) >= _LINE]
    forms: set[str] = set()
    for text in [secret, *lines[:_LINES]]:
        if len(text) >= _SHORT:
            forms |= {text, quote(text, safe="", errors="replace"), quote(text, errors="replace")}
            forms |= {quote_plus(text, errors="replace")} | _json_forms(text) | _base64_forms(text)
    for line in lines[_LINES:]:
        forms |= {line, json.dumps(line)[1:-1]}
        if len(forms) > _FORMS:
            break
    return {form for form in forms if len(form.encode(errors="surrogatepass")) >= _SHORT}


def _json_forms(secret: str) -> set[str]:
    """The forms of a secret in JSON, at any level."""
    found = set()
    for ascii_only in (True, False):
        form = secret
        for _ in range(_NESTED):
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            found.add(form)
    return found


def _base64_forms(secret: str) -> set[str]:
    """The forms of a secret inside base64 text, in all three alignments."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode(errors="replace")).decode()
        inner = encoded[4 if shift else 0 :].rstrip("=")
        inner = inner[: len(inner) - 1] if len(secret.encode(errors="replace")) + shift else inner
        if len(inner) >= 8:  # noqa: PLR2004 - shorter pieces would be found in innocent text
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
