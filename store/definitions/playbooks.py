"""Playbooks, versioned (``store.definitions.versioned``).

Their heads say which events and times start them, and why a trigger last could not. What their steps name is recorded
with each revision (``store.definitions.references``).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from store import audit
from store.definitions import references
from store.definitions.actions import actions
from store.definitions.missing import refusal
from store.definitions.versioned import (
    Definition,
    DefinitionKind,
    NewRevision,
    Page,
    Revision,
    head_table,
    revision_table,
)
from store.engine.db import Connection, Row, now_ms
from store.engine.prepared import Prepared, quoted
from store.ids import new_id
from store.paging import Found

__all__ = ["SORTABLE", "NewRevision", "Page", "Playbook", "Revision", "kind", "playbook_revisions", "playbooks"]

playbooks = head_table(
    "playbook",
    sa.Column("trigger_event", sa.Text, nullable=False),
    #: when its schedule fires next, ms; NULL while it has none or is disabled
    sa.Column("fire_at", sa.BigInteger),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("step_count", sa.Integer, nullable=False),
    #: why its trigger could not start it last time, as JSON: at, code, message; NULL since a good start
    sa.Column("last_error", sa.Text),
    #: the revision whose references are recorded; processes of the release before record none
    sa.Column("references_of", sa.Text),
    sa.Index("ix_playbooks_trigger", "workspace_id", "trigger_event"),
)
sa.Index(
    "ix_playbooks_fire_at",
    playbooks.c.fire_at,
    sqlite_where=playbooks.c.fire_at.is_not(None),
    postgresql_where=playbooks.c.fire_at.is_not(None),
)
_unrecorded = sa.or_(playbooks.c.references_of.is_(None), playbooks.c.references_of != playbooks.c.revision_id)
sa.Index(
    "ix_playbooks_unrecorded",
    playbooks.c.workspace_id,
    sqlite_where=_unrecorded,
    postgresql_where=_unrecorded,
)

playbook_revisions = revision_table("playbook")

#: a schedule is late when it has not fired after this long, ms; ticks come every second
LATE = 5_000

#: the columns a list may be sorted by
SORTABLE = ("name", "step_count", "created_at", "updated_at")


@dataclass(frozen=True, kw_only=True)
class Playbook(Definition):
    """A playbook as it is now."""

    fire_at: int | None
    step_count: int
    last_error: str | None


kind = DefinitionKind("playbook", Playbook, playbooks, playbook_revisions)

get, head, heads, several, ids = kind.get, kind.head, kind.heads, kind.several, kind.ids
revision, at_version, versions, at = kind.revision, kind.at_version, kind.versions, kind.at


class Beginning(NamedTuple):
    """What a run needs to know as it is accepted: the head of its playbook, and of the actions that this names."""

    head: Any
    #: by id; of a playbook whose references are not recorded, none
    actions: Mapping[str, Any]


def beginning(db: Connection, workspace_id: str, playbook_id: str) -> Beginning:
    """The head of a playbook, as ``DefinitionKind.head``, with those of the actions that it names.

    Raises:
        NotFound: this workspace has none of that id.
    """
    rows, _ = _beginning.run(db, {"workspace_id": workspace_id, "definition_id": playbook_id})
    if not rows:
        raise refusal(db, playbooks, workspace_id, kind.noun, playbook_id)
    return Beginning(rows[0], {row.action_id: _ActionHead(row) for row in rows if row.action_id is not None})


class _ActionHead:
    """The head of an action that a playbook names."""

    def __init__(self, row: Any) -> None:
        self.revision_id: str = row.action_revision_id
        self.enabled = bool(row.action_enabled)


_named, _heads = references.references, playbooks.c
_names = sa.and_(
    _named.c.workspace_id == _heads.workspace_id,
    _named.c.playbook_id == _heads.id,
    _named.c.kind == sa.literal_column(quoted("action")),
)
_is_named = sa.and_(actions.c.workspace_id == _named.c.workspace_id, actions.c.id == _named.c.name)
_beginning = Prepared(
    sa.select(
        _heads.revision_id,
        _heads.enabled,
        _heads.last_error,
        actions.c.id.label("action_id"),
        actions.c.revision_id.label("action_revision_id"),
        actions.c.enabled.label("action_enabled"),
    )
    .select_from(sa.outerjoin(sa.outerjoin(playbooks, _named, _names), actions, _is_named))
    .where(kind.the(sa.bindparam("workspace_id"), sa.bindparam("definition_id")))
)


def create(db: Connection, workspace_id: str, playbook_id: str, new: NewRevision, actor: str) -> Playbook:
    """Add a playbook, as ``DefinitionKind.create`` does, and record what it names."""
    made = kind.create(db, workspace_id, playbook_id, new, actor)
    references.record(db, workspace_id, playbook_id, new.definition)
    return made


def revise(db: Connection, playbook: Playbook, new: NewRevision, actor: str) -> Playbook:
    """Revise a playbook, as ``DefinitionKind.revise`` does, and record what it names."""
    revised = kind.revise(db, playbook, new, actor)
    references.record(db, playbook.workspace_id, playbook.id, new.definition)
    return revised


def delete(db: Connection, workspace_id: str, playbook_id: str, actor: str, **noted: Any) -> None:
    """Delete a playbook, as ``DefinitionKind.delete`` does, with what it names."""
    kind.delete(db, workspace_id, playbook_id, actor, **noted)
    references.forget(db, workspace_id, playbook_id)


def new_revision(definition: Mapping[str, Any], *, step_count: int, fire_at: int | None) -> NewRevision:
    """A revision with what its head shows of it."""
    revision_id = new_id("rev")
    head = {
        "references_of": revision_id,
        "trigger_event": definition["trigger"]["event"],
        "tags": json.dumps(definition["tags"], separators=(",", ":")),
        "step_count": step_count,
        "fire_at": fire_at,
    }
    return NewRevision(id=revision_id, definition=definition, head=head)


def has_revision(db: Connection, revision_id: str) -> bool:
    """Whether a revision is there."""
    query = sa.select(playbook_revisions.c.id).where(playbook_revisions.c.id == revision_id)
    return db.execute(query).first() is not None


def ensure_revision(db: Connection, revision_id: str, playbook_id: str, definition: Mapping[str, Any]) -> None:
    """Write a chain's revision unless it is there.

    It belongs to no workspace, and its id follows from its content.
    """
    values = {
        "id": revision_id,
        "workspace_id": "",
        "playbook_uid": revision_id,
        "playbook_id": playbook_id,
        "version": definition["version"],
        "definition": json.dumps(definition),
        "created_at": now_ms(),
        "created_by": audit.SYSTEM,
    }
    insert = sqlite_insert if db.dialect.name == "sqlite" else postgresql_insert
    db.execute(insert(playbook_revisions).values(values).on_conflict_do_nothing())


def set_enabled(db: Connection, playbook: Playbook, *, enabled: bool, fire_at: int | None, actor: str) -> Playbook:
    """Enable or disable a playbook; ``fire_at`` is when its schedule fires next.

    Raises:
        Conflict: it was changed meanwhile. NotFound: it is gone.
    """
    return kind.set_enabled(db, playbook, enabled=enabled, actor=actor, head={"fire_at": fire_at})


def search(db: Connection, workspace_id: str, filters: Mapping[str, Any], page: Page) -> Found:
    """A part of the workspace's playbooks.

    A row has the columns of ``playbooks`` and the ``trigger`` (an object), not the whole definition. ``filters``:
    ``search`` (text in name or description), ``tag``, ``enabled``, ``trigger`` (the event).
    """
    where = kind.matching(workspace_id, filters)
    if filters.get("trigger"):
        where.append(playbooks.c.trigger_event == filters["trigger"])
    if filters.get("tag"):
        tag = json.dumps(filters["tag"])  # the sign before it tells a tag from a part of one
        where.append(sa.or_(*(playbooks.c.tags.icontains(start + tag, autoescape=True) for start in "[,")))
    return kind.page(db, sa.select(playbooks, _trigger(db)).select_from(kind.joined), where, page)


def _trigger(db: Connection) -> sa.Label[Any]:
    """The trigger from a definition that may be large."""
    text = playbook_revisions.c.definition
    document = sa.cast(text, sa.JSON) if db.dialect.name == "postgresql" else sa.type_coerce(text, sa.JSON)
    return document["trigger"].label("trigger")


def listening(db: Connection, workspace_id: str, events: Sequence[str]) -> list[Playbook]:
    """The enabled playbooks whose trigger names one of these events."""
    found = db.execute(kind.current.where(_listens(workspace_id, events)).order_by(playbooks.c.id))
    return [kind.of(row) for row in found]


def awaited(db: Connection, workspace_id: str, events: Sequence[str]) -> set[str]:
    """Those of these events that the trigger of an enabled playbook names."""
    named = sa.select(playbooks.c.trigger_event).distinct().where(_listens(workspace_id, events))
    return {row.trigger_event for row in db.execute(named)}


def _listens(workspace_id: str, events: Sequence[str]) -> sa.ColumnElement[bool]:
    mine = sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.enabled.is_(True))
    return sa.and_(mine, playbooks.c.trigger_event.in_(events))


def due_schedules(db: Connection, now: int, limit: int) -> list[Playbook]:
    """Playbooks whose schedule is due by ``now`` (ms).

    They are locked for this transaction; other ticks skip them.
    """
    due = kind.current.where(playbooks.c.fire_at <= now).order_by(playbooks.c.fire_at).limit(limit)
    return [kind.of(row) for row in db.execute(due.with_for_update(skip_locked=True, of=playbooks))]


def late(db: Connection, now: int) -> tuple[int, float]:
    """How many schedules should have fired by ``now`` (ms), and the longest delay.

    At most a thousand are counted; those of less than ``LATE`` are left to the next ticks. The delay is in seconds.
    """
    due = sa.select(playbooks.c.fire_at).where(playbooks.c.fire_at <= now - LATE).order_by(playbooks.c.fire_at)
    first = due.limit(1000).subquery()
    row = db.execute(sa.select(sa.func.count().label("number"), sa.func.min(first.c.fire_at).label("oldest"))).one()
    return row.number, (now - row.oldest) / 1000 if row.number else 0.0


def set_fire_at(db: Connection, workspace_id: str, playbook_id: str, at: int | None, expected: int | None) -> bool:
    """Set when the schedule fires next, if it still was ``expected``.

    False when it was not; then nothing has changed.
    """
    mine = sa.and_(kind.the(workspace_id, playbook_id), playbooks.c.fire_at.is_not_distinct_from(expected))
    return db.execute(sa.update(playbooks).where(mine).values(fire_at=at)).rowcount == 1


def set_error(db: Connection, workspace_id: str, playbook_id: str, error: str) -> None:
    """Store why the trigger of a playbook could not start it."""
    db.execute(sa.update(playbooks).where(kind.the(workspace_id, playbook_id)).values(last_error=error))


def clear_error(db: Connection, workspace_id: str, playbook_id: str, known: str) -> None:
    """Forget why a playbook could not be started, unless there is a later reason."""
    mine = sa.and_(kind.the(workspace_id, playbook_id), playbooks.c.last_error == known)
    db.execute(sa.update(playbooks).where(mine).values(last_error=None))


def record_references(db: Connection, workspace_id: str, limit: int) -> int:
    """Record what some playbooks name that a process of the release before has written.

    Returns how many they were, at most ``limit``.
    """
    mine = kind.current.where(playbooks.c.workspace_id == workspace_id, _unrecorded).limit(limit)
    found = [kind.of(row) for row in db.execute(mine)]
    for playbook in found:
        references.record(db, workspace_id, playbook.id, playbook.revision.definition)
        same = sa.and_(kind.the(workspace_id, playbook.id), playbooks.c.revision_id == playbook.revision.id)
        db.execute(sa.update(playbooks).where(same).values(references_of=playbook.revision.id))
    return len(found)


def users(db: Connection, workspace_id: str, noun: str, name: str, limit: int) -> list[Row]:
    """The playbooks whose steps name an action or a playbook, at most ``limit``."""
    table, heads = references.references.c, playbooks.c
    joined = sa.and_(heads.workspace_id == table.workspace_id, heads.id == table.playbook_id)
    named = sa.and_(table.workspace_id == workspace_id, table.kind == noun, table.name == name)
    query = sa.select(heads.id, heads.name, heads.enabled, heads.trigger_event, heads.fire_at, table.places)
    found = query.select_from(sa.join(references.references, playbooks, joined)).where(named)
    return list(db.execute(found.order_by(table.playbook_id).limit(limit)))
