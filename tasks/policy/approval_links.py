"""The links by which an approval is decided: made, and known again."""

import functools
from typing import Any
from urllib.parse import quote, urlencode

from config.settings import settings
from gateway.approvals import signing
from gateway.approvals.signing import Key, Link
from store.sealing import subkeys

_PURPOSE, _NAME = "approval links", "approval key id"


def ring() -> tuple[Key, ...]:
    """The keys of links, the signing one first: those of the operator, else from the root keys.

    Where the operator gives some, the root keys still verify what they signed before.
    """
    return _ring(settings().approval_keys, settings().secret_keys)


@functools.lru_cache(maxsize=8)
def _ring(own: tuple[str, ...], roots: tuple[str, ...]) -> tuple[Key, ...]:
    return tuple(Key(subkeys.subkey(root, _NAME).hex()[:8], subkeys.subkey(root, _PURPOSE)) for root in (*own, *roots))


def link_of(row: Any, decision: str, expires_at: int, recipient: str | None) -> Link:
    """The link to one decision about an approval, a row of ``store.gateway.approvals`` or a new one."""
    return Link(
        namespace=row.namespace,
        tenant=row.workspace_id,
        approval_id=row.id,
        decision=decision,
        expires_at=expires_at,
        digest=row.digest,
        recipient=recipient,
    )


def url(row: Any, decision: str, recipient: str | None) -> str:
    """The address at which the recipient decides about an approval."""
    link = link_of(row, decision, -(-row.expires_at // 1000), recipient)
    kid, sig = signing.signed(ring(), link)
    place = "/".join(quote(part, safe="") for part in (row.namespace, row.workspace_id, row.id, decision))
    more = {} if recipient is None else {"recipient": recipient}
    query = urlencode({"sig": sig, "expires_at": link.expires_at, "kid": kid, **more})
    here = settings()
    base = here.public_url or f"http://{here.host}:{here.port}"
    return f"{base}/v1/approvals/{place}?{query}"


def urls(row: Any, recipient: str | None) -> dict[str, str]:
    """Both addresses, as members."""
    return {f"{decision}_url": url(row, decision, recipient) for decision in signing.DECISIONS}
