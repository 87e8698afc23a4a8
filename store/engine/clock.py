"""The present time on which all processes agree.

They have to agree because one process compares the leases, delays and expiries that another has set.

On SQLite there is one machine, and its clock is the present. On PostgreSQL the database's clock is: a process asks for
it when it first uses the database and every few seconds of use, takes half the round trip off, and counts on from there
by the monotonic clock. So machines whose clocks differ, or are set while they work, agree all the same. The difference
of this machine's clock is reported, because the outside world still sees that clock: in the times of logs, in
signatures and in messages of Celery.
"""

import time

from config import logs

#: how long an answer is valid, ns
GOOD_FOR = 4_000_000_000
#: the wall clock moved against the monotonic one by more than this: it was set, or the machine was suspended, ns
MOVED = 1_000_000_000
#: a difference above this is logged as a warning, ms, and how often, seconds
WARN_ABOVE, WARN_EVERY = 2_000, 60.0

log = logs.logger(__name__)

#: added to the monotonic clock it gives the present, ns since 1970; None: the wall clock is the present
_anchor: int | None = None
_ask_at = -(1 << 63)
_gap = 0
_warned = float("-inf")


def now_ms() -> int:
    """The present in milliseconds since 1970, UTC: every time column's unit."""
    return (time.time_ns() if _anchor is None else time.monotonic_ns() + _anchor) // 1_000_000


def stale() -> bool:
    """Whether the database should be asked for its time."""
    monotonic = time.monotonic_ns()
    return monotonic > _ask_at or abs(time.time_ns() - monotonic - _gap) > MOVED


def learn(asked: int, theirs: int, answered: int) -> None:
    """Take over the database's time ``theirs``, ns since 1970.

    ``asked`` and ``answered`` are the monotonic times before and after the query (ns). The present estimate changes
    only as far as it contradicts the answer, so that slow answers do no harm.
    """
    global _anchor, _ask_at, _gap  # noqa: PLW0603 - one present per process
    lowest, highest = theirs - answered, theirs - asked
    _anchor = (lowest + highest) // 2 if _anchor is None else min(max(_anchor, lowest), highest)
    _ask_at, _gap = answered + GOOD_FOR, _between()
    _warn()


def at_least(moment: int) -> None:
    """Let the present be no earlier than ``moment``, ms, from another process.

    Two estimates of the database's time differ by milliseconds, more after a slow answer. What a row causes comes
    after it all the same. A moment further ahead is no matter of estimates.
    """
    global _anchor  # noqa: PLW0603
    if _anchor is not None:
        ahead = moment * 1_000_000 - time.monotonic_ns() - _anchor
        _anchor += ahead if 0 < ahead < MOVED else 0


def forget() -> None:
    """Use the wall clock again, until the database has been asked."""
    global _anchor, _ask_at
    _anchor, _ask_at = None, -(1 << 63)


def skew_ms() -> int | None:
    """How far this machine's wall clock is ahead of the present, ms.

    None where the wall clock is the present.
    """
    return None if _anchor is None else (_between() - _anchor) // 1_000_000


def _between() -> int:
    """The wall clock minus the monotonic one, ns.

    Both are read again if the machine was suspended between the two readings.
    """
    for _ in range(10):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if after - before < 10_000_000:  # noqa: PLR2004 - 10 ms
            break
    return wall - before


def _warn() -> None:
    global _warned  # noqa: PLW0603
    skew, now = skew_ms() or 0, time.monotonic()
    if abs(skew) > WARN_ABOVE and now - _warned > WARN_EVERY:
        _warned = now
        log.warning(
            "clock of this machine differs from the database's; the database's counts", ahead_seconds=skew / 1000
        )
