"""The shapes of the bodies of ``/api/keys``."""

import re

from marshmallow import ValidationError, fields, validate

from api.access import grants
from api.http.base_schema import Answer
from api.http.pages import PageQuery
from api.http.schemas import Strict, described, moment
from expressions.suggestions import nearest
from store.access import ALIASES, ROLES, known_scopes

#: the longest time for which both secrets of a rotated key are valid, hours
MOST_HOURS = 30 * 24

_SCOPES = sorted(ROLES["admin"])
_PARTS = re.compile(r"[:._/ -]")
#: other words for parts of scopes
_WORDS = {
    **dict.fromkeys(("trigger", "run", "start", "executions"), "execute"),
    **dict.fromkeys(("view", "list", "get"), "read"),
    **dict.fromkeys(("edit", "create", "update", "manage", "delete"), "write"),
    **dict.fromkeys(("approve", "reject"), "decide"),
    "action": "actions",
    "playbook": "playbooks",
    "approval": "approvals",
}


def _check_scope(scope: str) -> None:
    """Raise ValidationError for an unknown scope; other spellings in use are known."""
    known = known_scopes()
    if scope not in known:
        near = _meant(scope) or nearest(scope, known)
        meant = f"; did you mean '{ALIASES.get(near, near)}'?" if near else ""
        raise ValidationError(f"'{scope[:64]}' is none of {', '.join(_SCOPES)}{meant}")


def _meant(scope: str) -> str | None:
    """The scope by other words for its parts, in any order."""
    parts = [_WORDS.get(part, part) for part in _PARTS.split(scope.lower())]
    return next((known for known in _SCOPES if sorted(known.split(":")) == sorted(parts)), None)


class NewKey(Strict):
    """The key to create."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=128), metadata=described("Who uses it."))
    role = fields.String(
        load_default="operator", validate=validate.OneOf(sorted(ROLES)), metadata=described("The most it may do.")
    )
    scopes = fields.List(
        fields.String(validate=_check_scope, metadata={"enum": sorted(known_scopes())}),
        load_default=[],
        validate=validate.Length(max=50),
        metadata=described("Narrow the role to these permissions; none means all of the role."),
    )
    grants = grants.field(load_default=None)
    expires_at = fields.AwareDateTime(
        format="iso", allow_none=True, load_default=None, metadata=described("ISO 8601 with a time zone; null: never.")
    )


class KeyChange(Strict):
    """What changes of a key."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=128), metadata=described("Who uses it."))


class Rotation(Strict):
    """How a key is rotated."""

    keep_hours = fields.Integer(
        load_default=24,
        strict=True,
        validate=validate.Range(0, MOST_HOURS),
        metadata=described("For how long the secret of before is valid too; 0: it ends at once."),
    )
    expires_at = fields.AwareDateTime(
        format="iso",
        allow_none=True,
        metadata=described("When the key expires from now on; not given: as before. ISO 8601 with a time zone."),
    )
    replace = fields.Boolean(
        truthy={True},
        falsy={False},
        load_default=False,
        metadata=described(
            "Whether, while the secret of before is still valid, another is made in place of the newest: for an "
            "answer that was lost. The one of before stays until its time; with keep_hours 0 it ends at once."
        ),
    )


class KeyQuery(PageQuery):
    """Which keys are listed."""

    revoked = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "List the revoked keys in place of the others.", "example": True},
    )


class Revocation(Strict):
    """How a key is revoked."""

    force = fields.Boolean(
        truthy={"true"},
        falsy={"false"},
        load_default=False,
        metadata={"description": "Revoke it even if no key can administer the workspace then.", "example": True},
    )


class Key(Answer):
    """An API key without its secret."""

    id = fields.String(metadata=described("Its id, also the second part of the key."))
    name = fields.String(metadata=described("Who uses it."))
    role = fields.String(metadata=described("The most it may do."))
    scopes = fields.List(fields.String(), metadata=described("What the role is narrowed to."))
    grants = fields.List(
        fields.Nested(grants.Grant), allow_none=True, metadata=described("What it covers; null: its workspace.")
    )
    created_at = moment("ISO 8601, UTC.")
    expires_at = moment("ISO 8601, UTC; null: never.", null=True)
    last_used = moment("To the minute; null: never.", null=True)
    previous_until = moment(
        "Until when the secret before the last rotation is valid too; null: there was none.", null=True
    )
    revoked_at = moment("ISO 8601, UTC; null: it is not revoked.", null=True)


class FreshKey(Key):
    """An API key, this one time with its secret."""

    key = fields.String(metadata=described("The key itself. It is never shown again."))
