"""The mark below which rows of the trail may be deleted: whole sealed blocks that are old.

Triggers of the database hold it: rows below the mark may go, no others; the mark moves forward only, and each move
writes a row of the trail, which is sealed in turn. A MAC says that the installation itself has moved it. Seals stay, so
that what is left is still chained to what is gone.
"""

from typing import Any

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.blocks import seals
from store.blocks.seals import audit_seals
from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared
from store.sealing import subkeys
from store.sealing.macs import Vouched
from store.trail import Position

audit_floor = sa.Table(
    "audit_floor",
    metadata,
    sa.Column("only_one", sa.Integer, primary_key=True, autoincrement=False),
    #: the last seal whose rows may go, and its place
    sa.Column("seal", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("xid", sa.BigInteger, nullable=False),
    sa.Column("id", sa.BigInteger, nullable=False),
    #: rows of its epoch have greater ids; those that may go have ids up to ``last_id``
    sa.Column("after_id", sa.BigInteger, nullable=False),
    sa.Column("last_id", sa.BigInteger, nullable=False),
    sa.Column("moved_at", sa.BigInteger, nullable=False),
    sa.Column("moved_by", sa.Text, nullable=False),
    sa.Column("mac", sa.Text, nullable=False),
)
_VOUCHED = Vouched("audit floor", ("seal", "epoch", "xid", "id", "after_id", "last_id", "moved_at", "moved_by"))
_read = Prepared(sa.select(audit_floor))


def read(db: Connection) -> Any:
    """The mark, a row of the table; None where nothing has been deleted."""
    return _read.first(db, {})


def is_right(row: Any) -> bool:
    """Whether the installation has moved the mark here itself."""
    return _VOUCHED.is_right(row)


def candidate(db: Connection, before: int) -> Any:
    """The last seal whose rows, and all before, are older than a moment (ms); None where there is none."""
    old = sa.select(audit_seals.c.number).where(audit_seals.c.highest_at < before)
    ordered = old.order_by(audit_seals.c.highest_at.desc(), audit_seals.c.number.desc())
    number = db.scalar(ordered.limit(1))
    return None if number is None else seals.numbered(db, number)


def move(db: Connection, seal: Any, actor: str) -> None:
    """Move the mark behind this block; the trigger writes the row of the trail."""
    kept, span = read(db), trail.spans(db)[seal.epoch]
    last = seal.last_id if kept is None or kept.epoch != seal.epoch else max(kept.last_id, seal.last_id)
    # rows of the epoch in earlier blocks may have greater ids than those of this block
    in_epoch = sa.select(sa.func.max(audit_seals.c.last_id)).where(
        audit_seals.c.epoch == seal.epoch,
        audit_seals.c.number <= seal.number,
        audit_seals.c.number > (kept.seal if kept is not None else 0),
    )
    values: dict[str, Any] = {
        "seal": seal.number,
        "epoch": seal.epoch,
        "xid": seal.xid,
        "id": seal.id,
        "after_id": span.first,
        "last_id": max(last, db.scalar(in_epoch) or 0),
        "moved_at": now_ms(),
        "moved_by": actor,
    }
    values["mac"] = _VOUCHED.mac(values)
    if kept is None:
        db.execute(sa.insert(audit_floor).values(only_one=1, **values))
    else:
        db.execute(sa.update(audit_floor).where(audit_floor.c.seal < seal.number).values(values))


def renew(db: Connection) -> bool:
    """Vouch for the mark under the newest key; false where that has been done, or the mark is not right."""
    row = read(db)
    if row is None or row.mac.startswith(subkeys.prefix(subkeys.newest())) or not is_right(row):
        return False
    values = {"mac": _VOUCHED.mac(row._asdict())}
    return db.execute(sa.update(audit_floor).where(audit_floor.c.seal == row.seal).values(values)).rowcount == 1


def forget(db: Connection, limit: int = 500) -> int:
    """Delete some of the rows below the mark, the oldest first; returns how many."""
    floor = read(db)
    if floor is None:
        return 0
    ids = _below(db, Position(floor.epoch, floor.xid, floor.id), limit)
    if ids:
        db.execute(sa.delete(audit).where(audit.c.id.in_(ids)))
    return len(ids)


_some_ids = trail.Reading("id")


def _below(db: Connection, mark: Position, limit: int) -> list[int]:
    """Rows at the mark or below it."""
    for epoch, span in sorted(trail.spans(db).items()):
        if epoch > mark.epoch:
            break
        upto = mark if epoch == mark.epoch else Position(epoch, trail.MOST, span.last)
        before = Position(epoch, trail.LEAST, trail.LEAST)
        if rows := trail.stretch(db, _some_ids, span, before, upto, limit):
            return [row_id for row_id, _ in rows]
    return []
