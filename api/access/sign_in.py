"""``/v1/auth``: signing in with a password, for a token, and out again.

A token is as good as a key until it expires, its user changes the password or is disabled, or it is logged out.
"""

from typing import Any

from flask import Response

from api.access import examples, user_passwords
from api.access import user_schemas as schemas
from api.http import auth, errors
from api.http.auth import caller, public, requires
from api.http.blueprint import Blueprint, answer
from api.http.current_request import present
from config import logs
from config.errors import Forbidden, InvalidRequest, Problem
from config.settings import settings
from store import audit
from store.access import USER
from store.callers import passwords, sessions, users
from store.engine import db
from store.engine.db import Connection, Row

blueprint = Blueprint("auth", __name__, tag="auth")

_UNCACHED = {"Cache-Control": "no-store"}
_LOGIN, _NEW_PASSWORD = schemas.Login(), schemas.NewPassword()

log = logs.logger(__name__)


@blueprint.post("/auth/login")
@public
@blueprint.arguments(_LOGIN, example=examples.LOGIN)
@blueprint.answers(
    200, schemas.Token(), example=examples.TOKEN, words="A token, shown this once.", fails=(401,), takes_body=True
)
def login(given: dict[str, Any]) -> Response:
    """Sign in.

    Five attempts a minute for each user from one address, and thirty that fail for all users together; of IPv6 a
    network of 64 bits counts as one address. Role and grants are looked up with every request, so that a
    change counts at once.
    """
    username, address = given["username"].lower(), present().remote_addr or ""
    auth.limiter().allow_sign_in(username, address)
    with auth.limiter().guessing(address):
        with db.read() as connection:
            user = users.get(connection, username)
        # an unknown user is refused after the same work as any other
        right = user_passwords.verified(user.password_hash if user is not None else passwords.NOBODY, given["password"])
        seconds = settings().session_seconds
        token = _opened(user, seconds) if user is not None and right else None
        if token is None:
            log.info("sign-in refused", username=user.username if user is not None else None, address=address)
            raise errors.unauthorized("The username or the password is wrong.")
    return answer({"token": token, "expires_in": seconds}, headers=_UNCACHED)


def _still(connection: Connection, user: Row) -> Row | None:
    """The row of a user whose password was right, read again and locked.

    None where it has another one now, is disabled, or was altered.
    """
    now = users.get(connection, user.username, for_update=True)
    if now is None or now.disabled_at is not None or now.password_hash != user.password_hash:
        return None
    return now if users.is_vouched_for(now) else None


def _opened(user: Row, seconds: int) -> str | None:
    """The token of a new session of a user whose password is right; None where the user may not sign in.

    The check of the password takes a while. Who was disabled or got another password meanwhile is refused: the change
    has ended the sessions that there were, and must not leave one that begins after it.
    """
    with db.write() as connection:
        now = _still(connection, user)
        return None if now is None else sessions.start(connection, now.username, now.workspace_id, seconds).token


@blueprint.post("/auth/logout")
@requires(None)
@blueprint.answers(
    200,
    schemas.LoggedOut(),
    example=examples.LOGGED_OUT,
    words="The token opens nothing any more.",
    fails=("not_a_session",),
)
def logout() -> Response:
    """Sign out.

    Every process refuses the token within a second. A key cannot be logged out; it can be revoked.
    """
    me = caller()
    if me.session is None:
        raise InvalidRequest("A key cannot log out: revoke it with DELETE /api/keys/{key_id}.", code="not_a_session")
    with db.write() as connection:
        if sessions.close(connection, me.session):
            audit.record(connection, me.workspace_id, me.key_id, "session.closed", me.key_id.partition(":")[2])
    auth.forget(me.key_id, me.session)
    return answer({"status": "logged_out"})


@blueprint.post("/auth/password")
@requires(None)
@blueprint.arguments(_NEW_PASSWORD, example=examples.NEW_PASSWORD)
@blueprint.answers(
    200,
    schemas.PasswordChanged(),
    example=examples.PASSWORD_CHANGED,
    words="The new password counts; all other sessions are over.",
    takes_body=True,
    fails=("not_a_session", "wrong_password"),
)
def change_password(given: dict[str, Any]) -> Response:
    """Update one's own password.

    For users who are signed in. The session that asks goes on, all others end. A wrong old password counts as an
    attempt to sign in.
    """
    me, address = caller(), present().remote_addr or ""
    if me.session is None:
        raise InvalidRequest("A key has no password; this is for users who have signed in.", code="not_a_session")
    username = me.key_id.removeprefix(USER)
    if given["new"] == given["old"]:
        raise InvalidRequest(problems=[Problem("/new", "must not be the old one")])
    auth.limiter().allow_sign_in(username, address)
    with auth.limiter().guessing(address):
        with db.read() as connection:
            user = users.get(connection, username)
        if user is None or not user_passwords.verified(user.password_hash, given["old"]):
            log.info("change of a password refused", username=username, address=address)
            raise Forbidden("The old password is wrong.", code="wrong_password")
    password_hash = user_passwords.hashed(given["new"], username, "/new")
    with db.write() as connection:
        now = _still(connection, user)
        if now is None:
            raise Forbidden("The old password is wrong.", code="wrong_password")
        users.change(connection, now, me.key_id, keeps=me.session, password_hash=password_hash)
    auth.forget(me.key_id)
    return answer({"status": "password_changed"})
