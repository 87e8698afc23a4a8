"""The tokens of sessions, which are JWTs (RFC 7519).

Their algorithm is HS256. They are signed under a sub-key of the root keys, the first of which makes new ones; all are
tried for those that come in. No other algorithm is taken, whatever the head of a token says.
"""

from typing import Any, NamedTuple

from config.settings import settings
from store.sealing import subkeys

_ALGORITHM = "HS256"
_ISSUER = "tocsin"
_PURPOSE = "session token"
_REQUIRED = ["iss", "sub", "jti", "iat", "exp"]
#: the database's clock counts, which the library does not know
_BY_ANOTHER_CLOCK: Any = {"verify_exp": False, "verify_iat": False, "require": _REQUIRED}
#: dots between the three parts of a token
_DOTS = 2


class Said(NamedTuple):
    """What a token says; times are in ms."""

    username: str
    jti: str
    issued_at: int
    expires_at: int


def make(said: Said) -> str:
    """The token that says this."""
    import jwt  # twelve MiB with what it imports, and most processes see no token

    claims = {
        "iss": _ISSUER,
        "sub": said.username,
        "jti": said.jti,
        "iat": said.issued_at // 1000,
        "exp": said.expires_at // 1000,
    }
    return jwt.encode(claims, subkeys.subkey(subkeys.newest(), _PURPOSE), _ALGORITHM)


def read(token: str) -> Said | None:
    """What one of our own tokens says; None for any other text.

    Whether its time is over is not looked at.
    """
    if token.count(".") != _DOTS or not token.isascii():
        return None
    import jwt

    for root in settings().secret_keys:
        try:
            claims = jwt.decode(
                token, subkeys.subkey(root, _PURPOSE), [_ALGORITHM], options=_BY_ANOTHER_CLOCK, issuer=_ISSUER
            )
        except jwt.PyJWTError:
            continue
        return Said(claims["sub"], claims["jti"], claims["iat"] * 1000, claims["exp"] * 1000)
    return None
