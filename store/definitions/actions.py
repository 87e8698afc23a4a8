"""Actions, versioned (``store.definitions.versioned``).

The secret parts of a config are sealed in its revision.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from playbooks.credentials import RULES
from store.definitions.versioned import (
    Definition,
    DefinitionKind,
    NewRevision,
    Page,
    Revision,
    head_table,
    revision_table,
)
from store.engine.db import Connection
from store.paging import Found

__all__ = ["SORTABLE", "Action", "NewRevision", "Page", "Revision", "action_revisions", "actions", "kind"]

actions = head_table(
    "action",
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("executor", sa.Text, nullable=False),
)

action_revisions = revision_table(
    "action",
    sa.Column("sealed", sa.Text),
    #: by which rules its config was masked (``store.remasking``)
    sa.Column("rules", sa.Integer, nullable=False, server_default="0"),
    #: what records name as its provider; NULL for a revision that an earlier release has added
    sa.Column("provider", sa.Text),
    sa.Index("ix_action_revisions_rules", "rules", "id"),
)

#: the columns a list may be sorted by
SORTABLE = ("name", "type", "created_at", "updated_at")


class Action(Definition):
    """An action as it is now."""


kind = DefinitionKind("action", Action, actions, action_revisions)

get, head, heads, several, ids = kind.get, kind.head, kind.heads, kind.several, kind.ids
revision, versions, at = kind.revision, kind.versions, kind.at
create, revise, set_enabled, delete = kind.create, kind.revise, kind.set_enabled, kind.delete


def new_revision(revision_id: str, definition: Mapping[str, Any], sealed: str | None, *, provider: str) -> NewRevision:
    """A revision with the new id ``revision_id``, to which ``sealed`` is bound."""
    return NewRevision(
        id=revision_id,
        definition=definition,
        head={name: definition[name] for name in ("type", "executor")},
        columns={"sealed": sealed, "rules": RULES, "provider": provider},
    )


def search(db: Connection, workspace_id: str, filters: Mapping[str, Any], page: Page) -> Found:
    """A part of the workspace's actions.

    ``filters``: ``type`` and ``executor`` (lists), ``enabled``, ``search`` (text in name or description).
    """
    where = kind.matching(workspace_id, filters)
    where += [actions.c[name].in_(filters[name]) for name in ("type", "executor") if filters.get(name)]
    found = kind.page(db, kind.current, where, page)
    return found._replace(rows=[kind.of(row) for row in found.rows])
