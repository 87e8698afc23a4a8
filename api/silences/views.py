"""The bodies that show silences."""

import json
from typing import Any

from api.http.times import stamp
from gateway.silences.periods import NEVER
from store.engine.db import Row
from store.records.silences import ACTIVE, status_of
from tasks.control.silences import times_of


def silence(row: Row, now: int) -> dict[str, Any]:
    """A silence as it stands at a time (ms)."""
    status = status_of(row, now)
    period = times_of(row).period(now)
    silent = status == ACTIVE and period.active
    return {
        "id": row.id,
        "status": status,
        "silent": silent,
        "silent_until": stamp(period.ends) if silent and period.ends < NEVER else None,
        "tenant": row.workspace_id,
        "covers_children": not row.exact,
        "matchers": json.loads(row.matchers),
        "comment": row.comment,
        "author": row.author,
        "starts_at": stamp(row.starts_at),
        "ends_at": stamp(row.ends_at),
        "cron": row.cron,
        "timezone": row.timezone if row.cron is not None else None,
        "duration_minutes": row.duration_ms // 60_000 if row.cron is not None else None,
        "after": row.after,
        "notify": row.notify,
        "remind_before_minutes": row.remind_ms // 60_000 if row.remind_ms is not None else None,
        "notice_error": row.notice_error,
        "created_at": stamp(row.created_at),
        "updated_at": stamp(row.updated_at),
        "ended_at": stamp(row.ended_at),
        "ended_by": row.ended_by,
    }
