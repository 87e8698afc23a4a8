"""The example bodies of the documentation of keys."""

NEW_KEY = {"name": "SIEM connector", "role": "operator", "scopes": ["execute:actions"]}


KEY = {
    "id": "3f1c9a60b2d4",
    "name": "SIEM connector",
    "role": "operator",
    "scopes": ["execute:actions"],
    "created_at": "2026-04-28T12:00:00.000Z",
    "expires_at": None,
    "last_used": None,
    "revoked_at": None,
}


FRESH_KEY = {**KEY, "key": "tcn_3f1c9a60b2d4_THE-SECRET-IS-SHOWN-ONCE"}
