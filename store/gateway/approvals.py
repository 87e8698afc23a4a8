"""Approvals: what waits for a decision, and the votes about it.

A row is written in the transaction in which its execution begins to wait, for all who ask: a rule, a step of a
playbook, an approval action. The execution's row drives time and state; this one says what is asked, who may answer,
and how it was decided. Where an execution is ended otherwise (by a cancel, with its run) its row here stays ``pending``
until maintenance settles it; lists show it as cancelled at once (``store.records.approvals``). Transactions lock the
row of the execution first, then that of the approval.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from store import audit
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared

PENDING, APPROVED, REJECTED, EXPIRED, CANCELLED = "pending", "approved", "rejected", "expired", "cancelled"
STATUSES = (PENDING, APPROVED, REJECTED, EXPIRED, CANCELLED)
#: who asks
RULE, STEP, ACTION = "rule", "step", "action"
#: between two notes in the trail of refused links, ms
NOTED_EVERY = 60_000

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("action_type", sa.Text, nullable=False),
    sa.Column("execution_id", sa.Text, nullable=False),
    #: who asks: a rule, a step, an action
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("rule", sa.Text),
    sa.Column("message", sa.Text, nullable=False),
    #: of what is approved (``gateway.approvals.digest``); "" where nothing goes out
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("requested_by", sa.Text, nullable=False),
    #: the only ones who may decide, as JSON; NULL: every caller with the permission, or as a definition says
    sa.Column("approvers", sa.Text),
    sa.Column("quorum", sa.Integer, nullable=False),
    sa.Column("reject_quorum", sa.Integer, nullable=False),
    #: NULL: as a definition says
    sa.Column("requester_may_approve", sa.Boolean),
    sa.Column("on_timeout", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("decided_at", sa.BigInteger),
    sa.Column("decided_by", sa.Text),
    sa.Column("note", sa.Text),
    #: the provider by which it is made known, and when that is looked after next
    sa.Column("notify", sa.Text),
    sa.Column("notify_at", sa.BigInteger),
    sa.Column("reminder_ms", sa.BigInteger),
    #: how many notices were accepted, the executions of the last as JSON, and why the last was not accepted
    sa.Column("notices", sa.Integer, nullable=False),
    sa.Column("notice_ids", sa.Text),
    sa.Column("notice_error", sa.Text),
    #: how often a notice was tried in vain since the last success
    sa.Column("tries", sa.Integer, nullable=False),
    #: when the trail has last noted that a link was refused
    sa.Column("refused_at", sa.BigInteger),
    sa.Index("ix_approvals_status", "workspace_id", "status", "created_at", "id"),
    sa.Index("ix_approvals_execution", "execution_id"),
    sa.Index("ix_approvals_order", "created_at", "id"),
    sa.Index("ix_approvals_tenant", "workspace_id", "created_at", "id"),
)
sa.Index(
    "ix_approvals_notify",
    approvals.c.notify_at,
    sqlite_where=approvals.c.notify_at.is_not(None),
    postgresql_where=approvals.c.notify_at.is_not(None),
)

sa.Index(
    "ix_approvals_pending",
    approvals.c.created_at,
    approvals.c.id,
    sqlite_where=sa.text("status = 'pending'"),
    postgresql_where=sa.text("status = 'pending'"),
)
#: as the index has it, which is how SQLite recognises that the index fits
is_pending: sa.ColumnElement[bool] = sa.literal_column("approvals.status = 'pending'")

approval_votes = sa.Table(
    "approval_votes",
    metadata,
    sa.Column("approval_id", sa.Text, primary_key=True),
    sa.Column("voter", sa.Text, primary_key=True),
    #: approve, reject
    sa.Column("decision", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    #: api, link
    sa.Column("via", sa.Text, nullable=False),
)


def new_id() -> str:
    """The id of a new approval: 128 random bits."""
    return f"apr-{secrets.token_hex(16)}"


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A new approval, as its columns; times are milliseconds."""

    workspace_id: str
    namespace: str
    provider: str
    action_type: str
    execution_id: str
    origin: str
    message: str
    requested_by: str
    created_at: int
    expires_at: int
    id: str
    rule: str | None = None
    digest: str = ""
    approvers: str | None = None
    quorum: int = 1
    reject_quorum: int = 1
    requester_may_approve: bool | None = None
    on_timeout: str = "fail"
    status: str = PENDING
    notify: str | None = None
    notify_at: int | None = None
    reminder_ms: int | None = None
    notices: int = 0
    notice_ids: str | None = None
    notice_error: str | None = None
    tries: int = 0


_KEPT = tuple(one.name for one in fields(Approval))
_insert = Prepared(sa.insert(approvals).values({name: sa.bindparam(name) for name in _KEPT}).inline())


def add(db: Connection, new: Approval) -> None:
    """Write a new approval, and its row of the audit trail."""
    _insert.run(db, {name: getattr(new, name) for name in _KEPT})
    more = {"approval": new.id, **({"rule": new.rule} if new.rule else {})}
    audit.record(db, new.workspace_id, new.requested_by, "approval.requested", new.execution_id, **more)


_by_id = Prepared(sa.select(approvals).where(approvals.c.id == sa.bindparam("wanted")))
_of_execution = Prepared(
    sa.select(approvals).where(
        approvals.c.execution_id == sa.bindparam("wanted"), approvals.c.status == sa.bindparam("status_")
    )
)


def read(db: Connection, approval_id: str) -> Row | None:
    """An approval; None where there is none of that id."""
    found: Row | None = _by_id.first(db, {"wanted": approval_id})
    return found


def pending_of(db: Connection, execution_id: str) -> Row | None:
    """The approval that an execution waits for, if it has one."""
    found: Row | None = _of_execution.first(db, {"wanted": execution_id, "status_": PENDING})
    return found


def newest_of(db: Connection, execution_id: str) -> Row | None:
    """The last approval that was asked for an execution, of the few that there are."""
    found: list[Row] = list(db.execute(sa.select(approvals).where(approvals.c.execution_id == execution_id)))
    return max(found, key=lambda row: row.created_at, default=None)


def locked(db: Connection, approval_id: str) -> Row | None:
    """An approval, which no other transaction changes until this one ends."""
    return db.execute(sa.select(approvals).where(approvals.c.id == approval_id).with_for_update()).first()


def vote(db: Connection, approval_id: str, voter: str, decision: str, note: str, via: str) -> bool:
    """Add a vote; false where this voter has voted.

    The row of the approval is locked.
    """
    mine = sa.and_(approval_votes.c.approval_id == approval_id, approval_votes.c.voter == voter)
    if db.execute(sa.select(approval_votes.c.voter).where(mine)).first() is not None:
        return False
    row = {"approval_id": approval_id, "voter": voter, "decision": decision, "note": note, "at": now_ms(), "via": via}
    db.execute(sa.insert(approval_votes).values(row))
    return True


def votes(db: Connection, approval_id: str) -> list[Row]:
    """The votes about an approval, the oldest first."""
    query = sa.select(approval_votes).where(approval_votes.c.approval_id == approval_id)
    return list(db.execute(query.order_by(approval_votes.c.at, approval_votes.c.voter)))


def settle(db: Connection, approval_id: str, status: str, *, by: str, note: str | None = None) -> bool:
    """Note how an approval was decided; false where it was before."""
    mine = sa.and_(approvals.c.id == approval_id, approvals.c.status == PENDING)
    ended = {"status": status, "decided_at": now_ms(), "decided_by": by, "note": note, "notify_at": None}
    return db.execute(sa.update(approvals).where(mine).values(ended)).rowcount == 1


def note_refusal(db: Connection, approval_id: str) -> bool:
    """Whether the refusal of a link is noted in the trail: once in ``NOTED_EVERY`` for each approval."""
    long_ago = sa.or_(approvals.c.refused_at.is_(None), approvals.c.refused_at <= now_ms() - NOTED_EVERY)
    mine = sa.and_(approvals.c.id == approval_id, long_ago)
    return db.execute(sa.update(approvals).where(mine).values(refused_at=now_ms())).rowcount == 1


def due_notices(db: Connection, *, limit: int) -> list[Row]:
    """Pending approvals whose notice is to be looked after now, the longest due first."""
    table = approvals.c
    query = sa.select(approvals).where(table.notify_at <= now_ms()).order_by(table.notify_at)
    return list(db.execute(query.limit(limit)))


def noticed(db: Connection, approval_id: str, before: int, changes: Mapping[str, Any]) -> bool:
    """Change what is known of the notices, unless another process has looked after them since ``before``.

    ``before`` is the ``notify_at`` that was found.
    """
    mine = sa.and_(approvals.c.id == approval_id, approvals.c.notify_at == before, approvals.c.status == PENDING)
    return db.execute(sa.update(approvals).where(mine).values(dict(changes))).rowcount == 1


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Delete approvals made before ``before`` (ms) that are decided, with their votes; returns how many."""
    old = sa.and_(approvals.c.created_at < before, approvals.c.status != PENDING)
    oldest = sa.select(approvals.c.id).where(old).order_by(approvals.c.created_at, approvals.c.id)
    ids = list(db.scalars(oldest.limit(limit)))
    if ids:
        db.execute(sa.delete(approval_votes).where(approval_votes.c.approval_id.in_(ids)))
        db.execute(sa.delete(approvals).where(approvals.c.id.in_(ids)))
    return len(ids)


def approvers_of(row: Any) -> list[str]:
    """The only ones who may decide; none where every caller with the permission may."""
    found: list[str] = json.loads(row.approvers) if row.approvers else []
    return found
