"""Sets as a value of a statement: its text is the same however many there are, so it is compiled once."""

import json
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

#: the kinds of databases, by the names of their dialects
DIALECTS = ("sqlite", "postgresql")


def is_among(dialect: str, value: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[bool]:
    """Whether a value is in the set that is the parameter ``name``."""
    if dialect == "postgresql":
        return value == sa.any_(sa.bindparam(name, type_=ARRAY(value.type)))
    given = sa.func.json_each(sa.bindparam(name, type_=sa.Text)).table_valued("value", name=f"in_{name}")
    return value.in_(sa.select(given.c.value))


def given(dialect: str, values: Collection[Any]) -> Any:
    """A set as such a parameter has it."""
    return [*values] if dialect == "postgresql" else json.dumps([*values])
