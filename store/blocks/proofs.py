"""Proofs: what checks one row by itself, without any other."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.blocks import canonical, merkle, seals
from store.blocks.seals import Seal
from store.engine.db import Connection
from store.trail import Position


class Proof(NamedTuple):
    """The row in its canonical form, its way to the root, and the seal with its hash and signature."""

    row: dict[str, Any]
    place: int
    path: list[tuple[str, bytes]]
    seal: Seal
    hash: str
    signature: str


def row(db: Connection, row_id: int) -> Any:
    """A row of the trail."""
    return db.execute(sa.select(audit).where(audit.c.id == row_id)).first()


def prove(db: Connection, found: Any) -> Proof | None:
    """The proof of a row; None while it is not sealed."""
    place = trail.place(db, found.id, found.xid)
    seal = seals.holding(db, place)
    if seal is None or seal.epoch != place.epoch:
        return None
    before = seals.numbered(db, seal.number - 1)
    start = Position(seal.epoch, trail.LEAST, trail.LEAST)
    if before is not None and before.epoch == seal.epoch:
        start = Position(before.epoch, before.xid, before.id)
    span, reading = trail.spans(db)[seal.epoch], canonical.reading(seal.form)
    upto = Position(seal.epoch, seal.xid, seal.id)
    rows = canonical.read(db, lambda: trail.stretch(db, reading, span, start, upto, seals.MOST_ROWS + 1))
    index = next((number for number, one in enumerate(rows) if one[canonical.ID] == found.id), None)
    if index is None:
        return None
    leaves = merkle.leaves(map(canonical.written(seal.form, odd=True), rows))
    said = canonical.members(rows[index], seal.form)
    return Proof(said, index, merkle.path(leaves, index), Seal.of(seal), seal.hash, seal.signature)
