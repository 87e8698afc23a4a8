"""The user behind a token."""

import sqlalchemy as sa

from config import logs
from store import access
from store.access import Caller
from store.callers import tokens, users
from store.callers.sessions import sessions
from store.engine.db import Connection, now_ms
from store.engine.prepared import Prepared

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
