"""The audit trail in one order for its readers: nothing is skipped or repeated.

On SQLite, which has one writer, ids are the order. On PostgreSQL an id is given before its transaction commits, so a
reader that goes by ids alone skips what commits late. There the order is (transaction, id), and only rows below the
oldest transaction that may still write are *settled*. A transaction that stays open holds the readers back, never the
writers; ``horizon`` and ``holder`` say which.

A database that is restored into another PostgreSQL cluster brings rows whose transactions are numbered by the one
before. So the order has *epochs*: rows of before the numbering, then those of each cluster in turn. ``begin_epoch``
finds where a new one begins; until then nothing is settled.

A reader keeps its place by ``advance`` in the transaction that writes what it has made of the rows. ``stretch`` reads
again what lies between two places. A reader that wants few of the rows asks by ``ahead`` how far the next ones reach,
and reads the few up to there by ``between``.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from store.audit import audit
from store.engine.db import Connection, Row, metadata
from store.engine.prepared import Prepared

epochs = sa.Table(
    "trail_epochs",
    metadata,
    sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cluster", sa.Text, nullable=False),
    #: its rows have greater ids, up to that of the epoch behind it
    sa.Column("after_id", sa.BigInteger, nullable=False),
)
marks = sa.Table(
    "trail_marks",
    metadata,
    sa.Column("reader", sa.Text, primary_key=True),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("xid", sa.BigInteger, nullable=False),
    sa.Column("id", sa.BigInteger, nullable=False),
)


class Position(NamedTuple):
    """A place in the order; by default before all rows."""

    epoch: int = 0
    xid: int = 0
    id: int = 0


class Entry(NamedTuple):
    """A settled row and its place."""

    position: Position
    row: Any


class Horizon(NamedTuple):
    """The oldest transaction that may still write, and the next one."""

    oldest: int
    next: int


class Span(NamedTuple):
    """The rows of one epoch: their ids are above ``first``, up to ``last``."""

    first: int
    last: int


class Ahead(NamedTuple):
    """The next settled rows, all of one epoch: behind ``after`` up to ``upto``, and how many there are."""

    after: Position
    upto: Position
    rows: int
    span: Span


#: before and behind every row, a row that an intruder adds too
LEAST, MOST = -(1 << 63), (1 << 63) - 1

_after, _xid, _limit, _first, _last, _upto_xid, _upto = (
    sa.bindparam(f"{name}_", type_=sa.BigInteger)
    for name in ("after", "xid", "limit", "first", "last", "upto_xid", "upto")
)
_oldest = sa.literal_column("(pg_snapshot_xmin(pg_current_snapshot())::text)::bigint", sa.BigInteger)
#: the first transaction that there has not been yet
UNBORN = sa.literal_column("(pg_snapshot_xmax(pg_current_snapshot())::text)::bigint", sa.BigInteger)
_here = sa.literal_column("(SELECT system_identifier::text FROM pg_control_system())", sa.Text)
_known = Prepared(sa.select(epochs, _here.label("here")).order_by(epochs.c.epoch))
_horizon = Prepared(sa.select(_oldest.label("oldest"), UNBORN.label("next")))
_last_by_id = Prepared(sa.select(sa.func.max(audit.c.id).label("id")))
_last_settled = Prepared(
    sa.select(audit.c.id, audit.c.xid)
    .where(audit.c.xid.is_not(None), audit.c.xid < _oldest, audit.c.id > _first)
    .order_by(audit.c.xid.desc(), audit.c.id.desc())
    .limit(1)
)
_next_by_id = Prepared(
    sa.select(audit.c.id, audit.c.xid, audit.c.at).where(audit.c.id >= _after).order_by(audit.c.id).limit(1)
)


class Reading:
    """The statements that read these columns of rows, in order; ``where`` leaves out those that are not wanted."""

    def __init__(self, *columns: str, where: sa.ColumnElement[bool] | None = None) -> None:
        shown = [audit.c[name] for name in columns]
        self.columns = tuple(shown)
        wanted = () if where is None else (where,)
        by_id = sa.select(*shown, sa.literal(0).label("xid")).where(audit.c.id > _after, *wanted).order_by(audit.c.id)
        ordered = sa.select(*shown, audit.c.xid).where(*wanted).order_by(audit.c.xid, audit.c.id)
        behind = sa.tuple_(audit.c.xid, audit.c.id) > sa.tuple_(_xid, _after)
        upto = sa.tuple_(audit.c.xid, audit.c.id) <= sa.tuple_(_upto_xid, _upto)
        in_order = ordered.where(behind, audit.c.id > _first).limit(_limit)
        #: by id alone: SQLite, and rows of before the numbering
        self.by_id = self._by_id(by_id.limit(_limit))
        self.by_id_up_to = self._by_id(by_id.where(audit.c.id <= _last).limit(_limit))
        self.settled = self._ordered(in_order.where(audit.c.xid < _oldest))
        #: of an earlier epoch all is settled
        self.earlier = self._ordered(in_order.where(audit.c.xid.is_not(None), audit.c.id <= _last))
        self.stretch = self._ordered(in_order.where(audit.c.xid.is_not(None), upto, audit.c.id <= _last))

    def _by_id(self, rows: sa.Select[Any]) -> Prepared:
        return Prepared(rows)

    def _ordered(self, rows: sa.Select[Any]) -> Prepared:
        return Prepared(rows)


class _End(Reading):
    """The statements that read of these rows the place of the last one, and how many there are."""

    def _by_id(self, rows: sa.Select[Any]) -> Prepared:
        seen = rows.subquery("seen")
        last = sa.func.max(seen.c.id).label("id"), sa.func.max(seen.c.xid).label("xid")
        return Prepared(sa.select(*last, sa.func.count().label("rows")))

    def _ordered(self, rows: sa.Select[Any]) -> Prepared:
        seen = rows.subquery("seen")
        number = sa.func.count().over().label("rows")
        return Prepared(sa.select(seen.c.id, seen.c.xid, number).order_by(seen.c.xid.desc(), seen.c.id.desc()).limit(1))


_SHOWN = Reading("id", "workspace_id", "at", "actor", "event", "subject", "details", "outcome", "origin")
_END = _End("id")


class _Part(NamedTuple):
    """What a reader at a place may read of one epoch."""

    epoch: int
    place: Position
    span: Span
    #: whether all of it is settled, and whether it is in the order of ids
    is_over: bool
    is_by_id: bool


def settled(db: Connection, after: Position, limit: int, reading: Reading = _SHOWN) -> list[Entry]:
    """The settled rows behind a place, in order, at most ``limit``; of one epoch."""
    for part in _parts(db, after):
        query, wanted = _behind(part, limit, reading)
        if found := _entries(part.epoch, query.run(db, wanted)[0]):
            return found
    return []


def ahead(db: Connection, after: Position, limit: int) -> Ahead | None:
    """How far the settled rows behind a place reach, at most ``limit``; None where there are none."""
    for part in _parts(db, after):
        query, wanted = _behind(part, limit, _END)
        end = query.first(db, wanted)
        if end is not None and end.rows:
            return Ahead(part.place, Position(part.epoch, end.xid, end.id), end.rows, part.span)
    return None


def between(
    db: Connection, reading: Reading, ahead: Ahead, upto: Position, limit: int, given: Mapping[str, Any]
) -> list[Entry]:
    """Those of the next rows that a reading wants, up to a place, in order, at most ``limit``.

    ``given`` are the parameters of what the reading wants.
    """
    query, wanted = _stretch(reading, ahead.span, ahead.after, upto, limit)
    return _entries(upto.epoch, query.run(db, {**given, **wanted})[0])


def _parts(db: Connection, after: Position) -> Iterator[_Part]:
    """What there is behind a place, epoch by epoch."""
    if db.dialect.name == "sqlite":
        yield _Part(0, after, Span(0, MOST), is_over=False, is_by_id=True)
        return
    known, _ = _known.run(db, {})
    if known[-1].cluster != known[-1].here:
        return  # restored elsewhere: begin_epoch first
    for each, behind in zip(known, [*known[1:], None], strict=True):
        if each.epoch >= after.epoch:
            place = after if each.epoch == after.epoch else Position(each.epoch, 0, each.after_id)
            span = Span(each.after_id, MOST if behind is None else behind.after_id)
            yield _Part(each.epoch, place, span, is_over=behind is not None, is_by_id=each.epoch == 0)


def _behind(part: _Part, limit: int, reading: Reading) -> tuple[Prepared, dict[str, Any]]:
    wanted: dict[str, Any] = {"after_": part.place.id, "limit_": limit}
    if part.is_by_id:
        return (reading.by_id_up_to, {**wanted, "last_": part.span.last}) if part.is_over else (reading.by_id, wanted)
    wanted |= {"xid_": part.place.xid, "first_": part.span.first}
    return (reading.earlier, {**wanted, "last_": part.span.last}) if part.is_over else (reading.settled, wanted)


def _entries(epoch: int, rows: list[Any]) -> list[Entry]:
    return [Entry(Position(epoch, row.xid, row.id), row) for row in rows]


def last(db: Connection) -> Position:
    """The place of the last settled row."""
    if db.dialect.name == "sqlite":
        row = _last_by_id.first(db, {})
        return Position() if row.id is None else Position(0, 0, row.id)
    newest = _known.run(db, {})[0][-1]
    row = _last_settled.first(db, {"first_": newest.after_id})
    return Position(newest.epoch, 0, newest.after_id) if row is None else Position(newest.epoch, row.xid, row.id)


def row_from(db: Connection, row_id: int) -> tuple[Any, Position] | None:
    """The row of this id, or else the next one by id, with its place; None where there is none."""
    row = _next_by_id.first(db, {"after_": row_id})
    return None if row is None else (row, place(db, row.id, row.xid))


def spans(db: Connection) -> dict[int, Span]:
    """Epoch → the ids of its rows."""
    if db.dialect.name == "sqlite":
        return {0: Span(0, MOST)}
    known, _ = _known.run(db, {})
    ends = [*(each.after_id for each in known[1:]), MOST]
    return {each.epoch: Span(each.after_id, end) for each, end in zip(known, ends, strict=True)}


def place(db: Connection, row_id: int, xid: int | None) -> Position:
    """The place of a row."""
    return _place(spans(db), row_id, xid)


def _place(known: dict[int, Span], row_id: int, xid: int | None) -> Position:
    epoch = max(epoch for epoch, span in known.items() if epoch == 0 or row_id > span.first)
    return Position(epoch, xid or 0, row_id) if epoch else Position(0, 0, row_id)


def in_order(db: Connection, rows: Sequence[Any], at: Horizon | None) -> list[Entry]:
    """Those of some rows (``id`` and ``xid`` among their columns) that were settled at a horizon, in order."""
    known = spans(db)
    entries = [Entry(_place(known, row.id, row.xid), row) for row in rows]
    settled_now = (
        one for one in entries if at is None or one.position.epoch < max(known) or one.position.xid < at.oldest
    )
    return sorted(settled_now, key=lambda entry: entry.position)


def stretch(
    db: Connection, reading: Reading, span: Span, after: Position, upto: Position, limit: int
) -> list[tuple[Any, ...]]:
    """The rows behind a place up to another of the same epoch, in order, at most ``limit``; ``xid`` comes last.

    Of a row before all others in its epoch ``after`` has the id ``LEAST``.
    """
    query, wanted = _stretch(reading, span, after, upto, limit)
    return query.tuples(db, wanted)


def _stretch(
    reading: Reading, span: Span, after: Position, upto: Position, limit: int
) -> tuple[Prepared, dict[str, Any]]:
    if upto.epoch == 0:
        return reading.by_id_up_to, {"after_": after.id, "last_": upto.id, "limit_": limit}
    wanted = {"xid_": after.xid, "after_": after.id, "first_": span.first, "last_": span.last, "limit_": limit}
    return reading.stretch, {**wanted, "upto_xid_": upto.xid, "upto_": upto.id}


def is_elsewhere(db: Connection) -> bool:
    """Whether the database was restored into another cluster: an epoch is to begin."""
    if db.dialect.name == "sqlite":
        return False
    last = _known.run(db, {})[0][-1]
    return bool(last.cluster != last.here)


def begin_epoch(db: Connection) -> None:
    """Begin an epoch if this is another cluster than before.

    Rows that were brought along have a transaction number that the row's own header does not confirm. An upgraded
    cluster has another name and the same numbers: then the epoch goes on. That is known when every row has been read,
    once, which may take longer than any other statement.
    """
    db.execute(sa.text("SET LOCAL statement_timeout = 0"))
    db.execute(sa.text("LOCK TABLE trail_epochs IN EXCLUSIVE MODE"))
    if not is_elsewhere(db):
        return  # another process was faster
    last = _known.run(db, {})[0][-1]
    header = sa.literal_column("audit.xmin::text::bigint", sa.BigInteger)
    brought = (audit.c.id > last.after_id, header != audit.c.xid.bitwise_and(0xFFFFFFFF))
    if up_to := db.execute(sa.select(audit.c.id).where(*brought).order_by(audit.c.id.desc()).limit(1)).scalar():
        db.execute(sa.insert(epochs).values(epoch=last.epoch + 1, cluster=last.here, after_id=up_to))
    else:
        db.execute(sa.update(epochs).where(epochs.c.epoch == last.epoch).values(cluster=last.here))


def horizon(db: Connection) -> Horizon | None:
    """How far the trail is settled; None on SQLite, where all of it is."""
    if db.dialect.name == "sqlite":
        return None
    row = _horizon.first(db, {})
    return Horizon(row.oldest, row.next)


def holder(db: Connection, xid: int) -> str:
    """The session that has this transaction open, in words; "" if there is none."""
    sessions = "SELECT pid, application_name FROM pg_stat_activity WHERE backend_xid::text::bigint = :short"
    prepared = "SELECT gid FROM pg_prepared_xacts WHERE transaction::text::bigint = :short"
    short = {"short": xid & 0xFFFFFFFF}
    if session := db.execute(sa.text(sessions), short).first():
        return f"session {session.pid} ({session.application_name or 'no name'})"
    gid = db.execute(sa.text(prepared), short).scalar()
    return f"prepared transaction {gid}" if gid else ""


def mark(db: Connection, reader: str) -> Position:
    """The place up to which a reader has read."""
    row: Row | None = db.execute(sa.select(marks).where(marks.c.reader == reader)).first()
    return Position() if row is None else Position(row.epoch, row.xid, row.id)


def advance(db: Connection, reader: str, before: Position, to: Position) -> bool:
    """Move a reader's mark; false if it is not at ``before`` any more."""
    if before == Position():
        db.execute(_begin, {"reader": reader})
    there = (marks.c.epoch == before.epoch, marks.c.xid == before.xid, marks.c.id == before.id)
    place = {"epoch": to.epoch, "xid": to.xid, "id": to.id}
    return db.execute(sa.update(marks).where(marks.c.reader == reader, *there).values(place)).rowcount == 1


_begin = sa.text("INSERT INTO trail_marks VALUES (:reader, 0, 0, 0) ON CONFLICT (reader) DO NOTHING")
