"""A key gets another secret, or another name, and is the same key.

In order of time: an administrator rotates a key; the answer has the new secret; its users are given that while
the old one is still valid; after its time only the new one opens anything. Id, role, scopes and grants stay, and with
them what the audit trail says of it.
"""

import sqlalchemy as sa

from config.errors import Conflict
from store import access, audit
from store.access import api_keys
from store.engine.db import Connection, Row, now_ms

_HOUR = 3_600_000


def rotate(
    db: Connection, row: Row, actor: str, *, keep_hours: int, expires_at: int | None, replace: bool = False
) -> str:
    """Give a key, whose row is locked, a new secret; returns the key itself.

    The secret of before is valid for ``keep_hours`` more. Another rotation within that time is refused, because it
    would end it early; with ``replace`` it makes another secret in place of the newest, whose answer may have been
    lost, and the one of before stays until its time; where ``keep_hours`` is 0 it ends at once, for it has leaked.

    Raises:
        Conflict: the key has expired, or its secret of before is still valid.
    """
    now = now_ms()
    if expires_at is not None and expires_at <= now:
        raise Conflict("The key has expired: send expires_at, a time that lies ahead.", code="key_expired")
    rotating = row.previous_until is not None and row.previous_until > now
    if rotating and not replace:
        raise Conflict(
            "The key was rotated, and its secret of before is still valid until previous_until. If nobody has the "
            "newest secret, send replace: true, which makes another in its place.",
            code="key_rotating",
        )
    kept = {"previous_hash": row.previous_hash, "previous_until": row.previous_until}
    if not rotating or not keep_hours:
        until = now + keep_hours * _HOUR if keep_hours else None
        kept = {"previous_hash": row.secret_hash if keep_hours else None, "previous_until": until}
    secret = access.new_secret()
    values = {"secret_hash": access.hashed(secret), "expires_at": expires_at, **kept}
    values["mac"] = access.mac({**row._asdict(), **values})
    db.execute(sa.update(api_keys).where(api_keys.c.id == row.id).values(values))
    audit.record(db, row.workspace_id, actor, "key.rotated", row.id, keep_hours=keep_hours, replaced=rotating)
    return access.written(row.id, secret)


def rename(db: Connection, row: Row, actor: str, name: str) -> None:
    """Call a key, whose row is locked, by another name."""
    if name != row.name:
        db.execute(sa.update(api_keys).where(api_keys.c.id == row.id).values(name=name))
        audit.record(db, row.workspace_id, actor, "key.renamed", row.id, before=row.name, name=name)
