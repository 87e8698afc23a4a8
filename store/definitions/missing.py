"""The refusal of an id that no definition has."""

from typing import Any

import sqlalchemy as sa

from config.errors import NotFound
from expressions.suggestions import did_you_mean
from store.engine.db import Connection

#: ids among which the nearest is looked for
_MOST = 200


def refusal(db: Connection, heads: sa.Table, workspace_id: str, noun: str, definition_id: Any) -> NotFound:
    """The error that names the id and the nearest one of the workspace."""
    ids = db.scalars(sa.select(heads.c.id).where(heads.c.workspace_id == workspace_id).limit(_MOST))
    return NotFound(f"There is no {noun} {definition_id!r}{did_you_mean(str(definition_id), ids) or '.'}")
