"""Masks secrets in what a recording keeps.

Masked are the values of secret parameters and of the bundle's secrets, in each form in which a call may carry them;
headers, query parameters and members of JSON whose names say that they hold a credential; and authentication.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

from tocsin.actions.placeholders import MASK

_NAMES = re.compile(
    r"authorization|cookie|passw(or)?d|secret|signature|credential|api[-_]?key|private[-_]?key"
    r"|(^|[-_])(token|key|sig|jwt)$",
    re.IGNORECASE,
)
#: fewer digits would be found in texts that have nothing to do with the secret
_SHORTEST = 6
#: not credentials, although their names look so
_PLAIN = re.compile(r"idempotency-key|sec-websocket-key", re.IGNORECASE)


class Masks:
    """Replaces known secrets, and what has the name of one, by ``********``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[str] = set()
        for secret in filter(None, secrets):
            forms |= {
                secret,
                html.escape(secret),
                html.escape(secret, quote=False),
                *_in_url(secret),
                *_in_json(secret),
            }
            forms |= {*_in_base64(secret.encode()), secret.encode().hex()}
        longest_first = sorted(forms, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """A text without the secrets."""
        return self._known.sub(MASK, text) if self._known else text

    def value(self, value: Any) -> Any:
        """A value of JSON without the secrets, and without what has the name of one."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self.text(key): self._member(key, one) for key, one in value.items()}
        return value

    def _member(self, name: str, value: Any) -> Any:
        return MASK if isinstance(value, str) and is_credential(name) else self.value(value)

    def message(self, message: dict[str, Any]) -> dict[str, Any]:
        """A request or a response, as a recording keeps it."""
        masked = {key: self.value(value) for key, value in message.items() if key not in ("headers", "params", "auth")}
        for pairs in ("headers", "params"):
            if pairs in message:
                masked[pairs] = [
                    [name, MASK if is_credential(name) else self.text(value)] for name, value in message[pairs]
                ]
        if "auth" in message:
            masked["auth"] = {key: self.text(one) if key == "user" else MASK for key, one in message["auth"].items()}
        return masked


def _in_url(secret: str) -> set[str]:
    """What a secret is in a URL; the digits of an escape may be small ones."""
    forms = {quote(secret), quote(secret, safe=""), quote_plus(secret)}
    return forms | {re.sub("%..", lambda found: found[0].lower(), form) for form in forms}


def _in_json(secret: str) -> set[str]:
    """What a secret is in a text of JSON: with other characters escaped or not, and with slashes escaped or not."""
    forms = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    return forms | {form.replace("/", "\\/") for form in forms}


def _in_base64(secret: bytes) -> set[str]:
    """The digits that a secret has inside a longer text in Base64, such as after the user of ``Authorization: Basic``.

    They depend on where it begins among the three bytes of four digits; those that it shares with its neighbours
    differ.
    """
    forms = {base64.b64encode(secret).decode().rstrip("=")}
    for before in range(3):
        digits = base64.b64encode(bytes(before) + secret).decode()
        whole = digits[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        if len(whole) >= _SHORTEST:
            forms.add(whole)
    return forms


def is_credential(name: str) -> bool:
    """Whether the name of a header, a parameter or a member says that it holds a credential."""
    return bool(_NAMES.search(name)) and not _PLAIN.fullmatch(name)
