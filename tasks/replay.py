"""Idempotency keys: the same request under the same key makes nothing twice."""

import hashlib
import hmac
import json
from typing import Any

from config.errors import Unprocessable
from config.settings import settings
from store import idempotency
from store.db import Connection, Row


def earlier(connection: Connection, workspace_id: str, key: str | None, same: list[Any]) -> Row | None:
    """What the same key made before; ``same`` is what makes two requests the same.

    Raises:
        Unprocessable: the key was used for a different request.
    """
    known = idempotency.find(connection, workspace_id, key) if key else None
    if known is None:
        return None
    if not any(hmac.compare_digest(known.fingerprint, _fingerprint(same, key)) for key in settings().secret_keys):
        raise Unprocessable(
            "This Idempotency-Key was used for a different request; take a new one.", code="idempotency_key_reused"
        )
    return known


def remember(
    connection: Connection, workspace_id: str, key: str, same: list[Any], *, execution_id: str, created_at: int
) -> None:
    """Tie a key to the execution it makes.

    Raises:
        IntegrityError: the key has been used.
    """
    idempotency.remember(
        connection,
        workspace_id,
        key,
        fingerprint=_fingerprint(same, settings().secret_key),
        execution_id=execution_id,
        created_at=created_at,
    )


def _fingerprint(same: list[Any], secret_key: str) -> str:
    """Keyed, so that it tells nothing about secrets in the parameters."""
    text = json.dumps(same, sort_keys=True)
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
