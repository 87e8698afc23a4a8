"""Keeps a definition as it is, from a look at it to the end of the change that is based on the look."""

from typing import Any

import sqlalchemy as sa

from store.definitions.versioned import DefinitionKind, Kept
from store.engine.db import Connection


def locked(db: Connection, kind: DefinitionKind[Kept], workspace_id: str, definition_id: str) -> Kept:
    """The definition of this id, which no other transaction changes before this one ends.

    Those who only hold it, because they name it, are not kept waiting. The look follows in a statement of its own: one
    that waits for the lock and joins the revision would not find that of the change it has waited for.

    Raises:
        NotFound: this workspace has none of that id.
    """
    heads: Any = kind.joined.left
    db.execute(sa.select(heads.c.id).where(kind.the(workspace_id, definition_id)).with_for_update(key_share=True))
    return kind.get(db, workspace_id, definition_id)
