"""Sessions of users: a row for each token that was given out.

A token says whose it is, which session and until when; nothing of what the user may do. A session ends with its time,
when it is closed, or with its user.
"""

import secrets
from typing import NamedTuple

import sqlalchemy as sa

from store import audit
from store.access import USER
from store.callers import tokens
from store.engine.db import Connection, metadata, now_ms

sessions = sa.Table(
    "sessions",
    metadata,
    #: the ``jti`` of the token
    sa.Column("jti", sa.Text, primary_key=True),
    sa.Column("username", sa.Text, sa.ForeignKey("users.username"), nullable=False),
    sa.Column("issued_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
    sa.Index("ix_sessions_expires_at", "expires_at"),
    sa.Index("ix_sessions_username", "username"),
)


#: sessions of a user that are open at once
MOST = 20


class Opened(NamedTuple):
    """A new session."""

    jti: str
    token: str


def start(db: Connection, username: str, workspace_id: str, seconds: int) -> Opened:
    """Open a session of ``seconds``, and forget those that are over.

    The oldest of more than ``MOST`` is closed. The user's row is locked.
    """
    now, jti = now_ms(), secrets.token_urlsafe(16)
    until = now + seconds * 1000
    db.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
    db.execute(sa.insert(sessions).values(jti=jti, username=username, issued_at=now, expires_at=until))
    audit.record(db, workspace_id, f"{USER}{username}", "session.opened", username)
    mine = sa.and_(sessions.c.username == username, sessions.c.revoked_at.is_(None), sessions.c.jti != jti)
    others = sa.select(sessions.c.jti).where(mine).order_by(sessions.c.issued_at.desc(), sessions.c.jti)
    for oldest in db.execute(others).scalars().all()[MOST - 1 :]:
        close(db, oldest)
        audit.record(db, workspace_id, f"{USER}{username}", "session.closed", username, reason="too_many")
    return Opened(jti, tokens.make(tokens.Said(username, jti, now, until)))


def ends(db: Connection, jti: str) -> int | None:
    """When a session ends by itself, ms; None where there is none such."""
    return db.scalar(sa.select(sessions.c.expires_at).where(sessions.c.jti == jti))


def close(db: Connection, jti: str) -> bool:
    """Close a session for ever; false when it is closed already."""
    mine = sa.and_(sessions.c.jti == jti, sessions.c.revoked_at.is_(None))
    return db.execute(sa.update(sessions).where(mine).values(revoked_at=now_ms())).rowcount == 1


def close_all(db: Connection, username: str, *, keeps: str | None = None) -> None:
    """Close every session of a user, but the one that it ``keeps``."""
    mine = sa.and_(sessions.c.username == username, sessions.c.revoked_at.is_(None))
    if keeps is not None:
        mine &= sessions.c.jti != keeps
    db.execute(sa.update(sessions).where(mine).values(revoked_at=now_ms()))
