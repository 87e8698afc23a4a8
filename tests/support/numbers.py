"""Numbers for Prometheus as a scraper reads them, and counted in the database."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

#: name and labels → value
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]

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


def of(shown: Samples, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """The samples of one name, by their labels."""
    return {labels: value for (one, labels), value in shown.items() if one == name}


def counted(rows: Callable[[str], list[Any]]) -> dict[str, Counter[frozenset[tuple[str, str]]]]:
    """Name → labels → number, counted row by row; ``rows`` asks the database and gives mappings."""
    found: dict[str, Counter[frozenset[tuple[str, str]]]] = {}
    query = f"SELECT * FROM executions WHERE {_ENDED} AND id NOT IN ({_TAKEN_OVER})"
    for row in rows(query):

        def note(metric: str, number: float = 1, /, **labels: str) -> None:
            found.setdefault(f"tocsin_{metric}", Counter())[frozenset(labels.items())] += number

        kind = row["kind"]
        note("executions_ended_total", kind=kind, status=row["status"], mode=row["mode"])
        if not row["action_id"]:
            continue
        note("workspace_executions_ended_total", kind=kind, status=row["status"], name=row["action_id"])
        if row["started_at"] is not None:
            note("queue_wait_seconds_count", kind=kind)
            note("run_seconds_count", kind=kind)
            note("run_seconds_sum", max(0, row["completed_at"] - row["started_at"]) / 1000, kind=kind)
        if kind != "playbook":
            note("attempts_total", row["attempt"], kind=kind)
    return found


def assert_equal(shown: Samples, expected: dict[str, Counter[frozenset[tuple[str, str]]]]) -> None:
    """What is shown is what was counted; a kind that has none may be shown as none."""
    for name, numbers in expected.items():
        found = {labels: value for labels, value in of(shown, name).items() if value}
        wanted = {labels: value for labels, value in numbers.items() if value}
        assert found.keys() == wanted.keys(), name
        for labels, number in wanted.items():
            assert abs(found[labels] - number) < 0.001, (name, labels, found[labels], number)
