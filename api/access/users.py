"""``/api/users``: the people of a workspace who can sign in."""

import functools
from collections.abc import Mapping
from typing import Any

from flask import Response, request

from api.access import examples, grants, user_passwords, views
from api.access import user_schemas as schemas
from api.http import auth, pages
from api.http import examples as http_examples
from api.http import schemas as http_schemas
from api.http.auth import caller, requires
from api.http.blueprint import LOCATION, Blueprint, answer
from api.http.documented import error_answers
from api.http.idempotency_key import CREATION_KEY, Remember, once
from api.http.pages import PageQuery
from config.errors import InvalidRequest, NotFound, Problem
from store.access import USER
from store.callers import users
from store.engine import db
from store.engine.db import Connection, Row, now_ms
from tasks.intake.creations import Secret

blueprint = Blueprint("users", __name__, tag="users")

_NEW_USER, _CHANGE, _ONE = schemas.NewUser(), schemas.UserChange(), http_schemas.enveloped(schemas.Account)


@blueprint.get("/users")
@requires("manage:users")
@blueprint.arguments(PageQuery(), location="query")
@blueprint.answers(
    200,
    http_schemas.page_of(schemas.Account),
    example={"data": [examples.USER], "meta": http_examples.META},
    headers=pages.LINK,
    words="One page of users, by name.",
)
def list_users(query: dict[str, Any]) -> Response:
    """List users.

    Those of the workspace, the disabled ones too.
    """
    found = pages.read(users.list_users, caller().workspace_id, pages.part(query))
    return pages.page([views.user(row) for row in found.rows], found, query)


@blueprint.post("/users", parameters=[CREATION_KEY])
@requires("manage:users")
@blueprint.arguments(_NEW_USER, example=examples.NEW_USER)
@blueprint.answers(
    201,
    _ONE,
    example={"data": examples.USER},
    words="The user.",
    fails=(409, 422, "already_exists", *error_answers.CREATED),
    headers=LOCATION,
    takes_body=True,
)
def create_user(given: dict[str, Any]) -> Response:
    """Create a user.

    In the workspace of the caller, who can give no role and no grants beyond their own. No answer shows the password.
    """
    return once("user", given, functools.partial(_created, given), _again)


def _created(given: Mapping[str, Any], remember: Remember) -> Response:
    username, workspace_id = given["username"], caller().workspace_id
    grants.require_role(given["role"])
    stored = grants.stored(given["grants"], workspace_id)
    password_hash = user_passwords.hashed(given["password"], username)
    with db.write() as connection:
        users.create(
            connection,
            username=username,
            workspace_id=workspace_id,
            role=given["role"],
            grants=stored,
            password_hash=password_hash,
            actor=caller().key_id,
        )
        remember(connection, username)
        row = _found(connection, username)
    return _new(row)


def _again(username: str, _secret: Secret) -> Response:
    with db.read() as connection:
        return _new(_found(connection, username))


def _new(row: Row) -> Response:
    return answer({"data": views.user(row)}, 201, {"Location": f"{request.path.rstrip('/')}/{row.username}"})


@blueprint.get("/users/<id:username>")
@requires("manage:users")
@blueprint.answers(200, _ONE, example={"data": examples.USER}, words="The user.", fails=(404,))
def get_user(username: str) -> Response:
    """Get a user.

    Also a disabled one.
    """
    with db.read() as connection:
        row = _found(connection, username)
    return answer({"data": views.user(row)})


@blueprint.patch("/users/<id:username>")
@requires("manage:users")
@blueprint.arguments(_CHANGE, example=examples.USER_CHANGE)
@blueprint.answers(
    200,
    _ONE,
    example={"data": examples.USER},
    words="The user as it is now.",
    fails=(404, 409, "altered", "changed"),
    takes_body=True,
)
def change_user(given: dict[str, Any], username: str) -> Response:
    """Update a user.

    Role and grants count for the sessions that there are; a new password ends them. A caller cannot change a user who
    may do more than the caller, or make one so.
    """
    changes: dict[str, Any] = {}
    if "role" in given:
        grants.require_role(given["role"])
        changes["role"] = given["role"]
    if "grants" in given:
        changes["grants"] = grants.stored(given["grants"], caller().workspace_id)
    if "password" in given:
        with db.read() as connection:
            _found(connection, username)  # before the work
        changes["password_hash"] = user_passwords.hashed(given["password"], username)
    if not changes:
        raise InvalidRequest(problems=[Problem("", "must have role, grants or password")])
    return _change(username, changes)


@blueprint.post("/users/<id:username>/disable")
@requires("manage:users")
@blueprint.answers(200, _ONE, example={"data": examples.DISABLED_USER}, words="The user.", fails=(404, 409, "altered"))
def disable_user(username: str) -> Response:
    """Disable a user.

    All sessions end. The user stays, so that the audit trail can name who acted.
    """
    return _change(username, {"disabled_at": now_ms()})


@blueprint.post("/users/<id:username>/enable")
@requires("manage:users")
@blueprint.answers(200, _ONE, example={"data": examples.USER}, words="The user.", fails=(404, 409, "altered"))
def enable_user(username: str) -> Response:
    """Enable a user.

    With the password of before.
    """
    return _change(username, {"disabled_at": None})


def _change(username: str, changes: dict[str, Any]) -> Response:
    with db.write() as connection:
        row = _found(connection, username, for_update=True)
        _require_no_more(row)
        row = users.change(connection, row, caller().key_id, **changes)
    auth.forget(f"{USER}{username}")
    return answer({"data": views.user(row)})


def _found(connection: Connection, username: str, *, for_update: bool = False) -> Row:
    row = users.get(connection, username, for_update=for_update)
    if row is None or row.workspace_id != caller().workspace_id:
        raise NotFound(f"There is no user {username!r}.")
    return row


def _require_no_more(row: Row) -> None:
    """Refuse a caller who may do less than the user.

    A new password would be a way to the user's rights.

    Raises:
        Forbidden: as it is.
    """
    grants.require_role(row.role)
    grants.require(row.grants, row.workspace_id)
