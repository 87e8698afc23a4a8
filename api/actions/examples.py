"""The example bodies of the documentation."""

from typing import Any

from api.http.examples import ACTOR

DEFINITION: dict[str, Any] = {
    "name": "Send Slack Alert",
    "type": "notification",
    "description": "Send a notification to a Slack channel.",
    "executor": "webhook",
    "parameters": [
        {"name": "channel", "type": "string", "required": True},
        {"name": "message", "type": "string", "required": True},
    ],
    "config": {
        "url": "https://hooks.slack.com/services/T00/B00/xxx",
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "body_template": '{"channel": "{{ channel }}", "text": "{{ message }}"}',
    },
}

_KEPT = {
    "version": "1.0.0",
    "tags": [],
    "timeout_seconds": 300,
    "retry": {"max_attempts": 1, "backoff_seconds": 5, "jitter": True},
    "idempotent": True,
    "enabled": True,
    "created_at": "2026-04-28T12:00:00.000Z",
}

ACTION = {"id": "act-send-slack-alert", **DEFINITION, **_KEPT, "updated_at": "2026-04-28T12:00:00.000Z"}
VERSION = {"id": "act-send-slack-alert", **DEFINITION, **_KEPT, "created_by": "3f1c9a60b2d4", "created_by_actor": ACTOR}

CHANGES = {"description": "Notify the on-call channel.", "timeout_seconds": 30}

TRIGGER = {"target": "a-1001", "parameters": {"ip_address": "203.0.113.50", "duration_hours": 48}}
ACCEPTED = {
    "execution_id": "exec-9912",
    "id": "exec-9912",
    "action_id": "act-block-ip",
    "status": "pending",
    "created_at": "2026-04-28T12:00:00.000Z",
    "started_at": None,
    "sandbox": False,
    "dry_run": False,
}

ITEM = {
    "execution_id": "exec-9912",
    "id": "exec-9912",
    "action_id": "act-block-ip",
    "version": "1.2.0",
    "status": "completed",
    "target": "a-1001",
    "parameters": {"ip_address": "203.0.113.50", "duration_hours": 48},
    "output": {"rule_id": "fw-789", "blocked": True, "expires_at": "2026-04-30T12:00:00Z"},
    "error": None,
    "created_at": "2026-04-28T12:00:00.000Z",
    "started_at": "2026-04-28T12:00:00.000Z",
    "completed_at": "2026-04-28T12:00:05.000Z",
    "duration_seconds": 5,
    "duration_ms": 5000,
    "trigger": "api",
    "sandbox": False,
    "dry_run": False,
    "run_id": None,
    "step_id": None,
}
EXECUTION = {
    **ITEM,
    "action_name": "Block IP Address",
    "logs": [{"timestamp": "2026-04-28T12:00:01.000Z", "level": "INFO", "message": "Connecting to firewall API."}],
    "attempt": 1,
    "waiting_for": None,
    "waiting_until": None,
    "retry": {"failures": 0, "max_attempts": 1, "next_attempt_at": None},
}
CANCELLED = {**EXECUTION, "status": "cancelled", "output": None}
APPROVED = {**EXECUTION, "output": {"decision": "approved", "by": "3f1c9a60b2d4", "note": "Confirmed by phone."}}
REJECTED = {
    **EXECUTION,
    "status": "failed",
    "output": {"decision": "rejected", "by": "3f1c9a60b2d4", "note": "A known scanner."},
    "error": {"code": "rejected", "message": "A known scanner.", "outcome_unknown": False},
}
