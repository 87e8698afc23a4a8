"""Actions and their revisions.

``actions`` holds what is current and may change (enabled or not, which revision); ``action_revisions`` holds each
definition as it once was and never changes, but for what is masked of it, so that an execution can always be
explained by the revision it ran. ``uid`` tells an action from an earlier one of the same id that was deleted.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from config.errors import Conflict, NotFound
from playbooks.credentials import RULES
from store import audit
from store.engine.db import Connection, IntegrityError, Row, metadata, now_ms
from store.engine.prepared import Prepared
from store.ids import new_id

actions = sa.Table(
    "actions",
    metadata,
    sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("uid", sa.Text, nullable=False),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("executor", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)

action_revisions = sa.Table(
    "action_revisions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("workspace_id", sa.Text, nullable=False),
    sa.Column("action_uid", sa.Text, nullable=False),
    sa.Column("action_id", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("sealed", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    #: by which rules its config was masked (``store.remasking``)
    sa.Column("rules", sa.Integer, nullable=False, server_default="0"),
    sa.Index("uq_action_revisions_version", "action_uid", "version", unique=True),
    sa.Index("ix_action_revisions_rules", "rules", "id"),
)

#: the columns a list may be sorted by
SORTABLE = ("name", "type", "created_at", "updated_at")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A definition as it was; ``sealed`` holds the secret parts of its config, encrypted."""

    id: str
    action_id: str
    version: str
    definition: Mapping[str, Any]
    sealed: str | None
    #: whether it stays as it is; else its config has yet to be masked by the present rules
    lasting: bool = True


@dataclass(frozen=True, kw_only=True)
class Action:
    """An action as it is now."""

    id: str
    uid: str
    enabled: bool
    created_at: int
    updated_at: int
    revision: Revision


_joined = sa.join(actions, action_revisions, actions.c.revision_id == action_revisions.c.id)
_current = sa.select(
    actions.c.id,
    actions.c.uid,
    actions.c.enabled,
    actions.c.created_at,
    actions.c.updated_at,
    actions.c.revision_id,
    actions.c.version,
    action_revisions.c.definition,
    action_revisions.c.sealed,
).select_from(_joined)
_one = Prepared(
    _current.where(actions.c.workspace_id == sa.bindparam("workspace_id"), actions.c.id == sa.bindparam("action_id"))
)


def _action(row: Any) -> Action:
    revision = Revision(
        id=row.revision_id,
        action_id=row.id,
        version=row.version,
        definition=json.loads(row.definition),
        sealed=row.sealed,
    )
    return Action(
        id=row.id,
        uid=row.uid,
        enabled=bool(row.enabled),
        created_at=row.created_at,
        updated_at=row.updated_at,
        revision=revision,
    )


def get(db: Connection, workspace_id: str, action_id: str) -> Action:
    """The action.

    Raises:
        NotFound: this workspace has none of that id.
    """
    row = _one.first(db, {"workspace_id": workspace_id, "action_id": action_id})
    if row is None:
        raise _missing(action_id)
    return _action(row)


def _missing(action_id: str) -> NotFound:
    """The refusal of an action that the workspace does not have."""
    return NotFound(f"There is no action {action_id!r}.")


def create(
    db: Connection,
    *,
    workspace_id: str,
    action_id: str,
    revision_id: str,
    definition: Mapping[str, Any],
    sealed: str | None,
    actor: str,
) -> Action:
    """Add an action at the version its definition names; ``revision_id`` is a new id, for which ``sealed`` was sealed.

    Raises:
        Conflict: the id is taken.
    """
    uid, now = new_id("uid"), now_ms()
    _add_revision(db, workspace_id, uid, action_id, revision_id, definition, sealed, actor)
    values = {
        **_head(definition, revision_id),
        "workspace_id": workspace_id,
        "id": action_id,
        "uid": uid,
        "enabled": bool(definition["enabled"]),
        "created_at": now,
        "updated_at": now,
    }
    try:
        with db.begin_nested():
            db.execute(sa.insert(actions).values(values))
    except IntegrityError as error:
        raise Conflict(
            f"An action with the id {action_id!r} exists already; change it with PUT /api/actions/{action_id}.",
            code="already_exists",
        ) from error
    audit.record(db, workspace_id, actor, "action.created", action_id, version=definition["version"])
    return get(db, workspace_id, action_id)


def revise(
    db: Connection,
    *,
    workspace_id: str,
    action: Action,
    revision_id: str,
    definition: Mapping[str, Any],
    sealed: str | None,
    actor: str,
) -> Action:
    """Make ``definition`` the current revision of ``action``, under the new id ``revision_id``.

    Raises:
        Conflict: another caller changed it meanwhile, or the version has been used before.
    """
    try:
        with db.begin_nested():
            _add_revision(db, workspace_id, action.uid, action.id, revision_id, definition, sealed, actor)
    except IntegrityError as error:
        raise Conflict(
            f"Version {definition['version']} of {action.id!r} exists already; give a higher one or none.",
            code="version_exists",
        ) from error
    head = {**_head(definition, revision_id), "enabled": bool(definition["enabled"]), "updated_at": now_ms()}
    unchanged = sa.and_(
        actions.c.workspace_id == workspace_id,
        actions.c.id == action.id,
        actions.c.revision_id == action.revision.id,
        actions.c.enabled == action.enabled,  # who switched it off meanwhile must not be overruled unseen
    )
    if db.execute(sa.update(actions).where(unchanged).values(head)).rowcount != 1:
        raise Conflict(f"The action {action.id!r} was changed by somebody else; read it again.", code="changed")
    audit.record(db, workspace_id, actor, "action.revised", action.id, version=definition["version"])
    return get(db, workspace_id, action.id)


def set_enabled(db: Connection, workspace_id: str, action_id: str, *, enabled: bool, actor: str) -> Action:
    """Switch the action on or off; no new version, executions under way go on."""
    action = get(db, workspace_id, action_id)
    if action.enabled != enabled:
        mine = sa.and_(actions.c.workspace_id == workspace_id, actions.c.id == action_id)
        db.execute(sa.update(actions).where(mine).values(enabled=enabled, updated_at=now_ms()))
        audit.record(db, workspace_id, actor, "action.enabled" if enabled else "action.disabled", action_id)
    return get(db, workspace_id, action_id)


def delete(db: Connection, workspace_id: str, action_id: str, actor: str) -> None:
    """Remove the action; its executions stay and can still be explained.

    Raises:
        NotFound: this workspace has none of that id.
    """
    mine = sa.and_(actions.c.workspace_id == workspace_id, actions.c.id == action_id)
    if db.execute(sa.delete(actions).where(mine)).rowcount == 0:
        raise NotFound(f"There is no action {action_id!r}.")
    audit.record(db, workspace_id, actor, "action.deleted", action_id)


def search(
    db: Connection,
    workspace_id: str,
    *,
    filters: Mapping[str, Any],
    sort_by: str,
    descending: bool,
    limit: int,
    offset: int,
) -> tuple[list[Action], int]:
    """One page of the workspace's actions and how many match.

    ``filters``: ``type`` and ``executor`` (lists), ``enabled``, ``search`` (text in name or description).
    """
    where = [actions.c.workspace_id == workspace_id]
    where += [actions.c[name].in_(filters[name]) for name in ("type", "executor") if filters.get(name)]
    if filters.get("enabled") is not None:
        where.append(actions.c.enabled == filters["enabled"])
    if filters.get("search"):
        text = filters["search"]
        where.append(
            sa.or_(
                actions.c.name.icontains(text, autoescape=True),
                actions.c.description.icontains(text, autoescape=True),
            )
        )
    total = db.execute(sa.select(sa.func.count()).select_from(actions).where(*where)).scalar_one()
    column = actions.c[sort_by]
    order = column.desc() if descending else column.asc()
    rows = db.execute(_current.where(*where).order_by(order, actions.c.id).limit(limit).offset(offset))
    return [_action(row) for row in rows], total


def revisions(db: Connection, action: Action, *, limit: int, offset: int) -> tuple[list[Row], int]:
    """One page of the action's revisions, newest first, without their secrets, and how many there are."""
    table = action_revisions.c
    its = table.action_uid == action.uid
    total = db.execute(sa.select(sa.func.count()).select_from(action_revisions).where(its)).scalar_one()
    columns = (table.action_id, table.definition, table.created_at, table.created_by)
    page = sa.select(*columns).where(its).order_by(table.created_at.desc(), table.id.desc())
    return list(db.execute(page.limit(limit).offset(offset))), total


_revision = sa.select(action_revisions).where(action_revisions.c.id == sa.bindparam("revision_id"))


def revision(db: Connection, revision_id: str) -> Revision:
    """A revision by its own id; one that is ``lasting`` may be kept."""
    row = db.execute(_revision, {"revision_id": revision_id}).one()
    return Revision(
        id=row.id,
        action_id=row.action_id,
        version=row.version,
        definition=json.loads(row.definition),
        sealed=row.sealed,
        lasting=abs(row.rules) == RULES,
    )


def versions(db: Connection, revision_ids: Iterable[str]) -> dict[str, str]:
    """The version number of each of these revisions."""
    query = sa.select(action_revisions.c.id, action_revisions.c.version)
    wanted = action_revisions.c.id.in_(list(revision_ids))
    return {row.id: row.version for row in db.execute(query.where(wanted))}


def head(db: Connection, workspace_id: str, action_id: str) -> Any:
    """The revision_id of an action and whether it is enabled.

    Raises:
        NotFound: this workspace has none of that id.
    """
    row = _head_of.first(db, {"workspace_id": workspace_id, "action_id": action_id})
    if row is None:
        raise _missing(action_id)
    return row


_head_of = Prepared(
    sa.select(actions.c.revision_id, actions.c.enabled).where(
        actions.c.workspace_id == sa.bindparam("workspace_id"), actions.c.id == sa.bindparam("action_id")
    )
)


def heads(db: Connection, workspace_id: str, wanted: Sequence[str]) -> dict[str, Any]:
    """By id the revision_id of each action wanted and whether it is enabled; what the workspace lacks is left out."""
    if not wanted:
        return {}
    room = 1 << (len(wanted) - 1).bit_length()  # so that few statements serve any number
    padded = [*wanted, *[wanted[0]] * (room - len(wanted))]
    named = {f"id_{number}": action_id for number, action_id in enumerate(padded)}
    rows, _ = _heads_of(room).run(db, {"workspace_id": workspace_id, **named})
    return {row.id: row for row in rows}


@functools.cache
def _heads_of(number: int) -> Prepared:
    ids = [sa.bindparam(f"id_{each}", type_=sa.Text) for each in range(number)]
    mine = sa.and_(actions.c.workspace_id == sa.bindparam("workspace_id"), actions.c.id.in_(ids))
    return Prepared(sa.select(actions.c.id, actions.c.revision_id, actions.c.enabled).where(mine))


def definitions(db: Connection, workspace_id: str, wanted: Iterable[str]) -> dict[str, Action]:
    """Those of the actions ``wanted`` (ids) that the workspace has, by id."""
    mine = sa.and_(actions.c.workspace_id == workspace_id, actions.c.id.in_(sorted(set(wanted))))
    return {row.id: _action(row) for row in db.execute(_current.where(mine))}


def ids(db: Connection, workspace_id: str, *, limit: int) -> list[str]:
    """The ids of up to ``limit`` of the workspace's actions."""
    mine = sa.select(actions.c.id).where(actions.c.workspace_id == workspace_id)
    return [row.id for row in db.execute(mine.order_by(actions.c.id).limit(limit))]


def _head(definition: Mapping[str, Any], revision_id: str) -> dict[str, Any]:
    names = ("name", "description", "type", "executor", "version")
    return {**{name: definition[name] for name in names}, "revision_id": revision_id}


def _add_revision(
    db: Connection,
    workspace_id: str,
    uid: str,
    action_id: str,
    revision_id: str,
    definition: Mapping[str, Any],
    sealed: str | None,
    actor: str,
) -> None:
    db.execute(
        sa.insert(action_revisions).values(
            id=revision_id,
            workspace_id=workspace_id,
            action_uid=uid,
            action_id=action_id,
            version=definition["version"],
            definition=json.dumps(definition),
            sealed=sealed,
            created_at=now_ms(),
            created_by=actor,
            rules=RULES,
        )
    )
