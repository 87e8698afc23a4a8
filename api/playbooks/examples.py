"""The example bodies of the documentation of playbooks."""

from typing import Any

from api.http import examples as http_examples
from api.http.examples import ACTOR

DEFINITION: dict[str, Any] = {
    "name": "Critical Finding Alert",
    "version": "1.0.0",
    "description": "Notify team and create ticket for critical findings.",
    "trigger": {"event": "finding.new", "conditions": {"severity": "critical"}},
    "steps": [
        {
            "id": "notify",
            "name": "Notify Security Team",
            "type": "action",
            "action_ref": "act-slack-notify",
            "parameters": {
                "channel": "#security-alerts",
                "message": "Critical finding: {{ finding.title }}",
            },
            "on_success": "create-ticket",
        },
        {
            "id": "create-ticket",
            "name": "Create JIRA Ticket",
            "type": "action",
            "action_ref": "act-jira-create",
            "parameters": {"project": "SEC", "summary": "{{ finding.title }}", "priority": "Critical"},
        },
    ],
    "on_failure": "abort",
    "timeout_minutes": 30,
    "tags": ["incident-response"],
}
CHANGES = {"description": "Tell the on-call team.", "timeout_minutes": 60}

_STAMP = "2026-04-28T12:00:00.000Z"
_WHOLE = {
    "id": "pb-critical-finding-alert",
    **DEFINITION,
    "parameters": [],
    "max_retries": 0,
    "target_required": False,
    "exception_step": None,
    "enabled": True,
}
_NOW: dict[str, Any] = {"step_count": 2, "next_run_at": None, "last_error": None, "problems": []}
PLAYBOOK = {**_WHOLE, **_NOW, "created_at": _STAMP, "updated_at": _STAMP}
VERSION = {**_WHOLE, "created_at": _STAMP, "created_by": "3f1c9a60b2d4", "created_by_actor": ACTOR}
ITEM = {
    name: PLAYBOOK[name]
    for name in (
        "id",
        "name",
        "version",
        "description",
        "trigger",
        "step_count",
        "tags",
        "enabled",
        "created_at",
        "updated_at",
    )
}
VERDICT = {
    **http_examples.VERDICT,
    "errors": [
        {
            "path": "$.steps[0].on_success",
            "pointer": "/steps/0/on_success",
            "message": "there is no step 'create-tiket'; did you mean 'create-ticket'?",
        }
    ],
}
