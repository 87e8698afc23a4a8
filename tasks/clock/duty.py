"""Duties: named functions that a scheduled task carries out.

In order of time: the scheduler sends ``tocsin.tick`` or ``tocsin.upkeep``; the task hands its table of duties to
``carry_out``; one after the other, each duty gets a time slice, commits what it changes, publishes after its commit
and leaves the rest to the next round. A duty that fails is logged with its name and counted, and the next ones still
run; once all have run the task fails. A database that is away ends the round at once, because every other duty
would wait for it too. Nothing interrupts a duty that hangs: its round does not end, the pool fills with such rounds,
and ``worker.watch`` ends the process.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

from config import logs
from config.errors import Unavailable
from tasks.clock.reach import reach

log = logs.logger(__name__)


@dataclass(frozen=True)
class TimeSlice:
    """The time that one duty has in one round.

    It has no limit by default.
    """

    #: the end of the slice, on the monotonic clock; the duty leaves the rest to the next round
    until: float = math.inf
    #: since when this round has waited for the database, on the clock of ``reach``
    since: float = field(default_factory=reach.clock)

    def is_over(self) -> bool:
        """Whether the duty must leave the rest to the next round."""
        return time.monotonic() >= self.until


@dataclass(frozen=True)
class Duty:
    """One line in a table of duties."""

    #: its name in logs and counts
    name: str
    #: handles what is due, and returns the number of rows
    run: Callable[[TimeSlice], int]
    #: its share of one round; a duty without a limit is short by itself
    seconds: float = math.inf
    #: whether the result of a round names its rows; rows that are only reported elsewhere are no work done
    counted: bool = True
    #: it is run only where the round's look finds rows of this name due (``store.gateway.due``)
    if_due: str | None = None


class DutyError(Exception):
    """Some duties of a round have failed.

    The log has the reason of each.
    """


#: how often each duty has failed in this process
failures: Counter[str] = Counter()


def carry_out(duties: Sequence[Duty], look: Callable[[], Container[str]] = frozenset) -> dict[str, int]:
    """Run the duties in order; returns the rows that each counted one handled.

    ``look`` says what is due; it is asked once, before the first duty that depends on it.

    Raises:
        DutyError: some have failed; raised once all have run.
        Unavailable: the database is away; the duties that follow have not run.
    """
    since, done, failed = reach.clock(), {}, []
    due: Container[str] | None = None
    for duty in duties:
        try:
            if duty.if_due is not None:
                due = look() if due is None else due
                if duty.if_due not in due:
                    continue
            rows = duty.run(TimeSlice(time.monotonic() + duty.seconds, since))
            if rows and duty.counted:
                done[duty.name] = rows
        except Unavailable as error:
            log.warning(
                "duty interrupted: database unavailable; the next round continues", duty=duty.name, reason=str(error)
            )
            raise
        except Exception:
            failures[duty.name] += 1
            failed.append(duty.name)
            log.exception("duty failed", duty=duty.name, failures=failures[duty.name])
    if failed:
        raise DutyError(", ".join(failed))
    return done
