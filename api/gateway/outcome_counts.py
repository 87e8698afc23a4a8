"""The outcomes of all records, counted, as ``/metrics`` and ``/health`` show them.

The numbers are those that a duty of the clock keeps by reading the trail (``tasks.clock.metrics``): of all processes,
over all restarts, up to a second or two old.
"""

from typing import Any

from marshmallow import fields

from api.http.base_schema import Answer
from api.http.schemas import number
from store import metrics
from store.engine.db import Connection
from store.records import approvals
from tasks.clock.metrics import OUTCOMES

#: the origins of dispatches that callers send; a step of a chain carries out what is counted as ``chain_started``
_DISPATCHES = frozenset({"dispatch"})
#: what ``/metrics`` counts of dispatches besides their number, and what ``/health`` counts more
_COUNTED = ("executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed")
_COUNTED_MORE = ("grouped",)

EXAMPLE: dict[str, Any] = {
    "dispatched": 1500,
    "executed": 1210,
    "deduplicated": 150,
    "suppressed": 50,
    "rerouted": 30,
    "throttled": 20,
    "failed": 10,
    "by_origin": {"dispatch": {"executed": 1210, "deduplicated": 150}, "step": {"executed": 240, "cancelled": 1}},
}
#: what ``/health`` has besides
MORE = {"grouped": 25, "pending_approval": 5}


class OutcomeCounts(Answer):
    """How many dispatches ended in which way, since records are kept."""

    dispatched = number("Dispatches, whatever became of them.")
    executed = number("Dispatches that their provider carried out.")
    deduplicated = number("Dispatches whose equal went out within the time.")
    suppressed = number("Dispatches that a rule stopped.")
    rerouted = number("Dispatches that another provider carried out.")
    throttled = number("Dispatches beyond the limit of a rule.")
    failed = number("Dispatches that failed at every attempt.")
    by_origin = fields.Dict(
        values=fields.Dict(values=fields.Integer()),
        metadata={
            "description": "Outcomes by origin: of dispatches, triggered actions, steps of playbooks and of chains."
        },
    )


class MoreOutcomeCounts(Answer):
    """What ``/health`` counts besides."""

    grouped = number("Dispatches that were added to a group.")
    pending_approval = number("Dispatches that wait for an approval.")


def read(connection: Connection) -> dict[str, Any]:
    """The members of ``OutcomeCounts`` and of ``MoreOutcomeCounts``."""
    by_origin: dict[str, dict[str, int]] = {}
    for series, count in sorted(metrics.read(connection, ("",), OUTCOMES).items()):
        origin, outcome = series.labels
        by_origin.setdefault(origin, {})[outcome] = count
    dispatches = [outcomes for origin, outcomes in by_origin.items() if origin in _DISPATCHES]
    counted = {name: sum(each.get(name, 0) for each in dispatches) for name in (*_COUNTED, *_COUNTED_MORE)}
    counted["pending_approval"] = approvals.waiting(connection)
    return {"dispatched": sum(sum(each.values()) for each in dispatches), **counted, "by_origin": by_origin}
