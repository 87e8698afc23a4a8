"""A recorded execution as the rules saw it when it came, made of its row.

Secrets are masked in it as they were for the rules of then. What a rule of then has changed in the payload of an
execution stays changed: the payload before is not kept.
"""

import json
from collections.abc import Mapping
from typing import Any

from config.types import Json
from gateway import facts, kept_members
from gateway.facts import Attempted, Facts
from gateway.simulation.arrivals import ASKED, BY_OUTCOME, CHAINED, DEDUPLICATED, REROUTED, THROTTLED, Arrival, Became
from gateway.verdicts import Allow
from playbooks.states import Kind
from store.engine.db import Row

#: the origins of what is decided again
ORIGINS = frozenset({"dispatch", "trigger"})
#: why a record cannot be decided again
GONE, MASKED, REPLACED, DEFINITION = "payload_gone", "payload_masked", "values_replaced", "definition_gone"
UNREADABLE = "unreadable"
_Parts = Mapping[str, Any]


def arrival(row: Row, definitions: Mapping[str, Json]) -> Arrival | str:
    """The arrival of a record, one of ``store.records.simulated``; or why it cannot be decided again.

    ``definitions`` are those of actions, by their revisions.
    """
    try:
        return _arrival(row, definitions)
    except (ValueError, TypeError, KeyError, AttributeError):  # not as Tocsin writes it
        return UNREADABLE


def _arrival(row: Row, definitions: Mapping[str, Json]) -> Arrival | str:
    gate = _parts(row.gate)
    seen = _of_trigger(row, gate, definitions) if row.origin == "trigger" else _of_dispatch(row)
    if isinstance(seen, str):
        return seen
    before = _before(row, gate)
    return Arrival(
        id=row.id,
        subject=row.subject,
        action_id=row.given_id or row.subject,
        facts=seen,
        ended_at=row.at,
        outcome=row.outcome,
        before=before,
        of=(gate.get("of") or _parts(row.details).get("of")) if before.decision == DEDUPLICATED else None,
        again_at=_again_at(row, gate) if before.decision == THROTTLED else None,
        frees=_frees(row),
    )


def _parts(text: str | None) -> _Parts:
    return json.loads(text) if text else {}


def came_at(row: Row) -> int:
    """When it was accepted, ms."""
    return int(row.began_at if isinstance(row.began_at, int) else row.at)


def _of_trigger(row: Row, gate: _Parts, definitions: Mapping[str, Json]) -> Facts | str:
    if gate.get("original_provider") and gate.get("verdict") == REROUTED:
        return REPLACED
    if row.input is None:
        return GONE
    definition = definitions.get(row.revision_id)
    if definition is None:
        return DEFINITION
    attempted = Attempted(row.workspace_id, came_at(row), json.loads(row.input), row.target, row.caller, row.subject)
    return facts.of_trigger(definition, row.action_id, attempted)


def _of_dispatch(row: Row) -> Facts | str:
    if row.kind == Kind.DISPATCH:
        if row.input is None:
            return GONE
        members: Json = json.loads(row.input)
    else:
        if row.body is None or row.members is None:
            return GONE
        kept = json.loads(row.members)
        if kept_members.is_masked(kept):
            return MASKED
        members = {
            "namespace": row.namespace,
            "provider": row.provider,
            "action_type": row.action_type,
            "payload": json.loads(row.body),
            "id": row.given_id,
            **kept_members.read(kept),
        }
    members["tenant"] = row.workspace_id
    return facts.of_dispatch(members, at=came_at(row), caller=row.caller, execution_id=row.subject)


def _before(row: Row, gate: _Parts) -> Became:
    """What had become of it."""
    if row.outcome in BY_OUTCOME:
        return Became(row.outcome, row.rule)
    if gate.get("approval"):
        return Became(ASKED, row.rule)
    decision = row.verdict or Allow.kind
    to: str | None = None
    if decision == REROUTED:
        to = gate.get("asked_provider") or gate.get("provider")
    elif decision == CHAINED:
        to = _parts(row.details).get("chain")
    return Became(decision, row.rule, to)


def _again_at(row: Row, gate: _Parts) -> int:
    until = gate.get("until")
    return int(until or row.at + _parts(row.details).get("retry_after_seconds", 0) * 1000)


def _frees(row: Row) -> bool:
    """Whether its end has freed its keys, as ``store.gateway.kept_keys`` has it."""
    if row.outcome == "cancelled":
        return bool(row.attempt == 0)
    if row.outcome not in ("failed", "circuit_open"):
        return False
    error = _parts(row.error)
    return not (error.get("effect_possible") or error.get("outcome_unknown"))
