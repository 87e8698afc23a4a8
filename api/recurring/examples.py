"""The example bodies of recurring actions."""

from typing import Any

from playbooks.states import Status
from store.records.recurring import PAUSED as PAUSED_STATUS

_ID = "rec-9f0c2a9be1d34c7f"
_NEXT = [f"2026-02-{day}T14:00:00.000Z" for day in (10, 11, 12, 13, 16)]
_LAST: dict[str, Any] = {
    "execution_time": "2026-02-09T14:00:00.000Z",
    "outcome": "executed",
    "execution_id": "disp-0199f3c2a1b46d0e8f2c41",
    "status": Status.COMPLETED.value,
    "error": None,
}

NEW: dict[str, Any] = {
    "namespace": "notifications",
    "tenant": "default",
    "cron_expr": "0 9 * * MON-FRI",
    "timezone": "US/Eastern",
    "provider": "email",
    "action_type": "send_digest",
    "payload": {"to": "team@example.com"},
    "description": "Weekday morning digest",
}
CREATED: dict[str, Any] = {
    "recurring_id": _ID,
    "id": _ID,
    "name": None,
    "next_execution": _NEXT[0],
    "next_execution_at": _NEXT[0],
    "cron_expr": NEW["cron_expr"],
    "cron_expression": NEW["cron_expr"],
    "timezone": NEW["timezone"],
    "enabled": True,
    "status": "active",
    "description_in_words": "At 09:00, from Monday to Friday (US/Eastern)",
    "next": _NEXT,
}
SUMMARY: dict[str, Any] = {
    **{name: value for name, value in CREATED.items() if name != "next"},
    "description": NEW["description"],
    "namespace": NEW["namespace"],
    "tenant": NEW["tenant"],
    "provider": NEW["provider"],
    "action_type": NEW["action_type"],
    "labels": {},
    "execution_count": 12,
    "last_executed_at": _LAST["execution_time"],
    "last_outcome": "accepted",
    "created_at": "2026-01-23T10:12:00.000Z",
    "updated_at": "2026-01-23T10:12:00.000Z",
}
ONE: dict[str, Any] = {
    **SUMMARY,
    "target": None,
    "payload": NEW["payload"],
    "metadata": {"labels": {}},
    "dedup_key": None,
    "next": _NEXT,
    "ends_at": None,
    "end_date": None,
    "max_executions": None,
    "catch_up": "latest",
    "overlap": "allow_all",
    "jitter_seconds": 0,
    "skip_during": [],
    "last_execution": _LAST,
    "failures": 0,
    "paused_at": None,
    "paused_by": None,
    "pause_reason": None,
    "created_by": "3f1c9a60b2d4",
}
PAGE: dict[str, Any] = {"recurring_actions": [SUMMARY], "count": 1, "next_cursor": None}
CHANGE: dict[str, Any] = {"cron_expr": "30 8 * * MON-FRI"}
PAUSED: dict[str, Any] = {
    **ONE,
    "enabled": False,
    "status": PAUSED_STATUS,
    "next_execution": None,
    "next_execution_at": None,
    "next": [],
    "paused_at": "2026-02-09T15:00:00.000Z",
    "paused_by": "3f1c9a60b2d4",
}
_FIRING: dict[str, Any] = {
    **_LAST,
    "fired_at": "2026-02-09T14:00:00.412Z",
    "reason": None,
    "missed_to": None,
    "backfilled_by": None,
}
HISTORY: dict[str, Any] = {"firings": [_FIRING], "count": 1, "next_cursor": None}
BACKFILL: dict[str, Any] = {"start": "2026-02-01T00:00:00Z", "end": "2026-02-07T00:00:00Z", "limit": 100}
BACKFILLED: dict[str, Any] = {"accepted": 1, "repeated": 0, "results": [_LAST], "next_start": None}
SCOPE: dict[str, Any] = {"namespace": NEW["namespace"], "tenant": NEW["tenant"]}
