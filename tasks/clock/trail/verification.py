"""Check the sealed trail for a caller: the rows that it covers, of a period, in slices.

The first slice is short and read like a list; those behind it take helper processes (``tasks.offload``), so that the
process serves other requests meanwhile. A trail that takes longer than ``LONGEST`` is checked in several requests, each
of which goes on where the last one ended.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.grants import Grant, allows
from store.blocks import checking, seals
from store.blocks.findings import Counts, Progress, Want
from store.engine import db
from store.engine.db import Connection
from tasks.offload import pool

#: the rows of the first slice, and its seals: each takes a signature, 0.3 ms
FEW, FEW_SEALS = 1_000, 20
#: for how long one request checks, seconds
LONGEST = 20.0

#: how a function of a connection is called while other requests go on
Read = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a caller wants to have checked."""

    grants: tuple[Grant, ...]
    tenant: str | None = None
    namespace: str | None = None
    #: the period, ms
    since: int | None = None
    until: int | None = None
    #: what an earlier request has come to
    done: Progress | None = None
    #: number and hash of a seal that was anchored elsewhere
    anchor: tuple[int, str] | None = None

    @property
    def covers_all(self) -> bool:
        """Whether the caller may know of every row."""
        return any(grant.only_tenants and not grant.exact and "*" in grant.tenants for grant in self.grants)

    def want(self) -> Want:
        """The same for the store."""
        return Want(since=self.since, until=self.until, counts=self._counts())

    def _counts(self) -> Counts | None:
        if self.covers_all and self.tenant is None and self.namespace is None:
            return None

        def counts(tenant: str, namespace: str | None, provider: str | None, action: str | None) -> bool:
            named = self.tenant in (None, tenant) and self.namespace in (None, namespace)
            return named and self.covers(tenant, namespace, provider, action)

        return counts

    def covers(self, tenant: str, namespace: str | None, provider: str | None, action: str | None) -> bool:
        """Whether the caller may know of a row; one that is no record only with a grant over all of its tenant."""
        return allows(self.grants, tenant, namespace or "", provider or "", action or "")


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a check has found so far."""

    done: Progress
    #: settled rows that wait for their seal
    unsealed: int
    #: the newest seal
    newest: Any


def verify(asked: Asked, read: Read) -> Verified:
    """Check the trail until its end, or for as long as one request may.

    Raises:
        Unavailable: the database is away. Busy: too many checks are made.
    """
    until, want = time.monotonic() + LONGEST, asked.want()
    done = asked.done or Progress(number=read(_start, asked.since))
    done = read(checking.check, done, want, FEW, FEW_SEALS)
    while not done.ended and time.monotonic() < until:
        done = pool.run(_slice, done, asked)
    if done.ended and asked.anchor is not None:
        read(checking.check_anchor, done, *asked.anchor)
    return Verified(done=done, unsealed=read(checking.unsealed, want), newest=read(seals.newest))


def _start(connection: Connection, since: int | None) -> int:
    """The number of the seal before the first that may have rows of the period."""
    if since is None:
        return 0
    number = seals.first_since(connection, since) - 1
    before = seals.numbered(connection, number)
    # one that says when its rows were written as it was sealed; else seals are passed over that are not as they were
    is_right = before is not None and seals.is_sound(before) and before.highest_at < since
    return number if is_right else 0


def _slice(done: Progress, asked: Asked) -> Progress:
    """Check one slice, in a helper process."""
    with db.read() as connection:
        return checking.check(connection, done, asked.want())
