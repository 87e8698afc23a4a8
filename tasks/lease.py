"""What this process holds, and the thread that keeps it held.

``hold`` registers a claimed attempt. While there is one, the keeper thread looks every quarter of a second
whether each is still ours (a cancel, a time-out or another worker may have taken it) and, every third of a
lease, extends the leases of all in one statement. An attempt that is no longer ours, or whose lease could not
be extended in time, is *aborted*: its executor sees that and gives up, and the row is let go.
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
from providers.base import Abandoned
from store import db, leases
from store.db import Row

#: how often held attempts are looked at, seconds
LOOK = 0.25
#: an effect may start only this long after the attempt was last seen to be ours, seconds; a cancel's answer waits
#: longer than that (``tasks.control.SETTLE``)
FRESH = 0.5
#: an aborted attempt that still runs after this is stuck; its process ends, if it is one that may, seconds
STUCK = 5.0

log = logs.logger(__name__)


def renewal_ms(timeout_ms: int, lease_ms: int) -> int:
    """The time between two renewals: short enough to tell at an attempt's end whether its worker lived, ms."""
    return min(lease_ms // 3, max(500, timeout_ms // 4))


def silent(row: Row, lease_ms: int) -> bool:
    """Whether the worker of a running row was not heard of for two renewals: it died or froze."""
    return db.now_ms() - (row.renewed_at or 0) > 2 * renewal_ms(row.timeout_ms, lease_ms) + 1_000


class Hold:
    """One attempt in hand."""

    def __init__(self, execution_id: str, attempt: int, keeper: "Keeper", claimed: float) -> None:
        self.execution_id = execution_id
        self.attempt = attempt
        self.verified = claimed
        self.aborted_at: float | None = None
        self.interrupt: Callable[[], None] | None = None
        #: seconds between two renewals of its lease
        self.renew_every = 0.0
        self._keeper = keeper

    def aborted(self) -> bool:
        """Whether this attempt must stop."""
        return self.aborted_at is not None

    def abort(self) -> None:
        """Take the attempt out of its executor's hands."""
        if self.aborted_at is None:
            self.aborted_at = time.monotonic()
            if self.interrupt is not None:
                self.interrupt()

    def checkpoint(self) -> None:
        """Call right before an effect.

        Raises:
            Abandoned: the attempt is not ours any more, or nobody can say.
        """
        if self.aborted_at is None and time.monotonic() - self.verified > FRESH:
            self._keeper.look([self])
        if self.aborted_at is not None or time.monotonic() - self.verified > FRESH:
            raise Abandoned


class Keeper:
    """The attempts of one process."""

    def __init__(self) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self.lease_ms = settings().lease_seconds * 1000
        self._holds: dict[str, Hold] = {}
        self._lock = threading.Lock()
        self._some = threading.Event()
        threading.Thread(target=self._keep, name="leases", daemon=True).start()

    @contextmanager
    def hold(self, execution_id: str, attempt: int, timeout_ms: int, claimed: float) -> Iterator[Hold]:
        """Keep an attempt while the block runs; ``claimed`` is the monotonic time at which its claim began."""
        held = Hold(execution_id, attempt, self, claimed)
        held.renew_every = renewal_ms(timeout_ms, self.lease_ms) / 1000
        with self._lock:
            self._holds[execution_id] = held
            self._some.set()
        try:
            yield held
        finally:
            with self._lock:
                if self._holds.get(execution_id) is held:  # not a later attempt that came here again
                    del self._holds[execution_id]
                if not self._holds:
                    self._some.clear()

    def look(self, holds: list[Hold]) -> None:
        """See which attempts are still ours; abort the others."""
        if not holds:
            return
        asked = time.monotonic()
        try:
            with db.read() as connection:
                ours = leases.still_held(connection, self.owner, [hold.execution_id for hold in holds])
        except Unavailable:
            return
        for hold in holds:
            if (hold.execution_id, hold.attempt) in ours:
                hold.verified = asked
            else:
                hold.abort()

    def _keep(self) -> None:
        extended = time.monotonic()
        while True:
            if not self._some.wait(timeout=60):
                continue
            time.sleep(LOOK)
            with self._lock:
                holds = list(self._holds.values())
            try:
                self.look([hold for hold in holds if not hold.aborted() and self._age(hold) > LOOK])
                if time.monotonic() - extended > min((hold.renew_every for hold in holds), default=60):
                    self._extend(holds)
                    extended = time.monotonic()
                self._abort_the_lost(holds)
            except Exception:
                log.warning("lease keeper failed", exc_info=True)

    @staticmethod
    def _age(hold: Hold) -> float:
        return time.monotonic() - hold.verified

    def _extend(self, holds: list[Hold]) -> None:
        ids = [hold.execution_id for hold in holds if not hold.aborted()]
        if not ids:
            return
        try:
            with db.write(single=True) as connection:
                leases.extend(connection, self.owner, ids, self.lease_ms)
        except Unavailable:
            log.warning("leases could not be extended", executions=len(ids))

    def _abort_the_lost(self, holds: list[Hold]) -> None:
        for hold in holds:
            if self._age(hold) > self.lease_ms / 1000:
                hold.abort()
            if hold.aborted_at is not None and time.monotonic() - hold.aborted_at > STUCK and hold.interrupt:
                log.error("an aborted action does not stop; ending its process", execution_id=hold.execution_id)
                os.kill(os.getpid(), signal.SIGKILL)


_lock = threading.Lock()
_keeper: Keeper | None = None


def keeper() -> Keeper:
    """The keeper of this process; a forked child has its own."""
    global _keeper  # noqa: PLW0603 - one per process
    if _keeper is None:
        with _lock:
            if _keeper is None:
                _keeper = Keeper()
    return _keeper


def _after_fork() -> None:
    """A child keeps nothing of its parent's, and its lock may be held by a thread that the child has not."""
    global _keeper, _lock
    _keeper, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
