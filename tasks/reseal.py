"""Sealing anew what is not sealed as it would be now: under another key than the first, or in an earlier form.

In order of time: ``walk`` goes through the tables one by one, each by its primary key; a bite reads some rows that are
behind, opens and seals their values with no transaction open, and writes them in one, each on condition that the row
still holds what was read. So it may run beside everything else and beside another walk, and one that was killed is
begun again at no loss: what it has done is not met again. ``python -m launcher.reseal`` walks until nothing is left to
do, ``tasks.upkeep`` some bites at a time. What cannot be opened is left as it is and named by its id.
"""

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa

from store import access, db, seal, subkeys
from store.access import api_keys
from store.actions import action_revisions
from store.db import Row
from store.documents import documents
from store.executions import executions
from store.playbooks import playbook_revisions
from store.prepared import Prepared
from store.seal import Cell, SealBroken
from tasks.secrets import destination

#: rows a transaction; documents are large
_BITE, _LARGE_BITE = 200, 20


class Bite(NamedTuple):
    """What one bite did: where the next begins ("": there is none), how many rows it wrote, which it could not."""

    after: str
    done: int
    broken: tuple[str, ...]


#: takes the bite after a primary key ("" comes before all)
Step = Callable[[str], Bite]


@dataclass(frozen=True)
class Column:
    """A column that holds what is made with a root key.

    ``query`` gives ``id``, ``held`` (the column) and what ``renewed`` needs; that makes the new value of a row.
    """

    key: sa.ColumnElement[str]
    held: sa.Column[str]
    query: sa.Select[tuple[str, ...]]
    renewed: Callable[[Row], str | None]
    most: int = _BITE
    #: whether a row that holds nothing is behind too
    filled: bool = False

    def bite(self, after: str) -> Bite:
        """Renew the rows after this key, those first that come first.

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
    """How a sealed value is renewed."""

    def renewed(row: Row) -> str | None:
        return seal.seal(seal.unseal(row.held, cell(row)), cell(row))

    return renewed


def _config_cell(row: Row) -> Cell:
    return seal.config_cell(row.workspace_id, row.id, destination(json.loads(row.definition)))


def _vouched(row: Row) -> str:
    if not access.is_vouched_for(row):
        raise SealBroken
    return access.mac(row._asdict())


_document_rows = sa.select(
    documents.c.playbook_uid.label("id"), documents.c.sealed.label("held"), playbook_revisions.c.workspace_id
).join_from(documents, playbook_revisions, documents.c.revision_id == playbook_revisions.c.id)
_executions, _revisions = executions.c, action_revisions.c

#: what a walk goes through: a name that people read, and how to take a bite of it
STEPS: dict[str, Step] = {
    "api_keys": Column(
        api_keys.c.id, api_keys.c.mac, sa.select(api_keys, api_keys.c.mac.label("held")), _vouched, filled=True
    ).bite,
    "action_revisions": Column(
        _revisions.id,
        _revisions.sealed,
        sa.select(_revisions.id, _revisions.workspace_id, _revisions.definition, _revisions.sealed.label("held")),
        _sealed(_config_cell),
    ).bite,
    "playbook_documents": Column(
        documents.c.playbook_uid,
        documents.c.sealed,
        _document_rows,
        _sealed(lambda row: seal.document_cell(row.workspace_id, row.id)),
        _LARGE_BITE,
    ).bite,
    "executions": Column(
        _executions.id,
        _executions.sealed,
        sa.select(_executions.id, _executions.workspace_id, _executions.revision_id, _executions.sealed.label("held")),
        _sealed(lambda row: seal.parameters_cell(row.workspace_id, row.id, row.revision_id)),
    ).bite,
}


def walk(steps: Mapping[str, Step] = STEPS) -> Iterator[tuple[str, Bite]]:
    """Go through everything once; yields the name of the step and each bite when it has been taken.

    Raises:
        Unavailable: the database is away.
    """
    for name, step in steps.items():
        after, through = "", False
        while not through:
            bite = step(after)
            yield name, bite
            after, through = bite.after, bite.after == ""
