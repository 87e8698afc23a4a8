"""Parts of lists: pages by number, positions to read on from, and totals.

A list has one order, the columns of which are unique together, and an index that has it. A part is read off that index:
from its offset, or after the position of the item that the reader has seen last. Both cost the same however long the
list is; an offset costs what it skips, so it has a bound (``DEEPEST``).

A total is exact up to ``EXACT``. A longer list is counted at most once in ``REMEMBERED`` seconds in each process, up to
``MOST``: counting it for each reader would cost more with each day.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from store.engine.db import Connection, Row

#: items that a page by number may end at
DEEPEST = 20_000
#: totals up to this are exact; totals beyond ``MOST`` are not counted on
EXACT, MOST = 10_000, 1_000_000
#: how long the total of a long list is used, seconds, and how many lists are remembered
REMEMBERED, LISTS = 60.0, 1_000

Condition = sa.ColumnElement[bool]


class Part(NamedTuple):
    """What is wanted of a list."""

    limit: int
    offset: int = 0
    #: the position of the item behind which it begins: the values of the order's columns
    after: tuple[Any, ...] | None = None
    #: whether the total is wanted
    counted: bool = True


class Total(NamedTuple):
    """How many items match."""

    number: int
    #: counted up to a minute ago, or more than ``MOST``
    is_estimate: bool = False


class Found(NamedTuple):
    """A part of a list."""

    rows: list[Any]
    #: the position of its last item; None where nothing follows
    goes_on_after: tuple[Any, ...] | None
    #: None where it was not wanted
    total: Total | None


class Order(NamedTuple):
    """The columns that a list is in the order of, and whether each descends."""

    columns: tuple[sa.ColumnElement[Any], ...]
    descending: tuple[bool, ...]

    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """The terms of ORDER BY."""
        pairs = zip(self.columns, self.descending, strict=True)
        return [column.desc() if descends else column.asc() for column, descends in pairs]

    def behind(self, position: Sequence[Any]) -> Condition:
        """The condition that an item stands behind this position."""
        if len(set(self.descending)) == 1:  # one comparison of rows, which an index answers
            ours, theirs = sa.tuple_(*self.columns), sa.tuple_(*position)
            return ours < theirs if self.descending[0] else ours > theirs
        ways = []
        for place, (column, descends) in enumerate(zip(self.columns, self.descending, strict=True)):
            same = [one == value for one, value in zip(self.columns[:place], position[:place], strict=True)]
            ways.append(sa.and_(*same, column < position[place] if descends else column > position[place]))
        return sa.or_(*ways)


def cut(rows: Sequence[Any], part: Part, names: Sequence[str]) -> tuple[list[Any], tuple[Any, ...] | None]:
    """The rows of a part, of which one more was read, and the position of the last if something follows.

    ``names`` are the attributes of a row that its position consists of.
    """
    shown = list(rows[: part.limit])
    last = tuple(getattr(shown[-1], name) for name in names) if len(rows) > part.limit else None
    return shown, last


def read(
    db: Connection, query: sa.Select[Any], order: Order, part: Part, names: Sequence[str]
) -> tuple[list[Row], tuple[Any, ...] | None]:
    """A part of the rows of ``query``, and the position behind which it goes on."""
    if part.after is not None:
        query = query.where(order.behind(part.after))
    rows = db.execute(query.order_by(*order.clauses()).limit(part.limit + 1).offset(part.offset)).all()
    return cut(rows, part, names)


class Totals:
    """The totals of long lists, as this process counted them last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def of(self, db: Connection, key: Hashable, branches: Sequence[sa.Select[Any]]) -> Total:
        """The total of the list of this key: of the rows of all ``branches``, which share none."""
        number, until = self._counted.get(key, (0, 0.0))
        if self._clock() < until:
            return Total(number, is_estimate=True)
        number = counted(db, branches, EXACT)
        if number <= EXACT:
            self._counted.pop(key, None)
            return Total(number)
        number = min(counted(db, branches, MOST), MOST)
        self._counted[key] = number, self._clock() + REMEMBERED
        self._counted.move_to_end(key)
        while len(self._counted) > LISTS:
            self._counted.popitem(last=False)
        return Total(number, is_estimate=True)


def counted(db: Connection, branches: Sequence[sa.Select[Any]], most: int) -> int:
    """The number of rows of all ``branches``; any number above ``most`` where there are more."""
    number = 0
    for branch in branches:
        if number <= most:
            some = branch.limit(most + 1 - number).subquery()
            number += db.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()
    return number


#: the totals that this process remembers
totals = Totals()
