"""Silences, what they hold, and the alerts that they have kept from going out.

A row says what is kept quiet, when, and what becomes of it; it stays when the silence has ended. ``next_at`` is when
tick looks at it next: to remind of its end, to sum up a period, to let go what is held, to note that it is over.
``silence_holds`` has the executions that one holds, in their order. ``silenced_alerts`` has the alerts of which a
firing was kept back, so that their end is kept back, too.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared
from store.gateway import lapsed

silences = sa.Table(
    "silences",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    #: the tenant, which covers its children unless it is ``exact``; ``*`` for all
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("exact", sa.Boolean, nullable=False),
    #: JSON: a list of name, op, value
    sa.Column("matchers", sa.Text, nullable=False),
    sa.Column("comment", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    #: whose provider sends the summaries of a silence of all tenants
    sa.Column("author_workspace", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Column("starts_at", sa.BigInteger, nullable=False),
    #: NULL: a window that comes back for ever
    sa.Column("ends_at", sa.BigInteger),
    #: of a window that comes back: when it begins, and for how long it lasts
    sa.Column("cron", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("duration_ms", sa.BigInteger, nullable=False),
    #: drop, summarise, release
    sa.Column("after", sa.Text, nullable=False),
    #: the provider by which reminders and summaries go out
    sa.Column("notify", sa.Text),
    sa.Column("remind_ms", sa.BigInteger),
    #: whether the present end was reminded of
    sa.Column("reminded", sa.Boolean, nullable=False),
    #: up to when what was kept back is summed up
    sa.Column("summed_at", sa.BigInteger, nullable=False),
    sa.Column("next_at", sa.BigInteger),
    #: how often a notice was tried in vain since the last success, and why
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("notice_error", sa.Text),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("ended_by", sa.Text),
    #: how many were to be held in the period that ends at ``held_until``
    sa.Column("held", sa.Integer, nullable=False),
    sa.Column("held_until", sa.BigInteger, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_silences_order", "created_at", "id"),
    sa.Index("ix_silences_tenant", "workspace_id", "created_at", "id"),
)
_due = sa.text("next_at IS NOT NULL")
sa.Index("ix_silences_due", silences.c.next_at, sqlite_where=_due, postgresql_where=_due)
_live = sa.text("ended_at IS NULL")
sa.Index("ix_silences_live", silences.c.id, sqlite_where=_live, postgresql_where=_live)

silence_holds = sa.Table(
    "silence_holds",
    metadata,
    sa.Column("silence_id", sa.Text, primary_key=True),
    sa.Column("execution_id", sa.Text, primary_key=True),
    #: its place in the order of release, and when it goes out, that included
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    #: the alert that it is about, if any
    sa.Column("alert", sa.Text),
)

silenced_alerts = sa.Table(
    "silenced_alerts",
    metadata,
    sa.Column("workspace_id", sa.Text, primary_key=True),
    sa.Column("alert", sa.Text, primary_key=True),
    sa.Column("silence_id", sa.Text, primary_key=True),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Index("ix_silenced_alerts_expires_at", "expires_at"),
)

#: executions that one silence holds at most, in one period
MOST_HELD = 1_000
#: how long an alert is remembered of which nothing is heard any more, ms
REMEMBERED = 30 * 86_400_000

_table = silences.c
#: as the index has it, which is how SQLite recognises that the index fits
is_live: sa.ColumnElement[bool] = sa.literal_column("silences.ended_at IS NULL")


def new_id() -> str:
    """The id of a new silence."""
    return f"sil-{secrets.token_hex(8)}"


def in_force(db: Connection) -> list[dict[str, Any]]:
    """The silences that have not ended, as ``gateway.silences.in_force.Silence`` takes them."""
    rows = db.execute(sa.select(silences).where(is_live).order_by(_table.id))
    return [
        {
            "id_": row.id,
            "version": row.version,
            "tenant": row.workspace_id,
            "exact": bool(row.exact),
            "matchers_": json.loads(row.matchers),
            "after": row.after,
            "comment": row.comment,
            **times_of(row),
        }
        for row in rows
        if row.ends_at is None or row.ends_at > now_ms()
    ]


def times_of(row: Any) -> dict[str, Any]:
    """The members of ``gateway.silences.periods.Times``."""
    return {name: getattr(row, name) for name in ("starts_at", "ends_at", "cron", "timezone", "duration_ms")}


def root_of(tenant: str) -> str:
    """The tenant that has no parent, above this one or itself."""
    return tenant.partition(".")[0]


def live(db: Connection, root: str) -> tuple[int, int]:
    """How many have not ended, of all tenants, and of this one with its children."""
    own = sa.or_(_table.workspace_id == root, sa.func.substr(_table.workspace_id, 1, len(root) + 1) == f"{root}.")
    mine = sa.func.count(sa.case((own, 1)))
    row = db.execute(sa.select(sa.func.count(), mine).select_from(silences).where(is_live)).one()
    return int(row[0]), int(row[1])


def add(db: Connection, values: Mapping[str, Any]) -> Row:
    """Add a silence; its row."""
    now = now_ms()
    new = {
        "timezone": "UTC",
        "duration_ms": 0,
        "reminded": False,
        "summed_at": now,
        "tries": 0,
        "held": 0,
        "held_until": 0,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        **values,
    }
    return db.execute(sa.insert(silences).values(new).returning(*_table)).one()


def read(db: Connection, silence_id: str) -> Row | None:
    """A silence; None where there is none of that id."""
    return db.execute(sa.select(silences).where(_table.id == silence_id)).first()


def locked(db: Connection, silence_id: str) -> Row | None:
    """A silence, which no other transaction changes until this one ends."""
    return db.execute(sa.select(silences).where(_table.id == silence_id).with_for_update()).first()


def change(db: Connection, silence_id: str, values: Mapping[str, Any]) -> Row:
    """Change a silence that is locked; its row."""
    new = {**values, "version": _table.version + 1, "updated_at": now_ms()}
    return db.execute(sa.update(silences).where(_table.id == silence_id).values(new).returning(*_table)).one()


def due(db: Connection, *, limit: int) -> list[Row]:
    """The silences that are to be looked at now, the longest due first."""
    query = sa.select(silences).where(_table.next_at <= now_ms()).order_by(_table.next_at)
    return list(db.execute(query.limit(limit)))


def looked_after(db: Connection, row: Row, values: Mapping[str, Any]) -> bool:
    """Note what tick has done, unless it was changed or looked after since it was read."""
    mine = sa.and_(_table.id == row.id, _table.next_at == row.next_at, _table.version == row.version)
    return db.execute(sa.update(silences).where(mine).values(dict(values))).rowcount == 1


# what is held

_counting = Prepared(
    sa.text(
        "UPDATE silences SET held = CASE WHEN cron IS NULL OR held_until >= :until THEN held + 1 ELSE 1 END,"
        " held_until = CASE WHEN held_until > :until THEN held_until ELSE :until END"
        " WHERE id = :id AND ended_at IS NULL RETURNING held, ends_at, cron"
    )
)
_holding = Prepared(
    sa.text(
        "INSERT INTO silence_holds (silence_id, execution_id, seq, due_at, alert)"
        " VALUES (:id, :execution_id, :seq, :due_at, :alert)"
        " ON CONFLICT (silence_id, execution_id) DO UPDATE SET seq = excluded.seq, due_at = excluded.due_at"
    )
)


def lock(db: Connection, silence_ids: Sequence[str]) -> None:
    """Lock silences, in one order, until the transaction ends; SQLite has one writer."""
    if db.dialect.name == "postgresql":
        mine = sa.select(_table.id).where(_table.id.in_(sorted(silence_ids))).order_by(_table.id).with_for_update()
        db.execute(mine).all()


def hold(db: Connection, silence_id: str, execution_id: str, until: int, alert: str | None = None) -> int | None:
    """Hold an execution, which may be about an alert, until the period of a silence is over.

    Returns when it goes out (ms).

    That is now where the silence has ended meanwhile; None where it holds ``MOST_HELD`` already. Those that are held go
    out in the order in which they came: each a millisecond after the one before.
    """
    row = _counting.first(db, {"id": silence_id, "until": until})
    if row is None:
        return now_ms()
    if row.held > MOST_HELD:
        return None
    if row.cron is None and row.ends_at is not None:
        until = int(row.ends_at)  # it may have been moved since this process heard of it
    due_at = until + int(row.held)
    values = {"id": silence_id, "execution_id": execution_id, "seq": row.held, "due_at": due_at, "alert": alert}
    _holding.run(db, values)
    return due_at


# alerts

_alert = Prepared(
    sa.text(
        "INSERT INTO silenced_alerts (workspace_id, alert, silence_id, expires_at)"
        " VALUES (:workspace_id, :alert, :silence_id, :expires_at)"
        " ON CONFLICT (workspace_id, alert, silence_id) DO UPDATE SET expires_at = excluded.expires_at"
    )
)


def note_alert(db: Connection, workspace_id: str, alert: str, silence_id: str, until: int | None = None) -> None:
    """Remember that a silence has kept the firing of an alert back; of a window, ``until`` (ms) it closes.

    Between two windows the firing may go out, and then its end must, too.
    """
    values = {"workspace_id": workspace_id, "alert": alert, "silence_id": silence_id}
    _alert.run(db, {**values, "expires_at": now_ms() + REMEMBERED if until is None else until})


def keeping(db: Connection, workspace_id: str, alert: str, silence_ids: Sequence[str]) -> frozenset[str]:
    """Those of the silences that have kept the firing of an alert back."""
    column = silenced_alerts.c
    mine = (column.workspace_id == workspace_id, column.alert == alert, column.silence_id.in_(silence_ids))
    kept = sa.select(column.silence_id).where(*mine, column.expires_at > now_ms())
    return frozenset(db.execute(kept).scalars())


_kept = Prepared(
    sa.text(
        "SELECT (SELECT 1 FROM silenced_alerts WHERE workspace_id = :workspace_id LIMIT 1) AS of_tenant,"
        " (SELECT 1 FROM silenced_alerts WHERE workspace_id = :workspace_id AND alert = :alert LIMIT 1) AS kept"
    )
)


def kept_alerts(db: Connection, workspace_id: str, alert: str) -> tuple[bool, bool]:
    """Whether silences have kept any alert of a tenant back, and this one."""
    row = _kept.first(db, {"workspace_id": workspace_id, "alert": alert})
    return row.of_tenant is not None, row.kept is not None


def forget_alert(db: Connection, workspace_id: str, alert: str) -> None:
    """Forget that silences have kept an alert back: its firing has gone out."""
    mine = sa.and_(silenced_alerts.c.workspace_id == workspace_id, silenced_alerts.c.alert == alert)
    db.execute(sa.delete(silenced_alerts).where(mine))


def forget_alerts(db: Connection, *, before: int, limit: int = 500) -> int:
    """Forget alerts of which nothing was heard for long; returns how many."""
    return lapsed.forget(db, silenced_alerts, before=before, limit=limit)
