"""``/api/keys``: the API keys of a workspace."""

import functools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response, request

from api.access import examples, grants, schemas, views
from api.http import auth, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, answer, nothing
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, AlreadyCreated, Remember, once
from config.errors import InvalidRequest, NotFound, Problem
from config.settings import settings
from store import access
from store.callers import rotation
from store.engine import db
from store.engine.db import Connection, Row
from tasks.intake.creations import Secret

blueprint = Blueprint("keys", __name__, tag="keys")

_ONE, _FRESH = http_schemas.enveloped(schemas.Key), http_schemas.enveloped(schemas.FreshKey)
#: headers of an answer that has a secret
_SECRET = {"Cache-Control": "no-store"}
_NEW_KEY, _CHANGE, _ROTATION = schemas.NewKey(), schemas.KeyChange(), schemas.Rotation()


@blueprint.get("/keys")
@requires("admin")
@blueprint.arguments(schemas.KeyQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.Key),
    example={"data": [examples.KEY], "meta": http_examples.META},
    headers=pages.LINK,
    words="One page of keys, newest first.",
)
def list_keys(query: dict[str, Any]) -> Response:
    """List API keys.

    Without the keys themselves, which the server does not keep. Revoked keys are listed only with ``revoked=true``; the
    audit trail names them as actors.
    """
    found = pages.read(access.list_keys, caller().workspace_id, pages.part(query), revoked=query["revoked"])
    return pages.page([views.key(row) for row in found.rows], found, query)


@blueprint.post("/keys", parameters=[CREATION_KEY])
@requires("admin")
@blueprint.arguments(_NEW_KEY, example=examples.NEW_KEY)
@blueprint.answers(
    201,
    _FRESH,
    example={"data": examples.FRESH_KEY},
    words="The key, shown this once.",
    headers=LOCATION,
    fails=(409, 422, *error_answers.CREATED),
    takes_body=True,
)
def create_key(given: dict[str, Any]) -> Response:
    """Create an API key.

    Only this answer has the key itself: store it. A key can cover no more than the caller who makes it. Sent again
    under the same Idempotency-Key within ten minutes it has the same answer; later, and once the key was revoked or its
    secret replaced, it answers 409 ``already_created`` with the key's id.
    """
    return once("key", given, functools.partial(_created, given), _again)


def _created(given: Mapping[str, Any], remember: Remember) -> Response:
    expires_at = _expiry(given["expires_at"])
    _check_scopes(given["role"], given["scopes"])
    stored = grants.stored(given["grants"], caller().workspace_id)
    with db.write() as connection:
        key_id, key = access.create_key(
            connection,
            workspace_id=caller().workspace_id,
            name=given["name"],
            role=given["role"],
            scopes=given["scopes"],
            expires_at=expires_at,
            actor=caller().key_id,
            grants=stored,
        )
        remember(connection, key_id, {"key": key})
        row = access.get_key(connection, caller().workspace_id, key_id)
    assert row is not None
    return _new(row, key)


def _again(key_id: str, secret: Secret) -> Response:
    with db.read() as connection:
        row = access.get_key(connection, caller().workspace_id, key_id)
        opens = bool(secret) and access.authenticate(connection, secret["key"]) is not None
    if row is None or not opens:
        raise AlreadyCreated("key", key_id)
    return _new(row, secret["key"])


def _new(row: Row, key: str) -> Response:
    location = f"{request.path.rstrip('/')}/{row.id}"
    return answer({"data": {**views.key(row), "key": key}}, 201, {"Location": location, **_SECRET})


@blueprint.get("/keys/<id:key_id>")
@requires("admin")
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.KEY},
    words="The key's record.",
    fails=(404,),
)
def get_key(key_id: str) -> Response:
    """Get an API key.

    Without the key itself, which the server does not keep. A revoked key is shown too.
    """
    with db.read() as connection:
        row = access.get_key(connection, caller().workspace_id, key_id)
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.")
    return answer({"data": views.key(row)})


@blueprint.patch("/keys/<id:key_id>")
@requires("admin")
@blueprint.arguments(_CHANGE, example=examples.KEY_CHANGE)
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.KEY | examples.KEY_CHANGE},
    words="The key's record as it is now.",
    fails=(404,),
    takes_body=True,
)
def rename_key(given: dict[str, Any], key_id: str) -> Response:
    """Update an API key.

    It gets another name. What it may do never changes: make another key for that, and revoke this one.
    """
    with db.write() as connection:
        rotation.rename(connection, _locked(connection, key_id), caller().key_id, given["name"])
        row = _locked(connection, key_id)
    return answer({"data": views.key(row)})


@blueprint.post("/keys/<id:key_id>/rotate")
@requires("admin")
@blueprint.arguments(_ROTATION, example=examples.ROTATION)
@blueprint.answers(
    200,
    _FRESH,
    example={"data": examples.ROTATED_KEY},
    words="The key with its new secret, shown this once.",
    fails=(404, "key_expired", "key_rotating"),
    takes_body=True,
)
def rotate_key(given: dict[str, Any], key_id: str) -> Response:
    """Rotate an API key.

    It gets a new secret, and stays the same key: id, role, scopes and grants, and its name in the audit trail. The
    secret of before is valid for ``keep_hours`` more, so that its users can be given the new one. A second rotation
    within that time needs ``replace``. A key that may do more than the caller cannot be rotated by them.
    """
    with db.write() as connection:
        row = _locked(connection, key_id)
        grants.require_role(row.role)
        grants.require(row.grants, row.workspace_id)
        expires_at = _expiry(given["expires_at"]) if "expires_at" in given else row.expires_at
        key = rotation.rotate(
            connection,
            row,
            caller().key_id,
            keep_hours=given["keep_hours"],
            expires_at=expires_at,
            replace=given["replace"],
        )
        row = _locked(connection, key_id)
    auth.forget(key_id)
    return answer({"data": {**views.key(row), "key": key}}, headers=_SECRET)


def _locked(connection: Connection, key_id: str) -> Row:
    """The row of a key of the caller's workspace that is not revoked, locked."""
    row = access.get_key(connection, caller().workspace_id, key_id, for_update=True)
    if row is None or row.revoked_at is not None:
        raise NotFound(f"There is no key {key_id!r} that is not revoked.")
    return row


@blueprint.delete("/keys/<id:key_id>")
@requires("admin")
@blueprint.arguments(schemas.Revocation(), location="query")
@blueprint.answers(204, words="It no longer opens anything.", fails=(404, 409, "last_admin_key"))
def revoke_key(query: dict[str, Any], key_id: str) -> Response:
    """Revoke an API key.

    It cannot be undone; every process refuses the key within a second. Its name and role stay readable. The last key
    that may administer the workspace is revoked only with ``force=true``: no key could make another then.
    """
    with db.write() as connection:
        if not access.revoke_key(connection, caller().workspace_id, key_id, caller().key_id, force=query["force"]):
            raise NotFound(f"There is no key {key_id!r} that is not revoked.")
    auth.forget(key_id)
    return nothing()


def _expiry(moment: datetime | None) -> int | None:
    """When a new key expires, ms.

    An expiring key may make another, but none that outlives what the operator allows.
    """
    days = settings().max_key_days
    latest = datetime.now(UTC) + timedelta(days=days) if days else None
    moment = moment or latest
    if moment is None:
        return None
    if moment <= datetime.now(UTC):
        raise InvalidRequest("The key would never be valid.", problems=[Problem("/expires_at", "Must lie ahead.")])
    if latest is not None and moment > latest:
        problem = Problem("/expires_at", f"Must lie within {days} days (TOCSIN_MAX_KEY_DAYS).")
        raise InvalidRequest("The key would live too long.", problems=[problem])
    return int(moment.timestamp() * 1000)


def _check_scopes(role: str, scopes: list[str]) -> None:
    """Raise InvalidRequest for scopes beyond the role.

    They would silently permit nothing.
    """
    problems = [
        Problem(f"/scopes/{index}", f"The role {role} does not include {scope}.")
        for index, scope in enumerate(scopes)
        if access.ALIASES.get(scope, scope) not in access.ROLES[role]
    ]
    if problems:
        raise InvalidRequest("The scopes go beyond the role.", problems=problems)
