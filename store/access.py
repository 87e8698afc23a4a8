"""Workspaces, API keys, and what a role may do.

A key looks like ``tcn_<id>_<secret>``. Only a SHA-256 of the secret is kept (it is random and long, so a slow password
hash would add delay and no safety); the whole key is shown once, when it is made.

The row also has a MAC over all that it says of the key, made with a secret that is not in the database. An attacker who
can write to the database can therefore neither make a key nor give one another role, workspace, scope or time. A row
without a right MAC opens nothing. The MAC is made with the key; keys of earlier versions got theirs in the migration
that added the column, and nothing gives one to a row later.
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from config import logs
from config.errors import Conflict
from store import audit
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared
from store.paging import Found, Order, Part, Total, read
from store.sealing.macs import Vouched

workspaces = sa.Table(
    "workspaces",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("last_used_at", sa.BigInteger),
    #: which tenants it covers, as JSON (``gateway.grants``); NULL: its own workspace
    sa.Column("grants", sa.Text),
    #: of the secret before the last rotation, and until when that one is valid too, ms
    sa.Column("previous_hash", sa.Text),
    sa.Column("previous_until", sa.BigInteger),
    #: vouches for ``KEYS_VOUCHED`` of the row
    sa.Column("mac", sa.Text),
    #: when it was revoked, ms; its secret's hash and its MAC are gone then, and the trail can still name it
    sa.Column("revoked_at", sa.BigInteger),
    sa.Index("ix_api_keys_workspace_id", "workspace_id"),
    sa.Index("ix_api_keys_name", "name"),
)

#: the prefix of the id of a caller who is a user and no key
USER = "user:"
#: to approve or reject what waits for it: part of no other permission, so that a caller who may only trigger decides
#: nothing
DECIDE = "decide:approvals"
_READ = frozenset(f"read:{things}" for things in ("actions", "playbooks", "audit", "stream"))
_WORK = frozenset(f"{verb}:{things}" for verb in ("write", "execute") for things in ("actions", "playbooks"))
_MANAGE = frozenset(f"manage:{things}" for things in ("rules", "breakers", "events", "groups", "silences"))
_OPERATE = _READ | _WORK | _MANAGE | {DECIDE, "dispatch"}
#: role → the permissions it may hold; a key's scopes narrow them
ROLES: dict[str, frozenset[str]] = {
    "viewer": _READ,
    "operator": _OPERATE,
    "admin": _OPERATE | {"manage:providers", "manage:users", "write:bundles", "admin"},
}

#: other spellings in use for a permission → ours
ALIASES = {
    "actions:read": "read:actions",
    "actions:write": "write:actions",
    "action:execute": "execute:actions",
    "actions:execute": "execute:actions",
    "playbooks:read": "read:playbooks",
    "playbooks:write": "write:playbooks",
    "playbook:execute": "execute:playbooks",
    "playbooks:execute": "execute:playbooks",
    "approvals:decide": DECIDE,
    "audit:read": "read:audit",
    "stream:read": "read:stream",
    "rules:manage": "manage:rules",
    "breakers:manage": "manage:breakers",
    "silences:manage": "manage:silences",
    "events:manage": "manage:events",
    "groups:manage": "manage:groups",
    "bundles:write": "write:bundles",
    "providers:manage": "manage:providers",
    "users:manage": "manage:users",
}

#: a permission that includes another: a caller who may write actions may trigger them, who may write playbooks may run
#: them
IMPLIES = {"write:actions": "execute:actions", "write:playbooks": "execute:playbooks"}

_USE_RECORDED_EVERY_MS = 60_000

#: what the MAC of a key covers
_ROTATED = ("previous_hash", "previous_until")
KEYS_VOUCHED = Vouched(
    "api key", ("id", "workspace_id", "role", "scopes", "expires_at", "secret_hash", "grants", *_ROTATED)
)
mac, is_vouched_for = KEYS_VOUCHED.mac, KEYS_VOUCHED.is_right

log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """The caller of a request, its workspace and its permissions."""

    #: the id of a key, or ``user:NAME``: the actor in the audit trail
    key_id: str
    workspace_id: str
    role: str
    permissions: frozenset[str]
    #: which tenants it covers, as JSON (``tasks.tenants`` reads it); None: its own workspace
    grants: str | None = None
    #: the session of a user; None for a key
    session: str | None = None

    def may(self, permission: str) -> bool:
        """Whether this caller holds the permission."""
        return permission in self.permissions


def permissions(role: str, scopes: list[str]) -> frozenset[str]:
    """The permissions of a key with this role and these scopes.

    No scopes means all permissions of the role.
    """
    allowed = ROLES[role]
    if not scopes:
        return allowed
    wanted = {ALIASES.get(scope, scope) for scope in scopes}
    if "admin" in wanted:
        return allowed
    wanted |= {IMPLIES[scope] for scope in wanted if scope in IMPLIES}
    return allowed & wanted


def known_scopes() -> set[str]:
    """Every scope that a key may be given, in every spelling."""
    return set(ROLES["admin"]) | set(ALIASES)


def ensure_workspace(db: Connection, workspace_id: str, name: str) -> None:
    """Make the workspace unless it is there."""
    known = db.execute(sa.select(workspaces.c.id).where(workspaces.c.id == workspace_id)).first()
    if known is None:
        db.execute(sa.insert(workspaces).values(id=workspace_id, name=name, created_at=now_ms()))


_workspace = Prepared(sa.select(workspaces.c.id).where(workspaces.c.id == sa.bindparam("workspace_id")))


def has_workspace(db: Connection, workspace_id: str) -> bool:
    """Whether there is a workspace of this id."""
    return _workspace.first(db, {"workspace_id": workspace_id}) is not None


def workspaces_below(db: Connection, name: str, most: int) -> list[str]:
    """The workspaces of this id, and those whose id goes on from it with a dot."""
    below = sa.or_(workspaces.c.id == name, workspaces.c.id.startswith(f"{name}.", autoescape=True))
    return list(db.scalars(sa.select(workspaces.c.id).where(below).limit(most)))


def some_workspaces(db: Connection, most: int) -> list[str]:
    """Workspaces by id, the oldest first."""
    return list(db.scalars(sa.select(workspaces.c.id).order_by(workspaces.c.created_at).limit(most)))


def make_workspace(db: Connection, workspace_id: str, actor: str) -> None:
    """Make a workspace, unless another has made it meanwhile."""
    insert: Any = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    values = {"id": workspace_id, "name": workspace_id, "created_at": now_ms()}
    made = insert(workspaces).values(values).on_conflict_do_nothing().returning(workspaces.c.id)
    if db.execute(made).first() is not None:
        audit.record(db, workspace_id, actor, "workspace.created", workspace_id)


def workspace_ids(db: Connection) -> list[str]:
    """The ids of all workspaces."""
    return [row.id for row in db.execute(sa.select(workspaces.c.id).order_by(workspaces.c.id))]


def create_key(
    db: Connection,
    *,
    workspace_id: str,
    name: str,
    role: str,
    scopes: list[str],
    expires_at: int | None,
    actor: str,
    grants: str | None = None,
) -> tuple[str, str]:
    """Make a key; returns its id and the key itself.

    The key cannot be read again later. ``grants`` is JSON.
    """
    key_id, secret = secrets.token_hex(6), new_secret()
    values = {
        "id": key_id,
        "workspace_id": workspace_id,
        "name": name,
        "role": role,
        "scopes": json.dumps(scopes),
        "secret_hash": hashed(secret),
        "created_at": now_ms(),
        "expires_at": expires_at,
        "grants": grants,
    }
    db.execute(sa.insert(api_keys).values(**values, mac=mac(values)))
    audit.record(db, workspace_id, actor, "key.created", key_id, role=role)
    return key_id, written(key_id, secret)


def new_secret() -> str:
    """The secret of a key."""
    return secrets.token_urlsafe(32)


def written(key_id: str, secret: str) -> str:
    """A key as its holder keeps it."""
    return f"tcn_{key_id}_{secret}"


_by_id = Prepared(sa.select(api_keys).where(api_keys.c.id == sa.bindparam("key_id")))


def authenticate(db: Connection, key: str) -> tuple[Caller, bool] | None:
    """The caller behind a key; None for a wrong or expired key.

    Also returns whether the use of the key is due to be noted.
    """
    prefix, _, rest = key.partition("_")
    key_id, _, secret = rest.partition("_")
    if prefix != "tcn" or not key_id or not secret or not key.isascii():
        return None
    row, now = _by_id.first(db, {"key_id": key_id}), now_ms()
    if row is None or row.revoked_at is not None or not _opens(row, hashed(secret), now):
        return None
    if not is_vouched_for(row):
        log.warning("API key refused: its row was altered or not made by Tocsin", key_id=key_id)
        return None
    if row.expires_at is not None and row.expires_at <= now:
        return None
    caller = Caller(
        key_id=row.id,
        workspace_id=row.workspace_id,
        role=row.role,
        permissions=permissions(row.role, json.loads(row.scopes)),
        grants=row.grants,
    )
    return caller, now - (row.last_used_at or 0) > _USE_RECORDED_EVERY_MS


def _opens(row: Row, secret_hash: str, now: int) -> bool:
    """Whether a secret is that of the key, or the one before its last rotation, in its time."""
    if hmac.compare_digest(row.secret_hash, secret_hash):
        return True
    before = row.previous_hash if row.previous_until is not None and row.previous_until > now else None
    return before is not None and hmac.compare_digest(before, secret_hash)


def note_use(db: Connection, key_id: str) -> None:
    """Remember that the key was used just now."""
    db.execute(sa.update(api_keys).where(api_keys.c.id == key_id).values(last_used_at=now_ms()))


def list_keys(db: Connection, workspace_id: str, part: Part, *, revoked: bool = False) -> Found:
    """A part of the workspace's keys, newest first.

    ``revoked`` lists the revoked ones in place of the others.
    """
    gone = api_keys.c.revoked_at.is_not(None) if revoked else api_keys.c.revoked_at.is_(None)
    where = sa.and_(api_keys.c.workspace_id == workspace_id, gone)
    number = sa.select(sa.func.count()).select_from(api_keys).where(where)
    total = Total(db.execute(number).scalar_one()) if part.counted else None
    order = Order((api_keys.c.created_at, api_keys.c.id), (True, False))
    return Found(*read(db, sa.select(api_keys).where(where), order, part, ("created_at", "id")), total)


def get_key(db: Connection, workspace_id: str, key_id: str, *, for_update: bool = False) -> Row | None:
    """One key of the workspace, also a revoked one; locked ``for_update``."""
    query = sa.select(api_keys).where(api_keys.c.workspace_id == workspace_id, api_keys.c.id == key_id)
    return db.execute(query.with_for_update() if for_update else query).first()


def key_name(db: Connection, key_id: str) -> str | None:
    """The name of a key, of any workspace and also a revoked one; None where there is no key of this id."""
    return db.scalar(sa.select(api_keys.c.name).where(api_keys.c.id == key_id))


def keys_called(db: Connection, name: str, tenant: str, most: int) -> list[Row]:
    """The key with this id, or the keys with this name that may cover a tenant; revoked ones, too.

    Those are the keys of the tenant, and keys of other workspaces that have grants, at most ``most``: the tenant's
    first, then those of its parents, of each the valid ones first. What the grants say is for the caller to read.
    """
    columns = (api_keys.c.id, api_keys.c.workspace_id, api_keys.c.grants, api_keys.c.revoked_at, api_keys.c.expires_at)
    by_id: list[Row] = list(db.execute(sa.select(*columns).where(api_keys.c.id == name)))
    parts = tenant.split(".")
    parents = [".".join(parts[:number]) for number in range(1, len(parts))]
    mine = api_keys.c.workspace_id == tenant
    distance = sa.case((mine, 0), (api_keys.c.workspace_id.in_(parents), 1), else_=2)
    by_name = (
        sa.select(*columns)
        .where(api_keys.c.name == name, sa.or_(mine, api_keys.c.grants.is_not(None)))
        .order_by(distance, api_keys.c.revoked_at.is_not(None))
    )
    return by_id or list(db.execute(by_name.limit(most)))


def revoke_key(db: Connection, workspace_id: str, key_id: str, actor: str, *, force: bool = False) -> bool:
    """Revoke a key for ever; false when there is none such, or it is revoked already.

    Its id, name and role stay, so that the audit trail can name who acted. Its secret's hash and its MAC go: nothing
    that is written into the row later makes it a key again.

    Raises:
        Conflict: it is the last key that may administer the workspace, and ``force`` was not given.
    """
    mine = sa.and_(api_keys.c.workspace_id == workspace_id, api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
    if not force and _administrators(db, workspace_id) == {key_id}:
        raise Conflict(
            "It is the last key that may administer this workspace: without it, only python -m launcher.key makes "
            "another. Make one first, or revoke it with ?force=true.",
            code="last_admin_key",
        )
    nothing = {"secret_hash": "", "previous_hash": None, "previous_until": None, "mac": None}
    gone = sa.update(api_keys).where(mine).values(revoked_at=now_ms(), **nothing)
    revoked = db.execute(gone).rowcount == 1
    if revoked:
        audit.record(db, workspace_id, actor, "key.revoked", key_id)
    return revoked


def _administrators(db: Connection, workspace_id: str) -> set[str]:
    """The keys that may administer a workspace now.

    They are locked: of two that revoke each other at once, one stays.
    """
    table, now = api_keys.c, now_ms()
    valid = [table.revoked_at.is_(None), sa.or_(table.expires_at.is_(None), table.expires_at > now)]
    query = sa.select(api_keys).where(table.workspace_id == workspace_id, table.role == "admin", *valid)
    rows = db.execute(query.order_by(table.id).with_for_update())
    return {row.id for row in rows if "admin" in permissions(row.role, json.loads(row.scopes)) and is_vouched_for(row)}


def hashed(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
