"""What operators do to recurring actions: make, change, pause, resume and delete them.

Each change is one transaction, which has locked the row: a firing is decided before it or after it, never half. The
next time is computed again where the schedule was changed, and when it is resumed; what it would have fired in between
is not made up for. Any other change leaves a time that is due, late or waits for its jitter where it is.
"""

from collections.abc import Callable, Mapping
from typing import Any

from config.errors import Conflict, InvalidRequest, NotFound
from config.settings import settings
from gateway.recurring import written
from gateway.recurring.times import Times
from store import audit
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.recurring import schedules
from tasks import tenants
from tasks.intake.recurring import calendars, targets

#: of one that does not fire any more
NEVER: Mapping[str, Any] = {"next_at": None, "fire_at": None}
#: of one that fires on
_GOES_ON: Mapping[str, Any] = {"enabled": True, "paused_at": None, "paused_by": None, "pause_reason": None}


def create(
    given: Mapping[str, Any],
    caller: Caller,
    *,
    tenant: str,
    namespace: str,
    alongside: Callable[[Connection, str], None],
) -> Row:
    """Make a recurring action, and write more ``alongside`` it by its id; its row.

    Raises:
        InvalidRequest: its faults. Unprocessable: what it names is not there, or takes other values.
        Forbidden: no grant covers it. Conflict: there are too many. Unavailable.
    """
    now = db.now_ms()
    values, problems = written.read(given, None, now=now, calendars=calendars.names())
    if problems:
        raise InvalidRequest("The recurring action has faults.", problems=problems)
    targets.require(caller, tenant, namespace, values)
    targets.check(tenant, values)
    tenants.workspace_for(caller, tenant)
    new: dict[str, Any] = {
        "id": schedules.new_id(),
        "workspace_id": tenant,
        "namespace": namespace,
        "created_by": caller.key_id,
    }
    new |= values
    new |= next_time(new, now) if values["enabled"] else {**NEVER, **_paused(caller, now)}

    def write(connection: Connection) -> Row:
        most = settings().recurring_most
        if schedules.count(connection, tenant, namespace) >= most:
            text = f"The tenant {tenant!r} has {most:,} recurring actions in the namespace {namespace!r}: delete some."
            raise Conflict(text, code="too_many_recurring")
        row = schedules.add(connection, new)
        note(connection, row, caller.key_id, "recurring.created", cron=row.cron, timezone=row.timezone)
        alongside(connection, row.id)
        return row

    made: Row = db.change(write)
    return made


def change(recurring_id: str, given: Mapping[str, Any], caller: Caller) -> Row:
    """Change what is named; its row.

    Raises:
        As ``create``, and NotFound: it is gone.
    """

    def read(row: Row) -> dict[str, Any]:
        values, problems = written.read(given, row, now=db.now_ms(), calendars=calendars.names())
        if problems:
            raise InvalidRequest("The recurring action has faults.", problems=problems)
        return values

    def write(connection: Connection) -> Row:
        row = _locked(connection, recurring_id)
        values = read(row)
        new = {name: value for name, value in values.items() if value != getattr(row, name)}
        new |= _timing(row, values, new, caller)
        if not new:
            return row
        row = schedules.change(connection, recurring_id, new)
        note(connection, row, caller.key_id, "recurring.changed", changed=sorted(set(new) & set(values)))
        return row

    before = _read(recurring_id)
    values = read(before)
    targets.require(caller, before.workspace_id, before.namespace, values)
    if any(values[name] != getattr(before, name) for name in ("target", "provider", "action_type", "payload")):
        targets.check(before.workspace_id, values)
    made: Row = db.change(write)
    return made


def pause(recurring_id: str, caller: Caller) -> Row:
    """Have one fire no more; its row.

    Raises:
        Conflict: it is paused. NotFound: it is gone. Unavailable.
    """

    def new(row: Row) -> Mapping[str, Any]:
        if not row.enabled:
            raise Conflict("It is paused already.", code="already_paused")
        return {"enabled": False, **NEVER, **_paused(caller, db.now_ms())}

    return _switched(recurring_id, caller, "recurring.paused", new)


def resume(recurring_id: str, caller: Caller) -> Row:
    """Have a paused one fire again, at its next time from now on; its row.

    Raises:
        Conflict: it is not paused. NotFound: it is gone. Unavailable.
    """

    def new(row: Row) -> Mapping[str, Any]:
        if row.enabled:
            raise Conflict("It is not paused.", code="not_paused")
        targets.require(caller, row.workspace_id, row.namespace, row._asdict())
        return {**_GOES_ON, "failures": 0, **next_time(_seen(row), db.now_ms())}

    return _switched(recurring_id, caller, "recurring.resumed", new)


def delete(recurring_id: str, caller: Caller) -> None:
    """Delete one; what it has made goes on.

    Raises:
        NotFound: it is gone. Unavailable.
    """

    def write(connection: Connection) -> None:
        row = _locked(connection, recurring_id)
        schedules.delete(connection, recurring_id)
        note(connection, row, caller.key_id, "recurring.deleted")

    db.change(write)


def _seen(row: Row) -> dict[str, Any]:
    """What ``next_time`` needs of a row."""
    names = ("id", "cron", "timezone", "jitter_ms", "ends_at", "max_executions", "executions")
    return {name: getattr(row, name) for name in names}


def next_time(row: Mapping[str, Any], now: int) -> dict[str, int | None]:
    """The next time from now on, of a row's columns; none where it has fired as often as it may."""
    most = row["max_executions"]
    if most is not None and row.get("executions", 0) >= most:
        return dict(NEVER)
    times = _times(row)
    next_at = times.after(now)
    return {"next_at": next_at, "fire_at": None if next_at is None else times.fires(next_at)}


def note(connection: Connection, row: Row, actor: str, event: str, **details: Any) -> None:
    """Write into the audit trail what became of a recurring action."""
    more = {"namespace": row.namespace, "name": row.name, **details}
    audit.record(connection, row.workspace_id, actor, event, row.id, **{k: v for k, v in more.items() if v is not None})


def _timing(row: Row, values: Mapping[str, Any], new: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    """The columns that follow from a change of the times, or from pausing and resuming."""
    now = db.now_ms()
    if not values["enabled"]:
        return {**NEVER, **_paused(caller, now)} if row.enabled else {}
    resumed = {**_GOES_ON, "failures": 0} if not row.enabled else {}
    if not resumed and not written.TIMING & set(new):
        return {}
    changed = {**_seen(row), **values}
    if resumed or row.next_at is None or written.SCHEDULE & set(new):
        return {**resumed, **next_time(changed, now)}
    return _still(changed, row.next_at)


def _still(row: Mapping[str, Any], next_at: int) -> dict[str, int | None]:
    """The next time of a row of the same schedule, with its jitter; none where it comes to its end before."""
    most, ends_at = row["max_executions"], row["ends_at"]
    if (most is not None and row["executions"] >= most) or (ends_at is not None and next_at >= ends_at):
        return dict(NEVER)
    return {"next_at": next_at, "fire_at": _times(row).fires(next_at)}


def _times(row: Mapping[str, Any]) -> Times:
    return Times(**{name: row[name] for name in ("id", "cron", "timezone", "jitter_ms", "ends_at")})


def _switched(recurring_id: str, caller: Caller, event: str, new: Callable[[Row], Mapping[str, Any]]) -> Row:
    def write(connection: Connection) -> Row:
        row = schedules.change(connection, recurring_id, new(_locked(connection, recurring_id)))
        note(connection, row, caller.key_id, event)
        return row

    made: Row = db.change(write)
    return made


def _paused(caller: Caller, now: int) -> dict[str, Any]:
    return {"paused_at": now, "paused_by": caller.key_id, "pause_reason": None}


def _locked(connection: Connection, recurring_id: str) -> Row:
    row = schedules.locked(connection, recurring_id)
    if row is None:
        raise gone(recurring_id)
    return row


def _read(recurring_id: str) -> Row:
    row = db.read_one(schedules.read, recurring_id)
    if row is None:
        raise gone(recurring_id)
    return row


def gone(recurring_id: str) -> NotFound:
    """The error for an unknown id."""
    return NotFound(f"There is no recurring action {recurring_id[:128]!r}.")
