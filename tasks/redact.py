"""Takes the values of secrets out of whatever an action brought back, before it is stored or logged."""

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"

#: a secret this short would be found in innocent text; it is masked only where it stands alone
_SHORT = 4
#: a line of a longer secret that is this short would be found in innocent text
_LINE = 8
#: how often a text may be put into JSON inside JSON
_NESTED = 4
#: what stands where a text was cut
CUT = " […]"


class Redactor:
    """Masks a set of secret values, in clear and in the forms they take on their way (URL, JSON, base64).

    A secret of several lines is masked line by line too, and where a text was cut in the middle of a secret
    what is left of it is masked.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {secret for secret in secrets if secret}
        self._whole = plain
        lines = {line.strip() for secret in plain if "\n" in secret for line in secret.splitlines()}
        forms: set[str] = set()
        for secret in plain | {line for line in lines if len(line) >= _LINE}:
            if len(secret) < _SHORT:
                continue
            forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
            forms |= _json_forms(secret) | _base64_forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, value: str) -> str:
        """``value`` without the secrets."""
        if value in self._whole:
            return MASK
        for form in self._forms:
            if form in value:
                value = value.replace(form, MASK)
        return self._without_ends(value)

    def _without_ends(self, value: str) -> str:
        """``value`` without the beginning of a secret at its end and the end of one at its beginning."""
        kept = value.removesuffix(CUT)
        for form in self._forms:
            if kept[-_SHORT:] in form:
                sizes = range(min(len(form), len(kept)), _SHORT - 1, -1)
                size = next((size for size in sizes if kept.endswith(form[:size])), 0)
                kept = kept[: len(kept) - size] + MASK if size else kept
            if kept[:_SHORT] in form:
                sizes = range(min(len(form), len(kept)), _SHORT - 1, -1)
                size = next((size for size in sizes if kept.startswith(form[-size:])), 0)
                kept = MASK + kept[size:] if size else kept
        return kept + value[len(value.removesuffix(CUT)) :]

    def __call__(self, value: Any) -> Any:
        """A JSON value without the secrets, in keys and values, at any depth."""
        if not self._whole:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        return value


def _json_forms(secret: str) -> set[str]:
    """The secret as it looks in JSON, in JSON inside JSON, and so on."""
    found = set()
    for ascii_only in (True, False):
        form = secret
        for _ in range(_NESTED):
            form = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            found.add(form)
    return found


def _base64_forms(secret: str) -> set[str]:
    """How the secret looks inside base64 text, whatever stands before it (three alignments)."""
    found = set()
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        inner = encoded[4 if shift else 0 :].rstrip("=")
        inner = inner[: len(inner) - 1] if len(secret.encode()) + shift else inner
        if len(inner) >= 8:  # noqa: PLR2004 - shorter pieces would be found in innocent text
            found |= {inner, inner.replace("+", "-").replace("/", "_")}
    return found
