"""The shapes of the bodies of ``/api/users`` and of signing in."""

from typing import Any

from marshmallow import fields, validate

from api.access import grants
from api.http.base_schema import Answer
from api.http.schemas import Strict, described, moment
from store.access import ROLES
from store.callers.passwords import FEWEST_CHARACTERS, MOST_CHARACTERS
from store.callers.users import NAME


def _password(**more: Any) -> fields.String:
    metadata = described(
        f"At least {FEWEST_CHARACTERS} characters, which are not the username.", writeOnly=True, format="password"
    )
    return fields.String(validate=validate.Length(FEWEST_CHARACTERS, MOST_CHARACTERS), metadata=metadata, **more)


def _role(**more: Any) -> fields.String:
    return fields.String(
        validate=validate.OneOf(sorted(ROLES)), metadata=described("viewer, operator or admin."), **more
    )


class NewUser(Strict):
    """The user to create."""

    username = fields.String(
        required=True,
        validate=validate.Regexp(f"{NAME}\\Z"),
        metadata=described("Lower case; it never changes.", pattern=f"^{NAME}$"),
    )
    password = _password(required=True)
    role = _role(required=True)
    grants = grants.field(load_default=None)


class UserChange(Strict):
    """What changes of a user."""

    password = _password()
    role = _role()
    grants = grants.field()


class Account(Answer):
    """A user without the password."""

    username = fields.String(metadata=described("The name to sign in with."))
    role = fields.String(metadata=described("What they may do."))
    grants = fields.List(
        fields.Nested(grants.Grant), allow_none=True, metadata=described("What they cover; null: their workspace.")
    )
    created_at = moment("ISO 8601, UTC.")
    changed_at = moment("ISO 8601, UTC.")
    disabled_at = moment("ISO 8601, UTC; null: they may sign in.", null=True)


class Login(Strict):
    """Who signs in."""

    username = fields.String(
        required=True, validate=validate.Length(1, 128), metadata=described("The user; case does not matter.")
    )
    password = fields.String(
        required=True,
        validate=validate.Length(1, MOST_CHARACTERS),
        metadata=described("Their password.", writeOnly=True, format="password"),
    )


class Token(Answer):
    """A token for the ``Authorization`` header."""

    token = fields.String(metadata=described("Send it as 'Authorization: Bearer TOKEN'."))
    expires_in = fields.Integer(metadata=described("Seconds until it expires."))


class NewPassword(Strict):
    """A user's own new password."""

    old = fields.String(
        required=True,
        validate=validate.Length(1, MOST_CHARACTERS),
        metadata=described("The password of now.", writeOnly=True, format="password"),
    )
    new = _password(required=True)


class PasswordChanged(Answer):
    """The password is another."""

    status = fields.String(metadata=described("Always password_changed."))


class LoggedOut(Answer):
    """The session is over."""

    status = fields.String(metadata=described("Always logged_out."))
