"""The example bodies of the documentation of playbook executions."""

from typing import Any

from api.http.examples import ACTOR

RUN = {"target_asset_id": "a-1001", "parameters": {"notification_channel": "#incidents"}, "dry_run": False}
RETRY = {"from": "failed"}
DECISION = {"note": "Confirmed by phone."}

_RUN_ID = "pexec-7721"
_CREATED = "2026-04-28T12:00:00.000Z"


def _step(index: int, step_id: str, name: str, action_id: str) -> dict[str, Any]:
    return {
        "index": index,
        "step_id": step_id,
        "step_name": name,
        "name": name,
        "action_id": action_id,
        "type": "action",
        "execution_id": None,
        "id": None,
        "status": "pending",
        "output": None,
        "error": None,
        "started_at": None,
        "completed_at": None,
        "duration_ms": None,
    }


_NOTIFY = _step(0, "notify", "Notify Security Team", "act-slack-notify")
_TICKET = _step(1, "create-ticket", "Create JIRA Ticket", "act-jira-create")
_NOTIFIED = {
    **_NOTIFY,
    "execution_id": f"{_RUN_ID}.notify",
    "id": f"{_RUN_ID}.notify",
    "status": "completed",
    "output": {"message_ts": "1714305660.001234"},
    "started_at": "2026-04-28T12:00:01.000Z",
    "completed_at": "2026-04-28T12:00:03.000Z",
    "duration_ms": 2000,
}
_CREATED_TICKET = {
    **_TICKET,
    "execution_id": f"{_RUN_ID}.create-ticket",
    "id": f"{_RUN_ID}.create-ticket",
    "status": "completed",
    "output": {"issue_key": "SEC-1234"},
    "started_at": "2026-04-28T12:00:03.000Z",
    "completed_at": "2026-04-28T12:00:08.000Z",
    "duration_ms": 5000,
}
_WHICH = {
    "execution_id": _RUN_ID,
    "id": _RUN_ID,
    "playbook_id": "pb-critical-vuln-response",
    "playbook_name": "Critical Vulnerability Response",
    "version": "1.2.0",
}
ACCEPTED = {
    **_WHICH,
    "status": "pending",
    "dry_run": False,
    "target_asset_id": "a-1001",
    "created_at": _CREATED,
    "started_at": None,
    "steps": [{**_NOTIFY, "passes": 0}, {**_TICKET, "passes": 0}],
}
RETRIED = {
    **ACCEPTED,
    "execution_id": "pexec-7722",
    "id": "pexec-7722",
    "retry_of": _RUN_ID,
    "steps": [
        {**_NOTIFIED, "execution_id": "pexec-7722.notify", "id": "pexec-7722.notify", "passes": 1},
        {**_TICKET, "passes": 0},
    ],
}

ITEM: dict[str, Any] = {
    **_WHICH,
    "status": "completed",
    "paused_by": None,
    "target_asset_id": "a-1001",
    "parameters": {"notification_channel": "#incidents"},
    "trigger": "api",
    "started_by": "3f1c9a60b2d4",
    "started_by_actor": ACTOR,
    "retry_of": None,
    "parent": None,
    "dry_run": False,
    "error": None,
    "created_at": _CREATED,
    "started_at": "2026-04-28T12:00:01.000Z",
    "completed_at": "2026-04-28T12:02:16.000Z",
    "deadline": "2026-04-28T12:30:00.000Z",
    "duration_seconds": 135,
    "duration_ms": 135000,
}
COMPLETED = {
    **ITEM,
    "waiting_for": None,
    "current_step": None,
    "steps_completed": 2,
    "steps_total": 2,
    "event": None,
    "output": None,
    "steps": [{**_NOTIFIED, "passes": 1}, {**_CREATED_TICKET, "passes": 1}],
}
_UNDER_WAY = {
    **COMPLETED,
    "status": "running",
    "current_step": "create-ticket",
    "steps_completed": 1,
    "completed_at": None,
    "duration_seconds": None,
    "duration_ms": None,
    "steps": [
        {**_NOTIFIED, "passes": 1},
        {
            **_CREATED_TICKET,
            "status": "running",
            "output": None,
            "completed_at": None,
            "duration_ms": None,
            "passes": 1,
        },
    ],
}
PAUSED = {**_UNDER_WAY, "status": "paused", "paused_by": "operator", "waiting_for": "operator"}
RESUMED = _UNDER_WAY
CANCELLED = {
    **COMPLETED,
    "status": "cancelled",
    "steps_completed": 1,
    "steps": [{**_NOTIFIED, "passes": 1}, {**_TICKET, "status": "cancelled", "passes": 0}],
}

_MORE = {
    "iteration": "",
    "parent": None,
    "attempt": 1,
    "retries": 0,
    "waiting_for": None,
    "waiting_until": None,
    "target": "a-1001",
    "vars": None,
    "report": None,
    "created_at": _CREATED,
}
STEPS = [
    {**_NOTIFIED, **_MORE, "input": {"channel": "#incidents", "message": "Critical finding: Open admin port"}},
    {**_CREATED_TICKET, **_MORE, "input": {"project": "SEC", "summary": "Open admin port", "priority": "Critical"}},
]
_ASKED = {"message": "Isolate the host?", "approvers": [], "audience": []}
APPROVED = {
    **_NOTIFIED,
    **_MORE,
    "step_id": "ask",
    "step_name": "Ask the owner",
    "name": "Ask the owner",
    "type": "approval",
    "action_id": None,
    "execution_id": f"{_RUN_ID}.ask",
    "id": f"{_RUN_ID}.ask",
    "attempt": 0,
    "input": {},
    "output": {**_ASKED, "decision": "approved", "by": "3f1c9a60b2d4", "note": "Confirmed by phone."},
}
REJECTED = {
    **APPROVED,
    "status": "failed",
    "output": {**_ASKED, "decision": "rejected", "by": "3f1c9a60b2d4", "note": "A known scanner."},
    "error": {"code": "rejected", "message": "A known scanner.", "outcome_unknown": False},
}
LOGS = [
    {
        "timestamp": "2026-04-28T12:00:03.000Z",
        "level": "INFO",
        "message": "Action completed successfully.",
        "step_id": "notify",
        "iteration": "",
    }
]
TIMELINE = {
    "started_at": "2026-04-28T12:00:01.000Z",
    "completed_at": "2026-04-28T12:02:16.000Z",
    "steps": [
        {
            "id": f"{_RUN_ID}.notify",
            "execution_id": f"{_RUN_ID}.notify",
            "step_id": "notify",
            "name": "Notify Security Team",
            "iteration": "",
            "parent": None,
            "type": "action",
            "status": "completed",
            "attempts": 1,
            "retries": 0,
            "duration_ms": 2000,
            "queued_ms": 12,
            "run_ms": 2000,
            "waited_ms": 0,
            "created_at": _CREATED,
            "started_at": "2026-04-28T12:00:01.000Z",
            "completed_at": "2026-04-28T12:00:03.000Z",
        }
    ],
}


def dual_envelope(members: dict[str, Any]) -> dict[str, Any]:
    """The members at the top level and under ``data``."""
    return {**members, "data": members}
