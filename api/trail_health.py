"""What ``/health`` and ``/metrics`` say of the sealed trail: the last check, and how far the seals are behind."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from marshmallow import fields
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from api.http.base_schema import Answer
from api.http.schemas import moment
from api.http.times import stamp
from store.blocks import seals, walks
from store.engine import db
from store.engine.db import Connection

EXAMPLE: dict[str, Any] = {
    "valid": True,
    "checked_at": "2026-04-28T03:00:41.210Z",
    "records_checked": 48230,
    "seals_checked": 4182,
    "faults": [],
    "seals": 4190,
    "unsealed_seconds": 0.4,
}


class TrailHealth(Answer):
    """The sealed audit trail."""

    valid = fields.Boolean(
        allow_none=True, metadata={"description": "Whether the last daily check found it as sealed; null before one."}
    )
    checked_at = moment("When the last daily check ended.", null=True)
    records_checked = fields.Integer(metadata={"description": "Rows that it compared with their seals."})
    seals_checked = fields.Integer(metadata={"description": "Seals that it checked."})
    faults = fields.List(fields.String(), metadata={"description": "What is wrong, each with the number of its seal."})
    seals = fields.Integer(metadata={"description": "How many seals there are."})
    unsealed_seconds = fields.Float(
        metadata={"description": "How long the oldest row has waited for its seal; more than 2 where one is held up."}
    )


def read(connection: Connection) -> dict[str, Any]:
    """The members of ``TrailHealth``."""
    end, two = seals.end(connection), walks.newest(connection)
    ended = next((walk for walk in two if walk.ended_at is not None), None)
    found = [walks.progress(walk) for walk in two[:1]] + ([walks.progress(ended)] if ended is not None else [])
    faults = found[0].faults or found[-1].faults if found else []
    return {
        "valid": not faults if faults or ended is not None else None,
        "checked_at": stamp(ended.ended_at) if ended is not None else None,
        "records_checked": ended.records_checked if ended is not None else 0,
        "seals_checked": ended.seals_checked if ended is not None else 0,
        "faults": [f"{fault.kind} at seal {fault.seal}" for fault in faults],
        "seals": end.number,
        "unsealed_seconds": max(0, db.now_ms() - end.unsealed_at) / 1000 if end.unsealed_at else 0.0,
    }


def gauges(state: dict[str, Any]) -> Iterator[Metric]:
    """The same for Prometheus."""
    if state["valid"] is not None:
        words = "1, or 0 when the audit trail is not as it was sealed."
        yield GaugeMetricFamily("tocsin_audit_trail_valid", words, float(state["valid"]))
    if state["checked_at"] is not None:
        checked = datetime.fromisoformat(state["checked_at"]).timestamp()
        yield GaugeMetricFamily("tocsin_audit_trail_checked_timestamp_seconds", "When it was checked last.", checked)
    yield GaugeMetricFamily("tocsin_audit_trail_seals", "Seals of the audit trail.", state["seals"])
    words = "How long the oldest row of the audit trail has waited for its seal."
    yield GaugeMetricFamily("tocsin_audit_trail_unsealed_seconds", words, state["unsealed_seconds"])
