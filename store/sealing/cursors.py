"""Cursors: signed positions in lists.

A cursor says behind which item a list goes on. It is signed together with the name of the list that it belongs to, so
that a cursor of another list, or one that was made up, is refused. It holds nothing that the item itself does not show.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from config.settings import settings
from store.sealing import subkeys

_PURPOSE, _MAC_BYTES = "cursor", 12


def cursor(position: Sequence[Any], of: str) -> str:
    """The cursor of a position in the list of this name."""
    said = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(subkeys.newest(), said, of) + said).decode().rstrip("=")


def position(text: str, of: str) -> tuple[Any, ...] | None:
    """The position that a cursor of the list of this name holds; None for any other text."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    mac, said = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(root, said, of)) for root in settings().secret_keys):
        return None
    return tuple(json.loads(said))


def _mac(root: str, said: bytes, of: str) -> bytes:
    key = subkeys.subkey(root, _PURPOSE)
    return hmac.digest(key, of.encode() + b"\0" + said, hashlib.sha256)[:_MAC_BYTES]
