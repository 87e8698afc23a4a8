"""The records of dispatches that made no execution."""

from gateway.outcomes import ChainStarted, Deduplicated, Outcome, Suppressed, Throttled
from gateway.redacted import redacted
from gateway.verdicts import Verdict
from store.engine import db
from store.engine.db import Connection
from store.records import notes
from store.records.notes import Note
from tasks.intake.dispatches.rows import Asked


def note(connection: Connection, asked: Asked, verdict: Verdict, outcome: Outcome) -> None:
    """Record a dispatch that made no execution, in the transaction that decides."""
    this = asked.dispatch
    notes.note(
        connection,
        Note(
            id=asked.subject,
            workspace_id=this.tenant,
            caller=asked.caller.key_id,
            outcome=outcome.name,
            namespace=this.namespace,
            provider=this.provider,
            action_type=this.action_type,
            payload=redacted(this.payload),
            began_at=db.now_ms(),
            given_id=this.id,
            verdict=verdict.kind,
            rule=verdict.rule,
            details=_details(outcome),
        ),
    )


def _details(outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, Suppressed):
        return {"reason": outcome.reason, "denied": outcome.denied or None}
    if isinstance(outcome, Deduplicated):
        return {"of": outcome.of}
    if isinstance(outcome, Throttled):
        return {"retry_after_seconds": outcome.retry_after_seconds}
    if isinstance(outcome, ChainStarted):
        return {"chain_id": outcome.chain_id, "chain": outcome.chain_name}
    return {}
