"""``/health`` for people and load balancers, ``/metrics`` for machines.

Without a key the answer has only the status; a key that may read gets the reasons. A reading is kept for a second, or
longer where it takes long, so that many callers cost no more than one and a process spends little of its time on it.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Response, current_app, request
from marshmallow import fields
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from api import installation, prometheus, trail_health
from api.gateway import outcome_counts
from api.http.auth import public, reader
from api.http.base_schema import Answer
from api.http.blueprint import Blueprint, answer
from api.http.load import HERE
from api.http.writes import Writes
from api.installation import Inspector, Installation
from config.errors import Unavailable
from config.types import Json
from store import redis as redis_store
from store import sandbox_kinds, worker_processes
from store.access import Caller
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import recovery
from store.executions.lists import listing
from tasks.messages import queue_state

METRICS = {
    "status": "ok",
    "executions": {"pending": 2, "running": 1, "completed": 240},
    "backlog": 2,
    "oldest_overdue_seconds": 0.0,
    "workers": {"consuming": 1},
    "queues": {
        "urgent": {"messages": 0, "oldest_seconds": 0.0},
        "steps": {"messages": 2, "oldest_seconds": 0.4},
    },
    "audit_trail": trail_health.EXAMPLE,
    **outcome_counts.EXAMPLE,
}


HEALTH = {
    "status": "ok",
    "database": "ok",
    "redis": "ok",
    "workers": [
        {
            "name": "steps@host",
            "queues": ["urgent", "steps"],
            "state": "consuming",
            "running": 0,
            "clock_skew_ms": 3,
            "stalled_ms": 0,
        }
    ],
    "oldest_overdue_seconds": 0.0,
    "metrics": {name: value for name, value in METRICS.items() if name != "status"} | outcome_counts.MORE,
    "sandbox": "filter",
    **installation.EXAMPLE,
}

blueprint = Blueprint("health", __name__, tag="health")

#: how long a reading is valid: this many times what it took, within these bounds in seconds
PATIENCE = 50
FRESH, STALE = 1.0, 60.0
#: overdue work of this age means that no worker recovers it, and ordinary work that has waited so long that workers are
#: held up, seconds
LATE = 15.0


#: the description of an answer that depends on the key
_FOR_READERS = "Without a key that may read only status is given."
_AWAY = {"status": "degraded"}
_SECURITY: list[dict[str, list[str]]] = [{}, {"bearer": []}, {"apiKey": []}]


_STATUS = fields.String(metadata={"description": "ok, or degraded: something needs attention."})


class QueueHealth(Answer):
    """A queue."""

    messages = fields.Integer(
        allow_none=True, metadata={"description": "How many wait there; null with another broker than Redis."}
    )
    oldest_seconds = fields.Float(
        metadata={"description": "For how long the oldest execution has waited that no worker has claimed."}
    )


class _Counts(outcome_counts.OutcomeCounts):
    """Counts over all workspaces."""

    executions = fields.Dict(
        values=fields.Integer(),
        metadata={
            "description": "Executions by status: all that have not ended, and the newest "
            f"{listing.MOST_COUNTED} that have."
        },
    )
    backlog = fields.Integer(metadata={"description": "Executions that wait for a worker."})
    oldest_overdue_seconds = fields.Float(metadata={"description": "By how much the most overdue work is late."})
    workers = fields.Dict(values=fields.Integer(), metadata={"description": "Worker processes by state."})
    queues = fields.Dict(values=fields.Nested(QueueHealth), metadata={"description": "The queues, by name."})
    audit_trail = fields.Nested(trail_health.TrailHealth, metadata={"description": "The sealed audit trail."})


class Metrics(_Counts):
    """Counts over all workspaces; of those who may not read them only ``status`` is said."""

    ALWAYS = frozenset({"status"})

    status = _STATUS


class HealthMetrics(_Counts, outcome_counts.MoreOutcomeCounts):
    """The counts of ``Metrics``, and two more."""


class WorkerHealth(Answer):
    """A worker process."""

    name = fields.String(metadata={"description": "Its name."})
    queues = fields.List(fields.String(), metadata={"description": "The queues that it consumes."})
    state = fields.String(metadata={"description": "consuming, or stuck: it is alive and consumes nothing."})
    running = fields.Integer(metadata={"description": "Executions that it performs now."})
    clock_skew_ms = fields.Integer(
        allow_none=True,
        metadata={"description": "How far its machine's clock is ahead of the database's; null: it is the same clock."},
    )
    stalled_ms = fields.Integer(
        allow_none=True,
        metadata={"description": "How long its event loop has stood still, at the longest of the last minute."},
    )


class Health(Answer):
    """The state of the system; ``secret_key``, ``function_files`` and ``configuration`` are for admins.

    Of those who may not read it only ``status`` is said.
    """

    ALWAYS = frozenset({"status"})

    status = _STATUS
    database = fields.String(metadata={"description": "ok, or read_only: it answers and takes no writes."})
    redis = fields.String(metadata={"description": "ok, read_only or away: work starts later, none is lost."})
    workers = fields.List(fields.Nested(WorkerHealth), metadata={"description": "Living worker processes."})
    oldest_overdue_seconds = fields.Float(
        allow_none=True, metadata={"description": "By how much the most overdue work is late."}
    )
    metrics = fields.Nested(HealthMetrics, allow_none=True, metadata={"description": "As /metrics, and two more."})
    sandbox = fields.String(
        allow_none=True,
        metadata={"description": "What bounds the memory of scripts: cgroup or filter; none where they cannot run."},
    )
    secret_key = fields.Nested(
        installation.SecretKeyHealth, metadata={"description": "For admins: whether what is stored can be opened."}
    )
    function_files = fields.Nested(
        installation.FunctionFilesHealth, metadata={"description": "For admins: the operator's Python functions."}
    )
    configuration = fields.Nested(
        installation.ConfigurationHealth, metadata={"description": "For admins: the gateway's configuration."}
    )


@dataclass(frozen=True)
class Reading:
    """The state of the system by the database and Redis."""

    workers: list[dict[str, Any]]
    metrics: dict[str, Any]
    #: outcomes that only ``/health`` counts
    more: dict[str, int] = field(default_factory=dict)
    own: Installation = field(default_factory=Installation)
    redis: str = "ok"
    #: ``read_only`` where the last write failed
    database: str = "ok"

    @property
    def status(self) -> str:
        """``ok``, or ``degraded``: something needs attention."""
        consuming = any(worker["state"] == "consuming" for worker in self.workers)
        late = max(self.metrics["oldest_overdue_seconds"], queue_state.longest(self.metrics["queues"])) >= LATE
        well = self.redis == self.database == "ok" and consuming and not late and "stuck" not in self.metrics["workers"]
        well = well and self.metrics["audit_trail"]["valid"] is not False
        return "ok" if well and self.own.sound else "degraded"


class Gauge:
    """Reads the database at most once in ``FRESH`` seconds.

    Less often where a reading takes long. There is one per process.
    """

    def __init__(self) -> None:
        self.writes = Writes()
        self._inspector = Inspector()
        self._lock = threading.Lock()
        self._good_until = float("-inf")
        self._reading: Reading | Unavailable = Reading([], {})

    def read(self) -> Reading:
        """The present reading.

        Raises:
            Unavailable: the database cannot be asked, or could not a moment ago.
        """
        with self._lock:
            begun = time.monotonic()
            if begun > self._good_until:
                try:
                    self._reading, done = _read(self._inspector), time.monotonic()
                    self._good_until = done + min(max(FRESH, PATIENCE * (done - begun)), STALE)
                except Unavailable as error:  # one failed try serves all callers: each may wait for seconds
                    self._reading, self._good_until = error, time.monotonic() + FRESH
            if isinstance(self._reading, Unavailable):
                raise Unavailable(str(self._reading))
            return self._reading


def _read(inspector: Inspector) -> Reading:
    with db.read() as connection:
        own = inspector.look(connection)
    with HERE.aside():
        rows, counts, overdue, waiting, outcomes, sealed = db.read_aside(_rows)
    queues = queue_state.queues(waiting)
    workers = [
        {
            "name": row.name,
            "queues": row.queues.split(","),
            "state": worker_processes.state(row),
            "running": row.running,
        }
        | {"clock_skew_ms": row.skew_ms, "stalled_ms": row.stalled_ms}
        for row in rows
    ]
    metrics = {
        "executions": counts,
        "backlog": counts.get("pending", 0),
        "oldest_overdue_seconds": overdue,
        "workers": dict(Counter(worker["state"] for worker in workers)),
        "queues": queues,
        "audit_trail": sealed,
    }
    more = {name: outcomes.pop(name) for name in outcome_counts.MORE}
    return Reading(workers, {**metrics, **outcomes}, more, own, redis_store.state())


def _rows(connection: Connection) -> tuple[list[Row], dict[str, int], float, dict[str, int], Json, Json]:
    """What a reading takes from the database."""
    rows, counts = worker_processes.living(connection), listing.counts(connection)
    overdue, waiting = recovery.oldest_overdue_ms(connection) / 1000, recovery.oldest_waiting(connection)
    return rows, counts, overdue, waiting, outcome_counts.read(connection), trail_health.read(connection)


@blueprint.get("/health")
@public
@blueprint.fails(429)
@blueprint.fails(401)
@blueprint.response(
    200, Health, example=HEALTH, description=f"It serves; status says whether all is well. {_FOR_READERS}"
)
@blueprint.alt_response(503, schema=Health, example=_AWAY, description="Nothing can be accepted.")
@blueprint.doc(security=_SECURITY)
def get_health() -> Response:
    """Get system health.

    Answers 503 when the database is away or takes no writes, because then nothing can be accepted. With a key that may
    read, the answer has all details, with an admin's also what is wrong with the installation; without one it has only
    the status.
    """
    reading, details = _looked()
    if reading is None:
        return answer(_AWAY, 503)
    status = 200 if reading.database == "ok" else 503
    if not details:
        return answer({"status": reading.status}, status)
    members = {
        "status": reading.status,
        "database": reading.database,
        "redis": reading.redis,
        "workers": reading.workers,
        "oldest_overdue_seconds": reading.metrics["oldest_overdue_seconds"],
        "metrics": {**reading.metrics, **reading.more},
        "sandbox": sandbox_kinds.weakest(worker["name"] for worker in reading.workers),
    }
    return answer({**members, **(reading.own.members() if "admin" in details.permissions else {})}, status)


@blueprint.get("/metrics")
@public
@blueprint.fails(429)
@blueprint.fails(401)
@blueprint.response(200, Metrics, example=METRICS, description=f"The counts. {_FOR_READERS}")
@blueprint.alt_response(503, schema=Metrics, example=_AWAY, description="The database is away.")
@blueprint.doc(security=_SECURITY)
def get_metrics() -> Response:
    """Get metrics.

    Counts of executions and workers as JSON, or as Prometheus text when the request prefers text/plain. The counts are
    for a key that may read; without one the answer has only the status. 503 when the database is away.
    """
    return _as_text() if _prefers_text() else _as_json()


@blueprint.get("/metrics/prometheus")
@public
@blueprint.fails(429)
@blueprint.fails(401)
@blueprint.response(
    200,
    {"type": "string"},
    content_type="text/plain",
    example='tocsin_ok 1.0\ntocsin_executions{status="pending"} 2.0\n',
    description="The counts. Without a key that may read only tocsin_ok is given.",
)
@blueprint.alt_response(
    503,
    schema={"type": "string"},
    content_type="text/plain",
    example="tocsin_ok 0.0\n",
    description="The database is away.",
)
@blueprint.doc(security=_SECURITY)
def get_prometheus_metrics() -> Response:
    """Get metrics for Prometheus.

    Counts of executions and workers in the text format, version 0.0.4, whatever the request prefers. The counts are
    for a key that may read; without one the answer has only tocsin_ok. 503 when the database is away.
    """
    return _as_text()


def _as_json() -> Response:
    reading, details = _looked()
    if reading is None:
        return answer(_AWAY, 503)
    return answer({"status": reading.status, **(reading.metrics if details else {})})


def _prefers_text() -> bool:
    """Whether the caller prefers text to the other kinds available.

    Scrapers add versions to its name.
    """
    for kind, _ in request.accept_mimetypes:
        name = kind.partition(";")[0].strip()
        if name in ("text/plain", "application/openmetrics-text"):
            return True
        if name in ("application/json", "application/*", "*/*"):
            return False
    return False


def _as_text() -> Response:
    reading, details = _looked()
    if reading is None:
        return _text(prometheus.exposition("degraded"), 503)
    if not details:
        return _text(prometheus.exposition(reading.status))
    numbers: prometheus.Numbers = current_app.extensions["tocsin.numbers"]
    try:
        found = numbers.of(details.workspace_id)
    except Unavailable:
        return _text(prometheus.exposition("degraded"), 503)
    return _text(prometheus.exposition(reading.status, reading.metrics, *found))


def _text(body: bytes, status: int = 200) -> Response:
    return Response(body, status, content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _looked() -> tuple[Reading | None, Caller | None]:
    """The present reading, and the caller if they may have all of it.

    The reading is None when the database is away.
    """
    gauge: Gauge = current_app.extensions["tocsin.gauge"]
    try:
        reading, details = gauge.read(), reader()
    except Unavailable:
        return None, None
    return reading if gauge.writes.look() else replace(reading, database="read_only"), details
