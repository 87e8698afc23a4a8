"""Seals secrets with keys that are not in the database.

``seal`` encrypts with AES-256-GCM under a sub-key for the purpose (``store.sealing.subkeys``), with a random nonce of
96 bits. The ``Cell`` is authenticated with it as associated data: a sealed value that is moved to another row, column,
purpose or workspace, or put next to other values, does not open, so an attacker who can write to the database has no
use of it. The text is ``v2.<key id>.<nonce, ciphertext and tag in base64url>``.

Values of the earlier form (Fernet, bound to no place) open until ``TOCSIN_SEALED_OLD`` is ``refuse``;
``tasks.secrets.reseal`` re-seals them. Losing the keys loses the sealed values and nothing else.
"""

import base64
import functools
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from config.errors import Conflict
from config.settings import settings
from store.sealing import subkeys

if TYPE_CHECKING:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12


class SealBroken(Conflict):
    """A sealed value cannot be opened: the key it was sealed with is not set, or it was altered or moved."""

    code = "sealed"


class Cell(NamedTuple):
    """The place of a sealed value; the functions below make it.

    ``context`` is what has to stand next to the value.
    """

    purpose: str
    workspace_id: str
    table: str
    row_id: str
    context: str


def parameters_cell(workspace_id: str, execution_id: str, revision_id: str) -> Cell:
    """The cell of an execution's secret parameters; bound to its revision."""
    return Cell("parameters", workspace_id, "executions", execution_id, revision_id)


def config_cell(workspace_id: str, revision_id: str, destination: str) -> Cell:
    """The cell of the secrets in an action's config.

    They are bound to the revision, and to the ``destination`` to which it sends them.
    """
    return Cell("config", workspace_id, "action_revisions", revision_id, destination)


def document_cell(workspace_id: str, playbook_uid: str) -> Cell:
    """The cell of the document that a playbook was imported from."""
    return Cell("document", workspace_id, "playbook_documents", playbook_uid, "")


def seal(values: dict[str, Any], cell: Cell) -> str | None:
    """The encrypted text of ``values`` for this cell; None for no values.

    So an empty column says that it holds no secret.
    """
    if not values:
        return None
    root, nonce = subkeys.newest(), os.urandom(_NONCE)
    hidden = _box(root, cell.purpose).encrypt(nonce, json.dumps(values).encode(), _bound(cell))
    return subkeys.prefix(root) + base64.urlsafe_b64encode(nonce + hidden).decode()


def unseal(text: str | None, cell: Cell) -> dict[str, Any]:
    """The values behind ``seal``.

    Raises:
        SealBroken: the key is not at hand, or the text was altered, or sealed for another cell.
    """
    if not text:
        return {}
    made = subkeys.split(text)
    opened: dict[str, Any] = json.loads(_opened(*made, cell) if made is not None else _opened_old(text))
    return opened


def is_newest(text: str) -> bool:
    """Whether a text has the newest form, under the first key."""
    return text.startswith(subkeys.prefix(subkeys.newest()))


@functools.lru_cache(maxsize=64)
def _box(root: str, purpose: str) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # six MiB, and many processes never see a secret

    return AESGCM(subkeys.subkey(root, f"seal/{purpose}"))


def _bound(cell: Cell) -> bytes:
    return json.dumps([subkeys.VERSION, *cell]).encode()


def _opened(root: str, said: str, cell: Cell) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        hidden = base64.b64decode(said, altchars=b"-_", validate=True)
        return _box(root, cell.purpose).decrypt(hidden[:_NONCE], hidden[_NONCE:], _bound(cell))
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


@functools.lru_cache(maxsize=64)
def _old_box(root: str) -> "Fernet":
    from cryptography.fernet import Fernet

    digest = hashlib.blake2b(root.encode(), digest_size=32, person=b"tocsin-seal").digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def _opened_old(text: str) -> bytes:
    """The content of a value of the earlier form, under any key."""
    if settings().sealed_old == "refuse" or text.startswith(f"{subkeys.VERSION}."):
        raise SealBroken
    from cryptography.fernet import InvalidToken, MultiFernet

    try:
        return MultiFernet([_old_box(root) for root in settings().secret_keys]).decrypt(text.encode())
    except InvalidToken as error:
        raise SealBroken from error
