"""The bodies that show events."""

from typing import Any

from api.http.times import stamp
from gateway.redacted import redacted
from store.engine.db import Row
from store.executions import transitions
from store.gateway import events


def event(row: Row) -> dict[str, Any]:
    """An event, a row of ``store.gateway.events``."""
    return {
        "fingerprint": row.fingerprint,
        "state": row.state,
        "status": row.state,
        "active": bool(row.active),
        "state_machine": row.machine,
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "action_type": row.action_type,
        "provider": row.provider,
        "labels": redacted(events.labels_of(row)),
        "starts_at": row.starts_at,
        "ends_at": row.ends_at,
        "created_at": stamp(row.created_at),
        "entered_at": stamp(row.entered_at),
        "updated_at": stamp(row.updated_at),
        "timeout_at": stamp(row.timeout_at),
        "timeout_to": row.timeout_to,
    }


def entry(number: int, row: Row) -> dict[str, Any]:
    """An entry of a history, a row of the audit trail."""
    said = transitions.load(row.details, {})
    return {
        "number": number,
        "at": stamp(row.at),
        "event": row.event,
        "previous_state": said.get("from"),
        "new_state": said.get("to", said.get("state")),
        "cause": said.get("cause"),
        "by": row.actor,
        "action_id": said.get("record"),
        "notice": said.get("notice"),
        "notice_error": said.get("notice_error"),
    }
