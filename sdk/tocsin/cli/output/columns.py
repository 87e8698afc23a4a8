"""What a list shows of each kind of item; the whole item is what ``-o json`` shows."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple

#: model of the items → the columns, the id first
COLUMNS: Dict[str, Tuple[str, ...]] = {
    "Action": ("id", "type", "executor", "enabled", "version", "name"),
    "VersionItem": ("version", "created_at", "created_by", "name"),
    "PlaybookVersionItem": ("version", "created_at", "created_by", "step_count", "name"),
    "ExecutionItem": ("execution_id", "status", "action_id", "target", "created_at", "duration_seconds"),
    "PlaybookItem": ("id", "step_count", "enabled", "version", "name"),
    "RunItem": ("execution_id", "status", "playbook_id", "target_asset_id", "created_at", "duration_seconds"),
    "StepDoing": ("step_id", "iteration", "status", "type", "duration_ms", "step_name"),
    "LogLine": ("timestamp", "level", "message"),
    "RunLogLine": ("timestamp", "level", "step_id", "message"),
    "Approval": ("id", "status", "expires_at", "execution_id", "message"),
    "EventState": ("fingerprint", "state", "status", "action_type", "entered_at"),
    "Group": ("group_key", "state", "event_count", "rule", "notify_at"),
    "Rule": ("name", "priority", "enabled", "action", "matched_24h", "file"),
    "Generation": ("generation", "in_force", "rules", "loaded_at", "loaded_by", "source"),
    "Provider": ("name", "kind", "enabled", "circuit_breaker", "description"),
    "Breaker": ("provider", "state", "failure_threshold", "fallback_provider"),
    "Record": ("id", "outcome", "verdict", "provider", "action_type", "completed_at", "matched_rule"),
    "SealKey": ("key_id", "algorithm", "signs", "public_key"),
    "Silence": ("id", "status", "ends_at", "author", "comment"),
    "Calendar": ("name", "active", "source", "description"),
    "RecurringSummary": ("id", "status", "cron_expr", "next_execution_at", "last_outcome", "name"),
    "RecurringFiring": ("execution_time", "outcome", "status", "execution_id"),
    "Bundle": ("name", "active_version", "updated_at"),
    "BundleVersion": ("version", "active", "created_at", "created_by", "digest"),
    "Key": ("id", "role", "expires_at", "last_used", "revoked_at", "name"),
    "Account": ("username", "role", "created_at", "disabled_at"),
}
#: columns whose heads are not their members' names
HEADS = {
    "target_asset_id": "target",
    "duration_seconds": "took",
    "duration_ms": "took",
    "step_count": "steps",
    "circuit_breaker": "breaker",
}
_IDS = ("id", "execution_id", "fingerprint", "username", "name", "provider", "generation", "key_id", "event_id")
_ID_OF = {
    "VersionItem": "version",
    "PlaybookVersionItem": "version",
    "StepDoing": "step_id",
    "Group": "group_key",
    "BundleVersion": "version",
    "GroupWithMembers": "group_key",
    "RunLogLine": "execution_id",
}


def columns_of(model: str, item: Mapping[str, Any]) -> Tuple[str, ...]:
    """The columns of a list; of an unknown kind the first members that are no objects."""
    plain = [name for name, value in item.items() if not isinstance(value, (dict, list))]
    return COLUMNS.get(model) or tuple(plain[:6])


def id_of(model: str, item: Any) -> str:
    """The id of an item, as ``-o id`` shows it; nothing where it has none."""
    if not isinstance(item, dict):
        return ""
    known = [_ID_OF[model]] if model in _ID_OF else [*_IDS]
    if model in ("Run", "Execution", "Accepted", "AcceptedRun", "RunItem", "ExecutionItem"):
        known = ["execution_id", "id"]
    return next((str(item[name]) for name in known if item.get(name) is not None), "")
