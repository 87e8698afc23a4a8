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
#: times that can be written, ms: to the year 9999
_LATEST = 253_402_300_800_000
_PAIR = 2


def record(row: Row, *, whole: bool) -> dict[str, Any]:
    """A record, from a row of ``store.records.listing``.

    A list leaves large payloads out. What an intruder has made of a row that cannot be read is left out, and named.
    """
    parts = _Parts(row)
    details, gate = parts.members("details"), parts.members("gate")
    payload = parts.payload()
    began_at, at = parts.moment("began_at"), parts.moment("at")
    shown = {
        "id": str(row.id),
        "action_id": row.given_id or row.subject,
        "execution_id": row.execution_id,
        "chain_id": row.run_id or details.get("chain_id"),
        "origin": row.origin,
        "replayed_from": details.get("replayed_from") or gate.get("replayed_from"),
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "action_type": row.action_type,
        "outcome": row.outcome,
        "verdict": row.verdict or "allow",
        "matched_rule": row.rule,
        "reason": details.get("reason") or gate.get("reason"),
        "caller_id": row.caller,
        "payload": payload,
        "payload_omitted": bool(payload is None and row.has_payload and not whole),
        "payload_sha256": details.get("payload_sha256"),
        "error": parts.error(),
        "details": {name: value for name, value in details.items() if name not in _APART} | _shadows(gate),
        "dispatched_at": stamp(began_at),
        "completed_at": stamp(at),
        "duration_ms": max(0, at - began_at) if at is not None and began_at is not None else None,
    }
    return {**shown, "unreadable": sorted(parts.unreadable)} if parts.unreadable else shown


class _Parts:
    """The columns of a row, read one by one; ``unreadable`` has the names of those that cannot be read."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self.unreadable = set[str]()

    def _read(self, name: str) -> Any:
        try:
            return transitions.load(getattr(self._row, name))
        except (ValueError, TypeError, RecursionError):
            self.unreadable.add(name)
            return None

    def members(self, name: str) -> dict[str, Any]:
        """The members of a column that has an object."""
        found = self._read(name)
        if found is None or isinstance(found, dict):
            return found or {}
        self.unreadable.add(name)
        return {}

    def moment(self, name: str) -> int | None:
        """A time, ms."""
        found = getattr(self._row, name)
        if found is None or (isinstance(found, int) and abs(found) < _LATEST):
            return found
        self.unreadable.add(name)
        return None

    def payload(self) -> Any:
        """What it carried: the payload that is kept, or the input of the execution."""
        if self._row.body is not None:
            return self._read("body")
        given = self._read("input")
        if isinstance(given, Mapping) and self._row.kind not in (Kind.ACTION, Kind.STEP, None):
            given = given.get("payload")
        return redacted(given)

    def error(self) -> dict[str, Any] | None:
        """The error of its execution."""
        error = self._read("error")
        return {name: error.get(name) for name in ("code", "message")} if isinstance(error, Mapping) else None


def _shadows(gate: Mapping[str, Any]) -> dict[str, Any]:
    """What rules in shadow mode would have decided."""
    found = gate.get("shadows")
    pairs = [one for one in found if isinstance(one, list) and len(one) == _PAIR] if isinstance(found, list) else []
    return {"shadows": [{"rule": rule, "verdict": verdict} for rule, verdict in pairs]} if pairs else {}
