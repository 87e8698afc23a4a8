"""Providers: the revision of each that is current.

A provider's definition is a revision like an action's, so an execution is pinned to it and runs unchanged. Providers
belong to no workspace: theirs is ``WORKSPACE``, under which their credentials are sealed too. Revisions stay when a
provider goes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from playbooks.credentials import RULES
from store.definitions.actions import Revision, action_revisions, revision
from store.engine.db import Connection, Row, metadata, now_ms
from store.engine.prepared import Prepared

#: the workspace of all revisions of providers
WORKSPACE = ""
#: where a provider comes from
FROM_FILE = "file"

providers = sa.Table(
    "providers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("revision_id", sa.Text, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False),
    #: ``file``: the configuration folder
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("updated_at", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A provider as it is now; ``definition`` has the shape of an action's, credentials masked."""

    name: str
    revision_id: str
    enabled: bool
    definition: Mapping[str, Any]


_its_revision = sa.join(providers, action_revisions, providers.c.revision_id == action_revisions.c.id)
_head = Prepared(
    sa.select(providers.c.name, providers.c.revision_id, providers.c.enabled, action_revisions.c.definition)
    .select_from(_its_revision)
    .where(providers.c.name == sa.bindparam("wanted"))
)


def head(connection: Connection, name: str) -> Head | None:
    """The provider of that name; one statement."""
    row = _head.first(connection, {"wanted": name})
    if row is None:
        return None
    return Head(
        name=row.name, revision_id=row.revision_id, enabled=bool(row.enabled), definition=json.loads(row.definition)
    )


def current(connection: Connection) -> dict[str, Revision]:
    """Each provider's current revision, by name."""
    query = sa.select(providers.c.name, *action_revisions.c, action_revisions.c.id.label("revision_id"))
    rows = connection.execute(query.select_from(_its_revision))
    return {
        row.name: Revision(
            id=row.revision_id, version=row.version, definition=json.loads(row.definition), sealed=row.sealed
        )
        for row in rows
    }


def add_revision(
    connection: Connection, name: str, revision_id: str, definition: Mapping[str, Any], sealed: str | None, actor: str
) -> None:
    """Add a revision of a provider; its version is the next of that name."""
    uid = f"provider:{name}"
    its = action_revisions.c.action_uid == uid
    number = connection.execute(sa.select(sa.func.count()).select_from(action_revisions).where(its)).scalar_one()
    version = f"1.0.{number}"
    connection.execute(
        sa.insert(action_revisions).values(
            id=revision_id,
            workspace_id=WORKSPACE,
            action_uid=uid,
            action_id=name,
            version=version,
            definition=json.dumps({**definition, "version": version}),
            created_at=now_ms(),
            created_by=actor,
            sealed=sealed,
            rules=RULES,
        )
    )


def put(connection: Connection, revisions: Mapping[str, str], *, source: str = FROM_FILE) -> None:
    """Make these revisions the current ones; providers of the same source that are not named go."""
    known = {row.name: row for row in connection.execute(sa.select(providers))}
    for name, revision_id in revisions.items():
        if name in known and known[name].revision_id == revision_id:
            continue
        definition = revision(connection, revision_id).definition
        values = {
            "revision_id": revision_id,
            "enabled": bool(definition["enabled"]),
            "source": source,
            "updated_at": now_ms(),
        }
        if name in known:
            connection.execute(sa.update(providers).where(providers.c.name == name).values(values))
        else:
            connection.execute(sa.insert(providers).values(name=name, **values))
    for name in known.keys() - revisions.keys():
        if known[name].source == source:
            connection.execute(sa.delete(providers).where(providers.c.name == name))


def listed(connection: Connection) -> list[Row]:
    """All providers by name."""
    return list(connection.execute(sa.select(providers).order_by(providers.c.name)))
