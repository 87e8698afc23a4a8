"""The bodies that show API keys and users."""

from typing import Any

from api.http.times import stamp
from store.engine.db import Row
from store.executions import transitions


def key(row: Row) -> dict[str, Any]:
    """An API key without its secret."""
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "scopes": transitions.load(row.scopes),
        "grants": transitions.load(row.grants),
        "created_at": stamp(row.created_at),
        "expires_at": stamp(row.expires_at),
        "last_used": stamp(row.last_used_at),
        "previous_until": stamp(row.previous_until if row.revoked_at is None else None),
        "revoked_at": stamp(row.revoked_at),
    }


def user(row: Row) -> dict[str, Any]:
    """A user without the password."""
    return {
        "username": row.username,
        "role": row.role,
        "grants": transitions.load(row.grants),
        "created_at": stamp(row.created_at),
        "changed_at": stamp(row.changed_at),
        "disabled_at": stamp(row.disabled_at),
    }
