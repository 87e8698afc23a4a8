"""Summaries: what tells of a group, as dispatches of its tenant with the origin ``group``.

In order of time: windows are claimed, which closes them, so that their members are fixed; what they have gathered is
read, and a summary of each is prepared outside of any transaction, where providers are looked up and the rules are
asked; then, in one transaction, the windows are locked, and of those that no other process has notified meanwhile the
summaries are accepted like any other dispatch and the windows noted as notified. A summary that cannot be prepared
keeps its window, which notes why and is due again, after pauses that double.
"""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from config import logs
from config.errors import CallerError
from config.settings import settings
from config.times import stamp
from gateway import current, grouping
from gateway.grouping import Summary
from gateway.requests import Dispatch
from gateway.verdicts import Group
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.engine.rest import Rests
from store.gateway import groups
from store.records import groups as gathered
from tasks.intake.dispatches import batch as batches
from tasks.intake.dispatches.batch import Batch, Taken
from tasks.intake.dispatches.rows import Asked, system
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: how long a claimed window is left to the process that has claimed it, ms
LEASE = 15_000
#: windows that are flushed one by one within a time, seconds; those beyond wait so long for each other
FEW, LATELY, MOMENT = 10, 1.0, 0.5
#: before a summary that could not be made is tried again, ms: doubled each time, up to the longest
SOONEST, LONGEST = 5_000, 600_000

log = logs.logger(__name__)


class Flushed(NamedTuple):
    """What became of a window.

    ``summary`` is None where another process has made it; ``refusal`` says why there is no summary yet.
    """

    summary: Taken | None = None
    refusal: CallerError | None = None


def flush_due(*, limit: int, ids: Sequence[str] | None = None, rests: Rests | None = None) -> int:
    """Flush windows that are due, of all or of ``ids``; returns how many were.

    ``rests`` are those between this bite and its neighbours.

    Raises:
        Unavailable: the database is away.
    """
    rows = db.change(lambda connection: groups.claim(connection, limit=limit, lease=LEASE, ids=ids))
    flush(rows, rests=rests)
    return len(rows)


def flush_soon(ids: Sequence[str]) -> None:
    """Flush windows that were closed just now, at once or together with others; what does not succeed tick does."""
    _try_now(ids, lambda: flush_due(limit=len(ids), ids=ids) if _closed.join(ids) else None)


def _try_now(ids: Sequence[str], flushing: Callable[[], object]) -> None:
    try:
        flushing()
    except Exception as error:  # noqa: BLE001 - what has joined them is accepted, and answered so
        log.warning("groups not flushed at once; tick does it", groups=len(ids), reason=str(error))


class _Closed:
    """Windows that are closed in quick succession wait a moment for each other: a summary alone costs a multiple."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[str] = []
        #: when the last windows were closed
        self._lately: deque[float] = deque(maxlen=FEW)

    def join(self, ids: Sequence[str]) -> bool:
        """Whether few were closed lately, so that these are to be flushed at once; else they are, in a moment."""
        now = time.monotonic()
        with self._lock:
            few = len(self._lately) < FEW or now - self._lately[0] > LATELY
            self._lately.append(now)
            if few:
                return True
            self._waiting += ids
            is_first = len(self._waiting) == len(ids)
        if is_first:
            threading.Thread(target=self._flush, name="summaries", daemon=True).start()
        return False

    def _flush(self) -> None:
        time.sleep(MOMENT)
        with self._lock:
            ids, self._waiting = self._waiting, []
        _try_now(ids, lambda: flush_due(limit=len(ids), ids=ids))


_closed = _Closed()


def flush(rows: Sequence[Row], actor: str = audit.SYSTEM, rests: Rests | None = None) -> dict[str, Flushed]:
    """Accept the summaries of claimed windows; what became of each.

    Raises:
        Unavailable: the database is away; what was not notified is due again.
    """
    if not rows:
        return {}
    made = _summaries([row for row in rows if row.state == groups.CLOSED]) | _summaries_again(rows)
    asked = [_asked(row, made[row.id]) for row in rows if row.id in made]
    left = [row for row in rows if row.id in made]
    batch = Batch(asked)
    batches.prepare(batch)
    found: dict[str, Flushed] = {}
    for place, row in enumerate(left):
        refusal = batch.results.get(place)
        if isinstance(refusal, CallerError):
            found[row.id] = Flushed(refusal=refusal)
            _try_later(row, refusal)
    rests = rests or Rests()
    began = rests.before_bite()
    taken, messages = db.change(lambda connection: _accepted(connection, left, batch, actor))
    rests.bitten(began)
    if messages:
        publisher.publish_after_commit(*messages)
    return {row.id: found.get(row.id) or Flushed(summary=taken.get(row.id)) for row in left}


def _accepted(
    connection: Connection, rows: Sequence[Row], batch: Batch, actor: str
) -> tuple[dict[str, Taken], list[Canvas]]:
    """Accept the summaries of those windows that are as they were found."""
    now = groups.locked(connection, [rows[place].id for place in batch.ready])
    mine = {place: ready for place, ready in batch.ready.items() if _is_as_found(rows[place], now.get(rows[place].id))}
    own = replace(batch, results={}, ready=mine)
    messages = batches.write(connection, own)
    taken = {rows[place].id: result for place, result in own.results.items() if isinstance(result, Taken)}
    sent = [(row, taken[row.id].subject) for row in rows if row.id in taken]
    groups.notified(connection, sent)
    if sent:
        audit.record_all(connection, [_entry(row, subject, actor) for row, subject in sent])
    return taken, messages


def _is_as_found(row: Row, now: Row | None) -> bool:
    """Whether nothing has become of a claimed window meanwhile: a summary by another process, or its end."""
    return now is not None and now.summaries == row.summaries and now.due_at is not None


def _entry(row: Row, summary: str, actor: str) -> Mapping[str, Any]:
    said = {"rule": row.rule, "size": row.size, "summary": summary, "closed_by": row.closed_by}
    again = {"repeat": row.summaries} if row.summaries else {}
    return audit.entry(row.workspace_id, actor, "group.flushed", row.id, **said, **again)


def _asked(row: Row, summary: Summary) -> Asked:
    labels = {**summary.labels, "group": row.id, "rule": row.rule}
    return Asked(
        caller=system(row.workspace_id),
        dispatch=Dispatch(
            namespace=row.namespace,
            tenant=row.workspace_id,
            provider=row.provider,
            action_type=grouping.ACTION_TYPE,
            payload=grouping.payload(summary),
            labels=labels,
        ),
        origin="group",
    )


def _try_later(row: Row, refusal: CallerError) -> None:
    if refusal.retryable:  # the database is away
        raise refusal
    pause = min(LONGEST, int(SOONEST * 2 ** min(row.tries, 20)))
    log.warning("group not flushed; trying again", group=row.id, reason=str(refusal))
    with db.write() as connection:
        groups.postpone(connection, row.id, at=db.now_ms() + pause, error=str(refusal))


# what a summary says


def _summaries(rows: Sequence[Row]) -> dict[str, Summary]:
    """The summaries of windows that were closed."""
    if not rows:
        return {}
    ids = [row.id for row in rows]
    with db.read() as connection:
        counts = gathered.counts(connection, ids)
        most = {"number": grouping.MOST_SHOWN, "most": grouping.MOST_OF_ONE}
        shown = gathered.first_members(connection, ids, **most)
    counted: dict[str, list[Row]] = {}
    events: dict[str, list[Row]] = {}
    for row in counts:
        counted.setdefault(row.group_id, []).append(row)
    for row in shown:
        events.setdefault(row.group_id, []).append(row)
    return {row.id: _of(row, counted.get(row.id, []), events.get(row.id, [])) for row in rows}


def _of(row: Row, counted: Sequence[Any], events: Sequence[Any]) -> Summary:
    statuses: Counter[str | None] = Counter()
    severities: Counter[str | None] = Counter()
    resolved = 0
    for one in counted:
        statuses[one.status] += one.number
        severities[one.severity] += one.number
        resolved += one.number if one.resolved else 0
    moments = [one.first_at for one in counted] + [one.last_at for one in counted]
    here = settings()
    base = here.public_url or f"http://{here.host}:{here.port}"
    return Summary(
        group_id=row.id,
        group_key=row.group_key,
        rule=row.rule,
        namespace=row.namespace,
        tenant=row.workspace_id,
        labels=json.loads(row.labels),
        size=sum(statuses.values()),
        first_at=stamp(min(moments, default=row.created_at)),
        last_at=stamp(max(moments, default=row.created_at)),
        url=f"{base}/v1/groups/{row.id}",
        template=row.template,
        repeat=row.summaries,
        events=[(event_of(one), len(one.body or "")) for one in events],
        resolved=resolved,
        by_status=grouping.words(statuses),
        by_severity=grouping.words(severities),
    )


def event_of(member: Row) -> dict[str, Any]:
    """A member as summaries and the API show it."""
    return {
        "id": member.given_id or member.subject,
        "provider": member.provider,
        "action_type": member.action_type,
        "status": member.status,
        "resolved": bool(member.resolved),
        "fingerprint": member.fingerprint,
        "severity": member.severity,
        "received_at": stamp(member.at),
        "payload": json.loads(member.body) if member.body is not None else None,
    }


def _summaries_again(rows: Sequence[Row]) -> dict[str, Summary]:
    """The repeated summaries of windows; those of which nothing is left are not looked at any more."""
    found = {}
    for row in rows:
        if row.state != groups.NOTIFIED:
            continue
        again = _still_fires(row) if _is_in_force(row) else None
        if again is None:
            with db.write() as connection:
                groups.end(connection, row.id)
        else:
            found[row.id] = again
    return found


def _is_in_force(row: Row) -> bool:
    """Whether the rule of a group gathers still: it was not removed, disabled or changed into another one."""
    rules = current.current().ruleset
    rule = rules.named(row.rule)
    return rule is not None and rules.enabled[rule.name] and not rule.shadow and isinstance(rule.effect, Group)


def _still_fires(row: Row) -> Summary | None:
    """What is not resolved of a group whose newest window this is.

    What has no fingerprint cannot be resolved, and stands in one summary.
    """
    with db.read() as connection:
        if gathered.newest(connection, row.group_key) != row.id:
            return None
        members = gathered.last_members(connection, row.group_key, most=grouping.MOST_OF_ONE)
    last: dict[str, Row] = {}
    for member in members:
        if member.fingerprint is not None:
            last.setdefault(member.fingerprint, member)
    firing = [member for member in last.values() if not member.resolved]
    if not firing:
        return None
    return _of(row, [_One(one.status, one.severity, one.at, one.at) for one in firing], firing[: grouping.MOST_SHOWN])


class _One(NamedTuple):
    """One member, counted."""

    status: str | None
    severity: str | None
    first_at: int
    last_at: int
    resolved: bool = False
    number: int = 1
