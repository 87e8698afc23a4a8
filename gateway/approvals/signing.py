"""Signatures of links that decide: HMAC-SHA256 over all that such a link stands for.

Each part is preceded by its length, so that no two links have the same text. The keys are an ordered ring: the first
one signs, all of them verify, and a link names its key by ``kid``. Verifying takes the same time for right and wrong
signatures, and whichever key has made them.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

APPROVE, REJECT = "approve", "reject"
DECISIONS = (APPROVE, REJECT)
_PURPOSE = b"tocsin approval link 1"


class Key(NamedTuple):
    """A key of the ring, and its public name."""

    kid: str
    secret: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link stands for: one decision about one approval, until a time (seconds since 1970)."""

    namespace: str
    tenant: str
    approval_id: str
    decision: str
    expires_at: int
    digest: str
    #: whose vote it is; None for any holder's
    recipient: str | None = None

    def text(self) -> bytes:
        """The text that is signed."""
        parts = [self.namespace, self.tenant, self.approval_id, self.decision, str(self.expires_at), self.digest]
        if self.recipient is not None:
            parts.append(self.recipient)
        encoded = [_PURPOSE, *(part.encode(errors="surrogatepass") for part in parts)]
        return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)


def signed(ring: Sequence[Key], link: Link) -> tuple[str, str]:
    """The ``kid`` and the ``sig`` of a link, by the first key."""
    first = ring[0]
    return first.kid, _hexadecimal(first, link.text())


def is_right(ring: Sequence[Key], link: Link, sig: str, kid: str | None) -> bool:
    """Whether a key of the ring has signed the link: the one that it names, if it names one."""
    text, shown, found = link.text(), sig.encode(errors="surrogatepass"), False
    for key in ring:
        same = hmac.compare_digest(_hexadecimal(key, text).encode(), shown)
        found |= same and kid in (None, key.kid)
    return found


def _hexadecimal(key: Key, text: bytes) -> str:
    return hmac.new(key.secret, text, "sha256").hexdigest()
