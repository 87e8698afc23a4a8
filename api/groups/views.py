"""The bodies that show groups."""

import json
from typing import Any

from api.http.times import stamp
from store.engine.db import Row
from tasks.control.groups import FlushedGroup


def group(row: Row) -> dict[str, Any]:
    """A window of a group, a row of ``store.gateway.groups``."""
    return {
        "group_id": row.id,
        "group_key": row.group_key,
        "state": "pending" if row.notified_at is None else "notified",
        "event_count": row.size,
        "max_size": row.max_size,
        "rule": row.rule,
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "labels": json.loads(row.labels),
        "created_at": stamp(row.created_at),
        "notify_at": stamp(row.notify_at),
        "closed_at": stamp(row.closed_at),
        "closed_by": row.closed_by,
        "notified_at": stamp(row.notified_at),
        "summary_id": row.summary_id,
        "summaries": row.summaries,
        "error": row.error,
    }


def ended(row: Row) -> dict[str, Any]:
    """The answer to the end of a group that was notified."""
    return {
        "group_id": row.id,
        "group_key": row.group_key,
        "event_count": row.size,
        "status": "ended",
        "notified": False,
        "summary_id": row.summary_id,
    }


def flushed(done: FlushedGroup) -> dict[str, Any]:
    """The answer to a flush."""
    return {
        "group_id": done.row.id,
        "group_key": done.row.group_key,
        "event_count": done.row.size,
        "status": "flushed",
        "notified": done.notified,
        "summary_id": done.summary_id,
    }
