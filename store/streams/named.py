"""What rows of the audit trail name, read for the events of streams: by id, a few statements for many rows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from store.engine import sets
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.executions.transitions import executions
from store.gateway.approvals import approvals
from store.gateway.events import events
from store.gateway.groups import event_groups

#: how a run names the chain that it is, as ``gateway.facts.CHAIN_PREFIX``
_CHAIN = "chain:%"
_table = executions.c
_OF = {
    "executions": (_table.id, _table.gate, _table.error),
    "runs": (_table.id, _table.action_id, sa.case((_table.action_id.like(_CHAIN), _table.input)).label("input")),
    "approvals": (
        approvals.c.id,
        approvals.c.namespace,
        approvals.c.provider,
        approvals.c.action_type,
        approvals.c.expires_at,
        approvals.c.status,
    ),
    "groups": (event_groups.c.id, event_groups.c.namespace, event_groups.c.provider, event_groups.c.notify_at),
    "events": (events.c.id, events.c.machine, events.c.provider, events.c.action_type),
}


@dataclass
class Ids:
    """The ids that some rows name, by kind."""

    executions: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    approvals: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Named:
    """The same things, by id, as far as they are still there."""

    executions: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[str, Any] = field(default_factory=dict)
    approvals: Mapping[str, Any] = field(default_factory=dict)
    groups: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, Any] = field(default_factory=dict)


#: by dialect and kind
_statements = {
    (dialect, kind): Prepared(sa.select(*columns).where(sets.is_among(dialect, columns[0], "ids")))
    for dialect in sets.DIALECTS
    for kind, columns in _OF.items()
}


def read(db: Connection, ids: Ids) -> Named:
    """What has these ids; a statement for each kind of which there is one."""
    return Named(**{kind: _by_id(db, kind, getattr(ids, kind)) for kind in _OF})


def _by_id(db: Connection, kind: str, ids: Collection[str]) -> dict[str, Any]:
    if not ids:
        return {}
    dialect = db.dialect.name
    found, _ = _statements[dialect, kind].run(db, {"ids": sets.given(dialect, ids)})
    return {row.id: row for row in found}
