"""Events: what lasts, each with the state in which it is.

An event belongs to a tenant and a namespace and is known by its fingerprint. Every change of its state is made by
``tasks.intake.moves`` in the transaction of what causes it, guarded by the version that was read, with an audit row of
its own. Those who may change one event go one after the other (``lock``): they lock it before anything else, so that
no two transactions wait for each other in a circle. ``timeout_at`` is when tick looks at it.

Labels are kept a second time, as digests: by those events are listed, and found by the conditions of rules.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import sqlalchemy as sa

from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared

events = sa.Table(
    "events",
    metadata,
    #: made of tenant, namespace and fingerprint (``event_id``)
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    #: of the fingerprint, which may be too long for an index
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    #: 1 while it goes on, as its machine says of its state
    sa.Column("active", sa.Integer, nullable=False),
    #: as its last dispatch says; labels and beginning as the last one that has any
    sa.Column("action_type", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("starts_at", sa.Text),
    sa.Column("ends_at", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    #: when it came into its state
    sa.Column("entered_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    #: when its stay is over, and the state that follows then
    sa.Column("timeout_at", sa.BigInteger),
    sa.Column("timeout_to", sa.Text),
    #: how many rows of the audit trail tell its history
    sa.Column("moves", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Index("ix_events_order", "workspace_id", "created_at", "id"),
    sa.Index("ix_events_state", "workspace_id", "state", "created_at", "id"),
    sa.Index("ix_events_namespace", "workspace_id", "namespace", "created_at", "id"),
    sa.Index("ix_events_digest", "digest"),
)


def _partial(name: str, *columns: sa.Column[Any], where: str) -> None:
    sa.Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


_partial("ix_events_timeout", events.c.timeout_at, where="timeout_at IS NOT NULL")
_partial(
    "ix_events_active", events.c.workspace_id, events.c.namespace, events.c.action_type, events.c.id, where="active = 1"
)
_partial("ix_events_over", events.c.updated_at, where="active = 0")

event_labels = sa.Table(
    "event_labels",
    metadata,
    #: the event
    sa.Column("id", sa.Text, primary_key=True),
    #: digest of a label
    sa.Column("label", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    #: of the event
    sa.Column("created_at", sa.BigInteger, nullable=False),
    #: digest of namespace, type and label while the event is active
    sa.Column("active_key", sa.Text),
    sa.Index("ix_event_labels_label", "workspace_id", "label", "created_at", "id"),
)
_partial(
    "ix_event_labels_active",
    event_labels.c.workspace_id,
    event_labels.c.active_key,
    event_labels.c.id,
    where="active_key IS NOT NULL",
)
#: as the indexes have it, which is how SQLite recognises that they fit
_is_active: sa.ColumnElement[bool] = sa.literal_column("events.active = 1")
_is_over: sa.ColumnElement[bool] = sa.literal_column("events.active = 0")


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event, as its columns; times are milliseconds."""

    workspace_id: str
    namespace: str
    fingerprint: str
    machine: str
    state: str
    active: int
    action_type: str
    provider: str
    created_at: int
    entered_at: int
    updated_at: int
    labels: Mapping[str, str] = field(default_factory=dict)
    starts_at: str | None = None
    ends_at: str | None = None
    timeout_at: int | None = None
    timeout_to: str | None = None
    moves: int = 0
    version: int = 0

    @property
    def id(self) -> str:
        """Its id."""
        return event_id(self.workspace_id, self.namespace, self.fingerprint)


_KEPT = ("id", "digest", *(one.name for one in fields(Event)))
#: what never changes
_FIXED = frozenset({"id", "digest", "workspace_id", "namespace", "fingerprint", "created_at", "version"})
_insert = Prepared(sa.insert(events).values({name: sa.bindparam(name) for name in _KEPT}).inline())
_update = Prepared(
    sa.update(events)
    .where(events.c.id == sa.bindparam("wanted"), events.c.version == sa.bindparam("before"))
    .values(
        {
            **{name: sa.bindparam(name) for name in _KEPT if name not in _FIXED},
            "version": events.c.version + 1,
        }
    )
)
_read = Prepared(sa.select(events).where(events.c.id == sa.bindparam("wanted")))
_locked = Prepared(sa.select(events).where(events.c.id == sa.bindparam("wanted")).with_for_update())
_insert_labels = Prepared(
    sa.insert(event_labels)
    .values({name: sa.bindparam(name) for name in ("id", "label", "workspace_id", "created_at", "active_key")})
    .inline()
)
_delete_labels = Prepared(sa.delete(event_labels).where(event_labels.c.id == sa.bindparam("wanted")))
_due = Prepared(
    sa.select(events)
    .where(events.c.timeout_at <= sa.bindparam("now", type_=sa.BigInteger))
    .order_by(events.c.timeout_at)
    .limit(sa.bindparam("limit", type_=sa.Integer))
)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def event_id(workspace_id: str, namespace: str, fingerprint: str) -> str:
    """The id of the event with this fingerprint."""
    return f"evt-{_digest(workspace_id, namespace, fingerprint)}"


def digest(fingerprint: str) -> str:
    """What a fingerprint is found by."""
    return _digest(fingerprint)


def label_digest(name: str, value: str) -> str:
    """What a label is found by."""
    return _digest(name, value)


def subject(event: Any, number: int) -> str:
    """The subject of a row of the audit trail that tells the history of an event; they are numbered from 1.

    An event that is made again after it was forgotten has another history.
    """
    return f"{event.id}.{event.created_at:x}.{number}"


def lock(db: Connection, ids: Collection[str]) -> None:
    """Let no other transaction change these events until this one ends, whether there are such events yet or not.

    The first thing that a transaction does. On SQLite, whose one writer this is, it is nothing.
    """
    if db.dialect.name == "sqlite":
        return
    for key in sorted({int(each.removeprefix("evt-")[:16], 16) - 2**63 for each in ids}):
        _lock.run(db, {"key": key})


_lock = Prepared(sa.text("SELECT pg_advisory_xact_lock(:key)"))


def read(db: Connection, wanted: str) -> Row | None:
    """An event, whatever its workspace."""
    found: Row | None = _read.first(db, {"wanted": wanted})
    return found


def locked(db: Connection, wanted: str) -> Row | None:
    """An event for which the caller has the ``lock``; it is not forgotten meanwhile either."""
    found: Row | None = _locked.first(db, {"wanted": wanted})
    return found


def add(db: Connection, event: Event) -> None:
    """Add an event, under its lock."""
    _insert.run(db, {**_columns(event), "id": event.id, "digest": digest(event.fingerprint)})
    _add_labels(db, event)


def change(db: Connection, before: Row, event: Event) -> bool:
    """Change an event that was read as ``before``; false if it was changed since."""
    _, number = _update.run(db, {**_columns(event), "wanted": before.id, "before": before.version})
    if number == 1 and _found_by(before) != _found_by(event):
        _delete_labels.run(db, {"wanted": before.id})
        _add_labels(db, event)
    return number == 1


def _columns(event: Event) -> dict[str, Any]:
    made = {one.name: getattr(event, one.name) for one in fields(Event)}
    return {**made, "labels": _text(event.labels)}


def _text(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(labels), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def labels_of(row: Any) -> dict[str, str]:
    """The labels of a row."""
    found: dict[str, str] = json.loads(row.labels)
    return found


def _found_by(event: Any) -> tuple[Any, ...]:
    """What its labels are kept for."""
    labels = event.labels if isinstance(event.labels, str) else _text(event.labels)
    return labels, event.active, event.action_type


def _add_labels(db: Connection, event: Event) -> None:
    rows = [
        {
            "id": event.id,
            "label": label_digest(name, value),
            "workspace_id": event.workspace_id,
            "created_at": event.created_at,
            "active_key": _active_key(event.namespace, event.action_type, name, value) if event.active else None,
        }
        for name, value in event.labels.items()
    ]
    if rows:
        _insert_labels.many(db, rows)


def _active_key(namespace: str, action_type: str, name: str, value: str) -> str:
    return _digest(namespace, action_type, name, value)


def postpone(db: Connection, row: Any, until: int) -> None:
    """Let an event stay in its state until a time (ms), unless it was changed since it was read."""
    mine = sa.and_(events.c.id == row.id, events.c.version == row.version)
    db.execute(sa.update(events).where(mine).values(timeout_at=until, version=row.version + 1))


def due(db: Connection, *, limit: int) -> list[Row]:
    """Events whose stay is over, the longest due first."""
    return _due.run(db, {"now": now_ms(), "limit": limit})[0]


def is_active(
    db: Connection,
    workspace_id: str,
    namespace: str,
    action_type: str,
    labels: Collection[tuple[str, str]],
    besides: str | None = None,
) -> bool:
    """Whether an event of this type with these labels is active, ``besides`` the one with that id."""
    if not labels:
        given = {"workspace_id": workspace_id, "namespace": namespace, "action_type": action_type}
        return _any_active.first(db, {**given, "besides": besides or ""}) is not None
    (name, value), *others = labels
    table = event_labels.c
    mine = [
        table.workspace_id == workspace_id,
        table.active_key == _active_key(namespace, action_type, name, value),
        table.id != (besides or ""),
    ]
    for other in others:
        too = event_labels.alias()
        mine.append(sa.exists().where(too.c.id == table.id, too.c.label == label_digest(*other)))
    return db.execute(sa.select(table.id).where(*mine).limit(1)).first() is not None


_any_active = Prepared(
    sa.select(events.c.id)
    .where(
        events.c.workspace_id == sa.bindparam("workspace_id"),
        events.c.namespace == sa.bindparam("namespace"),
        events.c.action_type == sa.bindparam("action_type"),
        _is_active,
        events.c.id != sa.bindparam("besides"),
    )
    .order_by(events.c.id)  # that of the index: many may be active
    .limit(1)
)


def forget(db: Connection, *, before: int, limit: int = 500) -> int:
    """Delete events that are over and unchanged since ``before`` (ms), with their labels; returns how many."""
    old = sa.select(events.c.id).where(_is_over, events.c.updated_at < before).order_by(events.c.updated_at)
    ids = list(db.scalars(old.limit(limit).with_for_update(skip_locked=True)))
    if ids:
        db.execute(sa.delete(event_labels).where(event_labels.c.id.in_(ids)))
        db.execute(sa.delete(events).where(events.c.id.in_(ids)))
    return len(ids)
