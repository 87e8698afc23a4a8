"""How dispatches have ended: the outcome that the row of an execution tells."""

import json
from collections.abc import Collection
from typing import Any

from config.times import stamp
from gateway import gate_column
from gateway.outcomes import (
    CircuitOpen,
    Executed,
    Failed,
    Outcome,
    PendingApproval,
    Rerouted,
    Response,
    Silenced,
    Suppressed,
)
from playbooks.states import Status
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
    provider = gate.provider if gate is not None else ""
    if row.status == Status.COMPLETED:
        response = Response(json.loads(row.output) if row.output else {})
        if gate is None or gate.original_provider is None:
            return Executed(response)
        return Rerouted(gate.original_provider, provider, response)
    error = json.loads(row.error) if row.error else {}
    if gate is not None and gate.outcome == Suppressed.name:
        return Suppressed(str(gate.rule), gate.reason, denied=error.get("code") == "denied")
    if gate is not None and gate.outcome == Silenced.name:
        silence = gate.silence
        return Silenced(str(silence["id"]), silence["comment"], stamp(silence["until"]), gate.rule)
    if error.get("code") == CIRCUIT_OPEN:
        details = error.get("details") or {}
        return CircuitOpen(details.get("provider", provider), tuple(details.get("fallback_chain", ())))
    if row.status == Status.CANCELLED and not error:
        return Failed("cancelled", "It was cancelled.", retryable=False, attempts=row.attempt)
    return Failed(
        str(error.get("code", row.status)),
        str(error.get("message", "")),
        retryable=bool(error.get("retryable")),
        attempts=row.attempt,
    )
