"""Versioned definitions: a mutable head for each id, and its immutable revisions.

A definition is created with its first revision. A change adds a revision and makes the head name it, on condition that
the head is still as its author read it. Enabling and disabling touch the head alone. Deleting removes the head; the
revisions stay, so that whatever ran can always be explained by the revision it ran. ``uid`` tells a definition from an
earlier one of the same id that was deleted. A further kind is two tables and a ``DefinitionKind`` in a module here, its
rules in ``tasks.definitions``, its schemas, and a module of routes that uses ``api.versioned``.
"""

import functools
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from config.errors import Conflict, NotFound
from playbooks.credentials import RULES
from playbooks.definitions.parameters import OfRevision
from store import audit
from store.definitions.missing import refusal
from store.engine.db import Connection, IntegrityError, metadata, now_ms
from store.engine.prepared import Prepared
from store.ids import new_id
from store.paging import Found, Order, Part, Total, read


@dataclass(frozen=True, kw_only=True)
class Revision(OfRevision):
    """A definition at one version.

    ``sealed`` holds its secret parts, encrypted, where its kind has any.
    """

    id: str
    version: str
    definition: Mapping[str, Any]
    sealed: str | None = None
    workspace_id: str = ""
    #: whether it never changes again; else its config has yet to be masked by the present rules
    lasting: bool = True


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A definition as it is now (times in ms); the class of a kind adds columns."""

    workspace_id: str
    id: str
    uid: str
    enabled: bool
    created_at: int
    updated_at: int
    revision: Revision


@dataclass(frozen=True, kw_only=True)
class NewRevision:
    """A revision to add; its definition is complete and names its version."""

    definition: Mapping[str, Any]
    id: str = field(default_factory=lambda: new_id("rev"))
    #: the columns of the head, and of the revision, that only this kind has
    head: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)


class Page(NamedTuple):
    """The order of a list, and what is wanted of it."""

    sort_by: str
    descending: bool
    part: Part


Kept = TypeVar("Kept", bound=Definition)

#: for more ids than these, compiling a statement once costs more than it ever saves
_MOST_PREPARED = 256


def head_table(noun: str, *own: sa.schema.SchemaItem) -> sa.Table:
    """The table of heads; ``own`` are columns and indexes of the kind."""
    return sa.Table(
        f"{noun}s",
        metadata,
        sa.Column("workspace_id", sa.Text, sa.ForeignKey("workspaces.id"), primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("revision_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        *own,
    )


def revision_table(noun: str, *own: sa.schema.SchemaItem) -> sa.Table:
    """The table of revisions; a kind with secrets adds ``sealed`` and ``rules``."""
    return sa.Table(
        f"{noun}_revisions",
        metadata,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("workspace_id", sa.Text, nullable=False),
        sa.Column(f"{noun}_uid", sa.Text, nullable=False),
        sa.Column(f"{noun}_id", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("definition", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Index(f"uq_{noun}_revisions_version", f"{noun}_uid", "version", unique=True),
        *own,
    )


class DefinitionKind(Generic[Kept]):
    """A kind of versioned definition: its noun, its class, its two tables.

    Its statements are written once; those of the hot path are ``Prepared``.
    """

    def __init__(self, noun: str, kept: type[Kept], heads: sa.Table, revisions: sa.Table) -> None:
        self.noun, self.one = noun, f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
        self._kept, self._heads, self._revisions = kept, heads, revisions
        self._uid, self._subject = revisions.c[f"{noun}_uid"], revisions.c[f"{noun}_id"]
        self._own = tuple(each.name for each in fields(kept))[len(fields(Definition)) :]
        #: each head with its current revision
        self.joined = sa.join(heads, revisions, heads.c.revision_id == revisions.c.id)
        shown = ("workspace_id", "id", "uid", "enabled", "created_at", "updated_at", "revision_id", "version")
        revised = [revisions.c[name] for name in ("definition", "sealed", "rules") if name in revisions.c]
        #: the query whose rows ``of`` reads
        self.current = sa.select(*(heads.c[name] for name in (*shown, *self._own)), *revised).select_from(self.joined)
        one = self.the(sa.bindparam("workspace_id"), sa.bindparam("definition_id"))
        self._one = Prepared(self.current.where(one))
        brief = [heads.c[name] for name in ("revision_id", "enabled", "last_error") if name in heads.c]
        self._head = Prepared(sa.select(*brief).where(one))
        self._revision = sa.select(revisions, revisions.c.id.label("revision_id"))
        self._by_id = self._revision.where(revisions.c.id == sa.bindparam("wanted"))

    def the(self, workspace_id: Any, definition_id: Any) -> sa.ColumnElement[bool]:
        """The condition that picks one head."""
        return sa.and_(self._heads.c.workspace_id == workspace_id, self._heads.c.id == definition_id)

    def of(self, row: Any) -> Kept:
        """The definition in a row of ``current``."""
        return self._kept(
            workspace_id=row.workspace_id,
            id=row.id,
            uid=row.uid,
            enabled=bool(row.enabled),
            created_at=row.created_at,
            updated_at=row.updated_at,
            revision=_revision(row),
            **{name: getattr(row, name) for name in self._own},
        )

    def get(self, db: Connection, workspace_id: str, definition_id: str) -> Kept:
        """The definition of this id.

        Raises:
            NotFound: this workspace has none of that id.
        """
        return self.of(self._found(self._one, db, workspace_id, definition_id))

    def head(self, db: Connection, workspace_id: str, definition_id: str) -> Any:
        """The revision_id of a definition, whether it is enabled, and ``last_error`` of a playbook.

        Raises:
            NotFound: this workspace has none of that id.
        """
        return self._found(self._head, db, workspace_id, definition_id)

    def _found(self, one: Prepared, db: Connection, workspace_id: str, definition_id: str) -> Any:
        row = one.first(db, {"workspace_id": workspace_id, "definition_id": definition_id})
        if row is None:
            raise refusal(db, self._heads, workspace_id, self.noun, definition_id)
        return row

    def heads(self, db: Connection, workspace_id: str, wanted: Sequence[str]) -> dict[str, Any]:
        """Id → revision_id and ``enabled`` of the definitions wanted that exist."""
        if not wanted:
            return {}
        if len(wanted) > _MOST_PREPARED:
            mine = sa.and_(self._heads.c.workspace_id == workspace_id, self._heads.c.id.in_(sorted(set(wanted))))
            return {row.id: row for row in db.execute(_head_columns(self._heads).where(mine))}
        room = 1 << (len(wanted) - 1).bit_length()  # rounded up, so that few statements serve any number
        padded = [*wanted, *[wanted[0]] * (room - len(wanted))]
        named = {f"id_{number}": definition_id for number, definition_id in enumerate(padded)}
        rows, _ = _heads_of(self._heads, room).run(db, {"workspace_id": workspace_id, **named})
        return {row.id: row for row in rows}

    def several(self, db: Connection, workspace_id: str, wanted: Iterable[str]) -> dict[str, Kept]:
        """The definitions ``wanted`` by id; missing ones are left out."""
        ids = sorted(set(wanted))
        mine = sa.and_(self._heads.c.workspace_id == workspace_id, self._heads.c.id.in_(ids))
        return {row.id: self.of(row) for row in db.execute(self.current.where(mine))} if ids else {}

    def ids(self, db: Connection, workspace_id: str, *, limit: int) -> list[str]:
        """The first ids of the workspace, up to ``limit``."""
        mine = sa.select(self._heads.c.id).where(self._heads.c.workspace_id == workspace_id)
        return [row.id for row in db.execute(mine.order_by(self._heads.c.id).limit(limit))]

    def matching(self, workspace_id: str, filters: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
        """The common filters: ``enabled``, and ``search`` in name or description."""
        heads = self._heads.c
        where: list[sa.ColumnElement[bool]] = [heads.workspace_id == workspace_id]
        if filters.get("enabled") is not None:
            where.append(heads.enabled == filters["enabled"])
        if text := filters.get("search"):
            where.append(sa.or_(*(one.icontains(text, autoescape=True) for one in (heads.name, heads.description))))
        return where

    def page(self, db: Connection, query: sa.Select[Any], where: Sequence[sa.ColumnElement[bool]], page: Page) -> Found:
        """A part of the rows of ``query`` for the matching heads."""
        total = _total(db, self._heads, where) if page.part.counted else None
        order = Order((self._heads.c[page.sort_by], self._heads.c.id), (page.descending, False))
        position = self._heads.c[page.sort_by].label("position_")
        rows, after = read(db, query.add_columns(position).where(*where), order, page.part, ("position_", "id"))
        return Found(rows, after, total)

    def revision(self, db: Connection, revision_id: str) -> Revision:
        """A revision by its id; a ``lasting`` one may be cached."""
        return _revision(db.execute(self._by_id, {"wanted": revision_id}).one())

    def at_version(self, db: Connection, kept: Kept, version: str) -> Revision:
        """The revision of that version number.

        Raises:
            NotFound: the definition never had one.
        """
        its = sa.and_(self._uid == kept.uid, self._revisions.c.version == version)
        row = db.execute(self._revision.where(its)).first()
        if row is None:
            raise NotFound(f"The {self.noun} {kept.id!r} has no version {version!r}.")
        return _revision(row)

    def at(self, db: Connection, workspace_id: str, wanted: Collection[str], at: int) -> dict[str, str]:
        """Id → the revision that was current at ``at`` (ms).

        Only definitions that exist now and existed then.
        """
        if not wanted:
            return {}
        heads, revisions = self._heads.c, self._revisions.c
        mine = sa.and_(heads.workspace_id == workspace_id, heads.id.in_(sorted(wanted)), revisions.created_at <= at)
        query = sa.select(heads.id, revisions.id.label("revision_id")).where(mine, heads.uid == self._uid)
        return {row.id: row.revision_id for row in db.execute(query.order_by(revisions.created_at, revisions.id))}

    def versions(self, db: Connection, revision_ids: Iterable[str]) -> dict[str, str]:
        """The version number of each of these revisions."""
        table = self._revisions.c
        query = sa.select(table.id, table.version).where(table.id.in_(list(revision_ids)))
        return {row.id: row.version for row in db.execute(query)}

    def create(self, db: Connection, workspace_id: str, definition_id: str, new: NewRevision, actor: str) -> Kept:
        """Add a definition with its first revision.

        Raises:
            Conflict: the id is taken.
        """
        uid, now = new_id("uid"), now_ms()
        self._add(db, workspace_id, uid, definition_id, new, actor)
        own = {"workspace_id": workspace_id, "id": definition_id, "uid": uid, "created_at": now, "updated_at": now}
        try:
            with db.begin_nested():
                db.execute(sa.insert(self._heads).values({**_head(new), **own}))
        except IntegrityError as error:
            text = f"{self.one.capitalize()} with the id {definition_id!r} exists already"
            path = f"/api/{self.noun}s/{definition_id}"
            raise Conflict(f"{text}; change it with PUT {path}.", code="already_exists") from error
        audit.record(db, workspace_id, actor, f"{self.noun}.created", definition_id, version=new.definition["version"])
        return self.get(db, workspace_id, definition_id)

    def revise(self, db: Connection, kept: Kept, new: NewRevision, actor: str) -> Kept:
        """Make ``new`` the current revision, if the definition has not changed since.

        Raises:
            Conflict: it was changed meanwhile, or the version has been used before.
        """
        version = new.definition["version"]
        try:
            with db.begin_nested():
                self._add(db, kept.workspace_id, kept.uid, kept.id, new, actor)
        except IntegrityError as error:
            raise Conflict(
                f"Version {version} of {kept.id!r} exists already; give a higher one or none.", code="version_exists"
            ) from error
        unchanged = sa.and_(
            self._as_read(kept),
            self._heads.c.enabled == kept.enabled,  # disabling it meanwhile must not be overruled unseen
        )
        if db.execute(sa.update(self._heads).where(unchanged).values(**_head(new), updated_at=now_ms())).rowcount != 1:
            raise self._changed(kept)
        audit.record(db, kept.workspace_id, actor, f"{self.noun}.revised", kept.id, version=version)
        return self.get(db, kept.workspace_id, kept.id)

    def set_enabled(
        self, db: Connection, kept: Kept, *, enabled: bool, actor: str, head: Any = None, **noted: Any
    ) -> Kept:
        """Enable or disable a definition without a new version.

        ``head`` are columns that change with it. They follow from the revision, so with them it must be the same still.
        ``noted`` goes into the audit trail.

        Raises:
            Conflict: it was changed meanwhile. NotFound: it is gone.
        """
        if kept.enabled == enabled:
            return kept
        mine = self._as_read(kept) if head else self.the(kept.workspace_id, kept.id)
        values = {"enabled": enabled, "updated_at": now_ms(), **(head or {})}
        if db.execute(sa.update(self._heads).where(mine).values(values)).rowcount != 1:
            self.get(db, kept.workspace_id, kept.id)
            raise self._changed(kept)
        event = f"{self.noun}.{'enabled' if enabled else 'disabled'}"
        audit.record(db, kept.workspace_id, actor, event, kept.id, **noted)
        return self.get(db, kept.workspace_id, kept.id)

    def delete(self, db: Connection, workspace_id: str, definition_id: str, actor: str, **noted: Any) -> None:
        """Delete a definition but not its revisions.

        They stay, so that what ran can still be explained. ``noted`` goes into the audit trail.

        Raises:
            NotFound: this workspace has none of that id.
        """
        mine = self.the(workspace_id, definition_id)
        if db.execute(sa.delete(self._heads).where(mine)).rowcount == 0:
            raise refusal(db, self._heads, workspace_id, self.noun, definition_id)
        audit.record(db, workspace_id, actor, f"{self.noun}.deleted", definition_id, **noted)

    def _as_read(self, kept: Kept) -> sa.ColumnElement[bool]:
        return sa.and_(self.the(kept.workspace_id, kept.id), self._heads.c.revision_id == kept.revision.id)

    def _changed(self, kept: Kept) -> Conflict:
        return Conflict(
            f"The {self.noun} {kept.id!r} was changed by another caller; read it, then send the change again.",
            code="changed",
        )

    def _add(
        self, db: Connection, workspace_id: str, uid: str, definition_id: str, new: NewRevision, actor: str
    ) -> None:
        values = {
            "id": new.id,
            "workspace_id": workspace_id,
            self._uid.name: uid,
            self._subject.name: definition_id,
            "version": new.definition["version"],
            "definition": json.dumps(new.definition),
            "created_at": now_ms(),
            "created_by": actor,
        }
        db.execute(sa.insert(self._revisions).values({**values, **new.columns}))


def _total(db: Connection, table: sa.Table, where: Sequence[sa.ColumnElement[bool]]) -> Total:
    return Total(db.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())


def _head(new: NewRevision) -> dict[str, Any]:
    """The columns of a head that follow from its revision."""
    said = {name: new.definition[name] for name in ("name", "description", "version")}
    return {**said, "enabled": bool(new.definition["enabled"]), "revision_id": new.id, **new.head}


def _revision(row: Any) -> Revision:
    return Revision(
        id=row.revision_id,
        version=row.version,
        definition=json.loads(row.definition),
        sealed=getattr(row, "sealed", None),
        workspace_id=row.workspace_id,
        lasting=abs(getattr(row, "rules", RULES)) == RULES,
    )


@functools.cache
def _heads_of(heads: sa.Table, number: int) -> Prepared:
    ids = [sa.bindparam(f"id_{each}", type_=sa.Text) for each in range(number)]
    mine = sa.and_(heads.c.workspace_id == sa.bindparam("workspace_id"), heads.c.id.in_(ids))
    return Prepared(_head_columns(heads).where(mine))


def _head_columns(heads: sa.Table) -> sa.Select[tuple[str, str, bool]]:
    return sa.select(heads.c.id, heads.c.revision_id, heads.c.enabled)
