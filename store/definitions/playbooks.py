"""Playbooks and their revisions.

``playbooks`` holds what is current and may change (enabled or not, which revision, when its schedule comes round
next); ``playbook_revisions`` holds each definition as it once was and never changes, so that a run can always be
explained by the revision it ran. ``uid`` tells a playbook from an earlier one of the same id that was deleted.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.errors import Conflict, NotFound
from store import audit
from store.engine.db import Connection, IntegrityError, Row, metadata, now_ms
from store.engine.prepared import Prepared
from store.ids import new_id

playbooks = sa.Table(
    "playbooks",
    metadata,
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("trigger_event", sa.Text, nullable=False),
    #: when its schedule comes round next, ms; NULL while it has none or is disabled
    sa.Column("fire_at", sa.BigInteger),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("step_count", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
    sa.Index("ix_playbooks_trigger", "workspace_id", "trigger_event"),
)
sa.Index(
    "ix_playbooks_fire_at",
    playbooks.c.fire_at,
    sqlite_where=playbooks.c.fire_at.is_not(None),
    postgresql_where=playbooks.c.fire_at.is_not(None),
)

playbook_revisions = sa.Table(
    "playbook_revisions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("playbook_uid", sa.Text, nullable=False),
    sa.Column("playbook_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Index("uq_playbook_revisions_version", "playbook_uid", "version", unique=True),
)


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A definition as it was."""

    id: str
    playbook_id: str
    version: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Playbook:
    """A playbook as it is now; times in milliseconds."""

    workspace_id: str
    id: str
    uid: str
    enabled: bool
    fire_at: int | None
    step_count: int
    created_at: int
    updated_at: int
    revision: Revision


#: each playbook with its current revision
joined = sa.join(playbooks, playbook_revisions, playbooks.c.revision_id == playbook_revisions.c.id)
_current = sa.select(
    playbooks.c.workspace_id,
    playbooks.c.id,
    playbooks.c.uid,
    playbooks.c.enabled,
    playbooks.c.fire_at,
    playbooks.c.step_count,
    playbooks.c.created_at,
    playbooks.c.updated_at,
    playbooks.c.revision_id,
    playbooks.c.version,
    playbook_revisions.c.definition,
).select_from(joined)
_one = Prepared(
    _current.where(
        playbooks.c.workspace_id == sa.bindparam("workspace_id"), playbooks.c.id == sa.bindparam("playbook_id")
    )
)


def _playbook(row: Any) -> Playbook:
    revision = Revision(
        id=row.revision_id, playbook_id=row.id, version=row.version, definition=json.loads(row.definition)
    )
    return Playbook(
        workspace_id=row.workspace_id,
        id=row.id,
        uid=row.uid,
        enabled=bool(row.enabled),
        fire_at=row.fire_at,
        step_count=row.step_count,
        created_at=row.created_at,
        updated_at=row.updated_at,
        revision=revision,
    )


def head(db: Connection, workspace_id: str, playbook_id: str) -> Any:
    """The revision_id of a playbook and whether it is enabled.

    Raises:
        NotFound: this workspace has none of that id.
    """
    row = _head_of.first(db, {"workspace_id": workspace_id, "playbook_id": playbook_id})
    if row is None:
        raise NotFound(f"There is no playbook {playbook_id!r}.")
    return row


_head_of = Prepared(
    sa.select(playbooks.c.revision_id, playbooks.c.enabled).where(
        playbooks.c.workspace_id == sa.bindparam("workspace_id"), playbooks.c.id == sa.bindparam("playbook_id")
    )
)


def get(db: Connection, workspace_id: str, playbook_id: str) -> Playbook:
    """The playbook.

    Raises:
        NotFound: this workspace has none of that id.
    """
    row = _one.first(db, {"workspace_id": workspace_id, "playbook_id": playbook_id})
    if row is None:
        raise NotFound(f"There is no playbook {playbook_id!r}.")
    return _playbook(row)


def create(
    db: Connection,
    *,
    workspace_id: str,
    playbook_id: str,
    definition: Mapping[str, Any],
    step_count: int,
    fire_at: int | None,
    actor: str,
) -> Playbook:
    """Add a playbook at the version its definition names.

    Raises:
        Conflict: the id is taken.
    """
    uid, now = new_id("uid"), now_ms()
    revision_id = _add_revision(db, workspace_id, uid, playbook_id, definition, actor)
    values = {
        **_head(definition, revision_id, step_count, fire_at),
        "workspace_id": workspace_id,
        "id": playbook_id,
        "uid": uid,
        "created_at": now,
        "updated_at": now,
    }
    try:
        with db.begin_nested():
            db.execute(sa.insert(playbooks).values(values))
    except IntegrityError as error:
        raise Conflict(
            f"A playbook with the id {playbook_id!r} exists already; change it with PUT /api/playbooks/{playbook_id}.",
            code="already_exists",
        ) from error
    audit.record(db, workspace_id, actor, "playbook.created", playbook_id, version=definition["version"])
    return get(db, workspace_id, playbook_id)


def revise(
    db: Connection,
    *,
    playbook: Playbook,
    definition: Mapping[str, Any],
    step_count: int,
    fire_at: int | None,
    actor: str,
) -> Playbook:
    """Make ``definition`` the current revision of ``playbook``.

    Raises:
        Conflict: another caller changed it meanwhile, or the version has been used before.
    """
    workspace_id = playbook.workspace_id
    try:
        with db.begin_nested():
            revision_id = _add_revision(db, workspace_id, playbook.uid, playbook.id, definition, actor)
    except IntegrityError as error:
        raise Conflict(
            f"Version {definition['version']} of {playbook.id!r} exists already; give a higher one or none.",
            code="version_exists",
        ) from error
    unchanged = sa.and_(
        _the(workspace_id, playbook.id),
        playbooks.c.revision_id == playbook.revision.id,
        playbooks.c.enabled == playbook.enabled,  # who switched it off meanwhile must not be overruled unseen
    )
    head = {**_head(definition, revision_id, step_count, fire_at), "updated_at": now_ms()}
    if db.execute(sa.update(playbooks).where(unchanged).values(head)).rowcount != 1:
        raise Conflict(f"The playbook {playbook.id!r} was changed by somebody else; read it again.", code="changed")
    audit.record(db, workspace_id, actor, "playbook.revised", playbook.id, version=definition["version"])
    return get(db, workspace_id, playbook.id)


def set_enabled(db: Connection, playbook: Playbook, *, enabled: bool, fire_at: int | None, actor: str) -> Playbook:
    """Switch the playbook on or off; no new version, runs under way go on.

    Raises:
        Conflict: another caller gave it a new definition, which ``fire_at`` does not know. NotFound: it is gone.
    """
    if playbook.enabled != enabled:
        mine = sa.and_(_the(playbook.workspace_id, playbook.id), playbooks.c.revision_id == playbook.revision.id)
        values = {"enabled": enabled, "fire_at": fire_at, "updated_at": now_ms()}
        if db.execute(sa.update(playbooks).where(mine).values(values)).rowcount != 1:
            get(db, playbook.workspace_id, playbook.id)
            raise Conflict(f"The playbook {playbook.id!r} was changed by somebody else; read it again.", code="changed")
        event = "playbook.enabled" if enabled else "playbook.disabled"
        audit.record(db, playbook.workspace_id, actor, event, playbook.id)
    return get(db, playbook.workspace_id, playbook.id)


def delete(db: Connection, workspace_id: str, playbook_id: str, actor: str) -> None:
    """Remove the playbook; its runs stay and can still be explained.

    Raises:
        NotFound: this workspace has none of that id.
    """
    if db.execute(sa.delete(playbooks).where(_the(workspace_id, playbook_id))).rowcount == 0:
        raise NotFound(f"There is no playbook {playbook_id!r}.")
    audit.record(db, workspace_id, actor, "playbook.deleted", playbook_id)


def known(db: Connection, workspace_id: str, wanted: Iterable[str]) -> set[str]:
    """Those of the ids ``wanted`` that are playbooks of the workspace."""
    mine = sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.id.in_(sorted(set(wanted))))
    return {row.id for row in db.execute(sa.select(playbooks.c.id).where(mine))}


def definitions(db: Connection, workspace_id: str, wanted: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The present definitions of those of the ids ``wanted`` that are playbooks of the workspace, by id."""
    mine = sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.id.in_(sorted(set(wanted))))
    return {row.id: json.loads(row.definition) for row in db.execute(_current.where(mine))} if wanted else {}


def heads(db: Connection, workspace_id: str, wanted: Iterable[str]) -> dict[str, str]:
    """By id the present revision_id of those of the ids ``wanted`` that are playbooks of the workspace."""
    mine = sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.id.in_(sorted(set(wanted))))
    return {
        row.id: row.revision_id for row in db.execute(sa.select(playbooks.c.id, playbooks.c.revision_id).where(mine))
    }


def ids(db: Connection, workspace_id: str, *, limit: int) -> list[str]:
    """The ids of up to ``limit`` of the workspace's playbooks."""
    mine = sa.select(playbooks.c.id).where(playbooks.c.workspace_id == workspace_id)
    return [row.id for row in db.execute(mine.order_by(playbooks.c.id).limit(limit))]


def revisions(db: Connection, playbook: Playbook, *, limit: int, offset: int) -> tuple[list[Row], int]:
    """One page of the playbook's revisions, newest first, and how many there are."""
    table = playbook_revisions.c
    its = table.playbook_uid == playbook.uid
    total = db.execute(sa.select(sa.func.count()).select_from(playbook_revisions).where(its)).scalar_one()
    columns = (table.playbook_id, table.definition, table.created_at, table.created_by)
    page = sa.select(*columns).where(its).order_by(table.created_at.desc(), table.id.desc())
    return list(db.execute(page.limit(limit).offset(offset))), total


_revision = sa.select(playbook_revisions).where(playbook_revisions.c.id == sa.bindparam("revision_id"))


def revision(db: Connection, revision_id: str) -> Revision:
    """A revision by its own id; it never changes, so callers may keep it."""
    return _as_revision(db.execute(_revision, {"revision_id": revision_id}).one())


def at_version(db: Connection, playbook: Playbook, version: str) -> Revision:
    """The playbook's revision of that version number.

    Raises:
        NotFound: it never had one.
    """
    table = playbook_revisions.c
    its = sa.and_(table.playbook_uid == playbook.uid, table.version == version)
    row = db.execute(sa.select(playbook_revisions).where(its)).first()
    if row is None:
        raise NotFound(f"The playbook {playbook.id!r} has no version {version!r}.")
    return _as_revision(row)


def versions(db: Connection, revision_ids: Iterable[str]) -> dict[str, str]:
    """The version number of each of these revisions."""
    query = sa.select(playbook_revisions.c.id, playbook_revisions.c.version)
    wanted = playbook_revisions.c.id.in_(list(revision_ids))
    return {row.id: row.version for row in db.execute(query.where(wanted))}


def listening(db: Connection, workspace_id: str, events: Sequence[str]) -> list[Playbook]:
    """The enabled playbooks whose trigger names one of these events."""
    found = db.execute(_current.where(_listens(workspace_id, events)).order_by(playbooks.c.id))
    return [_playbook(row) for row in found]


def is_awaited(db: Connection, workspace_id: str, events: Sequence[str]) -> bool:
    """Whether the trigger of any enabled playbook names one of these events."""
    return db.execute(sa.select(playbooks.c.id).where(_listens(workspace_id, events)).limit(1)).first() is not None


def _listens(workspace_id: str, events: Sequence[str]) -> sa.ColumnElement[bool]:
    mine = sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.enabled.is_(True))
    return sa.and_(mine, playbooks.c.trigger_event.in_(events))


def due_schedules(db: Connection, now: int, limit: int) -> list[Playbook]:
    """Playbooks whose schedule has come round by ``now`` (ms), locked for this transaction; other tickers skip them."""
    due = _current.where(playbooks.c.fire_at <= now).order_by(playbooks.c.fire_at).limit(limit)
    return [_playbook(row) for row in db.execute(due.with_for_update(skip_locked=True, of=playbooks))]


def set_fire_at(db: Connection, workspace_id: str, playbook_id: str, at: int | None, expected: int | None) -> bool:
    """Say when the schedule comes round next; false, and nothing changed, unless it was ``expected`` until now."""
    mine = sa.and_(_the(workspace_id, playbook_id), playbooks.c.fire_at.is_not_distinct_from(expected))
    return db.execute(sa.update(playbooks).where(mine).values(fire_at=at)).rowcount == 1


def _the(workspace_id: str, playbook_id: str) -> sa.ColumnElement[bool]:
    return sa.and_(playbooks.c.workspace_id == workspace_id, playbooks.c.id == playbook_id)


def _as_revision(row: Row) -> Revision:
    return Revision(id=row.id, playbook_id=row.playbook_id, version=row.version, definition=json.loads(row.definition))


def _head(definition: Mapping[str, Any], revision_id: str, step_count: int, fire_at: int | None) -> dict[str, Any]:
    return {
        **{name: definition[name] for name in ("name", "description", "version")},
        "revision_id": revision_id,
        "enabled": bool(definition["enabled"]),
        "trigger_event": definition["trigger"]["event"],
        "tags": json.dumps(definition["tags"], separators=(",", ":")),
        "step_count": step_count,
        "fire_at": fire_at,
    }


def _add_revision(
    db: Connection, workspace_id: str, uid: str, playbook_id: str, definition: Mapping[str, Any], actor: str
) -> str:
    revision_id = new_id("rev")
    db.execute(
        sa.insert(playbook_revisions).values(
            id=revision_id,
            workspace_id=workspace_id,
            playbook_uid=uid,
            playbook_id=playbook_id,
            version=definition["version"],
            definition=json.dumps(definition),
            created_at=now_ms(),
            created_by=actor,
        )
    )
    return revision_id
