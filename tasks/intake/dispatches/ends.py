"""How dispatches have ended: the outcome that the row of an execution tells."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from config.times import stamp
from gateway import gate_column
from gateway.gate_column import Gate
from gateway.outcomes import (
    ChainStarted,
    CircuitOpen,
    Deduplicated,
    Executed,
    Failed,
    Muted,
    Outcome,
    PendingApproval,
    Rerouted,
    Response,
    Silenced,
    StateChanged,
    Suppressed,
    Throttled,
)
from playbooks.states import Status
from store.engine import db
from store.engine.db import Connection
from store.executions import results
from store.executions.transitions import TERMINAL

#: the code of a failure for which a circuit breaker let nothing out
CIRCUIT_OPEN = "circuit_open"


def read(connection: Connection, execution_ids: Collection[str]) -> dict[str, Outcome]:
    """The outcomes of those executions that have ended."""
    rows = results.read(connection, execution_ids)
    return {row.id: outcome_of(row) for row in rows if row.status in TERMINAL}


def known(row: Any) -> Outcome | None:
    """The outcome that a row tells so far; None where it is on its way."""
    if row.status in TERMINAL:
        return outcome_of(row)
    gate = gate_column.read(row.gate)
    if gate is None or gate.outcome != PendingApproval.name or gate.approval is None:
        return None
    return PendingApproval(gate.approval, stamp(gate.until or 0))


def outcome_of(row: Any) -> Outcome:
    """The outcome of an execution that has ended."""
    gate = gate_column.read(row.gate)
    if row.status == Status.COMPLETED:
        return _completed(gate, json.loads(row.output) if row.output else {})
    error = json.loads(row.error) if row.error else {}
    if gate is not None and (kept := _kept_back(gate, error)) is not None:
        return kept
    if error.get("code") == CIRCUIT_OPEN:
        details = error.get("details") or {}
        return CircuitOpen(
            details.get("provider", gate.provider if gate is not None else ""), tuple(details.get("fallback_chain", ()))
        )
    if row.status == Status.CANCELLED and not error:
        return Failed("cancelled", "It was cancelled.", retryable=False, attempts=row.attempt)
    return Failed(
        str(error.get("code", row.status)),
        str(error.get("message", "")),
        retryable=bool(error.get("retryable")),
        attempts=row.attempt,
    )


def _kept_back(gate: Gate, error: Mapping[str, Any]) -> Outcome | None:
    """The outcome of what the gate has kept from going out."""
    if gate.outcome == Suppressed.name:
        return Suppressed(str(gate.rule), gate.reason, denied=error.get("code") == "denied")
    if gate.outcome == Muted.name:
        return Muted(str(gate.interval), str(gate.reason), gate.rule)
    if gate.outcome == Silenced.name:
        silence = gate.silence
        return Silenced(str(silence["id"]), silence["comment"], stamp(silence["until"]), gate.rule)
    if gate.outcome == Deduplicated.name:
        return Deduplicated(str(gate.of))
    if gate.outcome == Throttled.name:
        return Throttled(str(gate.rule), max(0, (gate.until or 0) - db.now_ms()))
    return None


def _completed(gate: Gate | None, output: Any) -> Outcome:
    if gate is not None and gate.outcome == ChainStarted.name:
        return ChainStarted(**output)
    if gate is not None and gate.outcome == StateChanged.name:
        return StateChanged(**output)
    if gate is None or gate.original_provider is None:
        return Executed(Response(output))
    return Rerouted(gate.original_provider, gate.provider, Response(output))
