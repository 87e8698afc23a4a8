"""Re-makes values under the first root key, column by column, in batches.

A batch reads some rows that are behind, opens and seals their values with no transaction open, and writes them in one,
each on condition that the row still holds what was read. So a batch may run in parallel with everything else, and what
a killed one has not written is found again.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from store import access
from store.access import api_keys
from store.blocks import floor
from store.bundles import secrets
from store.bundles.secrets import bundle_secrets
from store.callers.users import USERS_VOUCHED, users
from store.definitions.actions import action_revisions
from store.definitions.documents import documents
from store.definitions.playbooks import playbook_revisions
from store.engine import db
from store.engine.db import Row
from store.engine.prepared import Prepared
from store.executions.transitions import executions
from store.sealing import seal, subkeys
from store.sealing.macs import Vouched
from store.sealing.seal import Cell, SealBroken

#: rows a transaction; documents are large
_BITE, _LARGE_BITE = 200, 20


class Bite(NamedTuple):
    """The result of one batch, and where the next begins.

    The next begins at "" when there is none.
    """

    after: str
    done: int
    broken: tuple[str, ...]


#: renews the batch after a primary key ("" comes before all)
Step = Callable[[str], Bite]


@dataclass(frozen=True)
class Column:
    """A column of values that are made with a root key.

    ``query`` gives ``id``, ``held`` (the column) and what ``renewed`` needs, which makes the new value of a row.
    """

    key: sa.ColumnElement[str]
    held: sa.Column[str]
    query: sa.Select[tuple[str, ...]]
    renewed: Callable[[Row], str | None]
    most: int = _BITE
    #: whether a row that holds nothing is behind too
    filled: bool = False

    def bite(self, after: str) -> Bite:
        """Renew the first rows after this key.

        Raises:
            Unavailable: the database is away; nothing was changed.
        """
        other, empty = self.held.not_like(f"{subkeys.prefix(subkeys.newest())}%"), self.held.is_(None)
        behind = sa.or_(other, empty) if self.filled else sa.and_(other, ~empty)  # the second half is for the index
        wanted = self.query.where(self.key > after, behind)
        with db.read() as connection:
            rows = connection.execute(wanted.order_by(self.key).limit(self.most)).all()
        changes, broken = [], []
        for row in rows:
            try:
                changes.append({"id_": row.id, "old_": row.held, "new_": self.renewed(row)})
            except SealBroken:
                broken.append(row.id)
        if changes:
            db.change(lambda connection: self._write.many(connection, changes))
        return Bite(rows[-1].id if len(rows) == self.most else "", len(changes), tuple(broken))

    @functools.cached_property
    def _write(self) -> Prepared:
        as_read = sa.and_(self.key == sa.bindparam("id_"), self.held == sa.bindparam("old_"))
        return Prepared(sa.update(self.held.table).where(as_read).values({self.held.name: sa.bindparam("new_")}))


def _sealed(cell: Callable[[Row], Cell]) -> Callable[[Row], str | None]:
    """The function that seals a value again."""

    def renewed(row: Row) -> str | None:
        return seal.seal(seal.unseal(row.held, cell(row)), cell(row))

    return renewed


def _vouched(by: Vouched) -> Callable[[Row], str]:
    """The function that makes the MAC of a row again."""

    def renewed(row: Row) -> str:
        if not by.is_right(row):
            raise SealBroken
        return by.mac(row._asdict())

    return renewed


#: API keys, whose rows have a MAC until they are revoked
API_KEYS = Column(
    api_keys.c.id,
    api_keys.c.mac,
    sa.select(api_keys, api_keys.c.mac.label("held")).where(api_keys.c.revoked_at.is_(None)),
    _vouched(access.KEYS_VOUCHED),
    filled=True,
)
#: users, whose rows always have one
USERS = Column(
    users.c.username,
    users.c.mac,
    sa.select(users, users.c.username.label("id"), users.c.mac.label("held")),
    _vouched(USERS_VOUCHED),
    filled=True,
)

_executions, _revisions = executions.c, action_revisions.c
#: the secret parameters of executions
PARAMETERS = Column(
    _executions.id,
    _executions.sealed,
    sa.select(_executions.id, _executions.workspace_id, _executions.revision_id, _executions.sealed.label("held")),
    _sealed(lambda row: seal.parameters_cell(row.workspace_id, row.id, row.revision_id)),
)

#: the documents of playbooks; the revision that was made of one outlives the playbook
DOCUMENTS = Column(
    documents.c.playbook_uid,
    documents.c.sealed,
    sa.select(
        documents.c.playbook_uid.label("id"), documents.c.sealed.label("held"), playbook_revisions.c.workspace_id
    ).join_from(documents, playbook_revisions, documents.c.revision_id == playbook_revisions.c.id),
    _sealed(lambda row: seal.document_cell(row.workspace_id, row.id)),
    _LARGE_BITE,
)

_secrets = bundle_secrets.c
#: the secrets of bundles
BUNDLE_SECRETS = Column(
    _secrets.id,
    _secrets.sealed,
    sa.select(_secrets.id, _secrets.workspace_id, _secrets.bundle, _secrets.name, _secrets.sealed.label("held")),
    _sealed(lambda row: secrets.cell(row.workspace_id, row.id, row.bundle, row.name)),
)


def configs(destination: Callable[[Mapping[str, Any]], str]) -> Column:
    """The secrets in the configs of actions.

    ``destination`` names what the secrets of a definition are bound to.
    """

    def cell(row: Row) -> Cell:
        return seal.config_cell(row.workspace_id, row.id, destination(json.loads(row.definition)))

    return Column(
        _revisions.id,
        _revisions.sealed,
        sa.select(_revisions.id, _revisions.workspace_id, _revisions.definition, _revisions.sealed.label("held")),
        _sealed(cell),
    )


def floor_mark(_after: str) -> Bite:
    """Vouch for the mark of the audit trail, its one row, under the newest key.

    Raises:
        Unavailable: the database is away; nothing was changed.
    """
    row = db.read_one(floor.read)
    if row is not None and not floor.is_right(row):
        return Bite("", 0, (str(row.seal),))
    return Bite("", int(db.change(floor.renew)), ())
