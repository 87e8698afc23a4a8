"""The example bodies of the documentation of keys, users and signing in."""

_GRANTS = [{"tenants": ["acme"], "namespaces": ["notifications"], "providers": ["*"], "actions": ["*"]}]

NEW_KEY = {"name": "SIEM connector", "role": "operator", "scopes": ["dispatch"]}


KEY = {
    "id": "3f1c9a60b2d4",
    "name": "SIEM connector",
    "role": "operator",
    "scopes": ["dispatch"],
    "grants": _GRANTS,
    "created_at": "2026-04-28T12:00:00.000Z",
    "expires_at": None,
    "last_used": None,
    "previous_until": None,
    "revoked_at": None,
}


FRESH_KEY = {**KEY, "key": "tcn_3f1c9a60b2d4_THE-SECRET-IS-SHOWN-ONCE"}


ME = {
    "id": "3f1c9a60b2d4",
    "kind": "key",
    "name": "SIEM connector",
    "workspace_id": "default",
    "role": "operator",
    "permissions": ["dispatch"],
    "grants": _GRANTS,
    "expires_at": None,
}


KEY_CHANGE = {"name": "SIEM connector, Frankfurt"}


ROTATION = {"keep_hours": 24}


ROTATED_KEY = {**FRESH_KEY, "previous_until": "2026-04-29T12:00:00.000Z"}


NEW_USER = {"username": "kim", "password": "correct-horse-battery", "role": "operator"}


USER = {
    "username": "kim",
    "role": "operator",
    "grants": _GRANTS,
    "created_at": "2026-04-28T12:00:00.000Z",
    "changed_at": "2026-04-28T12:00:00.000Z",
    "disabled_at": None,
}


DISABLED_USER = {**USER, "changed_at": "2026-04-29T09:30:00.000Z", "disabled_at": "2026-04-29T09:30:00.000Z"}


USER_CHANGE = {"role": "viewer"}


LOGIN = {"username": "kim", "password": "correct-horse-battery"}


TOKEN = {"token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJraW0ifQ.SIGNATURE", "expires_in": 3600}


LOGGED_OUT = {"status": "logged_out"}


NEW_PASSWORD = {"old": "correct-horse-battery", "new": "staple-Ocelot-44-quiet"}


PASSWORD_CHANGED = {"status": "password_changed"}
