"""PostgreSQL: one statement that does for many changes what a ``Prepared`` does for one.

It takes the values of all of them as one JSON array, from which the server makes the rows of ``given``; wherever the
statement has a parameter, its set-based form has the column of that name. What the statement says of the rows that it
changes holds for each of them by itself: its status, its fence, its run. Who finds a row elsewhere changes nothing, and
writes no audit row.

``keys`` are the parameters that tell the changes apart: the id of the row, and of whatever else the statement changes.
No two changes of one statement have the same, because an update would count only once.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

#: from this number on, changes of one kind go as one statement; fewer cost less one by one
LEAST = 3

#: for a connection of the hot path: the server plans each statement once, because to plan it takes longer than to run
#: it. That is at its first use, perhaps while a table is small, so it has to look each row up by its id whatever the
#: table is like at that moment: each row that is read counts for more than any number of blocks
_PLANNING = {
    "plan_cache_mode": "force_generic_plan",
    "cpu_tuple_cost": "1000",
    **{f"enable_{way}": "off" for way in ("seqscan", "hashjoin", "mergejoin", "material")},
}
PLAN_ONCE = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _PLANNING.items())

_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class _InPlace:
    """Puts the columns of ``given`` in the place of the open parameters of a statement."""

    def __init__(self, given: sa.CTE) -> None:
        self._given = given
        self._parts: dict[sa.CTE, sa.CTE] = {}

    def of(self, part: sa.ClauseElement) -> Any:
        """The same with these columns."""
        return visitors.replacement_traverse(part, {}, self._instead)

    def _instead(self, element: Any, **_: Any) -> Any:
        """What stands for an element; None for what is gone through."""
        if isinstance(element, sa.BindParameter):
            return self._given.c[element.key] if element.value is None else None
        if isinstance(element, sa.CTE):
            return self._part(element)
        table = getattr(element, "table", None)
        if isinstance(table, sa.CTE):
            return self._part(table).c[element.key]
        # a table under another name stays the same: the update of it names it
        return element if isinstance(element, sa.Alias) else None

    def _part(self, one: sa.CTE) -> sa.CTE:
        """One part of the statement; the library's own copies of it would be several."""
        if one not in self._parts:
            self._parts[one] = self.of(one.element).cte(one.name)
        return self._parts[one]


class SetForm:
    """The set-based form of a statement."""

    def __init__(self, statement: sa.ClauseElement, keys: Sequence[str], dialect: sa.Dialect) -> None:
        single: Any = statement.compile(dialect=dialect)
        types = {name: bound.type for name, bound in single.binds.items() if bound.value is None}
        array = sa.func.json_to_recordset(sa.bindparam("given_", type_=sa.JSON))
        columns = [sa.column(name, kind) for name, kind in types.items()]
        one = array.table_valued(*columns, name="one").render_derived(name="one", with_types=True)
        first = one.c[keys[0]]
        # always true; the server takes it for rare, so it expects one row here and begins with it, whatever it then
        # looks up: expecting a hundred, it begins with all rows of a table that has fewer at that moment
        given = sa.select(one).where(first == first.op("||")(sa.literal_column("''")))
        whole: Any = _InPlace(given.cte("given")).of(statement)
        made = whole.compile(dialect=dialect)
        self.text: str = made.string
        self._names = frozenset(types)
        self._keys = keys
        self._values = [None if name == "given_" else made.params[name] for name in made.positiontup]
        self._place = made.positiontup.index("given_")
        #: where a row of the answer has the id; -1 where none is returned; known from the first answer
        self._id: int | None = None

    def key(self, parameters: Mapping[str, Any]) -> set[tuple[str, Any]]:
        """What no two changes of one statement share."""
        return {(name, parameters[name]) for name in self._keys}

    def values(self, given: Sequence[Mapping[str, Any]]) -> list[Any]:
        """The values of the statement for these changes.

        Raises ValueError for a value that JSON does not have.
        """
        names = self._names
        rows = [{name: value for name, value in one.items() if value is not None and name in names} for one in given]
        values = [*self._values]
        values[self._place] = _encode(rows)
        return values

    def shares(self, cursor: Any, ids: Sequence[str]) -> "list[Share]":
        """What of the answer belongs to the changes of the rows with these ids, in this order.

        A statement that returns no rows tells none of them whether it has changed something.
        """
        if self._id is None:
            columns = cursor.description
            self._id = [column[0] for column in columns].index("id") if columns else -1
        if self._id < 0:
            return [Share(cursor, []) for _ in ids]
        place = self._id
        found = {row[place]: [row] for row in cursor.fetchall()}
        return [Share(cursor, found.get(one, [])) for one in ids]


class Share:
    """What one of the changes gets of the answer: the rows with its id."""

    def __init__(self, cursor: Any, rows: list[Any]) -> None:
        self._cursor = cursor
        self._rows = rows
        self.rowcount = len(rows)

    @property
    def description(self) -> Any:
        """The columns of its rows; None for a statement that returns none."""
        return self._cursor.description

    def fetchall(self) -> list[Any]:
        """Its rows."""
        return self._rows
