# ruff: noqa: RUF001 - the multiplication sign and the dash are what the table means
"""From the numbers of all rounds to the table: medians, ranges, ratios within a round, verdicts."""

from collections.abc import Mapping, Sequence
from statistics import median

Rounds = Sequence[Mapping[str, Mapping[str, float]]]  # one mapping per round: product -> measure -> value

#: measure, what it is called, the bound of its ratio to raw Celery (">= x" or "<= x"), and what is aimed at
MEASURES = (
    ("w1_runs_per_s", "W1 completed runs/s", ">= 0.8", ">= 3"),
    ("w1_idle_p50_ms", "W1 idle latency p50, ms", "<= 1.5", "<= 0.6"),
    ("w1_idle_p95_ms", "W1 idle latency p95, ms", "", ""),
    ("w1_cpu_ms", "W1 CPU per run, ms", "<= 1.5", "<= 0.4"),
    ("w1_accepted_per_s", "W1 accepted runs/s", "", ""),
    ("w1_other_cores", "W1 cores that other programs used", "", ""),
    ("idle_p50_ms", "W2 idle latency p50, ms", "<= 1.5", ""),
    ("idle_p95_ms", "W2 idle latency p95, ms", "", ""),
    ("accepted_per_s", "W2 accepted/s", ">= 0.5", ">= 1.2"),
    ("completed_per_s", "W2 completed/s", ">= 0.7", ">= 2"),
    ("post_p50_ms", "W2 POST p50, ms", "", ""),
    ("post_p99_ms", "W2 POST p99, ms", "", ""),
    ("cpu_ms", "W2 CPU per action, ms", "<= 1.5", ""),
    ("other_cores", "W2 cores that other programs used", "", ""),
    ("w3_idle_p50_ms", "W3 join p50, ms", "<= 1.3", "<= 0.3"),
    ("w3_idle_p95_ms", "W3 join p95, ms", "", ""),
    ("w3_cpu_ms", "W3 CPU per run, ms", "", ""),
    ("pss_mib", "idle memory (PSS), MiB", "<= 1.7", "<= 1"),
    ("rate_1000", "completed/s with 1,000 queued", "", ""),
    ("rate_deep", "completed/s with a deep queue", "", ""),
    ("depth_ratio", "deep queue against 1,000 queued", ">= 0.9", ">= 1"),
)
OWN = {"depth_ratio"}  # already a ratio of the product to itself
ALONE = OWN | {"other_cores", "w1_other_cores"}  # not compared with the floor


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def values(rounds: Rounds, product: str, measure: str) -> list[float]:
    """What a measure was in the rounds that have it."""
    return [found[product][measure] for found in rounds if measure in found.get(product, {})]


def ratios(rounds: Rounds, product: str, measure: str, floor: str) -> list[float]:
    """Product against floor within each round; a measure of ``OWN`` is its own ratio."""
    if measure in OWN:
        return values(rounds, product, measure)
    both = [found for found in rounds if all(measure in found.get(name, {}) for name in (product, floor))]
    return [found[product][measure] / found[floor][measure] for found in both if found[floor][measure]]


def cell(rounds: Rounds, product: str, measure: str, floor: str) -> str:
    """Median, range, and the median ratio."""
    found = values(rounds, product, measure)
    if not found:
        return "-"
    text = number(median(found)) + ("×" if measure in OWN else "")
    if len(found) > 1:
        text += f" ({number(min(found))}–{number(max(found))})"
    against = [] if product == floor or measure in ALONE else ratios(rounds, product, measure, floor)
    if against:
        text += f" **{median(against):.2f}×**"
    return text


def holds(bound: str, ratio: float) -> bool:
    """Whether a ratio keeps a bound such as ``>= 0.5``."""
    sign, _, limit = bound.partition(" ")
    return ratio >= float(limit) if sign == ">=" else ratio <= float(limit)


def shown(bound: str) -> str:
    """A bound as people write it."""
    return bound.replace(">=", "≥").replace("<=", "≤") + ("×" if bound else "")


def verdict(rounds: Rounds, products: Sequence[str], measure: str, bound: str, aim: str, floor: str) -> str:
    """``kept``, with the aim if all reached it, or who missed the bound."""
    judged = {product: ratios(rounds, product, measure, floor) for product in products}
    judged = {product: found for product, found in judged.items() if found}
    if not bound or not judged:
        return ""
    missed = [product for product, found in judged.items() if not holds(bound, median(found))]
    if missed:
        return f"missed: {', '.join(missed)}"
    return "kept, aim reached" if aim and all(holds(aim, median(found)) for found in judged.values()) else "kept"


def table(rounds: Rounds, products: Sequence[str], floor: str) -> str:
    """The result as a Markdown table; ``floor`` names the product that all others are compared with."""
    others = [product for product in products if product != floor]
    heads = ["measure", *(f"{name} (×)" if name in others else name for name in products), "must", "aim", "verdict"]
    lines = [heads, ["---"] * len(heads)]
    for measure, label, bound, aim in MEASURES:
        cells = [cell(rounds, product, measure, floor) for product in products]
        if set(cells) != {"-"}:
            judged = verdict(rounds, others, measure, bound, aim, floor)
            lines.append([label, *cells, shown(bound), shown(aim), judged])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
