"""Records of dispatches that made no execution: suppressed, deduplicated, throttled.

Each is one audit row, and its body (``store.gateway.payloads``), in the transaction that decides it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from store import audit
from store.engine.db import Connection
from store.executions import transitions
from store.gateway import payloads
from store.ids import new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What became of a dispatch that made no execution.

    ``payload`` is redacted (``gateway.redacted``).
    """

    workspace_id: str
    #: who sent it
    caller: str
    outcome: str
    namespace: str
    provider: str
    action_type: str
    payload: Mapping[str, Any]
    #: when it came, ms
    began_at: int
    origin: str = "dispatch"
    given_id: str | None = None
    verdict: str | None = None
    rule: str | None = None
    #: what else it said of itself (``gateway.kept_members``); None where that is not kept
    members: Mapping[str, Any] | None = None
    #: what else its record tells: reason, of, denied, retry_after_seconds
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: new_id("disp"))


def note(db: Connection, *notes: Note) -> None:
    """Write the records of these dispatches; part of the caller's transaction."""
    if not notes:
        return
    texts = [columns(one) for one in notes]
    audit.record_ends(db, [entry for entry, _ in texts])
    payloads.add(db, [kept for _, kept in texts])


def _entry(this: Note, digest: str) -> dict[str, Any]:
    said = {name: value for name, value in this.details.items() if value is not None}
    event = f"dispatch.{this.outcome}"
    entry = audit.entry(this.workspace_id, this.caller, event, this.id, **said, payload_sha256=digest)
    return {**entry, **{name: getattr(this, name) for name in audit.RECORD}}


def columns(this: Note) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns of a note's record, and of its body."""
    body = transitions.dump(dict(this.payload)) or "{}"
    entry = _entry(this, payloads.digest(body))
    return entry, _kept(this, entry["at"], body)


def _kept(this: Note, at: int, body: str) -> dict[str, Any]:
    kept = {"subject": this.id, "workspace_id": this.workspace_id, "at": at, "body": body}
    return {**kept, "members": None if this.members is None else transitions.dump(dict(this.members))}
