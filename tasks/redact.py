"""Takes the values of secrets out of whatever an action brought back, before it is stored or logged."""

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "********"

#: a secret this short would be found in innocent text; it is masked only where it stands alone
_SHORT = 4


class Redactor:
    """Masks a set of secret values, in clear and in the forms they take on their way (URL, JSON, base64)."""

    def __init__(self, secrets: Iterable[str]) -> None:
        plain = {secret for secret in secrets if secret}
        self._whole = plain
        forms: set[str] = set()
        for secret in plain:
            if len(secret) < _SHORT:
                continue
            forms |= {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
            forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
            forms |= _base64_forms(secret)
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, value: str) -> str:
        """``value`` without the secrets."""
        if value in self._whole:
            return MASK
        for form in self._forms:
            if form in value:
                value = value.replace(form, MASK)
        return value

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
