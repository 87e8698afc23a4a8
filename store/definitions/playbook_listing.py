"""Many playbooks at once: the pages of their list."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from store.definitions.playbooks import joined, playbook_revisions, playbooks
from store.engine.db import Connection, Row

#: the columns the list may be sorted by
SORTABLE = ("name", "step_count", "created_at", "updated_at")


def search(
    db: Connection,
    workspace_id: str,
    *,
    filters: Mapping[str, Any],
    sort_by: str,
    descending: bool,
    limit: int,
    offset: int,
) -> tuple[list[Row], int]:
    """One page of the workspace's playbooks and how many match.

    A row has the columns of ``playbooks`` and the ``trigger`` (an object), not the whole definition. ``filters``:
    ``search`` (text in name or description), ``tag``, ``enabled``, ``trigger`` (the event).
    """
    where = [playbooks.c.workspace_id == workspace_id]
    if filters.get("enabled") is not None:
        where.append(playbooks.c.enabled == filters["enabled"])
    if filters.get("trigger"):
        where.append(playbooks.c.trigger_event == filters["trigger"])
    if filters.get("tag"):
        tag = json.dumps(filters["tag"])  # what comes before it tells a tag from a part of one
        where.append(sa.or_(*(playbooks.c.tags.icontains(start + tag, autoescape=True) for start in "[,")))
    if filters.get("search"):
        columns = (playbooks.c.name, playbooks.c.description)
        where.append(sa.or_(*(column.icontains(filters["search"], autoescape=True) for column in columns)))
    total = db.execute(sa.select(sa.func.count()).select_from(playbooks).where(*where)).scalar_one()
    column = playbooks.c[sort_by]
    order = column.desc() if descending else column.asc()
    query = sa.select(playbooks, _trigger(db)).select_from(joined).where(*where)
    return list(db.execute(query.order_by(order, playbooks.c.id).limit(limit).offset(offset))), total


def _trigger(db: Connection) -> sa.Label[Any]:
    """The trigger out of a definition that may be large."""
    text = playbook_revisions.c.definition
    document = sa.cast(text, sa.JSON) if db.dialect.name == "postgresql" else sa.type_coerce(text, sa.JSON)
    return document["trigger"].label("trigger")
