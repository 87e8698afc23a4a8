"""Count what has ended, and what became of it, by reading on in the audit trail.

In order of time: an execution ends, and its end is in the trail; tick reads the settled rows behind the mark, looks the
executions up, and adds to the numbers in the transaction that moves the mark. So each end counts once, with any number
of control workers and whenever one is killed; the hot path makes no statement for it. The failures of this process's
duties are added with them.
"""

import json
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from config import logs
from playbooks.states import Kind, Mode
from store import metrics, trail
from store.engine import db, texts
from store.engine.db import Connection
from store.executions import outcomes
from store.executions.transitions import TERMINAL
from store.metrics import Series
from store.trail import Entry
from tasks.clock import duty
from tasks.clock.duty import TimeSlice

READER = "metrics"
#: rows of the trail in one transaction
BITE = 2_000
#: names of actions or playbooks that a workspace has of each kind; those that come later share ``OTHER``
MOST_NAMES = 50
OTHER = "other"

#: upper bounds of the buckets, ms; what is longer is in one more
BOUNDS = {
    "queue_wait": (5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000),
    "run_time": (10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 3_600_000),
}
#: the numbers of records, by origin and outcome
OUTCOMES = "outcomes"
#: what is read of the trail; its details are most of it
_COUNTED = trail.Reading("id", "workspace_id", "event", "subject", "outcome", "origin")
_ENDS = {f"execution.{status}": str(status) for status in TERMINAL}
_LOST = ("worker_lost", "attempts_exhausted")
#: a transaction that stays open for longer holds up the readers of the trail, seconds; how often that is logged
PATIENCE, AGAIN = 2.0, 60.0

log = logs.logger(__name__)


class Held:
    """Notices a transaction that stays open: the readers of the trail wait for it."""

    def __init__(self) -> None:
        self._oldest, self._since, self._told = 0, 0.0, float("-inf")

    def look(self, connection: Connection) -> None:
        """Log who holds the readers up, once a minute."""
        horizon, now = trail.horizon(connection), time.monotonic()
        if horizon is None:
            return
        if horizon.oldest != self._oldest or horizon.oldest == horizon.next:
            self._oldest, self._since, self._told = horizon.oldest, now, float("-inf")
        elif now - self._since > PATIENCE and now - self._told > AGAIN:
            self._told = now
            log.warning(
                "transaction stays open; readers of the audit trail wait for it",
                seconds=round(now - self._since, 1),
                transaction=horizon.oldest,
                holder=trail.holder(connection, horizon.oldest) or "unknown",
            )


#: of this process
held = Held()
#: failures of duties that are added already
_told: Counter[str] = Counter()


def count(time_slice: TimeSlice) -> int:
    """Count what has ended since the mark; returns the number of rows of the trail.

    Raises:
        Unavailable: the database is away; the next round counts.
    """
    with db.read() as connection:
        held.look(connection)
        elsewhere = trail.is_elsewhere(connection)
    if elsewhere:
        with db.write() as connection:
            trail.begin_epoch(connection)
    _add_failures()
    seen = 0
    while rows := _bite():
        seen += rows
        if rows < BITE or time_slice.is_over():
            break
    return seen


def _bite() -> int:
    """Count some rows; returns their number, 0 if there are none or another worker was faster."""
    with db.read() as connection:
        before = trail.mark(connection, READER)
        entries = texts.read(connection, lambda: trail.settled(connection, before, BITE, _COUNTED))
        ended = outcomes.read(connection, [one.row.subject for one in entries if one.row.event in _ENDS])
    if not entries:
        return 0
    numbers = tally(entries, ended)
    with db.write() as connection:
        if not trail.advance(connection, READER, before, entries[-1].position):
            return 0
        metrics.add(connection, _bounded(connection, numbers))
    return len(entries)


def _add_failures() -> None:
    new = duty.failures - _told
    if new:
        with db.write() as connection:
            metrics.add(connection, {Series("duty_failures", labels=(name,)): number for name, number in new.items()})
        _told.update(new)


class _Alike(NamedTuple):
    """What ends have in common that count the same: most of a bite do, so what follows is worked out once for all."""

    workspace_id: str
    status: str
    kind: str
    mode: str
    action_id: str
    attempt: int
    lapses: int
    error: str | None


def tally(entries: Iterable[Entry], ended: dict[str, Any]) -> Counter[Series]:
    """What these rows of the trail add to the numbers."""
    numbers: Counter[Series] = Counter()
    alike: Counter[tuple[Any, ...]] = Counter()  # of tuples: to name the members of each takes longer than to count
    recorded: Counter[tuple[str, ...]] = Counter()
    times = _Times()
    for entry in entries:
        row = entry.row
        if row.outcome is not None:
            recorded[row.origin, row.outcome] += 1
        if row.event == "playbook.not_fired":
            numbers[Series("playbooks_not_started")] += 1
        elif (status := _ENDS.get(row.event)) is not None:
            one = ended.get(row.subject) or _Forgotten(row.subject)
            of_action = one.action_id, one.attempt, one.lapses, one.error
            alike[row.workspace_id, status, one.kind, one.mode, *of_action] += 1
            if one.action_id and one.started_at is not None:
                times.add(one)
    for labels, number in recorded.items():
        numbers[Series(OUTCOMES, labels=labels)] += number
    for group, number in alike.items():
        _end(numbers, _Alike(*group), number)
    times.tell(numbers)
    return numbers


class _Forgotten:
    """An execution that was deleted before it was counted: its id tells its kind."""

    mode, action_id, attempt, lapses, error = Mode.LIVE, "", 0, 0, None
    created_at = started_at = completed_at = None

    def __init__(self, execution_id: str) -> None:
        run = Kind.STEP if "." in execution_id else Kind.PLAYBOOK
        alone = Kind.DISPATCH if execution_id.startswith("disp-") else Kind.ACTION
        self.kind = run if execution_id.startswith("pexec-") else alone


def _end(numbers: Counter[Series], one: _Alike, ends: int) -> None:
    kind = str(one.kind)
    numbers[Series("executions_ended", labels=(kind, one.status, str(one.mode)))] += ends
    if not one.action_id:
        return  # a step that calls no action: it neither waits in a queue nor occupies a worker
    numbers[Series("workspace_executions_ended", one.workspace_id, (kind, one.status, one.action_id))] += ends
    if kind == Kind.PLAYBOOK:
        return
    error = json.loads(one.error) if one.error else {}
    lost = error.get("code") in _LOST
    for name, number in (
        ("attempts", one.attempt),
        ("attempts_lost", one.lapses + lost),
        ("attempts_exhausted", error.get("code") == "attempts_exhausted"),
        ("outcomes_unknown", bool(error.get("outcome_unknown"))),
    ):
        numbers[Series(name, labels=(kind,))] += int(number) * ends


class _Times:
    """How long executions waited and ran: by histogram, kind and bucket, and the sums."""

    def __init__(self) -> None:
        #: histogram, kind, milliseconds → how many: most are alike
        self._counted: Counter[tuple[str, str, int]] = Counter()

    def add(self, one: Any) -> None:
        """Count an execution that was started."""
        started, kind = one.started_at, one.kind
        self._counted["queue_wait", kind, started - one.created_at] += 1
        self._counted["run_time", kind, one.completed_at - started] += 1

    def tell(self, numbers: Counter[Series]) -> None:
        """Add what was counted to the numbers."""
        for (name, kind, took), number in self._counted.items():
            bounds = BOUNDS[name]
            place = bisect_left(bounds, took)
            bucket = str(bounds[place]) if place < len(bounds) else "+Inf"
            numbers[Series(name, labels=(str(kind), bucket))] += number
            numbers[Series(f"{name}_sum", labels=(str(kind),))] += max(0, took) * number  # clocks differ a little


def _bounded(connection: Connection, numbers: Counter[Series]) -> Counter[Series]:
    """The same numbers, with at most ``MOST_NAMES`` names of a kind in each workspace.

    The names that came first stay: if a name left ``OTHER``, that would shrink, which Prometheus takes for a restart.
    """
    named = [series for series in numbers if series.workspace_id]
    places = {series.workspace_id for series in named}
    known = _names(metrics.read(connection, places, "workspace_executions_ended") if places else ())
    bounded: Counter[Series] = Counter(
        {series: number for series, number in numbers.items() if not series.workspace_id}
    )
    for series in sorted(named):
        kind, status, name = series.labels
        names = known.setdefault((series.workspace_id, kind), set())
        if name not in names and len(names - {OTHER}) >= MOST_NAMES:
            name = OTHER
        names.add(name)
        bounded[Series(series.name, series.workspace_id, (kind, status, name))] += numbers[series]
    return bounded


def _names(series: Iterable[Series]) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for one in series:
        found.setdefault((one.workspace_id, one.labels[0]), set()).add(one.labels[2])
    return found


def buckets(name: str, kind: str, numbers: dict[Series, int]) -> Sequence[tuple[str, int]]:
    """A histogram as Prometheus wants it: upper bounds in seconds, each with all that is below."""
    total = 0
    shown: list[tuple[str, int]] = []
    for bound in map(str, BOUNDS[name]):
        total += numbers.get(Series(name, labels=(kind, bound)), 0)
        shown.append((str(int(bound) / 1000), total))
    return [*shown, ("+Inf", total + numbers.get(Series(name, labels=(kind, "+Inf")), 0))]
