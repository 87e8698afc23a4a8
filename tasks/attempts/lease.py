"""Leases: the attempts of this process, and the thread renewing them.

In order of time: ``hold`` registers a claimed attempt. While there is one, the keeper thread checks every quarter of a
second whether this process still owns each (a cancel, a time-out or another worker may have taken it) and, every third
of a lease, extends all leases in one statement. An attempt that was taken, or whose lease could not be extended in
time, is *aborted*: its executor sees that and gives up, and the row is handed back or released. An at-most-once attempt
that has begun is carried out to its end whatever the database says: no other worker repeats it, and its outcome can be
written as long as the row has not ended.

If the database goes away in the middle of a claim, the claim may or may not have been committed. Afterwards the keeper
looks for rows that name this process as owner and that it does not hold, and hands them back.

A process that ends closes its keeper: no effect begins after that.
"""

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from config import logs
from config.errors import Unavailable
from config.settings import settings
from event_loop import waiting
from event_loop.waiting import MustNotWaitError
from providers.base import Abandoned
from store.engine import db
from store.engine.db import Row
from store.executions import leases

#: between two checks of the held attempts, seconds
CHECK = 0.25
#: an effect may begin only this long after the last successful check, seconds; a cancel's answer waits longer
#: (``tasks.control.cancel.SETTLE``)
FRESH = 0.5
#: an aborted attempt that still runs after this is stuck; its process ends if it may, seconds
STUCK = 5.0

#: a claim that is not held after this was made in doubt, ms; a later owner must check first
IN_DOUBT = 2_000

log = logs.logger(__name__)


def renewal_ms(timeout_ms: int, lease_ms: int) -> int:
    """The time between two renewals, ms.

    It is short enough to know at an attempt's end whether its worker lived.
    """
    return min(lease_ms // 3, max(500, timeout_ms // 4))


def silent(row: Row, lease_ms: int) -> bool:
    """Whether a running row's worker missed two renewals: it died or froze."""
    return db.now_ms() - (row.renewed_at or 0) > 2 * renewal_ms(row.timeout_ms, lease_ms) + 1_000


def owners_of(pid: int) -> str:
    """The prefix of the owner name of a process of this machine."""
    return f"{socket.gethostname()}:{pid}:"


class HeldLease:
    """One attempt that this process holds."""

    def __init__(
        self, execution_id: str, attempt: int, keeper: "LeaseKeeper", claimed: float, *, repeatable: bool
    ) -> None:
        self.execution_id = execution_id
        self.attempt = attempt
        self.verified = claimed
        #: whether it may be carried out twice
        self.repeatable = repeatable
        #: whether an effect may have begun
        self.begun = False
        self.aborted_at: float | None = None
        self.interrupt: Callable[[], None] | None = None
        #: seconds between two renewals of its lease
        self.renew_every = 0.0
        self._keeper = keeper

    def aborted(self) -> bool:
        """Whether this attempt must stop."""
        return self.aborted_at is not None

    def abort(self) -> None:
        """Have the executor of the attempt stop."""
        if self.aborted_at is None:
            self.aborted_at = time.monotonic()
            if self.interrupt is not None:
                self.interrupt()

    @property
    def safe(self) -> bool:
        """Whether a repetition can do no harm."""
        return self.repeatable or not self.begun

    def still_ours(self) -> None:
        """Check that this process owns the attempt.

        A slow or failed check is repeated.

        Raises:
            Abandoned: it was taken, or no check succeeded for the length of a lease.
            MustNotWaitError: a callback of the event loop asks, and a check is due.
        """
        while self.aborted_at is None and (age := time.monotonic() - self.verified) > FRESH:
            if waiting.must_not_wait():
                raise MustNotWaitError
            if age > self._keeper.lease_ms / 1000:
                self.abort()
            elif not self._keeper.check([self]):
                waiting.sleep(CHECK)
        if self.aborted_at is not None:
            raise Abandoned

    def checkpoint(self) -> None:
        """Call right before an effect.

        Raises:
            Abandoned: the attempt was taken, or no check succeeds.
        """
        self.still_ours()
        self._keeper.begin(self)


class LeaseKeeper:
    """The attempts of one process."""

    def __init__(self) -> None:
        self.owner = f"{owners_of(os.getpid())}{secrets.token_hex(4)}"
        self.lease_ms = settings().lease_seconds * 1000
        self._holds: dict[str, HeldLease] = {}
        #: attempts whose effect may have begun and whose end is not written
        self._begun: set[tuple[str, int]] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._extended, self._away = time.monotonic(), False
        self._doubt, self._doubted = False, 0.0
        self._some = threading.Event()
        threading.Thread(target=self._keep, name="leases", daemon=True).start()

    @contextmanager
    def hold(
        self, execution_id: str, attempt: int, timeout_ms: int, claimed: float, *, repeatable: bool
    ) -> Iterator[HeldLease]:
        """Hold an attempt while the block runs.

        ``claimed`` is the monotonic time of its claim.
        """
        held = HeldLease(execution_id, attempt, self, claimed, repeatable=repeatable)
        held.renew_every = renewal_ms(timeout_ms, self.lease_ms) / 1000
        with self._lock:
            self._holds[execution_id] = held
            self._some.set()
        try:
            yield held
            if not held.aborted():
                with self._lock:
                    self._begun.discard((execution_id, attempt))
        finally:
            with self._lock:
                if self._holds.get(execution_id) is held:  # not a later attempt of the same execution
                    del self._holds[execution_id]
                if not (self._holds or self._doubt):
                    self._some.clear()

    def doubt(self) -> None:
        """Note that the database went away, perhaps during a claim."""
        with self._lock:
            self._doubt = True
            self._some.set()

    def begin(self, hold: HeldLease) -> None:
        """Note that an effect begins.

        Raises:
            Abandoned: this process ends.
        """
        with self._lock:
            if self._closed:
                raise Abandoned
            hold.begun = True
            self._begun.add((hold.execution_id, hold.attempt))

    def close(self) -> None:
        """Let no effect begin any more."""
        with self._lock:
            self._closed = True

    def never_began(self, row: Row) -> bool:
        """Whether this process owns a running row and began no effect."""
        return row.owner == self.owner and (row.id, row.attempt) not in self._begun

    def check(self, holds: list[HeldLease]) -> bool:
        """Abort the attempts that were taken; false if the database is away."""
        if not holds:
            return True
        asked = time.monotonic()
        try:
            with db.read() as connection:
                ours = leases.still_held(connection, self.owner, [hold.execution_id for hold in holds])
        except Unavailable:
            return False
        for hold in holds:
            if (hold.execution_id, hold.attempt) in ours:
                hold.verified = max(asked, hold.verified)
            else:
                hold.abort()
        return True

    def _keep(self) -> None:
        while True:
            if not self._some.wait(timeout=60):
                continue
            time.sleep(CHECK)
            with self._lock:
                holds = list(self._holds.values())
            try:
                self.check([hold for hold in holds if not hold.aborted() and self._age(hold) > CHECK])
                self._renew(holds)
                self._abort_the_lost(holds)
                if self._doubt and time.monotonic() - self._doubted > 1:
                    self._doubted = time.monotonic()
                    self._resolve()
            except Exception:
                log.warning("lease renewal failed", exc_info=True)

    def _resolve(self) -> None:
        """Hand back rows that this process claimed without knowing.

        Recent ones are left for the next time.
        """
        self._doubt = False
        try:
            rows = db.read_one(leases.held_by, [self.owner])
            with self._lock:
                unheld = [row for row in rows if row.id not in self._holds]
            before = db.now_ms() - IN_DOUBT
            for row in unheld:
                if row.renewed_at >= before:
                    self.doubt()
                    continue
                begun = not self.never_began(row)
                if row.idempotent or not begun:
                    with db.write() as connection:
                        leases.hand_back(connection, row.id, self.owner, row.attempt, begun=begun)
                    log.info("execution handed back: its claim was in doubt", execution_id=row.id, attempt=row.attempt)
        except Unavailable:
            self.doubt()
        with self._lock:
            if not (self._holds or self._doubt):
                self._some.clear()

    @staticmethod
    def _age(hold: HeldLease) -> float:
        return time.monotonic() - hold.verified

    def _renew(self, holds: list[HeldLease]) -> None:
        """Extend the leases when they are due.

        After an outage they are extended at the next check.
        """
        now = time.monotonic()
        if now - self._extended <= min((hold.renew_every for hold in holds), default=60):
            return
        extended = self._extend(holds)
        if extended:
            self._extended = now
        elif not self._away:
            log.warning("leases not renewed: database unavailable", executions=len(holds))
        self._away = not extended

    def _extend(self, holds: list[HeldLease]) -> bool:
        """Extend the leases of held attempts; false if the database is away."""
        ids = [hold.execution_id for hold in holds if not hold.aborted()]
        if not ids:
            return True
        try:
            with db.write(single=True) as connection:
                leases.extend(connection, self.owner, ids, self.lease_ms)
        except Unavailable:
            return False
        return True

    def _abort_the_lost(self, holds: list[HeldLease]) -> None:
        for hold in holds:
            if hold.safe and self._age(hold) > self.lease_ms / 1000:
                hold.abort()
            if hold.aborted_at is not None and time.monotonic() - hold.aborted_at > STUCK and hold.interrupt:
                log.error("aborted action does not stop; ending its process", execution_id=hold.execution_id)
                os.kill(os.getpid(), signal.SIGKILL)


_lock = threading.Lock()
_keeper: LeaseKeeper | None = None


def keeper() -> LeaseKeeper:
    """The keeper of this process; a forked child has its own."""
    global _keeper  # noqa: PLW0603 - one per process
    if _keeper is None:
        with _lock:
            if _keeper is None:
                _keeper = LeaseKeeper()
    return _keeper


def _after_fork() -> None:
    """Start a forked child without a keeper.

    A thread that only its parent has may hold the lock.
    """
    global _keeper, _lock
    _keeper, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
