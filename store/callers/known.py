"""The user behind a token."""

from collections.abc import Callable

import sqlalchemy as sa

from config import logs
from store import access
from store.access import Caller
from store.callers import tokens, users
from store.callers.sessions import sessions
from store.engine.db import Connection, Row, now_ms
from store.engine.prepared import Prepared

#: keys of one name that are looked at
_MOST_KEYS = 10_000

log = logs.logger(__name__)

_by_jti = Prepared(
    sa.select(
        users.users,
        sessions.c.expires_at.label("until"),
        sessions.c.revoked_at.label("closed_at"),
    )
    .join_from(sessions, users.users, sessions.c.username == users.users.c.username)
    .where(sessions.c.jti == sa.bindparam("jti"))
)


def authenticate(db: Connection, token: str) -> Caller | None:
    """The caller behind a token.

    None for a wrong, expired or closed one, and for one whose user may not sign in. What the user may do is read from
    its row: a change counts from now on.
    """
    said = tokens.read(token)
    if said is None or said.expires_at <= now_ms():
        return None
    row = _by_jti.first(db, {"jti": said.jti})
    if row is None or row.username != said.username or row.closed_at is not None or row.until <= now_ms():
        return None
    if row.disabled_at is not None:
        return None
    if not users.is_vouched_for(row):
        log.warning("user refused: its row was altered or not made by Tocsin", username=row.username)
        return None
    return Caller(
        key_id=f"{access.USER}{row.username}",
        workspace_id=row.workspace_id,
        role=row.role,
        permissions=access.ROLES[row.role],
        grants=row.grants,
        session=said.jti,
    )


def is_gone(db: Connection, name: str, tenant: str, covers: Callable[[Row], bool]) -> bool:
    """Whether this is the name of a user who may not sign in, or of keys that are all revoked or have expired.

    What is the name of neither, as an address is, is not gone; ``user:NAME`` is always that of a user, and the id of a
    key that of the key. Any other name is that of users and keys which live in the tenant or whose row ``covers`` it,
    wherever they live: what others call theirs says nothing.
    """
    user = users.get(db, name.removeprefix(access.USER))
    if name.startswith(access.USER):
        return user is None or user.disabled_at is not None
    if user is not None and (user.workspace_id == tenant or covers(user)):
        return user.disabled_at is not None
    called = access.keys_called(db, name, tenant, _MOST_KEYS)
    keys, now = [key for key in called if key.id == name or key.workspace_id == tenant or covers(key)], now_ms()
    return bool(keys) and all(
        key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now) for key in keys
    )
