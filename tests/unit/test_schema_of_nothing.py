"""What a schema makes of a request without a query: the same as the library would, worked out once."""

from typing import Any

import pytest
from marshmallow import ValidationError, fields, validates_schema

from api.http.base_schema import Schema


class Plain(Schema):
    """Has a default."""

    dry_run = fields.Boolean(load_default=False)
    name = fields.String()


class Required(Schema):
    """Wants something."""

    tenant = fields.String(required=True)


class Changing(Schema):
    """Has a default that is made each time."""

    names = fields.List(fields.String(), load_default=list)


class Fixed(Schema):
    """Has a default that a handler could change for the next request."""

    names = fields.List(fields.String(), load_default=["a"])


class Refusing(Schema):
    """Refuses nothing at all."""

    name = fields.String()

    @validates_schema
    def named(self, members: dict[str, Any], **_: Any) -> None:
        """Something is named."""
        if not members:
            raise ValidationError("name something", "name")


def test_defaults_are_what_the_schema_loads() -> None:
    """Members without a default are not there."""
    assert Plain().of_nothing == Plain().load({}) == {"dry_run": False}


@pytest.mark.parametrize("schema", [Required(), Changing(), Fixed(), Refusing()], ids=lambda one: type(one).__name__)
def test_others_are_asked_each_time(schema: Schema) -> None:
    """Something is required, checked, or would be shared by requests."""
    assert schema.of_nothing is None
