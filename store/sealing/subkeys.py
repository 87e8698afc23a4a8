"""Sub-keys for use in the database, one for each purpose.

``TOCSIN_SECRET_KEYS`` names the root keys: the first makes everything new, the others open what they once made. A
sub-key is HKDF-SHA256 (RFC 5869) of a root key with the purpose as its info, so that what is made for one purpose means
nothing for another. What was made names its root key by ``key_id``, which reveals nothing about the key.
"""

import functools
import hashlib
import hmac

from config.settings import settings

#: the prefix of everything that is sealed or signed in this way
VERSION = "v2"

_SALT = b"tocsin"


@functools.lru_cache(maxsize=256)
def subkey(root: str, purpose: str) -> bytes:
    """The sub-key of 32 bytes for this purpose.

    It is one round of HKDF, spelled out to spare most processes a large library.
    """
    extracted = hmac.digest(_SALT, root.encode(), hashlib.sha256)
    return hmac.digest(extracted, f"{VERSION}/{purpose}\x01".encode(), hashlib.sha256)


@functools.lru_cache(maxsize=64)
def key_id(root: str) -> str:
    """The name of a root key, 8 characters."""
    return subkey(root, "key id").hex()[:8]


def newest() -> str:
    """The root key that makes what is new."""
    return settings().secret_keys[0]


def named(wanted: str) -> str | None:
    """The root key with this ``key_id``.

    None when it is not among those of this process.
    """
    return next((root for root in settings().secret_keys if key_id(root) == wanted), None)


def prefix(root: str) -> str:
    """The prefix of everything made under this root key."""
    return f"{VERSION}.{key_id(root)}."


def split(text: str) -> tuple[str, str] | None:
    """The root key under which ``text`` was made, and its content.

    None where no key of ours has made it.
    """
    version, _, rest = text.partition(".")
    name, _, said = rest.partition(".")
    root = named(name) if version == VERSION else None
    return (root, said) if root is not None else None
