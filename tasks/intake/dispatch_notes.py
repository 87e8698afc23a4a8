"""The records of dispatches that made no execution."""

from gateway.outcomes import ChainStarted, Deduplicated, Outcome, Suppressed, Throttled
from gateway.verdicts import Verdict
from store import audit
from store.engine.db import Connection
from tasks.intake.dispatch_rows import Asked


def note(connection: Connection, asked: Asked, verdict: Verdict, outcome: Outcome | None) -> None:
    """Record a dispatch that made no execution; part of the transaction that decides it."""
    this = asked.dispatch
    said = {name: value for name, value in _details(outcome).items() if value is not None}
    name = outcome.name if outcome is not None else verdict.kind
    audit.record(
        connection,
        this.tenant,
        asked.caller.key_id,
        f"dispatch.{name}",
        asked.subject,
        rule=verdict.rule,
        provider=this.provider,
        **said,
    )


def _details(outcome: Outcome | None) -> dict[str, object]:
    if isinstance(outcome, Suppressed):
        return {"reason": outcome.reason, "denied": outcome.denied or None}
    if isinstance(outcome, Deduplicated):
        return {"of": outcome.of}
    if isinstance(outcome, Throttled):
        return {"retry_after_seconds": outcome.retry_after_seconds}
    if isinstance(outcome, ChainStarted):
        return {"chain_id": outcome.chain_id, "chain": outcome.chain_name}
    return {}
