"""The installation in the terms of Prometheus: the present state as gauges, what has ended as counters."""

import threading
import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from api import trail_health
from playbooks.states import Kind
from store import metrics
from store.definitions import playbooks
from store.engine import db
from store.metrics import Series
from tasks.clock.metrics import buckets
from tasks.policy import meaning

#: stored name → name and words in Prometheus, labels
_COUNTERS = {
    "executions_ended": ("tocsin_executions_ended", "Executions that ended.", ("kind", "status", "mode")),
    "workspace_executions_ended": (
        "tocsin_workspace_executions_ended",
        "Executions that ended in the key's workspace, by action or playbook.",
        ("kind", "status", "name"),
    ),
    "attempts": ("tocsin_attempts", "Attempts of executions that ended.", ("kind",)),
    "attempts_lost": ("tocsin_attempts_lost", "Attempts of executions that ended whose worker was lost.", ("kind",)),
    "attempts_exhausted": ("tocsin_attempts_exhausted", "Executions that lost their worker too often.", ("kind",)),
    "outcomes_unknown": ("tocsin_outcomes_unknown", "At-most-once actions of unknown outcome.", ("kind",)),
    "playbooks_not_started": ("tocsin_playbooks_not_started", "Schedules and events that could not start one.", ()),
    meaning.COMPARISONS: (
        "tocsin_semantic_comparisons",
        "Comparisons by meaning that conditions of rules have made.",
        ("result",),
    ),
    meaning.EMBEDDINGS: ("tocsin_embeddings", "Texts that were given to the provider of embeddings.", ("outcome",)),
    "duty_failures": ("tocsin_duty_failures", "Failures of duties of the clock.", ("duty",)),
}
_HISTOGRAMS = {
    "queue_wait": ("tocsin_queue_wait_seconds", "From the creation to the first start of an execution."),
    "run_time": ("tocsin_run_seconds", "From the first start to the end of an execution."),
}
#: series that are shown before there is anything to count: Prometheus sees no increase to a first value
_FROM_ZERO: dict[tuple[str, ...], dict[tuple[str, ...], int]] = {
    (): {(): 0},
    ("result",): {("matched",): 0, ("not_matched",): 0, ("failed",): 0},
    ("outcome",): {("computed",): 0, ("failed",): 0},
    ("kind",): {("action",): 0, ("dispatch",): 0, ("step",): 0},
}
#: numbers are read at most this often for a workspace, seconds
FRESH = 1.0


class Numbers:
    """The stored numbers that a workspace may see, kept for a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, dict[Series, int], tuple[int, float]]] = {}

    def of(self, workspace_id: str) -> tuple[dict[Series, int], tuple[int, float]]:
        """The numbers, and how many schedules are late and by how many seconds at most.

        Raises:
            Unavailable: the database is away.
        """
        with self._lock:
            until, numbers, late = self._kept.get(workspace_id, (0.0, {}, (0, 0.0)))
            if time.monotonic() >= until:
                with db.read() as connection:
                    numbers = metrics.read(connection, ("", workspace_id))
                    late = playbooks.late(connection, db.now_ms())
                self._kept = {name: kept for name, kept in self._kept.items() if kept[0] > time.monotonic()}
                self._kept[workspace_id] = (time.monotonic() + FRESH, numbers, late)
            return numbers, late


class _Exposition(Collector):
    """What is shown; ``state`` is None for callers that may not read."""

    def __init__(
        self, status: str, state: dict[str, Any] | None, numbers: dict[Series, int], late: tuple[int, float]
    ) -> None:
        self._ok, self._state, self._numbers, self._late = status == "ok", state, numbers, late

    def collect(self) -> Iterator[Metric]:
        """Every family of metrics."""
        yield GaugeMetricFamily("tocsin_ok", "1, or 0 when something needs attention.", float(self._ok))
        if self._state is None:
            return
        yield from _gauges(self._state)
        number, seconds = self._late
        yield GaugeMetricFamily("tocsin_schedules_overdue", "Schedules that are late (at most 1,000).", number)
        yield GaugeMetricFamily("tocsin_schedules_overdue_seconds", "By how much the latest schedule is late.", seconds)
        yield from self._counters()
        yield from self._histograms()

    def _counters(self) -> Iterator[Metric]:
        for stored, (name, words, labels) in _COUNTERS.items():
            family = CounterMetricFamily(name, words, labels=labels)
            found = {series.labels: number for series, number in self._numbers.items() if series.name == stored}
            for values, number in sorted((_FROM_ZERO.get(labels, {}) | found).items()):
                family.add_metric(values, number)
            yield family

    def _histograms(self) -> Iterator[Metric]:
        for stored, (name, words) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(name, words, labels=("kind",))
            for kind in Kind:
                total = self._numbers.get(Series(f"{stored}_sum", labels=(kind,)), 0)
                family.add_metric((kind,), buckets(stored, kind, self._numbers), total / 1000)
            yield family


def _gauges(state: dict[str, Any]) -> Iterator[Metric]:
    for name, words, label in (
        ("executions", "Executions by status.", "status"),
        ("workers", "Worker processes by state.", "state"),
    ):
        family = GaugeMetricFamily(f"tocsin_{name}", words, labels=[label])
        for value, number in state[name].items():
            family.add_metric([value], number)
        yield family
    yield from trail_health.gauges(state["audit_trail"])
    yield GaugeMetricFamily("tocsin_backlog", "Executions waiting for a worker.", state["backlog"])
    yield GaugeMetricFamily(
        "tocsin_oldest_overdue_seconds", "By how much the most overdue work is late.", state["oldest_overdue_seconds"]
    )
    for name, words in (("messages", "Messages in a queue."), ("oldest_seconds", "Age of the oldest in a queue.")):
        family = GaugeMetricFamily(f"tocsin_queue_{name}", words, labels=["queue"])
        for queue, found in state["queues"].items():
            if found[name] is not None:
                family.add_metric([queue], found[name])
        yield family


def exposition(
    status: str,
    state: dict[str, Any] | None = None,
    numbers: dict[Series, int] | None = None,
    late: tuple[int, float] = (0, 0.0),
) -> bytes:
    """The text for a scraper: the status, and what its caller may read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Exposition(status, state, numbers or {}, late))
    return generate_latest(registry)
