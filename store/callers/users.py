"""Users: people who sign in with a password.

Like the row of a key, that of a user has a MAC over all that it says of what the user may do: who can write to the
database makes no user and promotes none. Role and grants are read from the row with every look, never from a token.
"""

from typing import Any

import sqlalchemy as sa

from config.errors import Conflict
from store import audit
from store.callers import sessions
from store.engine.db import Connection, IntegrityError, Row, metadata, now_ms
from store.paging import Found, Order, Part, Total, read
from store.sealing.macs import Vouched

users = sa.Table(
    "users",
    metadata,
    sa.Column("username", sa.Text, primary_key=True),
    #: where its actions and playbooks are
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    #: which tenants it covers, as JSON (``gateway.grants``); NULL: its workspace
    sa.Column("grants", sa.Text),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("changed_at", sa.BigInteger, nullable=False),
    sa.Column("disabled_at", sa.BigInteger),
    #: vouches for ``USERS_VOUCHED`` of the row
    sa.Column("mac", sa.Text),
    sa.Index("ix_users_workspace_id", "workspace_id"),
)

USERS_VOUCHED = Vouched("user", ("username", "workspace_id", "role", "grants", "password_hash", "disabled_at"))
mac, is_vouched_for = USERS_VOUCHED.mac, USERS_VOUCHED.is_right

#: what users may be called, as a regular expression
NAME = "[a-z0-9][a-z0-9._-]{0,63}"

#: changes that end the sessions of a user
_ENDING = ("password_hash", "disabled_at")


def create(
    db: Connection,
    *,
    username: str,
    workspace_id: str,
    role: str,
    grants: str | None,
    password_hash: str,
    actor: str,
) -> None:
    """Make a user.

    Raises:
        Conflict: there is one of this name, perhaps in another workspace.
    """
    now = now_ms()
    values = {
        "username": username,
        "workspace_id": workspace_id,
        "role": role,
        "grants": grants,
        "password_hash": password_hash,
        "created_at": now,
        "changed_at": now,
    }
    try:
        db.execute(sa.insert(users).values(**values, mac=mac(values)))
    except IntegrityError as error:
        raise Conflict(f"There is a user {username!r} already.", code="already_exists") from error
    audit.record(db, workspace_id, actor, "user.created", username, role=role)


def get(db: Connection, username: str, *, for_update: bool = False) -> Row | None:
    """The user of this name, of any workspace.

    The row is locked ``for_update``.
    """
    query = sa.select(users).where(users.c.username == username)
    return db.execute(query.with_for_update() if for_update else query).first()


def list_users(db: Connection, workspace_id: str, part: Part) -> Found:
    """A part of the workspace's users, by name."""
    where = users.c.workspace_id == workspace_id
    number = sa.select(sa.func.count()).select_from(users).where(where)
    total = Total(db.execute(number).scalar_one()) if part.counted else None
    order = Order((users.c.username,), (False,))
    return Found(*read(db, sa.select(users).where(where), order, part, ("username",)), total)


def change(db: Connection, row: Row, actor: str, *, keeps: str | None = None, **changes: Any) -> Row:
    """Change a user that was read ``for_update``; returns the new row.

    A new password and being disabled end the sessions that there are, but the one that it ``keeps``. What is as it
    was, is no change; who is disabled stays so since then.

    Raises:
        Conflict: the row was altered by other means, so nothing vouches for it.
    """
    if not is_vouched_for(row):
        raise Conflict(f"The row of {row.username!r} was altered by somebody else; make the user anew.", code="altered")
    changes = {name: value for name, value in changes.items() if getattr(row, name) != value}
    if row.disabled_at is not None and changes.get("disabled_at"):
        del changes["disabled_at"]
    if not changes:
        return row
    values = {**row._asdict(), **changes, "changed_at": now_ms()}
    values["mac"] = mac(values)
    db.execute(sa.update(users).where(users.c.username == row.username).values(values))
    if any(changes.get(name) for name in _ENDING):
        sessions.close_all(db, row.username, keeps=keeps)
    what = {name for name in changes if name != "disabled_at"}
    if what:
        audit.record(db, row.workspace_id, actor, "user.changed", row.username, changed=sorted(what))
    if "disabled_at" in changes:
        event = "user.enabled" if changes["disabled_at"] is None else "user.disabled"
        audit.record(db, row.workspace_id, actor, event, row.username)
    changed = get(db, row.username)
    assert changed is not None
    return changed
