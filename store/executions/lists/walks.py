"""Reads parts of the lists of executions off the indexes that have their order.

In order of time: of the filters that have an index, the one that fewest rows match leads; its index is walked from the
newest row (or from the position of the reader) and the other filters are applied to what it brings, until the part is
full. A filter that is a choice of values walks the index once for each and merges the walks. The rows themselves are
read last, only those of the part.
"""

import heapq
import operator
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from store import paging
from store.engine.db import Connection
from store.paging import EXACT, Condition, Part, Total

#: walks in one statement (SQLite takes 500)
_AT_ONCE = 200


class Filter(NamedTuple):
    """A filter that an index of the list leads with."""

    #: one condition for each walk of the index; no row meets two of them
    walks: Sequence[Condition]
    #: the same filter, in a form that no index answers
    otherwise: Condition


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A list with its filters.

    ``table`` is ``executions`` or an alias of it, ``mine`` what every row meets, ``first`` the filters with an index,
    as a rule the most selective first. The list is in the order of the column ``time``, then of the ids.
    """

    table: Any
    mine: Sequence[Condition]
    first: Sequence[Filter]
    time: str = "created_at"

    def among(self, *few: Condition) -> "Walk":
        """The same list among a few rows, such as those of one run, which are read and sorted."""
        of_table = self.table.c
        where = [*self.mine, *few, *(each.otherwise for each in self.first)]
        found = sa.select(of_table[self.time], of_table.id).where(*where).cte("few").prefix_with("MATERIALIZED")
        return replace(self, table=found, mine=(), first=())

    def branches(self, db: Connection) -> list[sa.Select[Any]]:
        """One query for each walk: time and id of the rows that match, which share none."""
        return self.led_by(rarest(db, [self]))

    def led_by(self, number: int) -> list[sa.Select[Any]]:
        """The same, where the filter of this number leads."""
        others = [each.otherwise for place, each in enumerate(self.first) if place != number]
        conditions = [*self.mine, *others]
        walks = self.first[number].walks if self.first else (sa.true(),)
        return [self._keys(walk, *conditions) for walk in walks]

    def alone(self, number: int) -> list[sa.Select[Any]]:
        """The same of the filter of this number, without the others."""
        return [self._keys(*self.mine, walk) for walk in self.first[number].walks]

    def _keys(self, *conditions: Condition) -> sa.Select[Any]:
        return sa.select(self.table.c[self.time], self.table.c.id).where(*conditions)

    def part(self, db: Connection, key: Hashable, part: Part) -> tuple[Any, Total | None]:
        """The ids of a part and one more, newest first, as a query; and the total if it is wanted."""
        branches = self.branches(db)
        total = paging.totals.of(db, key, branches) if part.counted else None
        order = paging.Order((self.table.c.created_at, self.table.c.id), (True, True))
        if part.after is not None:
            branches = [branch.where(order.behind(part.after)) for branch in branches]
        walks = [branch.order_by(*order.clauses()) for branch in branches]
        if len(walks) == 1:
            ids = walks[0].limit(part.limit + 1).offset(part.offset).subquery("ids")
            return sa.select(ids.c.id), total
        far = part.offset + part.limit + 1
        merged = sa.union_all(*(sa.select(walk.limit(far).subquery()) for walk in walks)).subquery("walks")
        newest = sa.select(merged).order_by(merged.c.created_at.desc(), merged.c.id.desc())
        ids = newest.limit(part.limit + 1).offset(part.offset).subquery("ids")
        return sa.select(ids.c.id), total


def newest(
    db: Connection, branches: Sequence[sa.Select[Any]], columns: tuple[sa.Column[Any], sa.Column[Any]], part: Part
) -> list[Any]:
    """Time and id of the rows of a part and one more, newest first; ``columns`` are these two in each branch."""
    return _merged(db, branches, columns, part, newest_first=True)


def oldest(
    db: Connection, branches: Sequence[sa.Select[Any]], columns: tuple[sa.Column[Any], sa.Column[Any]], part: Part
) -> list[Any]:
    """The same, oldest first: the indexes are walked backwards."""
    return _merged(db, branches, columns, part, newest_first=False)


def _merged(
    db: Connection,
    branches: Sequence[sa.Select[Any]],
    columns: tuple[sa.Column[Any], sa.Column[Any]],
    part: Part,
    *,
    newest_first: bool,
) -> list[Any]:
    time, key = columns
    order = paging.Order(columns, (newest_first, newest_first))
    if part.after is not None:
        branches = [branch.where(order.behind(part.after)) for branch in branches]
    ordered = [branch.order_by(*order.clauses()) for branch in branches]
    if len(ordered) == 1:
        return list(db.execute(ordered[0].limit(part.limit + 1).offset(part.offset)))
    far = part.offset + part.limit + 1
    found: list[Any] = []
    for first in range(0, len(ordered), _AT_ONCE):
        some = [sa.select(walk.limit(far).subquery()) for walk in ordered[first : first + _AT_ONCE]]
        merged = sa.union_all(*some).subquery("walks").c
        both = merged[time.name], merged[key.name]
        first_of_all = sa.select(*both).order_by(*order._replace(columns=both).clauses()).limit(far)
        by_time = operator.attrgetter(time.name, key.name)
        best = heapq.nlargest if newest_first else heapq.nsmallest
        found = best(far, [*found, *db.execute(first_of_all)], key=by_time)
    return found[part.offset :]


def rarest(db: Connection, lists: Sequence[Walk]) -> int:
    """The number of the filter that fewest rows match, of lists with the same filters that share no row."""
    filters = len(lists[0].first) if lists else 0
    if filters < 2:  # noqa: PLR2004 - then there is nothing to choose
        return 0
    numbers = [
        paging.counted(db, [walk for one in lists for walk in one.alone(number)], EXACT) for number in range(filters)
    ]
    return numbers.index(min(numbers))


def is_one_of(column: sa.ColumnElement[str], values: Sequence[str]) -> Filter:
    """The filter that a column has one of these values."""
    return Filter([column == value for value in dict.fromkeys(values)], unindexed(column).in_(values))


def unindexed(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The value of a text column, in a form that no index answers."""
    return column.op("||")(sa.literal_column("''"))


def created_between(column: sa.ColumnElement[int], filters: Mapping[str, Any]) -> list[Condition]:
    """The conditions of ``since`` and ``until`` (ms), as far as they are given."""
    where = [column >= filters["since"]] if filters.get("since") is not None else []
    return where + ([column < filters["until"]] if filters.get("until") is not None else [])


#: filters, and of those that are times how exactly they tell lists apart, ms
_NAMES = (
    "action_id",
    "playbook_id",
    "target",
    "status",
    "trigger",
    "dry_run",
    "run_id",
    "standalone",
    "event_id",
    "parent_id",
)
_MINUTE = 60_000


def key_of(name: str, workspace_id: str, filters: Mapping[str, Any]) -> Hashable:
    """What a list's total is remembered by.

    A period that moves on by less than a minute has the same total, which may be a minute old.
    """
    period = tuple(filters[name] // _MINUTE if filters.get(name) is not None else None for name in ("since", "until"))
    return name, workspace_id, *(str(filters.get(name)) for name in _NAMES), *period
