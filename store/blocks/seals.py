"""Seals: one row for each block of the trail, chained and signed.

In order of time: tick asks whether a row lies behind the last block (``due``), looks whether the last seal is its own
installation's (``trusted``), reads what is settled (``read_block``), and adds the seal of it (``add``). The number of a
seal follows that of the one before, and can exist once: of two processes that seal at the same time one adds its seal,
and the chain never forks. What a seal says is a canonical JSON object, ``Seal.text``, as ``store.blocks.canonical`` has
it; its SHA-256 is the seal's hash, which the next one names.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

import sqlalchemy as sa

from store import trail
from store.audit import audit
from store.blocks import canonical, merkle, signing
from store.engine import texts
from store.engine.db import Connection, metadata, now_ms
from store.engine.prepared import Prepared
from store.trail import Entry, Position

audit_seals = sa.Table(
    "audit_seals",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    #: of the canonical rows (``canonical.FORMS``)
    sa.Column("form", sa.Integer, nullable=False),
    #: the place of its last row
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("xid", sa.BigInteger, nullable=False),
    sa.Column("id", sa.BigInteger, nullable=False),
    sa.Column("row_count", sa.Integer, nullable=False),
    #: the least and the greatest of its rows
    sa.Column("first_id", sa.BigInteger, nullable=False),
    sa.Column("last_id", sa.BigInteger, nullable=False),
    sa.Column("first_at", sa.BigInteger, nullable=False),
    sa.Column("last_at", sa.BigInteger, nullable=False),
    #: the greatest ``last_at`` up to here
    sa.Column("highest_at", sa.BigInteger, nullable=False),
    sa.Column("root", sa.Text, nullable=False),
    #: the hash of the seal before; of the first one ``FIRST``
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("sealed_at", sa.BigInteger, nullable=False),
    sa.Column("key_id", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("signature", sa.Text, nullable=False),
    #: the first bytes of each leaf, which find the row that was altered
    sa.Column("leaf_marks", sa.LargeBinary, nullable=False),
    sa.Index("ix_audit_seals_place", "epoch", "xid", "id", unique=True),
    sa.Index("ix_audit_seals_highest", "highest_at", "number"),
)

#: what stands for the hash before the first seal
FIRST = "0" * 64
#: rows of a block at most
MOST_ROWS = 2_000
#: bytes of a leaf in ``leaf_marks``
MARK = 4


@dataclass(frozen=True, kw_only=True)
class Seal:
    """What a seal says; the fields are the columns of that name."""

    number: int
    form: int
    epoch: int
    xid: int
    id: int
    row_count: int
    first_id: int
    last_id: int
    first_at: int
    last_at: int
    highest_at: int
    root: str
    previous: str
    sealed_at: int
    key_id: str

    @classmethod
    def of(cls, row: Any) -> Self:
        """What a row of the table says."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    def members(self) -> dict[str, Any]:
        """The object that is signed."""
        return dict(vars(self))

    @property
    def text(self) -> bytes:
        """What is signed."""
        return json.dumps(vars(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def position(self) -> Position:
        """The place of its last row."""
        return Position(self.epoch, self.xid, self.id)


#: numbers alone: SQLite takes any value in any column, and a text is greater than all of them
_numbers = audit_seals.c.number <= sa.literal(trail.MOST, sa.BigInteger)
_newest = Prepared(sa.select(audit_seals).where(_numbers).order_by(audit_seals.c.number.desc()).limit(1))
_last = sa.select(audit_seals).where(_numbers).order_by(audit_seals.c.number.desc()).limit(1).subquery("last_seal")
_columns = [column for column in _last.c if column.name != "leaf_marks"]


def _due(behind: sa.ColumnElement[bool], order: Sequence[sa.Column[Any]], epoch: sa.ColumnElement[int]) -> Prepared:
    """The last seal, the time of the first row behind it, and the epoch of the present.

    Not whether there *is* such a row: PostgreSQL would look for any with a scan of the table.
    """
    first = sa.select(audit.c.at).where(behind).order_by(*order).limit(1).scalar_subquery()
    return Prepared(sa.select(*_columns, first.label("oldest_at"), epoch.label("now")))


_due_by_id = _due(audit.c.id > _last.c.id, [audit.c.id], sa.literal_column("0", sa.Integer))
_due_in_order = _due(
    sa.and_(audit.c.xid.is_not(None), sa.tuple_(audit.c.xid, audit.c.id) > sa.tuple_(_last.c.xid, _last.c.id)),
    [audit.c.xid, audit.c.id],
    sa.select(sa.func.max(trail.epochs.c.epoch)).scalar_subquery(),
)


_BEGINNING = Position()


@dataclass(frozen=True)
class End:
    """Where the chain ends: the last seal's number, hash, latest row, and place."""

    number: int = 0
    hash: str = FIRST
    highest_at: int = 0
    position: Position = _BEGINNING
    #: when the oldest row behind it was written, as far as that is known
    unsealed_at: int | None = None
    #: the last seal as it was read; None where there is none, or this process has made it
    row: Any = None


#: what stands for a value of another type than its column
_BLANKS: dict[type, Any] = {sa.Text: "", sa.LargeBinary: b""}
_blanks: dict[str, Any] = {column.name: _BLANKS.get(type(column.type), 0) for column in audit_seals.c}


def _plain(row: Any) -> Any:
    """A seal with values of the types of its columns.

    SQLite takes others, which only an intruder writes. Such a seal has not the hash that it says any more, which checks
    find.
    """
    values = row._asdict()
    blanks = {name: it for name, it in _blanks.items() if name in values and type(values[name]) is not type(it)}
    if "number" in blanks:
        blanks["number"] = math.ceil(row.number)
    return row._replace(**blanks) if blanks else row


def _read(db: Connection, statement: Prepared, values: Mapping[str, Any]) -> list[Any]:
    return [_plain(row) for row in texts.read(db, lambda: statement.run(db, values)[0])]


def due(db: Connection) -> End | None:
    """The end of the chain, if rows may lie behind it; one statement."""
    found = end(db)
    return None if found.unsealed_at is None else found


def end(db: Connection) -> End:
    """The end of the chain; one statement."""
    rows = _read(db, _due_by_id if db.dialect.name == "sqlite" else _due_in_order, {})
    if not rows:
        return End(unsealed_at=0)
    row = rows[0]
    waits = row.oldest_at if row.oldest_at is not None or row.now == row.epoch else 0
    waits = waits if waits is None or isinstance(waits, int) else 0  # an odd row has no time
    return End(row.number, row.hash, row.highest_at, Position(row.epoch, row.xid, row.id), waits, row)


def is_sound(row: Any) -> bool:
    """Whether a seal says what its hash is of, and bears the signature of its key, as far as that is known."""
    text = Seal.of(row).text
    try:
        signed = not signing.is_known(row.key_id) or signing.is_right(row.key_id, bytes.fromhex(row.signature), text)
    except ValueError:
        return False
    return signed and sha256(text).hexdigest() == row.hash


def vouched(seal: Any, following: Sequence[Any]) -> bool | None:
    """Whether a seal is one of this installation's: by its own key, or by the chain up to one of a known key.

    None where the seals that follow it do not say.
    """
    for each in following:
        if not is_sound(seal) or signing.is_known(seal.key_id):
            break
        if (each.number, each.previous) != (seal.number + 1, seal.hash):
            return False
        seal = each
    if not is_sound(seal):
        return False
    return True if signing.is_known(seal.key_id) else None


def trusted(after: End) -> End:
    """The end of the chain to which a seal may be added.

    A seal vouches for those before it. So one that no key of this installation has signed is not chained to: the next
    one begins the chain again, which every check finds.
    """
    if after.row is None or (signing.is_known(after.row.key_id) and is_sound(after.row)):
        return after
    return replace(after, hash=FIRST, row=None)


def read_block(db: Connection, after: End) -> list[Entry]:
    """The settled rows behind the last block, as many as a block may have."""
    columns = canonical.reading(canonical.FORM)
    return canonical.read(db, lambda: trail.settled(db, after.position, MOST_ROWS, columns))


def seal_of(after: End, entries: Sequence[Entry]) -> dict[str, Any]:
    """The row of the table that seals these rows behind the last block."""
    write, names = canonical.written(canonical.FORM, odd=True), canonical.FORMS[canonical.FORM]
    leaves = merkle.leaves([write(entry.row) for entry in entries])
    ids, given = ([entry.row[names.index(name)] for entry in entries] for name in ("id", "at"))
    times = [at for at in given if isinstance(at, int)] or [0]  # an odd row has none
    last = entries[-1].position
    seal = Seal(
        number=after.number + 1,
        form=canonical.FORM,
        **last._asdict(),
        row_count=len(entries),
        first_id=min(ids),
        last_id=max(ids),
        first_at=min(times),
        last_at=max(times),
        highest_at=max(after.highest_at, *times),
        root=merkle.root(leaves).hex(),
        previous=after.hash,
        sealed_at=now_ms(),
        key_id=signing.key_id(),
    )
    text = seal.text
    marks = b"".join(leaf[:MARK] for leaf in leaves)
    return {**vars(seal), "hash": sha256(text).hexdigest(), "signature": signing.sign(text).hex(), "leaf_marks": marks}


_COLUMNS = tuple(column.name for column in audit_seals.c)
_insert = sa.text(
    f"INSERT INTO audit_seals ({', '.join(_COLUMNS)})"  # noqa: S608 - names of columns
    f" VALUES ({', '.join(f':{name}' for name in _COLUMNS)}) ON CONFLICT DO NOTHING"
)


def add(db: Connection, row: Mapping[str, Any]) -> bool:
    """Add a seal; false where another process has added one of this number."""
    return db.execute(_insert, dict(row)).rowcount == 1


def after_adding(row: Mapping[str, Any]) -> End:
    """The end of the chain once this seal is added."""
    position = Position(row["epoch"], row["xid"], row["id"])
    return End(row["number"], row["hash"], row["highest_at"], position)


def newest(db: Connection) -> Any:
    """The newest seal, a row of the table; None where there is none."""
    return next(iter(_read(db, _newest, {})), None)


_numbered = Prepared(
    sa.select(audit_seals)
    .where(audit_seals.c.number > sa.bindparam("after_", type_=sa.BigInteger), _numbers)
    .order_by(audit_seals.c.number)
    .limit(sa.bindparam("limit_", type_=sa.BigInteger))
)
_at = Prepared(sa.select(audit_seals).where(audit_seals.c.number == sa.bindparam("number_", type_=sa.BigInteger)))


def behind(db: Connection, number: int, limit: int) -> list[Any]:
    """The seals behind this number, in order, at most ``limit``."""
    return _read(db, _numbered, {"after_": number, "limit_": limit})


def numbered(db: Connection, number: int) -> Any:
    """The seal of this number; None where there is none."""
    return next(iter(_read(db, _at, {"number_": number})), None)


def holding(db: Connection, position: Position) -> Any:
    """The seal whose block a place lies in; None where that is not sealed yet."""
    place = sa.tuple_(audit_seals.c.epoch, audit_seals.c.xid, audit_seals.c.id)
    query = sa.select(audit_seals).where(place >= sa.tuple_(*map(sa.literal, position)))
    return db.execute(query.order_by(*place.clauses).limit(1)).first()


def first_since(db: Connection, moment: int) -> int:
    """The number of the first seal that may have a row of this time (ms) or later; 1 behind the last where none has."""
    query = sa.select(audit_seals.c.number).where(audit_seals.c.highest_at >= moment)
    found = db.scalar(query.order_by(audit_seals.c.highest_at, audit_seals.c.number).limit(1))
    return int(found) if found is not None else end(db).number + 1
