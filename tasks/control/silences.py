"""What operators do to silences: make, change and end them.

Each change is one transaction, which also makes it part of the edition that processes decide by; it is answered when
every living process obeys. What an ended silence holds goes out with the next ticks, in its order.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.errors import CallerError, Conflict, InvalidRequest, NotFound, Problem
from config.settings import settings
from gateway.facts import Facts
from gateway.grants import ANY, Grant
from gateway.silences import matchers, written
from gateway.silences.in_force import BEYOND, DROP, RELEASE, SUMMARISE, Silence
from gateway.silences.periods import Times
from store import audit
from store.engine import db
from store.engine.db import Connection, Row
from store.gateway import configurations, silences
from store.records import held
from store.records import silences as found_silences
from tasks.definitions import provided
from tasks.generations import changes
from tasks.generations.changes import Author

#: silences that have not ended, of all tenants
MOST = 5_000
#: how far back a preview looks, ms; records that it reads, and kinds that it names
DAY, MOST_PREVIEWED, MOST_KINDS = 86_400_000, 2_000, 50
#: how long a preview compares records, seconds: twenty patterns over all payloads would take the process for longer
PREVIEWED_FOR = 0.5
#: until what was decided before an end is written down, ms
SETTLED = 2_000


def create(
    given: Mapping[str, Any],
    author: Author,
    *,
    tenant: str,
    exact: bool,
    alongside: Callable[[Connection, str], None],
) -> tuple[Row, str]:
    """Make a silence, and write more ``alongside`` it by its id; its row, and which processes have it.

    Raises:
        InvalidRequest: its faults. Conflict: there are too many. Unavailable.
    """
    values = _values(given, tenant, author)
    new = {"id": silences.new_id(), "workspace_id": tenant, "exact": exact, "author": author.actor, **values}
    new["author_workspace"] = author.workspace_id

    def write(connection: Connection) -> tuple[Row, int]:
        configurations.begin(connection)
        root = silences.root_of(tenant)  # its children count for it: there may be any number of them
        _refuse_too_many(*silences.live(connection, root), root)
        row = silences.add(connection, {**new, "next_at": next_at(_Row(new), db.now_ms())})
        _audit(connection, author, "silence.created", row)
        alongside(connection, row.id)
        return row, configurations.end(connection)

    return _announced(write)


def _refuse_too_many(of_all: int, of_root: int, root: str) -> None:
    most = settings().tenant_silences
    if of_root >= most:
        whose = "that concern all tenants" if root == ANY else f"of the tenant {root!r} and its children"
        text = f"There are {most:,} silences {whose} that have not ended, as many as it may have: end some first."
        raise Conflict(text, code="too_many_silences")
    if of_all >= MOST:
        text = f"There are {MOST:,} silences of all tenants that have not ended: end some first."
        raise Conflict(text, code="too_many_silences")


def change(silence_id: str, given: Mapping[str, Any], author: Author) -> tuple[Row, str]:
    """Change a silence that has not ended; its row, and which processes have it.

    Raises:
        InvalidRequest: its faults. Conflict: it has ended. NotFound. Unavailable.
    """
    before = _read(silence_id)
    if given.get("starts_at") is None:
        given = {**given, "starts_at": _moment(before.starts_at)}
    values = _values(given, before.workspace_id, author, before.author_workspace)

    def write(connection: Connection) -> tuple[Row, int]:
        configurations.begin(connection)
        row = _live(silences.locked(connection, silence_id), silence_id)
        now = db.now_ms()
        new = {**values, "reminded": False, "tries": 0, "notice_error": None, "next_at": next_at(_Row(values), now)}
        period = times_of(_Row(values)).period(now)
        goes_on = period.active and row.held_until > now  # what is held already, and what will be, is one order
        new |= {"held_until": period.ends} if goes_on else {"held": 0, "held_until": 0}
        row = silences.change(connection, silence_id, new)
        held.move(connection, silence_id, period.ends if period.active else now)
        _audit(connection, author, "silence.changed", row)
        return row, configurations.end(connection)

    return _announced(write)


def end(silence_id: str, author: Author) -> tuple[Row, str]:
    """End a silence; its row, and which processes have it. One that has ended stays as it is.

    Raises:
        NotFound: as it is. Unavailable.
    """

    def write(connection: Connection) -> tuple[Row, int]:
        standing = configurations.begin(connection)
        row, now = silences.locked(connection, silence_id), db.now_ms()
        if row is None:
            raise NotFound(f"There is no silence {silence_id!r}.")
        if row.ended_at is not None:
            return row, standing.edition
        ended = {"ended_at": now, "ended_by": author.actor, "next_at": now + SETTLED, "tries": 0, "notice_error": None}
        row = silences.change(connection, silence_id, ended)
        held.move(connection, silence_id, now)
        _audit(connection, author, "silence.ended", row)
        return row, configurations.end(connection)

    return _announced(write)


@dataclass(frozen=True)
class Preview:
    """How many of the last day's executions a silence would have kept back.

    ``looked_at`` of them, the newest, were compared; ``complete`` says that these are all.
    """

    matched: int
    looked_at: int
    complete: bool
    kinds: list[dict[str, Any]]


def preview(given: Mapping[str, Any], *, tenant: str, exact: bool) -> Preview:
    """What a silence would have kept back of what went out in the last day.

    A window counts as open when it would have been; any other silence as active all day.

    Raises:
        InvalidRequest: its faults. Unavailable.
    """
    problems = written.check_matching(given, tenant)
    if problems:
        raise InvalidRequest("The silence cannot be used.", problems=problems)
    this = Silence(
        id_="",
        version=0,
        tenant=tenant,
        exact=exact,
        matchers_=matchers.normal(given["matchers"]),
        after=DROP,
        comment="",
        starts_at=0,
        cron=given.get("cron"),
        timezone=given.get("timezone") or "UTC",
        duration_ms=(given.get("duration_minutes") or 0) * 60_000,
    )
    covered = (Grant(tenants=(tenant,), exact=exact),)
    with db.read() as connection:
        rows = found_silences.went_out(connection, covered, db.now_ms() - DAY, MOST_PREVIEWED)
    compared = [(row, _is_matched(this, row)) for row in _in_time(rows)]
    found = Counter((row.provider or "", row.action_type or "") for row, matched in compared if matched)
    kinds = [
        {"provider": provider, "action_type": action_type, "count": count}
        for (provider, action_type), count in found.most_common(MOST_KINDS)
    ]
    return Preview(found.total(), len(compared), len(compared) == len(rows) < MOST_PREVIEWED, kinds)


def _in_time(rows: Iterable[Any]) -> Iterator[Any]:
    """As many of the rows as ``PREVIEWED_FOR`` allows, and one."""
    until = time.monotonic() + PREVIEWED_FOR
    for row in rows:
        yield row
        if time.monotonic() > until:
            return


def _is_matched(this: Silence, row: Any) -> bool:
    """Whether a silence would have kept back what a record is of."""
    named = (row.origin, row.namespace, row.workspace_id, row.provider, row.action_type)
    origin, namespace, tenant, provider, action_type = (str(one or "") for one in named)
    key = (origin, namespace, tenant, provider, action_type)
    at = row.at if row.began_at is None else row.began_at
    if row.origin in BEYOND or not this.concerns(key) or this.active_until(at) is None:
        return False
    gate, values = json.loads(row.gate or "{}"), json.loads(row.input or "{}")
    sent = "payload" in values and row.origin not in ("trigger", "step")
    labels = {"target": row.target, **(gate.get("labels") or {})}
    more: dict[str, Any] = {
        name: gate.get(name) for name in ("status", "fingerprint", "dedup_key", "starts_at", "ends_at")
    }
    payload = values["payload"] if sent else values
    return this.matches(Facts(*key, at, payload, labels, id=row.given_id, caller=row.caller, **more))


def _announced(write: Callable[[Connection], tuple[Row, int]]) -> tuple[Row, str]:
    row, edition = db.change(write)
    return row, changes.announced(edition)


def _read(silence_id: str) -> Row:
    return _live(db.read_one(silences.read, silence_id), silence_id)


def _live(row: Row | None, silence_id: str) -> Row:
    if row is None:
        raise NotFound(f"There is no silence {silence_id!r}.")
    if row.ended_at is not None or (row.ends_at is not None and row.ends_at <= db.now_ms()):
        raise Conflict("The silence has ended: make a new one.", code="silence_ended")
    return row


def _values(
    given: Mapping[str, Any], tenant: str, author: Author, author_workspace: str | None = None
) -> dict[str, Any]:
    """The columns of a silence as it is written.

    Raises:
        InvalidRequest: its faults.
    """
    now = db.now_ms()
    problems = written.check(given, tenant, now)
    if given.get("notify") is not None and not problems:
        problems += _provider_faults(
            given["notify"], (author_workspace or author.workspace_id) if tenant == ANY else tenant
        )
    if problems:
        raise InvalidRequest("The silence cannot be used.", problems=problems)
    starts, ends = written.times(given, now)
    minutes, remind = given.get("duration_minutes"), given.get("remind_before_minutes")
    return {
        "matchers": json.dumps(matchers.normal(given["matchers"]), ensure_ascii=False),
        "comment": given["comment"].strip(),
        "starts_at": starts,
        "ends_at": ends,
        "cron": given.get("cron"),
        "timezone": given.get("timezone") or "UTC",
        "duration_ms": minutes * 60_000 if minutes is not None else 0,
        "after": given.get("after") or DROP,
        "notify": given.get("notify"),
        "remind_ms": remind * 60_000 if remind is not None else None,
    }


def _provider_faults(name: str, workspace_id: str) -> list[Problem]:
    try:
        provided.provider(workspace_id, name)
    except CallerError as refusal:
        if refusal.retryable:
            raise
        return [Problem("/notify", str(refusal))]
    return []


class _Row:
    """New values, read as the columns of a row."""

    ended_at = None
    reminded = False

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def times_of(row: Any) -> Times:
    """The times of a silence."""
    return Times(**silences.times_of(row))


def next_at(row: Any, now: int) -> int | None:
    """When tick looks at a silence next that has not ended (ms); None: never."""
    found = []
    if row.ends_at is not None:
        found.append(row.ends_at + (SETTLED if row.after != DROP else 0))
        if row.remind_ms is not None and not row.reminded:
            found.append(row.ends_at - row.remind_ms)
    if row.cron is not None and row.after in (SUMMARISE, RELEASE):
        period_ends = times_of(row).next_end(now)
        found += [period_ends + SETTLED] if period_ends is not None else []
    return min(found, default=None)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC)


def _audit(connection: Connection, author: Author, event: str, row: Row) -> None:
    more = {"tenant": row.workspace_id, "after": row.after, "comment": row.comment}
    audit.record(connection, author.workspace_id, author.actor, event, row.id, **more)
