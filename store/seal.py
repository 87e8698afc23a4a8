"""Secrets at rest: sealed with a key that is not in the database.

``seal`` and ``unseal`` use Fernet (AES-128-CBC with HMAC-SHA256, versioned and authenticated) under a key
derived from ``TOCSIN_SECRET_KEY``. Losing that key loses the sealed values and nothing else.
"""

import base64
import functools
import hashlib
import json
from typing import TYPE_CHECKING, Any

from config.settings import settings

if TYPE_CHECKING:
    from cryptography.fernet import Fernet


class SealBroken(Exception):  # noqa: N818
    """A sealed value cannot be opened: TOCSIN_SECRET_KEY is not the one it was sealed with."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@functools.cache
def _box(secret_key: str) -> "Fernet":
    from cryptography.fernet import Fernet  # six MiB, and many processes never see a secret

    digest = hashlib.blake2b(secret_key.encode(), digest_size=32, person=b"tocsin-seal").digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def seal(values: dict[str, Any]) -> str | None:
    """Encrypted text of ``values``; None for nothing, so that an empty column says it holds no secret."""
    if not values:
        return None
    return _box(settings().secret_key).encrypt(json.dumps(values).encode()).decode()


def unseal(text: str | None) -> dict[str, Any]:
    """The values behind ``seal``.

    Raises:
        SealBroken: the key has changed or the text was altered.
    """
    if not text:
        return {}
    from cryptography.fernet import InvalidToken

    try:
        opened: dict[str, Any] = json.loads(_box(settings().secret_key).decrypt(text.encode()))
    except InvalidToken as error:
        raise SealBroken from error
    return opened
