"""The keys that sign seals: Ed25519, derived from the root keys of the installation.

Each root key (``TOCSIN_SECRET_KEYS``) has one: its private key is a sub-key of the root key, and its name is the root
key's ``key_id``. The first signs, all verify.
"""

import functools
from typing import TYPE_CHECKING

from config.settings import settings
from store.sealing import subkeys

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = "audit seal"


def sign(text: bytes) -> bytes:
    """The signature of a text under the newest key."""
    return _key(subkeys.newest()).sign(text)


def key_id() -> str:
    """The name of the key that signs."""
    return subkeys.key_id(subkeys.newest())


def is_known(name: str) -> bool:
    """Whether the key of this name is one of this installation's."""
    return subkeys.named(name) is not None


def is_right(name: str, signature: bytes, text: bytes) -> bool:
    """Whether a known key of this name has signed the text."""
    from cryptography.exceptions import InvalidSignature

    root = subkeys.named(name)
    if root is None:
        return False
    try:
        _key(root).public_key().verify(signature, text)
    except InvalidSignature:
        return False
    return True


def public(name: str) -> str | None:
    """The public key of this name, 32 bytes in hexadecimal digits; None if it is not known."""
    root = subkeys.named(name)
    return None if root is None else _key(root).public_key().public_bytes_raw().hex()


def names() -> list[str]:
    """The names of all keys, that of the one that signs first."""
    return [subkeys.key_id(root) for root in settings().secret_keys]


@functools.lru_cache(maxsize=16)
def _key(root: str) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # as large as in store.sealing.seal

    return Ed25519PrivateKey.from_private_bytes(subkeys.subkey(root, _PURPOSE))
