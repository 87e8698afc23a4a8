"""Idempotency keys: the same request under the same key makes nothing twice.

A key, and likewise the id of an event, belongs to the caller who sent it: what one caller has used says nothing about
the requests of another, and no caller can use up the keys of another.
"""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

from config.errors import Unavailable, Unprocessable
from config.settings import settings
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import idempotency

#: parts of a key; no key that a caller may send holds it
SEPARATOR = "\x1f"


class KeyClash(Unprocessable):
    """A key was used for a different request."""

    def __init__(self, workspace_id: str, actor: str, key: str) -> None:
        super().__init__(
            "This Idempotency-Key was used for a different request; take a new one.", code="idempotency_key_reused"
        )
        self.entry = audit.entry(workspace_id, actor, "idempotency_key.clashed", key.replace(SEPARATOR, "/"))


@contextlib.contextmanager
def clashes_audited() -> Iterator[None]:
    """Write down, after the refusal, that a key was used for a different request."""
    try:
        yield
    except KeyClash as clash:
        with contextlib.suppress(Unavailable), db.write() as connection:
            audit.record_all(connection, [clash.entry])
        raise


def earlier(connection: Connection, workspace_id: str, actor: str, key: str | None, same: list[Any]) -> Row | None:
    """What the same key of the same caller made before; ``same`` is what makes two requests the same.

    Raises:
        KeyClash: the key was used for a different request.
    """
    known = idempotency.find(connection, workspace_id, _owned(actor, key)) if key else None
    if known is None:
        return None
    if not any(hmac.compare_digest(known.fingerprint, _fingerprint(same, root)) for root in settings().secret_keys):
        raise KeyClash(workspace_id, actor, key or "")
    return known


def remember(
    connection: Connection,
    workspace_id: str,
    actor: str,
    key: str,
    same: list[Any],
    *,
    execution_id: str,
    created_at: int,
) -> None:
    """Tie a key of a caller to the execution it makes.

    Raises:
        IntegrityError: the key has been used.
    """
    idempotency.remember(
        connection,
        workspace_id,
        _owned(actor, key),
        fingerprint=_fingerprint(same, settings().secret_key),
        execution_id=execution_id,
        created_at=created_at,
    )


def _owned(actor: str, key: str) -> str:
    return f"{actor}{SEPARATOR}{key}"


def _fingerprint(same: list[Any], secret_key: str) -> str:
    """Keyed, so that it tells nothing about secrets in the parameters."""
    text = json.dumps(same, sort_keys=True)
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
