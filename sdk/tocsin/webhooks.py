"""Checks that a webhook comes from the server: Standard Webhooks, by the standard library alone.

    from tocsin.webhooks import SignatureInvalid, verify

    event = verify(request.body, request.headers, secret)

The signature covers the body as it was received: pass its bytes, not what a framework made of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import Any, Dict, List, Literal, Mapping, Sequence, Union

from tocsin._errors import TocsinError

#: the check that failed
Reason = Literal["missing_header", "bad_secret", "too_old", "too_new", "no_match"]
_PREFIX, _VERSION = "whsec_", "v1"
_LONGEST_TIME = 15
_WORDS = {
    "missing_header": "webhook-id, webhook-timestamp or webhook-signature is missing, or is no such header",
    "bad_secret": "the secret is not whsec_ and base64",
    "too_old": "it was signed longer ago than is tolerated",
    "too_new": "it was signed in the future: do the clocks agree?",
    "no_match": "no signature fits: another secret, or the body is not the one that was sent",
}


class SignatureInvalid(TocsinError):
    """The webhook must not be trusted; ``reason`` names the check that failed."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"The webhook is not verified: {_WORDS[reason]} ({reason}).")
        self.reason: Reason = reason


def verify(
    body: Union[bytes, str],
    headers: Mapping[str, Any],
    secret: Union[str, Sequence[str]],
    tolerance: float = 300,
) -> Dict[str, Any]:
    """The event in a webhook, once its signature was checked.

    Args:
        body: the body as it was received
        headers: its headers; the case of their names does not matter
        secret: the secret of the webhook; several while one takes the place of another
        tolerance: seconds by which the time of signing may differ from now

    Raises:
        SignatureInvalid: it must not be trusted.

    """
    known = {str(name).lower(): value for name, value in headers.items()}
    identity, moment, signatures = (_text(known.get(f"webhook-{one}")) for one in ("id", "timestamp", "signature"))
    # a number that is longer is no time, and a long one takes long to read
    if not (identity and signatures and moment.isascii() and moment.isdigit() and len(moment) <= _LONGEST_TIME):
        raise SignatureInvalid("missing_header")
    keys = [_key(one) for one in ([secret] if isinstance(secret, str) else secret)]
    age = time.time() - int(moment)
    if abs(age) > tolerance:
        raise SignatureInvalid("too_old" if age > 0 else "too_new")
    # what UTF-8 cannot say was not signed either: it fits no signature
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else bytes(body)
    signed = f"{identity}.{moment}.".encode("utf-8", "surrogatepass") + content
    wanted = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    # each is compared, so that the time does not tell which one fits
    fits = [hmac.compare_digest(one, given) for given in _signatures(signatures) for one in wanted]
    if not any(fits):
        raise SignatureInvalid("no_match")
    event: Dict[str, Any] = json.loads(content)
    return event


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""


def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise SignatureInvalid("bad_secret")
    return key


def _signatures(header: str) -> List[bytes]:
    found = []
    for one in header.split(" "):
        version, _, text = one.partition(",")
        try:
            found.append(base64.b64decode(text, validate=True) if version == _VERSION else b"")
        except (binascii.Error, ValueError):
            continue
    return found
