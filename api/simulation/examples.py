"""The example bodies of simulations."""

from typing import Any

WANTED: dict[str, Any] = {
    "hours": 24,
    "rules": {
        "add": [
            {
                "name": "test-alerts",
                "priority": 5,
                "condition": {"field": "action.metadata.environment", "eq": "test"},
                "action": {"type": "suppress", "reason": "not production"},
            }
        ]
    },
}
_LOOKED: dict[str, Any] = {
    "since": "2026-04-28T00:00:00.000Z",
    "until": "2026-04-29T00:00:00.000Z",
    "records": 8_212,
    "decided": 8_120,
    "complete": True,
    "ended_at": None,
    "generation": 3,
}
_UNDECIDED = {
    "code": "payload_gone",
    "message": "What it carried is not kept any more, or was kept without its labels by the release before.",
    "count": 12,
    "examples": ["48213"],
}
SIMULATED: dict[str, Any] = {
    **_LOOKED,
    "rules_tried": 10,
    "changed": 310,
    "by_another_rule": 0,
    "changes": [
        {
            "before": "allow",
            "before_to": None,
            "after": "suppress",
            "after_to": None,
            "changed": True,
            "count": 310,
            "examples": [
                {
                    "record_id": "48211",
                    "action_id": "alert-7731",
                    "at": "2026-04-28T12:00:00.000Z",
                    "before_rule": None,
                    "after_rule": "test-alerts",
                }
            ],
        },
        {
            "before": "allow",
            "before_to": None,
            "after": "allow",
            "after_to": None,
            "changed": False,
            "count": 7_810,
            "examples": [],
        },
    ],
    "rules": [{"name": "test-alerts", "matched": 310, "decides": 310, "decided_before": 0}],
    "undecided": [_UNDECIDED],
    "assumptions": [
        {
            "code": "others",
            "message": "Steps, schedules, chains, notices and summaries are not decided again.",
            "count": 80,
        }
    ],
    "warnings": [],
}
COVERED: dict[str, Any] = {
    **_LOOKED,
    "combinations": [
        {
            "namespace": "soc",
            "tenant": "acme",
            "provider": "mail",
            "action_type": "send_alert",
            "count": 812,
            "matched": 310,
            "covered": "partly",
        }
    ],
    "combinations_total": 1,
    "never_matched": ["change-freeze"],
    "undecided": [],
}
