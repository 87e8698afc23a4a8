"""Idempotency keys: a repeated request under the same key makes nothing twice.

A key, or the id of an event, belongs to the caller who sent it: no caller learns of the keys of another, or uses them
up. A replay is the exception: its key is made of the record that it does again, and is the same for every caller, so
that the record is done again once.
"""

import contextlib
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from config.errors import Unavailable, Unprocessable
from config.settings import settings
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import idempotency

#: separates the parts of a key; no key that a caller may send contains it
SEPARATOR = "\x1f"
#: what a key of a replay begins with, and in whose name all of them are kept: no caller is called that
_REPLAY, ANY_CALLER = "replay" + SEPARATOR, audit.SYSTEM
_DAY = 86_400_000


class Replay(NamedTuple):
    """The record that a request does again, by its subject; ``action_id`` is the id that it shows."""

    subject: str
    action_id: str

    @property
    def key(self) -> str:
        """The key under which it is done once."""
        return _REPLAY + self.subject


def replayed(connection: Connection, workspace_id: str, replay: Replay) -> Row | None:
    """What a record was replayed as; any request under its key is the same, also once the secret key has changed."""
    return earlier_of(connection, workspace_id, ANY_CALLER, [replay.key]).get(replay.key)


def remember_replay(
    connection: Connection, workspace_id: str, actor: str, replay: Replay, *, made: str, outcome: str | None = None
) -> None:
    """Store what a replay has made, and audit that it replays a record.

    The key lives longer than the body of the record, without which there is no other replay.

    Raises:
        IntegrityError: the record was replayed before.
    """
    kept = max(settings().retention_days, settings().payload_days) * _DAY
    remember(
        connection,
        workspace_id,
        ANY_CALLER,
        replay.key,
        [replay.key],
        execution_id=made,
        created_at=db.now_ms() + kept,
        outcome=outcome,
    )
    said = {"replayed_from": replay.action_id, "record": replay.subject}
    audit.record(connection, workspace_id, actor, "record.replayed", made, **said)


class KeyClash(Unprocessable):
    """The key was used for a different request."""

    def __init__(self, workspace_id: str, actor: str, key: str) -> None:
        super().__init__(
            "This Idempotency-Key was used for a different request; take a new one.", code="idempotency_key_reused"
        )
        self.entry = audit.entry(workspace_id, actor, "idempotency_key.clashed", key.replace(SEPARATOR, "/"))


@contextlib.contextmanager
def clashes_audited() -> Iterator[None]:
    """Audit a key that was used for a different request."""
    try:
        yield
    except KeyClash as clash:
        with contextlib.suppress(Unavailable), db.write() as connection:
            audit.record_all(connection, [clash.entry])
        raise


def earlier(connection: Connection, workspace_id: str, actor: str, key: str | None, same: list[Any]) -> Row | None:
    """The execution made before under the same key of the same caller.

    ``same`` are the parts that are equal in two copies of a request.

    Raises:
        KeyClash: the key was used for a different request.
    """
    known = idempotency.find(connection, workspace_id, owned(actor, key)) if key else None
    if known is None:
        return None
    if not is_same(known, same):
        raise KeyClash(workspace_id, actor, key or "")
    return known


def decided(connection: Connection, known: Row) -> Row | None:
    """Status and gate of the execution made before, where a rule concerns it."""
    return idempotency.decided(connection, known.execution_id)


def earlier_of(connection: Connection, workspace_id: str, actor: str, keys: Sequence[str]) -> dict[str, Row]:
    """What was made before under these keys of one caller, by key; whether of the same request ``is_same`` says."""
    if not keys:
        return {}
    found = idempotency.several(connection, workspace_id, [owned(actor, key) for key in keys])
    return {key.removeprefix(owned(actor, "")): row for key, row in found.items()}


def is_same(known: Row, same: list[Any]) -> bool:
    """Whether a key was used for a request with the same parts."""
    return any(hmac.compare_digest(known.fingerprint, _fingerprint(same, root)) for root in settings().secret_keys)


def remember(
    connection: Connection,
    workspace_id: str,
    actor: str,
    key: str,
    same: list[Any],
    *,
    execution_id: str,
    created_at: int,
    outcome: str | None = None,
) -> None:
    """Store which execution a key of a caller has made, and the outcome if it is known.

    Raises:
        IntegrityError: the key has been used.
    """
    idempotency.remember(
        connection,
        workspace_id,
        owned(actor, key),
        fingerprint=_fingerprint(same, settings().secret_key),
        execution_id=execution_id,
        created_at=created_at,
        outcome=outcome,
    )


def owned(actor: str, key: str) -> str:
    """The key of a sender, as it is stored."""
    return f"{actor}{SEPARATOR}{key}"


def _fingerprint(same: list[Any], secret_key: str) -> str:
    """A keyed hash: it reveals nothing of secret parameters."""
    text = json.dumps(same, sort_keys=True)
    return hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
