"""The records of dispatches that made no execution."""

from collections.abc import Mapping
from typing import Any

from gateway import kept_members
from gateway.gate_column import silence_of
from gateway.outcomes import ChainStarted, Deduplicated, Grouped, Muted, Outcome, StateChanged, Suppressed, Throttled
from gateway.redacted import redacted
from gateway.verdicts import Check, Group, StateMachine, Verdict
from store.engine import db
from store.engine.db import Connection
from store.records import notes
from store.records.notes import Note
from tasks.intake.dispatches.rows import Asked

#: verdicts of what is not stopped: its record says where it went
_GOES_ON = frozenset({Group.kind, StateMachine.kind})


def note(
    connection: Connection,
    asked: Asked,
    verdict: Verdict,
    outcome: Outcome,
    payload: Mapping[str, Any],
    check: Check | None = None,
    more: Mapping[str, object] | None = None,
) -> None:
    """Record a dispatch that made no execution, in the transaction that decides.

    ``payload`` is what the rules have seen; ``check`` is the one that has refused it; ``more`` are further details.
    """
    notes.note(connection, of(asked, verdict, outcome.name, payload, check, {**told(outcome), **(more or {})}))


def of(
    asked: Asked,
    verdict: Verdict,
    outcome: str,
    payload: Mapping[str, Any],
    check: Check | None = None,
    details: Mapping[str, object] | None = None,
) -> Note:
    """The record of a dispatch that made no execution; ``details`` are what its outcome adds."""
    this, kept = asked.dispatch, redacted(payload)
    return Note(
        id=asked.subject,
        workspace_id=this.tenant,
        caller=asked.caller.key_id,
        outcome=outcome,
        namespace=this.namespace,
        provider=this.provider,
        action_type=this.action_type,
        payload=kept,
        members=kept_members.of(this, kept),
        began_at=db.now_ms(),
        origin=asked.origin,
        given_id=this.id,
        verdict=verdict.kind if check is None else check.effect.kind,
        rule=verdict.rule if check is None else check.rule,
        details={**_details(verdict, check), **_origin(asked), **(details or {})},
    )


def _details(verdict: Verdict, check: Check | None) -> dict[str, object]:
    shadows = [{"rule": shadow.rule, "verdict": shadow.verdict} for shadow in verdict.shadows]
    by: Verdict | Check = verdict if check is None else check
    condition = None if verdict.kind in _GOES_ON else by.condition
    problems = [{"rule": problem.rule, "detail": problem.detail} for problem in verdict.problems]
    members = {"reason": by.reason, "condition": condition, "shadows": shadows or None, "problems": problems or None}
    return {**members, "silence": silence_of(verdict.quiet) or None}


def _origin(asked: Asked) -> dict[str, object]:
    return {"replayed_from": asked.replays.action_id} if asked.replays is not None else {}


def told(outcome: Outcome) -> dict[str, object]:
    """What an outcome adds to the details of a record."""
    if isinstance(outcome, Suppressed):
        return {"denied": outcome.denied or None}
    if isinstance(outcome, Muted):
        return {"interval": outcome.interval}
    if isinstance(outcome, Deduplicated):
        return {"of": outcome.of}
    if isinstance(outcome, Throttled):
        return {"retry_after_seconds": outcome.retry_after_seconds}
    if isinstance(outcome, ChainStarted):
        return {"chain_id": outcome.chain_id, "chain": outcome.chain_name}
    if isinstance(outcome, StateChanged):
        return {**outcome.members(), "refused": outcome.refused}
    if isinstance(outcome, Grouped):
        return {"group_id": outcome.group_id, "group_size": outcome.group_size}
    return {}
