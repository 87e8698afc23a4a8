"""``/health`` for people and load balancers, ``/metrics`` for machines. Open to everybody, hence no names of things.

What is read from the database is kept for a second, or longer where reading takes long, so that many askers cost no
more than one and a process spends little of its time on it.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request
from marshmallow import fields
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api import examples
from api.auth import public
from api.base_schema import Schema
from api.blueprint import Blueprint, answer
from config.errors import Unavailable
from providers import sandbox_status
from store import db, listing, processes, recovery
from store import redis as redis_store

blueprint = Blueprint("health", __name__, description="How the system is.")

#: for how long a reading is good: this many times what it took, within these bounds in seconds
PATIENCE = 50
FRESH, STALE = 1.0, 60.0
#: overdue work of this age means that nobody looks after it, seconds
LATE = 15.0


class Metrics(Schema):
    """Counts over all workspaces."""

    executions = fields.Dict(
        metadata={
            "description": "Executions by status: all that have not ended, and the newest "
            f"{listing.MOST_COUNTED} that have."
        }
    )
    backlog = fields.Integer(metadata={"description": "Executions that wait for a worker."})
    oldest_overdue_seconds = fields.Float(metadata={"description": "By how much the most overdue work is late."})
    workers = fields.Dict(metadata={"description": "Worker processes by state."})


class WorkerHealth(Schema):
    """A worker process."""

    name = fields.String(metadata={"description": "Its name."})
    queues = fields.List(fields.String(), metadata={"description": "The queues it takes from."})
    state = fields.String(metadata={"description": "consuming, or stuck: it lives and takes nothing."})
    running = fields.Integer(metadata={"description": "What it has in hand."})


class Health(Schema):
    """How the system is."""

    status = fields.String(metadata={"description": "ok, or degraded: something needs attention."})
    database = fields.String(metadata={"description": "ok or away."})
    redis = fields.String(metadata={"description": "ok or away; without it work starts later, and none is lost."})
    workers = fields.List(fields.Nested(WorkerHealth), metadata={"description": "Living worker processes."})
    oldest_overdue_seconds = fields.Float(
        allow_none=True, metadata={"description": "By how much the most overdue work is late."}
    )
    metrics = fields.Nested(Metrics, allow_none=True, metadata={"description": "The same as /metrics."})
    sandbox = fields.String(
        allow_none=True,
        metadata={"description": "What bounds the memory of scripts: cgroup or filter; none where they cannot run."},
    )


@dataclass(frozen=True)
class Reading:
    """What the database says about the system."""

    workers: list[dict[str, Any]]
    metrics: dict[str, Any]


class Gauge:
    """Reads the database at most once in ``FRESH`` seconds, less often where that takes long; one per process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._good_until = float("-inf")
        self._reading = Reading([], {})

    def read(self) -> Reading:
        """The present reading.

        Raises:
            Unavailable: the database cannot be asked.
        """
        with self._lock:
            begun = time.monotonic()
            if begun > self._good_until:
                self._reading, done = _read(), time.monotonic()
                self._good_until = done + min(max(FRESH, PATIENCE * (done - begun)), STALE)
            return self._reading


def _read() -> Reading:
    with db.read() as connection:
        rows = processes.living(connection)
        counts = listing.counts(connection)
        overdue = recovery.oldest_overdue_ms(connection) / 1000
    workers = [
        {"name": row.name, "queues": row.queues.split(","), "state": processes.state(row), "running": row.running}
        for row in rows
    ]
    metrics = {
        "executions": counts,
        "backlog": counts.get("pending", 0),
        "oldest_overdue_seconds": overdue,
        "workers": dict(Counter(worker["state"] for worker in workers)),
    }
    return Reading(workers, metrics)


class _Exposition(Collector):
    """A reading in the terms of Prometheus."""

    def __init__(self, reading: Reading) -> None:
        self._metrics = reading.metrics

    def collect(self) -> Iterator[Metric]:
        """Every family of metrics."""
        for name, words, label in (
            ("executions", "Executions by status.", "status"),
            ("workers", "Worker processes by state.", "state"),
        ):
            family = GaugeMetricFamily(f"tocsin_{name}", words, labels=[label])
            for value, number in self._metrics[name].items():
                family.add_metric([value], number)
            yield family
        yield GaugeMetricFamily("tocsin_backlog", "Executions waiting for a worker.", self._metrics["backlog"])
        yield GaugeMetricFamily(
            "tocsin_oldest_overdue_seconds",
            "By how much the most overdue work is late.",
            self._metrics["oldest_overdue_seconds"],
        )


def _gauge() -> Gauge:
    gauge: Gauge = current_app.extensions["tocsin.gauge"]
    return gauge


@blueprint.get("/health")
@public
@blueprint.fails(503)
@blueprint.response(200, Health, example=examples.HEALTH, description="It serves; status says whether all is well.")
def get_health() -> Response:
    """Tell how the system is.

    Answers 503 when the database is away, because then nothing can be accepted.
    """
    redis = "ok" if redis_store.alive() else "away"
    try:
        reading = _gauge().read()
    except Unavailable:
        unknown = dict.fromkeys(("oldest_overdue_seconds", "metrics"))
        return answer({"status": "degraded", "database": "away", "redis": redis, "workers": [], **unknown}, 503)
    overdue = reading.metrics["oldest_overdue_seconds"]
    consuming = any(worker["state"] == "consuming" for worker in reading.workers)
    well = redis == "ok" and consuming and overdue < LATE and "stuck" not in reading.metrics["workers"]
    members = {
        "status": "ok" if well else "degraded",
        "database": "ok",
        "redis": redis,
        "workers": reading.workers,
        "oldest_overdue_seconds": overdue,
        "metrics": reading.metrics,
        "sandbox": sandbox_status.told(worker["name"] for worker in reading.workers),
    }
    return answer(members)


@blueprint.get("/metrics")
@public
@blueprint.fails(503)
@blueprint.response(200, Metrics, example=examples.METRICS, description="The counts.")
def get_metrics() -> Response:
    """Count executions and workers.

    JSON, or Prometheus text when the request prefers text/plain.
    """
    return _as_text() if _prefers_text() else answer(_gauge().read().metrics)


@blueprint.get("/metrics/prometheus")
@public
@blueprint.fails(503)
@blueprint.response(
    200,
    {"type": "string"},
    content_type="text/plain",
    example='tocsin_executions{status="pending"} 2.0\n',
    description="The counts.",
)
def get_prometheus_metrics() -> Response:
    """Count executions and workers for Prometheus.

    The text format, version 0.0.4, whatever the request prefers.
    """
    return _as_text()


def _prefers_text() -> bool:
    """Whether the first kind that the caller would like and we have is text (scrapers add versions to its name)."""
    for kind, _ in request.accept_mimetypes:
        name = kind.partition(";")[0].strip()
        if name in ("text/plain", "application/openmetrics-text"):
            return True
        if name in ("application/json", "application/*", "*/*"):
            return False
    return False


def _as_text() -> Response:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exposition(_gauge().read()))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
