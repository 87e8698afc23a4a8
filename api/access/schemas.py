"""The shapes of the bodies of ``/api/keys``."""

from marshmallow import fields, validate

from api.http.base_schema import Schema
from api.http.schemas import Strict, described
from store.access import ROLES, known_scopes


class NewKey(Strict):
    """The key to create."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=128), metadata=described("Who uses it."))
    role = fields.String(
        load_default="operator", validate=validate.OneOf(sorted(ROLES)), metadata=described("The most it may do.")
    )
    scopes = fields.List(
        fields.String(validate=validate.OneOf(sorted(known_scopes()))),
        load_default=[],
        validate=validate.Length(max=50),
        metadata=described("Narrow the role to these permissions; none means all of the role."),
    )
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, load_default=None, metadata=described("ISO 8601 with a time zone; null: never.")
    )


class Key(Schema):
    """An API key without its secret."""

    id = fields.String(metadata=described("Its id, also the second part of the key."))
    name = fields.String(metadata=described("Who uses it."))
    role = fields.String(metadata=described("The most it may do."))
    scopes = fields.List(fields.String(), metadata=described("What the role is narrowed to."))
    created_at = fields.String(metadata=described("ISO 8601, UTC."))
    expires_at = fields.String(allow_none=True, metadata=described("ISO 8601, UTC; null: never."))
    last_used = fields.String(allow_none=True, metadata=described("To the minute; null: never."))


class FreshKey(Key):
    """An API key, this one time with its secret."""

    key = fields.String(metadata=described("The key itself. It is never shown again."))
