"""Rows that no block can hold, because an intruder has put them outside of the order.

On SQLite there is no such place. On PostgreSQL there are three: a row without a transaction, once rows have one; a row
behind the last block of an epoch that is over; and a row of a transaction that there has not been yet, which would wait
for its seal for ever.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.blocks.findings import ROW_ADDED, Progress
from store.blocks.seals import audit_seals
from store.engine.db import Connection
from store.engine.prepared import Prepared
from store.trail import Position

_after, _last, _epoch = (
    sa.bindparam(f"{name}_", type_=kind)
    for name, kind in (("after", sa.BigInteger), ("last", sa.BigInteger), ("epoch", sa.Integer))
)
_without = Prepared(
    sa.select(audit.c.id, audit.c.workspace_id)
    .where(audit.c.id > _after, audit.c.id <= _last, audit.c.xid.is_(None))
    .order_by(audit.c.id)
    .limit(1)
)
_last_of = Prepared(
    sa.select(audit_seals)
    .where(audit_seals.c.epoch == _epoch)
    .order_by(audit_seals.c.xid.desc(), audit_seals.c.id.desc())
    .limit(1)
)
_some = trail.Reading("id", "workspace_id")
_unborn = Prepared(
    sa.select(audit.c.id, audit.c.workspace_id)
    .where(audit.c.xid >= trail.UNBORN, audit.c.id > _after)
    .order_by(audit.c.xid, audit.c.id)
    .limit(1)
)


def check(db: Connection, done: Progress, before: Any, seals: Sequence[Any], gone: int) -> None:
    """Look for strays among the ids of a slice, and at the end of the chain behind it.

    ``before`` is the seal before the slice, ``gone`` the last one whose rows may have been deleted.
    """
    if db.dialect.name == "sqlite" or not (seals or before):
        return
    known, last = trail.spans(db), seals[-1] if seals else before
    numbered = min((span.first for epoch, span in known.items() if epoch), default=trail.MOST)
    ids = {
        "after_": max(numbered, before.last_id if before is not None else numbered),
        "last_": trail.MOST if done.ended else max(seal.last_id for seal in seals),
    }
    if (row := _without.first(db, ids)) is not None:
        done.fault(ROW_ADDED, last.number, row.id, row.workspace_id)
    if not done.ended:
        return
    if not trail.is_elsewhere(db) and (row := _unborn.first(db, {"after_": known[max(known)].first})) is not None:
        done.fault(ROW_ADDED, last.number, row.id, row.workspace_id)
    for epoch, span in known.items():
        if epoch < last.epoch:
            _check_end_of(db, done, epoch, span, gone)


def _check_end_of(db: Connection, done: Progress, epoch: int, span: trail.Span, gone: int) -> None:
    """Look behind the last block of an epoch that is over."""
    seal = _last_of.first(db, {"epoch_": epoch})
    if seal is not None and seal.number <= gone:
        return
    start = Position(epoch, trail.LEAST, trail.LEAST) if seal is None else Position(epoch, seal.xid, seal.id)
    rows = trail.stretch(db, _some, span, start, Position(epoch, trail.MOST, span.last), 1)
    for row_id, workspace_id, _ in rows:
        done.fault(ROW_ADDED, 1 if seal is None else seal.number, row_id, workspace_id)
