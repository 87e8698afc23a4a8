"""Flush a group now, for a caller who does not wait for its time; end one whose summary is repeated."""

from typing import NamedTuple

from config.errors import Conflict
from gateway.outcomes import Deduplicated, Muted, Outcome, Silenced, Suppressed, Throttled
from store import audit
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.gateway import groups
from tasks.intake import summaries


class FlushedGroup(NamedTuple):
    """What a flush has come to.

    ``notified``: whether the summary goes out. A rule or a silence may stop it, as it may any dispatch; its record says
    so.
    """

    row: Row
    summary_id: str | None
    notified: bool


def flush(caller: Caller, row: Row) -> FlushedGroup:
    """Close a window and accept its summary before this returns.

    Raises:
        Conflict: the summary cannot be made; the group stays, and is tried again. Unavailable: the database is away.
    """
    closed = db.change(lambda connection: groups.close(connection, row.id, lease=summaries.LEASE))
    if closed is None:  # another process has notified it at this moment
        return _now(row)
    made = summaries.flush([closed], caller.key_id)[closed.id]
    if made.refusal is not None:
        raise Conflict(f"The group cannot be notified: {made.refusal}", code="not_flushed")
    if made.summary is None:
        return _now(closed)
    return FlushedGroup(closed, made.summary.subject, not _is_stopped(made.summary.outcome))


def end(caller: Caller, row: Row) -> None:
    """Repeat the summary of a notified window no more.

    Raises:
        Unavailable: the database is away.
    """

    def change(connection: Connection) -> None:
        if groups.end(connection, row.id):  # of two callers one has ended it, and the trail says so once
            audit.record(connection, row.workspace_id, caller.key_id, "group.ended", row.id, rule=row.rule)

    db.change(change)


def _is_stopped(outcome: Outcome | None) -> bool:
    """Whether a rule or a silence has stopped a summary for good; what waits goes out later."""
    if isinstance(outcome, Silenced):
        return not outcome.held
    return isinstance(outcome, Suppressed | Muted | Throttled | Deduplicated)


def _now(row: Row) -> FlushedGroup:
    now = db.read_one(groups.read, row.id)
    return FlushedGroup(now or row, None if now is None else now.summary_id, notified=True)
