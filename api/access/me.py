"""``/api/me``: who asks, and what they may do."""

from flask import Response
from marshmallow import fields

from api.access import examples, grants
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.schemas import described, moment
from api.http.times import stamp
from store import access
from store.access import USER
from store.callers import sessions
from store.engine import db
from tasks import tenants

blueprint = Blueprint("me", __name__, tag="server")


class Me(Answer):
    """The caller of a request."""

    id = fields.String(metadata=described("The actor in the audit trail: the id of the key, or user:NAME."))
    kind = fields.String(metadata=described("What asks.", enum=["key", "user"]))
    name = fields.String(metadata=described("The key's name, or the user's."))
    workspace_id = fields.String(metadata=described("The workspace it lives in."))
    role = fields.String(metadata=described("The most it may do.", enum=sorted(access.ROLES)))
    permissions = fields.List(fields.String(), metadata=described("What it may do: its role, narrowed by its scopes."))
    grants = fields.List(fields.Nested(grants.Grant), metadata=described("What it covers of the gateway."))
    expires_at = moment("ISO 8601, UTC: when the key or the session ends; null: never.", null=True)


@blueprint.get("/me")
@requires(None)
@blueprint.answers(200, http_schemas.enveloped(Me), example={"data": examples.ME}, words="Who asks.")
def get_me() -> Response:
    """Get the caller.

    Who the key or token belongs to, and what it may do.
    """
    me = caller()
    with db.read() as connection:
        if me.session is not None:
            name, expires_at = me.key_id.removeprefix(USER), sessions.ends(connection, me.session)
        else:
            row = access.get_key(connection, me.workspace_id, me.key_id)
            name, expires_at = (row.name, row.expires_at) if row is not None else (me.key_id, None)
    members = {
        "id": me.key_id,
        "kind": "user" if me.session is not None else "key",
        "name": name,
        "workspace_id": me.workspace_id,
        "role": me.role,
        "permissions": sorted(me.permissions),
        "grants": [one.written() for one in tenants.of(me)],
        "expires_at": stamp(expires_at),
    }
    return answer({"data": members})
