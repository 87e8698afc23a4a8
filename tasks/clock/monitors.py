"""Reports to monitors, such as Flower, what happens to executions.

In order of time: a monitor asks for the events of tasks; once a second tick reads what the audit trail has gained, and
publishes it as Celery's task events (``tasks.clock.task_events``). So monitors show what the database says: steps that
a worker carried out without a message of their own, ends by a person, by a time-out or by recovery, and no message
that found nothing to do. Workers themselves send no events of tasks, raise nothing and do nothing for it.

The position in the trail is kept in Redis, because any control worker may carry out the next tick. Before a monitor
has asked nothing is read. The first one gets the last minute too: it starts at the same time as the work that it shows.
"""

import functools
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from redis.exceptions import RedisError

from config import logs
from store import redis as redis_store
from store import worker_processes
from store.engine import db
from store.executions import changes
from tasks.clock.duty import TimeSlice
from tasks.clock.task_events import events_of
from tasks.messages import canvas, flower_events
from tasks.messages.flower_events import TaskEvent

#: audit rows read at once, and the oldest that the first monitor gets: rows, ms
PAGE = 500
BACKLOG, BACKLOG_MS = 5_000, 60_000
#: how long an id may be missing: its transaction is under way, or was rolled back, ms
MISSING_MS = 30_000
#: a larger gap is none of single transactions: the database was restored, or its sequence was moved
MOST_MISSING = 1_000
#: a report that is this far behind, in rows, starts again: a monitor remembers no more
MOST_BEHIND = 50_000
#: between two looks at the names of processes, seconds
_LOOK_EVERY = 2.0

log = logs.logger(__name__)


@dataclass
class Position:
    """How far the trail was read: the last id, and the ids below it that were missing."""

    last: int
    #: id → when it was first missing, ms
    missing: dict[int, int] = field(default_factory=dict)
    #: rows before this time are not reported, ms
    since: int = 0

    @classmethod
    def of(cls, text: str) -> Self:
        """The position that ``text`` holds."""
        kept = json.loads(text)
        return cls(kept["last"], {int(name): at for name, at in kept["missing"].items()}, kept["since"])

    @property
    def text(self) -> str:
        """Its stored form."""
        return json.dumps(vars(self))

    def pass_over(self, rows: Sequence[Any], now: int) -> None:
        """Move behind rows that were read, and note the ids between them."""
        for row in rows:
            if row.id <= self.last:
                self.missing.pop(row.id, None)
                continue
            if 1 < row.id - self.last <= MOST_MISSING:
                self.missing |= dict.fromkeys(range(self.last + 1, row.id), now)
            self.last = row.id
        self.missing = {name: at for name, at in self.missing.items() if now - at < MISSING_MS}


def report(time_slice: TimeSlice) -> int:
    """Publish what has happened since the last report; returns the audit rows.

    Raises:
        Unavailable: the database is away.
    """
    here = flower_events.wanted()
    if not here:
        return 0
    mine = secrets.token_hex(8)
    try:
        if not redis_store.take_turn(redis_store.MONITORS, mine):
            return 0  # another control worker reports
        try:
            return _report(time_slice, here)
        finally:
            redis_store.end_turn(redis_store.MONITORS, mine)
    except (RedisError, *canvas.BrokerDown) as error:
        log.debug("monitors get no events", reason=str(error))
        return 0


def _report(time_slice: TimeSlice, here: str) -> int:
    kept = redis_store.kept(redis_store.MONITORS)
    if not kept:  # the monitor has a moment to listen
        redis_store.keep(redis_store.MONITORS, _start().text)
        return 0
    position, number, again = _near(Position.of(kept)), 0, True
    while again and not time_slice.is_over():
        rows = _read(position)
        again = sum(row.id > position.last for row in rows) == PAGE
        _publish([row for row in rows if row.at >= position.since], here)
        position.pass_over(rows, db.now_ms())
        redis_store.keep(redis_store.MONITORS, position.text)
        number += len(rows)
    return number


def _start() -> Position:
    latest = db.read_one(changes.latest)
    return Position(max(0, latest - BACKLOG), since=db.now_ms() - BACKLOG_MS)


def _near(position: Position) -> Position:
    """The position, or a new one where it is too far behind, or the trail is another."""
    latest = db.read_one(changes.latest)
    if 0 <= latest - position.last <= MOST_BEHIND:
        return position
    log.warning("monitors miss changes: there were too many", rows=latest - position.last)
    return _start()


def _read(position: Position) -> list[Any]:
    """The rows after a position, the late ones first."""
    late = db.read_one(changes.at, position.missing) if position.missing else []
    return [*late, *db.read_one(changes.after, position.last, PAGE)]


def _publish(rows: Sequence[Any], here: str) -> None:
    begun = {row.execution_id for row in rows if row.event == "execution.running"}
    worker = functools.partial(_names.of, here=here)
    events: list[TaskEvent] = []
    for row in rows:
        try:
            events += events_of(row, worker, begun=row.execution_id in begun)
        except (LookupError, TypeError, ValueError):  # else one odd row would end all reports
            log.warning("change not reported to monitors", audit_id=row.id, exc_info=True)
    flower_events.publish(events)


class _Names:
    """The names of workers by the actors of the audit trail."""

    def __init__(self) -> None:
        self._looked_at = -_LOOK_EVERY
        self._by_process: dict[str, str] = {}
        self._by_queue: dict[tuple[str, str], str] = {}

    def of(self, change: Any, here: str) -> str:
        """The worker that made a change; ``here`` if it was none.

        The processes of a worker's pool have no name of their own: theirs is the one that consumes the queue there.
        """
        machine, _, rest = change.actor.partition(":")
        if not rest:
            return here
        process = f"{machine}:{rest.partition(':')[0]}"
        if process not in self._by_process and time.monotonic() - self._looked_at > _LOOK_EVERY:
            self._looked_at = time.monotonic()
            self._look()
        return self._by_process.get(process) or self._by_queue.get((machine, change.queue)) or here

    def _look(self) -> None:
        living = [(row, row.name.partition("@")[2]) for row in db.read_one(worker_processes.living)]
        self._by_process = {f"{machine}:{row.pid}": row.name for row, machine in living}
        self._by_queue = {(machine, queue): row.name for row, machine in living for queue in row.queues.split(",")}


_names = _Names()
