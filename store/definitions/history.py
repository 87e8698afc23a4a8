"""What was current at a moment: the revisions of actions and playbooks as they were then."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from store.definitions import actions, playbooks
from store.engine.db import Connection


def actions_at(db: Connection, workspace_id: str, wanted: Collection[str], at: int) -> dict[str, str]:
    """Action id → the revision that was current at ``at`` (ms), of those that are there and were there then."""
    revisions = actions.action_revisions.c
    return _at(db, actions.actions.c, revisions, revisions.action_uid, workspace_id, wanted, at)


def playbooks_at(db: Connection, workspace_id: str, wanted: Collection[str], at: int) -> dict[str, str]:
    """The same for playbooks."""
    revisions = playbooks.playbook_revisions.c
    return _at(db, playbooks.playbooks.c, revisions, revisions.playbook_uid, workspace_id, wanted, at)


def _at(
    db: Connection, heads: Any, revisions: Any, uid: Any, workspace_id: str, wanted: Collection[str], at: int
) -> dict[str, str]:
    if not wanted:
        return {}
    mine = sa.and_(heads.workspace_id == workspace_id, heads.id.in_(sorted(wanted)), revisions.created_at <= at)
    query = sa.select(heads.id, revisions.id.label("revision_id")).where(mine, heads.uid == uid)
    return {row.id: row.revision_id for row in db.execute(query.order_by(revisions.created_at, revisions.id))}
