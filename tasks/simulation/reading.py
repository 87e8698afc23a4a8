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

#: the origins of what is decided again
ORIGINS = frozenset({"dispatch", "trigger"})
#: why a record cannot be decided again
GONE, MASKED, REPLACED, DEFINITION = "payload_gone", "payload_masked", "values_replaced", "definition_gone"
UNREADABLE = "unreadable"
#: a record as ``store.records.simulated`` reads it, brief, and what it carried
Row = Any
_Parts = Mapping[str, Any]

_NOTHING: _Parts = {}
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def arrival(row: Row, carried: Row, definitions: Mapping[str, Json]) -> Arrival | str:
    """The arrival of a record that ``carried`` something; or why it cannot be decided again.

    ``definitions`` are those of actions, by their revisions.
    """
    try:
        return _arrival(row, carried, definitions)
    except (ValueError, TypeError, KeyError, AttributeError):  # not as Tocsin writes it
        return UNREADABLE


def _arrival(row: Row, carried: Row, definitions: Mapping[str, Json]) -> Arrival | str:
    gate = _parts(carried.gate)
    seen = _of_trigger(row, carried, gate, definitions) if row.origin == "trigger" else _of_dispatch(row, carried)
    if isinstance(seen, str):
        return seen
    before = _before(row, carried, gate)
    decision = before.decision
    return Arrival(
        row.id,
        row.subject,
        carried.given_id or row.subject,
        seen,
        row.at,
        row.outcome,
        before,
        (gate.get("of") or _parts(carried.details).get("of")) if decision == DEDUPLICATED else None,
        _again_at(row, carried, gate) if decision == THROTTLED else None,
        row.outcome in _ENDED_BADLY and _frees(row, carried),
    )


def _parts(text: str | None) -> Any:
    return _read(text) if text else _NOTHING


def _read(text: str) -> Any:
    """A JSON text, as a rule without white space around it, which the library looks for at length."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def _object(text: str) -> Json:
    """What was carried, which is always an object.

    Raises:
        TypeError: it has been replaced by something else.
    """
    value: Json = _read(text)
    if value.__class__ is not dict:
        raise TypeError
    return value


def came_at(row: Row) -> int:
    """When it was accepted, ms."""
    began: Any = row.began_at
    return int(began if began.__class__ is int else row.at)


def _of_trigger(row: Row, carried: Row, gate: _Parts, definitions: Mapping[str, Json]) -> Facts | str:
    if gate.get("original_provider") and gate.get("verdict") == REROUTED:
        return REPLACED
    if carried.input is None:
        return GONE
    definition = definitions.get(carried.revision_id)
    if definition is None:
        return DEFINITION
    values = _object(carried.input)
    attempted = Attempted(row.workspace_id, came_at(row), values, carried.target, carried.caller, row.subject)
    return facts.of_trigger(definition, carried.action_id, attempted)


def _of_dispatch(row: Row, carried: Row) -> Facts | str:
    if carried.kind == Kind.DISPATCH:
        if carried.input is None:
            return GONE
        members: Json = _object(carried.input)
        members["tenant"] = row.workspace_id
        return facts.of_dispatch(members, at=came_at(row), caller=carried.caller, execution_id=row.subject)
    if carried.body is None or carried.members is None:
        return GONE
    kept = _read(carried.members)
    if kept_members.is_masked(kept):
        return MASKED
    return Facts(
        "dispatch",
        row.namespace,
        row.workspace_id,
        row.provider,
        row.action_type,
        came_at(row),
        _object(carried.body),
        dict(kept.get("labels") or _NOTHING),
        carried.given_id or row.subject,
        kept.get("status"),
        kept.get("fingerprint"),
        kept.get("dedup_key"),
        kept.get("starts_at"),
        kept.get("ends_at"),
        carried.caller,
    )


def _before(row: Row, carried: Row, gate: _Parts) -> Became:
    """What had become of it."""
    if row.outcome in BY_OUTCOME:
        return Became(row.outcome, row.rule)
    if gate and gate.get("approval"):
        return Became(ASKED, row.rule)
    decision = carried.verdict or Allow.kind
    if decision == REROUTED:
        return Became(decision, row.rule, gate.get("asked_provider") or gate.get("provider"))
    if decision == CHAINED:
        return Became(decision, row.rule, _parts(carried.details).get("chain"))
    return Became(decision, row.rule)


def _again_at(row: Row, carried: Row, gate: _Parts) -> int:
    until = gate.get("until")
    return int(until or row.at + _parts(carried.details).get("retry_after_seconds", 0) * 1000)


#: outcomes of what may have had no effect
_ENDED_BADLY = frozenset({"cancelled", "failed", "circuit_open"})


def _frees(row: Row, carried: Row) -> bool:
    """Whether its end has freed its keys, as ``store.gateway.kept_keys`` has it."""
    if row.outcome == "cancelled":
        return bool(carried.attempt == 0)
    error = _parts(carried.error)
    return not (error.get("effect_possible") or error.get("outcome_unknown"))
