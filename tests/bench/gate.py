"""What asking the gate costs: ``python -m tests.bench.gate``.

Five cases: nothing concerns the execution; a typical one among 50 rules; 1,000 candidates of which none matches; 1,000
that want other texts than the one that is there; the first sight of a key among 1,000 rules. Then what a process pays
for a new generation of 1,000 rules. Each figure is the best of several rounds, because everything else on the machine
only adds.
"""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from gateway.configuration.generation import Generation, read
from gateway.facts import Facts
from gateway.rules import written
from gateway.rules.decide import decide
from gateway.rules.ruleset import Ruleset

ROUNDS = 7
AT = 1_767_225_600_000
TYPES = ("send_email", "send_sms", "page", "ticket", "isolate")
KEY = ("dispatch", "alerts", "acme", "email", "send_email")
PAYLOAD = {
    "to": "a@example.org",
    "severity": "medium",
    "score": 5.5,
    "host": {"name": "web-7", "tags": ["prod", "pci"]},
    "text": "Disk is full on web-7",
}


def facts() -> Facts:
    """The facts of a common dispatch."""
    return Facts(*KEY, AT, PAYLOAD, {"team": "soc", "region": "eu"}, id="a-1")


def typical(number: int) -> dict[str, Any]:
    """A rule of a common set: one in five concerns e-mails, and few look at more than two fields."""
    kind = {"field": "action.action_type", "eq": TYPES[number % len(TYPES)]}
    others: list[dict[str, Any]] = [
        {"field": "action.payload.severity", "in_list": ["critical", "high"]},
        {"field": "action.payload.host.name", "starts_with": "db-"},
        {"field": "action.payload.score", "gt": 9},
        {"field": "action.payload.text", "regex": "(?i)out of memory|oom"},
        {"field": "action.metadata.region", "eq": "us"},
    ]
    return {"all": [kind, others[number // len(TYPES) % len(others)]]}


def never(number: int) -> dict[str, Any]:
    """A rule that may concern every execution, and matches none."""
    return {"field": "action.payload.severity", "starts_with": f"severity-{number}"}


def other(number: int) -> dict[str, Any]:
    """The same, of which the field says at once that it does not."""
    return {"field": "action.payload.severity", "eq": f"severity-{number}"}


def forms(number: int, condition: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """That many rules in their stored form."""
    rules = (
        {"name": f"rule-{place}", "condition": condition(place), "action": {"type": "suppress", "reason": "bench"}}
        for place in range(number)
    )
    return [written.normalise(rule, "bench.yaml", place) for place, rule in enumerate(rules)]


def best(call: Callable[[], object], times: int) -> float:
    """Microseconds of one call in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(times):
            call()
        rounds.append((time.perf_counter() - begun) / times * 1e6)
    return min(rounds)


def ask(ruleset: Ruleset) -> Callable[[], object]:
    """The gate as callers ask it: facts are built only where a rule may concern the execution."""

    def call() -> object:
        found = ruleset.candidates(*KEY)
        if not found:
            return None
        seen = facts()
        return decide(ruleset.asked(KEY, seen), seen)

    return call


def first_sight(ruleset: Ruleset) -> Callable[[], object]:
    """The candidates of a key that was never seen."""
    numbers = iter(range(1_000_000))
    return lambda: ruleset.candidates(*KEY[:4], f"type-{next(numbers)}")


def measured() -> Iterable[tuple[str, float, float]]:
    """What is measured, its figure and its aim, in microseconds."""
    unconcerned = Ruleset(forms(50, lambda _: {"field": "action.provider", "eq": "pager"}))
    yield "nothing concerns it", best(ask(unconcerned), 100_000), 1
    fifty = Ruleset(forms(50, typical))
    yield f"typical with 50 rules ({len(fifty.candidates(*KEY))} candidates)", best(ask(fifty), 2000), 50
    yield "1,000 candidates none matching", best(ask(Ruleset(forms(1000, never))), 20), 1000
    yield "1,000 candidates that want other texts", best(ask(Ruleset(forms(1000, other))), 2000), 50
    yield "first sight of a key among 1,000", best(first_sight(Ruleset(forms(1000, typical))), 20), 1000
    text = Generation(forms(1000, typical)).text()
    yield f"compiling 1,000 rules from {len(text) // 1000} kB", best(lambda: read(text).ruleset(), 1), 1_000_000


def main() -> None:
    """Print the table."""
    for name, figure, aim in measured():
        sys.stdout.write(f"{name:<50} {figure:>10.2f} µs   aim < {aim} µs\n")


if __name__ == "__main__":
    main()
