"""The bodies that show audit records."""

from collections.abc import Mapping
from typing import Any

from api.http.times import stamp
from gateway.redacted import redacted
from playbooks.states import Kind
from store.engine.db import Row
from store.executions import transitions

#: what details of a row are shown as members of their own
_APART = ("payload_sha256", "reason", "replayed_from")


def record(row: Row, *, whole: bool) -> dict[str, Any]:
    """A record, from a row of ``store.records.listing``.

    A list leaves large payloads out.
    """
    details = transitions.load(row.details, {})
    payload = _payload(row)
    return {
        "id": str(row.id),
        "action_id": row.given_id or row.subject,
        "execution_id": row.execution_id,
        "chain_id": row.run_id or details.get("chain_id"),
        "origin": row.origin,
        "replayed_from": details.get("replayed_from") or _gate(row).get("replayed_from"),
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "action_type": row.action_type,
        "outcome": row.outcome,
        "verdict": row.verdict or "allow",
        "matched_rule": row.rule,
        "reason": details.get("reason") or _gate(row).get("reason"),
        "caller_id": row.caller,
        "payload": payload,
        "payload_omitted": bool(payload is None and row.has_payload and not whole),
        "payload_sha256": details.get("payload_sha256"),
        "error": _error(row),
        "details": {name: value for name, value in details.items() if name not in _APART} | _shadows(row),
        "dispatched_at": stamp(row.began_at),
        "completed_at": stamp(row.at),
        "duration_ms": max(0, row.at - row.began_at) if row.began_at is not None else None,
    }


def _payload(row: Row) -> Any:
    """What it carried: the payload that is kept, or the input of the execution."""
    if row.body is not None:
        return transitions.load(row.body)
    given = transitions.load(row.input)
    if isinstance(given, Mapping) and row.kind not in (Kind.ACTION, Kind.STEP, None):
        given = given.get("payload")
    return redacted(given)


def _error(row: Row) -> dict[str, Any] | None:
    error = transitions.load(row.error)
    return {name: error.get(name) for name in ("code", "message")} if isinstance(error, Mapping) else None


def _gate(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = transitions.load(row.gate, {})
    return found


def _shadows(row: Row) -> dict[str, Any]:
    """What rules in shadow mode would have decided."""
    shadows = [{"rule": rule, "verdict": verdict} for rule, verdict in _gate(row).get("shadows", ())]
    return {"shadows": shadows} if shadows else {}
