"""The example bodies of the documentation of rules and stops."""

from typing import Any

RULE = {
    "name": "test-alerts",
    "priority": 5,
    "enabled": True,
    "description": "Alerts of test systems go nowhere.",
    "file": "rules/alerts.yaml",
    "mode": "enforce",
    "action": "suppress",
    "origins": ["chain", "dispatch", "event", "group", "recurring", "step", "trigger"],
    "tenants": None,
    "matched_24h": 42,
}
RULES = {"rules": [RULE], "generation": 3}
LOADED = {"loaded": 5, "errors": [], "warnings": [], "generation": 4, "applied": "9 of 9"}
SWITCHED = {"name": "test-alerts", "enabled": False, "applied": "9 of 9"}
GENERATION = {
    "generation": 4,
    "in_force": True,
    "source": "folder /etc/tocsin",
    "rules": 5,
    "loaded_at": "2026-11-29T12:00:00.000Z",
    "loaded_by": "3f1c9a60b2d4",
}
STOP = {"tenant": "acme", "reason": "a playbook isolates the wrong hosts"}
STOPPED = {**STOP, "stopped": True, "applied": "9 of 9"}
LIFTED = {"tenant": "acme", "stopped": False, "applied": "9 of 9"}
EVALUATION = {
    "namespace": "soc",
    "tenant": "acme",
    "provider": "mail",
    "action_type": "send_alert",
    "payload": {"alert": "port scan", "host": "web-1"},
    "metadata": {"environment": "test"},
}
TRACE: dict[str, Any] = {
    "verdict": "suppress",
    "matched_rule": "test-alerts",
    "muted_by": None,
    "reason": "not production",
    "has_errors": False,
    "total_rules_evaluated": 1,
    "total_rules_skipped": 0,
    "evaluation_duration_us": 41,
    "checks": [],
    "shadows": [],
    "trace": [{"rule_name": "test-alerts", "result": "matched", "priority": 5, "enabled": True}],
    "context": {"time": {"hour": 12}, "environment_keys": [], "accessed_state_keys": []},
    "warnings": [],
}
