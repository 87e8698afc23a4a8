"""Which stored values were made under a root key that this process does not have.

Everything that is sealed or signed names its root key, so nothing has to be opened to find out. A bounded number of
rows of each table is looked at, by the order of an index, however many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from store.access import api_keys
from store.callers.users import users
from store.definitions.actions import action_revisions, actions
from store.definitions.documents import documents
from store.engine.db import Connection
from store.executions.transitions import executions
from store.gateway.providers import providers
from store.sealing import subkeys

#: rows of each table that are looked at
MOST = 200
#: characters of a value that name its root key
_NAMED_IN = len(f"{subkeys.VERSION}.01234567.")


@dataclass(frozen=True)
class ForeignValues:
    """What this process cannot open, among the rows that were looked at."""

    #: table → values
    numbers: Mapping[str, int] = field(default_factory=dict)
    #: the ids of the missing root keys
    missing: frozenset[str] = frozenset()


def look(db: Connection) -> ForeignValues:
    """Look for values under root keys that are not among those of this process."""
    numbers, missing = dict[str, int](), set[str]()
    for name, values in _VALUES.items():
        for row in db.execute(values):
            version, _, rest = (row.prefix or "").partition(".")
            key_id = rest.removesuffix(".")
            if version == subkeys.VERSION and subkeys.named(key_id) is None:
                numbers[name] = numbers.get(name, 0) + row.number
                missing.add(key_id)
    return ForeignValues(numbers, frozenset(missing))


def _counted(value: sa.ColumnElement[str | None], rows: sa.Select[tuple[str]]) -> sa.Select[tuple[str | None, int]]:
    some = rows.with_only_columns(sa.func.substr(value, 1, _NAMED_IN).label("prefix")).limit(MOST).subquery()
    return sa.select(some.c.prefix, sa.func.count().label("number")).group_by(some.c.prefix)


_VALUES = {
    "api_keys": _counted(
        api_keys.c.mac, sa.select(api_keys.c.id).where(api_keys.c.revoked_at.is_(None)).order_by(api_keys.c.id)
    ),
    "users": _counted(users.c.mac, sa.select(users.c.username).order_by(users.c.username)),
    "actions": _counted(
        action_revisions.c.sealed,
        sa.select(actions.c.id)
        .join_from(actions, action_revisions, actions.c.revision_id == action_revisions.c.id)
        .where(action_revisions.c.sealed.is_not(None))
        .order_by(actions.c.workspace_id, actions.c.id),
    ),
    "providers": _counted(
        action_revisions.c.sealed,
        sa.select(providers.c.name)
        .join_from(providers, action_revisions, providers.c.revision_id == action_revisions.c.id)
        .where(action_revisions.c.sealed.is_not(None))
        .order_by(providers.c.name),
    ),
    "playbook_documents": _counted(
        documents.c.sealed, sa.select(documents.c.playbook_uid).order_by(documents.c.playbook_uid)
    ),
    "executions": _counted(
        executions.c.sealed,
        sa.select(executions.c.id).where(executions.c.sealed.is_not(None)).order_by(executions.c.id.desc()),
    ),
}
