"""Numbers for Prometheus as a scraper reads them, and counted in the database."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tasks.clock.metrics import MOST_NAMES as MOST
from tasks.clock.metrics import OTHER

Labels = frozenset[tuple[str, str]]
#: name and labels → value
Samples = dict[tuple[str, Labels], float]

_ENDED = "status IN ('completed', 'failed', 'timeout', 'cancelled', 'skipped')"
#: what a retried run takes over has not ended again
_TAKEN_OVER = "SELECT subject FROM audit WHERE event = 'execution.carried'"


def samples(text: str) -> Samples:
    """Every sample of an exposition."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(shown: Samples, name: str) -> dict[Labels, float]:
    """The samples of one name, by their labels."""
    return {labels: value for (one, labels), value in shown.items() if one == name}


def counted(rows: Callable[[str], list[Any]], workspace_id: str) -> dict[str, Counter[Labels]]:
    """Name → labels → number, counted row by row, as callers of this workspace see it.

    ``rows`` asks the database and gives mappings.
    """
    found: dict[str, Counter[Labels]] = {}
    query = f"SELECT * FROM executions WHERE {_ENDED} AND id NOT IN ({_TAKEN_OVER})"
    for row in rows(query):

        def note(metric: str, number: float = 1, /, **labels: str) -> None:
            found.setdefault(f"tocsin_{metric}", Counter())[frozenset(labels.items())] += number

        kind = row["kind"]
        note("executions_ended_total", kind=kind, status=row["status"], mode=row["mode"])
        if not row["action_id"]:
            continue
        if row["workspace_id"] == workspace_id:
            note("workspace_executions_ended_total", kind=kind, status=row["status"], name=row["action_id"])
        if row["started_at"] is not None:
            note("queue_wait_seconds_count", kind=kind)
            note("run_seconds_count", kind=kind)
            note("run_seconds_sum", max(0, row["completed_at"] - row["started_at"]) / 1000, kind=kind)
        if kind != "playbook":
            note("attempts_total", row["attempt"], kind=kind)
    return found


def folded(wanted: dict[Labels, float], found: Iterable[Labels]) -> Counter[Any]:
    """The numbers as a workspace with many names shows them: those that came late are in ``other``.

    A name is taken for late only where its kind has as many others as are kept.
    """
    shown = {(labels["kind"], labels["name"]) for labels in map(dict, found) if "name" in labels}
    full = {kind for kind, number in Counter(kind for kind, name in shown if name != OTHER).items() if number >= MOST}
    numbers: Counter[Any] = Counter()
    for labels, number in wanted.items():
        named = dict(labels)
        if "name" in named and named["kind"] in full and (named["kind"], named["name"]) not in shown:
            named["name"] = OTHER
        numbers[frozenset(named.items())] += number
    return numbers


def assert_equal(shown: Samples, expected: dict[str, Counter[Labels]]) -> None:
    """What is shown is what was counted; a kind that has none may be shown as none."""
    for name, numbers in expected.items():
        found = {labels: value for labels, value in of(shown, name).items() if value}
        wanted = folded({labels: value for labels, value in numbers.items() if value}, found)
        assert found.keys() == wanted.keys(), name
        for labels, number in wanted.items():
            assert abs(found[labels] - number) < 0.001, (name, labels, found[labels], number)
