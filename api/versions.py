"""The versions of a definition: their shapes and queries, and what is read of them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from api.http import pages
from api.http import schemas as http_schemas
from api.http.base_schema import Answer, Schema
from api.http.blueprint import VersionConverter
from api.http.schemas import ANY, Strict, described
from api.http.times import stamp
from playbooks.checks.size import size
from playbooks.differences import differences
from store.callers import actors
from store.callers.actors import Actor
from store.definitions import history
from store.definitions.versioned import Definition, DefinitionKind, Revision
from store.engine.db import Connection, Row
from store.paging import Found, Part
from tasks.offload import pool

_VERSION = validate.Regexp(f"^{VersionConverter.regex}$")


#: what each version in a list has
_ALWAYS = frozenset({"id", "version", "created_at", "created_by", "created_by_actor"})


class VersionsQuery(pages.PageQuery):
    """The part of the history that is wanted, and how much of it."""

    definitions = fields.Boolean(
        load_default=True,
        truthy={"true"},
        falsy={"false"},
        metadata={"description": "false: only who made each version and when.", "example": False},
    )


class DifferenceQuery(Strict):
    """Which versions are compared."""

    older = fields.String(
        data_key="from",
        required=True,
        validate=_VERSION,
        metadata={"description": "The version that is compared.", "example": "1.0.0"},
    )
    newer = fields.String(
        data_key="to",
        validate=_VERSION,
        metadata={"description": "The version that it is compared with; the present one.", "example": "1.1.0"},
    )


class Change(Answer):
    """One difference between two versions."""

    pointer = fields.String(
        metadata=described("Where, as a JSON pointer into the newer one; the older one if removed.")
    )
    op = fields.String(metadata=described("What happened to it.", enum=["added", "removed", "changed"]))
    before = fields.Raw(
        data_key="from", allow_none=True, metadata=described("What stood there; null if nothing.", type=list(ANY))
    )
    after = fields.Raw(
        data_key="to", allow_none=True, metadata=described("What stands there; null if nothing.", type=list(ANY))
    )


class VersionDifference(Answer):
    """What has changed between two versions."""

    older = fields.String(data_key="from", metadata=described("The version that is compared."))
    newer = fields.String(data_key="to", metadata=described("The version that it is compared with."))
    changes = fields.List(fields.Nested(Change), metadata=described("Every difference, up to 1000."))


def item_of(schema: type[Schema]) -> type[Schema]:
    """The shape of a version in a list, of which ``definitions=false`` leaves out all but who made it and when."""

    class Item(schema):  # type: ignore[misc, valid-type]
        def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
            """Require what is always there."""
            field_obj.required = field_name in _ALWAYS

    Item.__name__ = f"{schema.__name__}Item"
    Item.__doc__ = f"{schema.__doc__} Without its definition where that is not wanted."
    return Item


DIFFERENCE = http_schemas.enveloped(VersionDifference)
DIFFERENCE_EXAMPLE = {
    "from": "1.0.0",
    "to": "1.1.0",
    "changes": [{"pointer": "/timeout_minutes", "op": "changed", "from": 30, "to": 60}],
}


def part(
    connection: Connection, kind: DefinitionKind[Any], kept: Definition, wanted: Part, *, whole: bool
) -> tuple[Found, dict[str, Actor]]:
    """A part of the history, and who has made the versions in it."""
    found = history.listed(connection, kind, kept, wanted, whole=whole)
    return found, actors.named(connection, [row.created_by for row in found.rows])


def at(
    connection: Connection, kind: DefinitionKind[Any], workspace_id: str, definition_id: str, version: str
) -> tuple[Row, dict[str, Actor]]:
    """One version, and who has made it.

    Raises:
        NotFound: there is none.
    """
    row = history.at(connection, kind, kind.get(connection, workspace_id, definition_id), version)
    return row, actors.named(connection, [row.created_by])


def made(row: Row, who: Mapping[str, Actor]) -> dict[str, Any]:
    """Who has made a version, and when."""
    said = {"created_at": stamp(row.created_at), "created_by": row.created_by}
    return {**said, "created_by_actor": who.get(row.created_by)}


def brief(definition_id: str, row: Row, who: Mapping[str, Actor]) -> dict[str, Any]:
    """A version without what it says."""
    return {"id": definition_id, "version": row.version, **made(row, who)}


def compared(
    connection: Connection, kind: DefinitionKind[Any], workspace_id: str, definition_id: str, query: Mapping[str, Any]
) -> tuple[Revision, Revision]:
    """The two versions that are compared.

    Raises:
        NotFound: there is none.
    """
    kept = kind.get(connection, workspace_id, definition_id)
    older = kind.at_version(connection, kept, query["older"])
    return older, kind.at_version(connection, kept, query.get("newer", kept.revision.version))


def difference(older: Revision, newer: Revision) -> dict[str, Any]:
    """What has changed between two versions."""
    both = [{name: value for name, value in one.definition.items() if name != "version"} for one in (older, newer)]
    changes = pool.way(sum(size(one).milliseconds for one in both))(differences, *both)
    return {"from": older.version, "to": newer.version, "changes": changes}
