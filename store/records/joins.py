"""Join a group in one statement, with the record and the body: on PostgreSQL, where a round trip is dear.

It counts a member in the pending window; where none is pending it does nothing, and the caller opens one by
``store.gateway.groups.join``.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from store.audit import RECORD, audit
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.gateway.groups import CLOSED, Joined, Member, group_events, joining
from store.gateway.payloads import payloads
from store.records import notes
from store.records.notes import Note

_joined = joining.columns(id=sa.Text, size=sa.Integer, state=sa.Text, notify_at=sa.BigInteger).cte("joined")


def _adding(table: sa.Table, name: str, **known: sa.ColumnElement[Any]) -> sa.CTE:
    """The part that inserts one row of a table, if the window was found; open parameters begin with its name."""
    skipped = ("id", "xid") if table is audit else ()
    columns = [column for column in table.c if column.name not in skipped]
    values = [
        known.get(column.name, sa.bindparam(f"{name}_{column.name}", type_=column.type)).label(column.name)
        for column in columns
    ]
    rows = sa.select(*values).select_from(_joined)
    return sa.insert(table).from_select([column.name for column in columns], rows).cte(name)


_group = sa.func.jsonb_build_object("group_id", _joined.c.id, "group_size", _joined.c.size)
_details = sa.cast(sa.cast(sa.bindparam("audit_details", type_=sa.Text), JSONB).op("||")(_group), sa.Text)
_statement = sa.select(_joined).add_cte(
    _adding(group_events, "member", group_id=_joined.c.id, seq=_joined.c.size),
    _adding(payloads, "body"),
    _adding(audit, "audit", details=_details),
)
_join = Prepared(_statement)


def join(db: Connection, group_key: str, member: Member, note: Note) -> Joined | None:
    """Add a member to the pending window of its group, with its record; None where none is pending."""
    entry, kept = notes.columns(note)
    values = {"workspace_id": note.workspace_id, "group_key": group_key, "now": entry["at"]}
    values |= {f"member_{name}": value for name, value in member._asdict().items()} | {"member_at": entry["at"]}
    values |= {f"body_{name}": value for name, value in kept.items()}
    values |= {f"audit_{name}": entry.get(name) for name in (*_AUDIT, *RECORD)}
    row = _join.first(db, values)
    return None if row is None else Joined(row.id, row.size, row.notify_at, row.state == CLOSED)


_AUDIT = ("workspace_id", "at", "actor", "event", "subject", "details")
