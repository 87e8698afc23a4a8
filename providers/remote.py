"""Executor ``remote``: a signed JSON message by the Standard Webhooks convention.

``config``: ``target`` (URL of the user's endpoint), ``secret`` (``whsec_...`` with 24 to 64 bytes, or any text of at
least 16 characters), perhaps ``headers``. While a receiver changes its secret, ``secret`` is a list: the message is
signed with each of them. The message says which execution of which action it is, for which target asset, with which
parameters. ``webhook-id`` is the same for every attempt, so the receiver can drop repetitions; each attempt is signed
with its own time.
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

from config.errors import Problem
from config.types import Json
from expressions.values import compact
from providers import http, members
from providers.base import Call, ProviderError
from providers.egress import client
from providers.egress.client import Request

SECRETS = ("secret",)
ON_LOOP = True
_KEYS = ("target", "secret", "headers", "secret_headers")
_PREFIX, _SHORTEST = "whsec_", 16
#: bytes of a signing key, by the convention
_FEWEST_BYTES, _MOST_BYTES = 24, 64
#: secrets at once: the coming one, the leaving one, and one to spare
_MOST_SECRETS = 3


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of the config."""
    problems = members.check(config, _KEYS, ("target", "secret"))
    problems += http.check_url(config, names, "target")
    problems += http.check_headers(config, names)
    return problems + _check_secret(config.get("secret"))


def _check_secret(secret: Any) -> list[Problem]:
    if secret in (None, ""):
        return []  # it is missing, and that has been said
    if isinstance(secret, list) and secret:
        if len(secret) > _MOST_SECRETS:
            return [Problem("/secret", f"must be at most {_MOST_SECRETS} secrets at once")]
        return [Problem(f"/secret/{place}", _SECRET_WANTED) for place, one in enumerate(secret) if not _is_fit(one)]
    return [] if _is_fit(secret) else [Problem("/secret", _SECRET_WANTED)]


_SECRET_WANTED = (
    f"must be 'whsec_' and the base64 of {_FEWEST_BYTES} to {_MOST_BYTES} random bytes, "
    f"or any text of at least {_SHORTEST} characters"
)


def _is_fit(secret: Any) -> bool:
    """Whether a secret may be given to an action.

    Secrets that were given earlier still sign.
    """
    key = _signing_key(secret) if isinstance(secret, str) else None
    return key is not None and (not secret.startswith(_PREFIX) or _FEWEST_BYTES <= len(key) <= _MOST_BYTES)


def plan(call: Call) -> Json:
    """The message without its signature.

    With the signature a reader could send the message.
    """
    return client.described(_request(call))


def perform(call: Call) -> Any:
    """Send the message; the output is the answer's JSON object.

    Another answer becomes ``{"body": ...}``.
    """
    return http.exchange(_request(call), call)


def _request(call: Call) -> Request:
    given = call.config.get("secret", "")
    keys = [_signing_key(str(one)) for one in (given if isinstance(given, list) else [given])]
    if not keys or None in keys:
        raise ProviderError("invalid_config", "the remote executor needs a secret to sign its messages with")
    now = datetime.now(UTC)
    with http.rendering():
        url = http.render_url(call.config["target"], call.context)
        headers = http.render_headers(call.config, call.context)
        body = compact(_message(call, now))
    signed = {
        "Content-Type": "application/json",
        "webhook-id": call.idempotency_key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(call.idempotency_key, now, body) for key in keys if key),
    }
    names = {name.lower() for name in signed}
    headers = {name: value for name, value in headers.items() if name.lower() not in names} | signed
    http.with_default(headers, "Idempotency-Key", call.idempotency_key)
    return Request("POST", url, headers, body.encode(), "message", http.named_values(call.config, headers))


def _message(call: Call, now: datetime) -> Json:
    data = {"execution_id": call.execution_id, "target": call.context.get("target")}
    action = call.context.get("action_id")
    if action is not None:
        data["action_id"] = action
    return {
        "type": "action.triggered",
        "timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": data | {"parameters": dict(call.parameters)},
    }


def _signing_key(secret: str) -> bytes | None:
    """The signing key in a secret, or None when it is unusable."""
    if not secret.startswith(_PREFIX):
        return secret.encode() if len(secret) >= _SHORTEST else None
    encoded = secret.removeprefix(_PREFIX)
    try:
        return base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True) or None
    except (binascii.Error, ValueError):
        return None
