"""Checks the sealed trail: seals against each other and their signatures, rows against seals.

``check`` takes one slice, of some thousand rows, and says how far it came; the caller goes on from there, so that a
trail of any length is checked in bounded pieces. A block whose root is right is right in every row. Where it is not,
the first bytes of the leaves that its seal keeps find the row.

A seal under a key that is not set any more is vouched for by a later one, under a known key, whose chain it is part of.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from store import trail
from store.blocks import anchors, canonical, floor, merkle, seals, signing, strays
from store.blocks.canonical import AT, ID, WORKSPACE
from store.blocks.findings import (
    ANCHOR_DIFFERS,
    CHAIN_BROKEN,
    MARK_FORGED,
    ROW_ADDED,
    ROW_CHANGED,
    ROW_MISSING,
    ROW_ODD,
    SEAL_FORGED,
    SEAL_MISSING,
    UNKNOWN_KEY,
    Progress,
    Want,
)
from store.blocks.seals import MARK
from store.engine.db import Connection
from store.trail import Position, Span

#: rows and seals of a slice at most; a block is not divided
MOST_ROWS, MOST_SEALS = 10_000, 500
#: whose a row is
WHOSE = itemgetter(*canonical.WHOSE)
#: rows behind the last block that are counted
MOST_UNSEALED = 1_000


def check(
    db: Connection, done: Progress, want: Want, most_rows: int = MOST_ROWS, most_seals: int = MOST_SEALS
) -> Progress:
    """Check one slice behind what is done; ``ended`` says that nothing is left."""
    before = seals.numbered(db, done.number) if done.number else None
    found = seals.behind(db, done.number, most_seals)
    here: list[Any] = []
    rows = 0
    for seal in found:
        rows += seal.row_count if want.reads(seal) else 0
        if (here and rows > most_rows) or (done.unvouched is None and want.is_behind(seal)):
            break
        here.append(seal)
    _check_chain(done, before, here)
    mark = floor.read(db)
    if mark is not None and not floor.is_right(mark):
        if not any(one.kind == MARK_FORGED for one in done.faults):
            done.fault(MARK_FORGED, mark.seal)
        mark = None
    gone = mark.seal if mark is not None else 0
    _Rows(db, done, want).check(before, [one for one in here if one.number > gone], gone)
    done.ended = not here or len(here) == len(found) < most_seals
    strays.check(db, done, before, here, gone)
    if here:
        done.number = here[-1].number
        done.seals += len(here)
    if done.ended:
        _check_end(db, done)
    return done


def _check_chain(done: Progress, before: Any, found: Sequence[Any]) -> None:
    for row in found:
        known, sound = signing.is_known(row.key_id), seals.is_sound(row)
        number, previous = (before.number, before.hash) if before is not None else (0, seals.FIRST)
        if not sound:
            done.fault(SEAL_FORGED, row.number, row.first_id)
        elif row.number != number + 1:
            done.fault(SEAL_MISSING, number + 1, row.first_id)
        elif row.previous != previous:  # of two seals the one that no key vouches for is wrong
            done.fault(CHAIN_BROKEN, row.number if done.unvouched is None else number, row.first_id)
        if not known:
            done.unvouched = done.unvouched or row.number
        elif sound:
            done.unvouched = None
        before = row


def _check_end(db: Connection, done: Progress) -> None:
    """What only the end of the chain shows: cut off blocks, and last seals of an unknown key."""
    end = seals.end(db).number
    if done.number < end:
        return
    if done.unvouched is not None:
        done.fault(UNKNOWN_KEY, done.unvouched)
    if (number := anchors.differing(db)) is not None:
        _note_anchor(done, number, seals.numbered(db, number))


def check_anchor(db: Connection, done: Progress, number: int, wanted: str) -> None:
    """Note a fault if the chain does not have the seal that was anchored elsewhere."""
    seal = seals.numbered(db, number)
    if seal is None or seal.hash != wanted:
        _note_anchor(done, number, seal)


def _note_anchor(done: Progress, number: int, seal: Any) -> None:
    if not any(one.kind == ANCHOR_DIFFERS for one in done.faults):
        done.fault(ANCHOR_DIFFERS, number, None if seal is None else seal.first_id)


class _Rows:
    """The rows of a slice, against its seals."""

    def __init__(self, db: Connection, done: Progress, want: Want) -> None:
        self._db, self._done, self._want = db, done, want
        self._spans = trail.spans(db)

    def check(self, before: Any, found: Sequence[Any], gone: int) -> None:
        """Check all blocks that may have rows of the period."""
        if found and found[0].number == gone + 1 and gone and (before is None or before.number < gone):
            before = seals.numbered(self._db, gone)
        group: list[Any] = []
        start = self._start(before, found[0]) if found else Position()
        for seal in found:
            if group and (not self._want.reads(seal) or (seal.epoch, seal.form) != (group[-1].epoch, group[-1].form)):
                self._check_group(start, group)
                group = []
            if self._want.reads(seal):
                if not group:
                    start = self._start(before, seal)
                group.append(seal)
            before = seal
        if group:
            self._check_group(start, group)

    @staticmethod
    def _start(before: Any, seal: Any) -> Position:
        if before is None or before.epoch != seal.epoch:
            return Position(seal.epoch, trail.LEAST, trail.LEAST)
        return Position(before.epoch, before.xid, before.id)

    def _check_group(self, start: Position, group: Sequence[Any]) -> None:
        """All rows of consecutive blocks in one read; where something is wrong, each block by itself."""
        span = self._spans.get(group[0].epoch, Span(0, trail.MOST))
        rows = self._read(span, start, group[-1], sum(seal.row_count for seal in group))
        if rows is None or sum(seal.row_count for seal in group) != len(rows):
            self._check_each(span, start, group)
            return
        write, first = canonical.written(group[0].form), 0
        for seal in group:
            block = rows[first : first + seal.row_count]
            first += seal.row_count
            if not _is_right(seal, block, write):
                self._check_each(span, start, group)
                return
        first = 0
        for seal in group:
            self._count(seal, rows[first : first + seal.row_count])
            first += seal.row_count

    def _check_each(self, span: Span, start: Position, group: Sequence[Any]) -> None:
        for seal in group:
            found = self._read(span, start, seal, seal.row_count)
            rows = found or []
            leaves = merkle.leaves(map(canonical.written(seal.form, odd=True), rows)) if rows else []
            if leaves and merkle.root(leaves).hex() == seal.root:
                for row in rows:
                    if canonical.is_odd(row, seal.form):
                        self._done.fault(ROW_ODD, seal.number, row[ID], row[WORKSPACE])
            elif not self._is_gone(seal):
                kind = ROW_MISSING if found is not None and len(rows) < seal.row_count else ROW_CHANGED
                kind = ROW_ADDED if len(rows) > seal.row_count else kind
                row = _first_wrong(seal, leaves, rows)
                self._done.fault(kind, seal.number, *((row[ID], row[WORKSPACE]) if row else (seal.last_id, None)))
            self._count(seal, rows[: seal.row_count])
            start = Position(seal.epoch, seal.xid, seal.id)

    def _read(self, span: Span, start: Position, upto: Any, most: int) -> list[tuple[Any, ...]] | None:
        """The rows up to the end of a block, and one more than there should be."""
        if upto.form not in canonical.FORMS:
            return None
        place = Position(upto.epoch, upto.xid, upto.id)
        columns = canonical.reading(upto.form)
        limit = 1 + min(max(most, 0), MOST_ROWS + seals.MOST_ROWS)  # whatever a forged seal says
        return canonical.read(self._db, lambda: trail.stretch(self._db, columns, span, start, place, limit))

    def _is_gone(self, seal: Any) -> bool:
        """Whether the rows of a block were deleted by right, meanwhile."""
        mark = floor.read(self._db)
        return mark is not None and mark.seal >= seal.number and floor.is_right(mark)

    def _count(self, seal: Any, rows: Sequence[Any]) -> None:
        done = self._done
        if not self._want.holds(seal):
            rows = matching(rows, self._want)
        if rows:
            done.records += len(rows)
            done.first_id = rows[0][ID] if done.first_id is None else done.first_id
            done.last_id = rows[-1][ID]


def matching(rows: Sequence[Sequence[Any]], want: Want) -> Sequence[Sequence[Any]]:
    """The rows that count."""
    since, until, counts = want.since or 0, want.until or trail.MOST, want.counts
    known: dict[Any, bool] = {}

    def matches(row: Sequence[Any]) -> bool:
        whose, at = WHOSE(row), row[AT]
        if not isinstance(at, int):  # an odd row
            return False
        if counts is not None and whose not in known:
            known[whose] = {str, type(None)}.issuperset(map(type, whose)) and counts(*whose)
        return since <= at < until and (counts is None or known[whose])

    return [row for row in rows if matches(row)]


def _is_right(seal: Any, rows: Sequence[Any], write: Callable[[Sequence[Any]], bytes]) -> bool:
    """Whether rows are those of a block, and none is odd."""
    try:
        return bool(merkle.root(merkle.leaves(map(write, rows))).hex() == seal.root)
    except ValueError:
        return False


def _first_wrong(seal: Any, leaves: Sequence[bytes], rows: Sequence[Any]) -> Any:
    """The first row whose leaf is not the one that was sealed in its place."""
    for number, (leaf, row) in enumerate(zip(leaves, rows, strict=True)):
        if leaf[:MARK] != bytes(seal.leaf_marks[number * MARK : (number + 1) * MARK]):
            return row
    return None


def unsealed(db: Connection, want: Want) -> int:
    """Settled rows that no seal covers yet and that match, counted up to ``MOST_UNSEALED``."""
    behind, columns = seals.end(db).position, canonical.reading(canonical.FORM)
    entries = canonical.read(db, lambda: trail.settled(db, behind, MOST_UNSEALED, columns))
    return len(matching([entry.row for entry in entries], want))
