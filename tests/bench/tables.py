# ruff: noqa: RUF001 - the multiplication sign and the dash are what the table means
"""Tables from the numbers of all rounds: medians, ranges, ratios, verdicts."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from shapes import LENGTHS

Rounds = Sequence[Mapping[str, Mapping[str, Any]]]  # one mapping per round: product -> measure -> value

FLOOR = "raw Celery"


class Row(NamedTuple):
    """A row of a table; bound and aim (``>= x``) limit ratios, ``on_postgres`` those of products on PostgreSQL.

    ``kind``: ``ratio`` is compared with the floor, ``own`` is already a ratio of the product to itself, ``alone`` is
    compared with nothing.
    """

    measure: str
    label: str
    bound: str = ""
    aim: str = ""
    kind: str = "ratio"
    on_postgres: str = ""

    def bound_of(self, product: str) -> str:
        """What a product must keep."""
        return self.on_postgres if self.on_postgres and "PostgreSQL" in product else self.bound


MAIN = (
    Row("w1_runs_per_s", "W1 completed runs/s", ">= 3.5", ">= 5", on_postgres=">= 2.5"),
    Row("w1_idle_p50_ms", "W1 idle latency p50, ms", "<= 0.6", "<= 0.45", on_postgres="<= 0.9"),
    Row("w1_idle_p95_ms", "W1 idle latency p95, ms"),
    Row("w1_cpu_ms", "W1 CPU per run, ms", "<= 0.3", "<= 0.2", on_postgres="<= 0.5"),
    Row("w1_accepted_per_s", "W1 accepted runs/s"),
    Row("w1_other_cores", "W1 cores that other programs used", kind="alone"),
    Row("idle_p50_ms", "W2 idle latency p50, ms", "<= 1.5"),
    Row("idle_p95_ms", "W2 idle latency p95, ms"),
    Row("accepted_per_s", "W2 accepted/s", ">= 1.3", ">= 1.75", on_postgres=">= 0.8"),
    Row("completed_per_s", "W2 completed/s", ">= 2.5", ">= 3", on_postgres=">= 1.5"),
    Row("post_p50_ms", "W2 POST p50, ms"),
    Row("post_p99_ms", "W2 POST p99, ms"),
    Row("cpu_ms", "W2 CPU per action, ms", "<= 1.5"),
    Row("other_cores", "W2 cores that other programs used", kind="alone"),
    Row("w3_idle_p50_ms", "W3 join p50, ms", "<= 0.32", "<= 0.25", on_postgres="<= 0.5"),
    Row("w3_idle_p95_ms", "W3 join p95, ms"),
    Row("w3_cpu_ms", "W3 CPU per run, ms"),
    Row("pss_mib", "idle memory (PSS), MiB", "<= 1.15", "<= 1", on_postgres="<= 1.4"),
    Row("rate_1000", "completed/s with 1,000 queued"),
    Row("rate_deep", "completed/s with a deep queue"),
    Row("depth_ratio", "deep queue against 1,000 queued", ">= 0.9", ">= 1", "own"),
    Row("cpu_ms_1000", "CPU per action with 1,000 queued, ms"),
    Row("cpu_ms_deep", "CPU per action with a deep queue, ms"),
    Row("depth_cpu_ratio", "CPU, deep queue against 1,000 queued", kind="own"),
)
CHAINS = (
    *(Row(f"chain_cpu_ms_{length}", f"CPU per step, chains of {length}, ms") for length in LENGTHS),
    *(Row(f"chain_wall_ms_{length}", f"wall per step, chains of {length}, ms") for length in LENGTHS),
    *(Row(f"chain_alone_cpu_ms_{length}", f"CPU per step, one chain of {length} at a time, ms") for length in LENGTHS),
    *(
        Row(f"chain_alone_wall_ms_{length}", f"wall per step, one chain of {length} at a time, ms")
        for length in LENGTHS
    ),
    Row("chain_growth", "CPU per step, chains of 500 against chains of 5", kind="own"),
)
FLIGHT = (
    Row("flight_one_cpu_ms", "CPU per step, one run in flight, ms"),
    Row("flight_many_cpu_ms", "CPU per step, 1,000 runs in flight, ms"),
    Row("flight_cpu_ratio", "CPU, 1,000 in flight against one", kind="own"),
    Row("flight_steps_per_s", "steps/s, 1,000 in flight"),
)
SLOW = (
    Row("slow_per_s", "calls of 1 s completed/s (ideal: 200)"),
    Row("slow_fast_p50_ms", "a fast action meanwhile p50, ms"),
    Row("slow_fast_p95_ms", "a fast action meanwhile p95, ms"),
    Row("slow_fast_missed", "fast actions given up", kind="alone"),
)
TLS = (
    Row("tls_idle_p50_ms_clear", "W2 idle latency p50 in clear, ms"),
    Row("tls_idle_p50_ms_tls", "W2 idle latency p50 over TLS, ms"),
    Row("tls_completed_per_s_clear", "W2 completed/s in clear"),
    Row("tls_completed_per_s_tls", "W2 completed/s over TLS"),
    Row("tls_cpu_ms_clear", "W2 CPU per action in clear, ms"),
    Row("tls_cpu_ms_tls", "W2 CPU per action over TLS, ms"),
    Row("tls_cpu_ratio", "CPU, TLS against clear", kind="own"),
    Row("tls_connections_per_1000", "connections made for 1,000 calls", kind="alone"),
)
DISPATCHES = (
    Row("dispatch_accepted_ratio", "dispatches accepted/s under 50 rules, against W2", ">= 0.9", kind="own"),
    Row("dispatch_completed_ratio", "dispatches completed/s under 50 rules, against W2", ">= 0.9", kind="own"),
    Row("dispatch_cpu_ratio", "CPU per dispatch, against W2", kind="own"),
    Row("dispatch_answer_p50_ms", "a dispatch answered with its end p50, ms", kind="alone"),
    Row("dispatch_answer_ratio", "the same, against W2's idle latency", "<= 1.5", kind="own"),
    Row("dispatch_suppressed_ratio", "a flood that is suppressed, against W2 accepted/s", ">= 1.3", kind="own"),
    Row("dispatch_deduplicated_ratio", "a flood of duplicates, against W2 accepted/s", ">= 1.3", kind="own"),
    Row("dispatch_throttled_ratio", "a flood that is throttled, against W2 accepted/s", ">= 1.3", kind="own"),
    Row("dispatch_gathered_ratio", "a flood that is gathered, against a suppressed one", ">= 0.9", kind="own"),
    Row(
        "dispatch_among_cpu_ratio", "CPU per dispatch next to 100,000 events and 1,000 silences", "<= 1.05", kind="own"
    ),
    Row("dispatch_groups_s", "10,000 groups due at once until all are accepted, s", "<= 10", kind="alone"),
    Row("dispatch_batch_ratio", "batches of 1,000, against single dispatches/s", ">= 2", kind="own"),
    Row("dispatch_w1_cpu_ratio", "W1 CPU per run under 1,000 rules about others", "<= 1.03", kind="own"),
    Row("dispatch_completed_per_s", "dispatches completed/s", kind="alone"),
    Row("dispatch_other_cores", "cores that other programs used", kind="alone"),
)
STREAMS = (
    Row("streams_w1_ratio", "W1 completed runs/s next to 300 open streams, against none", ">= 0.95", kind="own"),
    Row("streams_dispatch_ratio", "dispatches completed/s next to 300 open streams", ">= 0.95", kind="own"),
    Row("streams_whole_w1_ratio", "W1 completed runs/s next to 10 streams of every event", kind="own"),
    Row("streams_whole_dispatch_ratio", "dispatches completed/s next to 10 streams of every event", kind="own"),
    Row("streams_whole_skipped", "share of the events that these were not sent", kind="alone"),
    Row("streams_event_p50_ms", "from the end of a dispatch to its event p50, ms", kind="alone"),
    Row("streams_event_p95_ms", "from the end of a dispatch to its event p95, ms", kind="alone"),
)
READS = (
    Row("reads_list_ratio_median", "a page of a list, median of all lists and filters", aim="<= 2", kind="own"),
    Row("reads_list_ratio_worst", "a page of a list, the worst", "<= 5", "<= 2", "own"),
    Row("reads_list_ms_worst", "a page of a list, the worst, ms", kind="alone"),
    Row("reads_list_first_ms_worst", "the first page in a minute, which counts the list, the worst, ms", kind="alone"),
    Row("reads_health_ratio", "the reading behind /health", "<= 2", kind="own"),
    Row("reads_tick_ratio", "a tick", "<= 1.2", kind="own"),
    Row("reads_accept_p99_ms_alone", "an accept alone p99, ms", kind="alone"),
    Row("reads_accept_p99_ratio", "an accept next to eight readers p99, against alone", "<= 2", kind="own"),
    Row("reads_retention_ratio", "W2 accepted/s next to retention, against alone", ">= 0.8", kind="own"),
)
FILLED = (
    Row("filled_w1_runs_per_s_ratio", "W1 completed runs/s", ">= 0.9", ">= 1", "own"),
    Row("filled_w1_cpu_ms_ratio", "W1 CPU per run", "<= 1.1", "<= 1", "own"),
    Row("filled_w2_accepted_per_s_ratio", "W2 accepted/s", ">= 0.9", ">= 1", "own"),
    Row("filled_w2_completed_per_s_ratio", "W2 completed/s", ">= 0.9", ">= 1", "own"),
    Row("filled_w2_cpu_ms_ratio", "W2 CPU per action", "<= 1.1", "<= 1", "own"),
)
TRAIL = (
    Row("trail_seal_share", "sealing, % of one core for each 1,000 rows/s", "<= 3", kind="own"),
    Row("trail_verify_per_s", "rows checked/s by one core", ">= 100000", kind="own"),
)
PARTS = {"first": "at the beginning", "last": "at the end"}
SOAK = (
    Row("soak_runs", "single calls and runs", kind="alone"),
    Row("soak_errors", "errors (refused, lost, wrong, repeated, not completed)", kind="alone"),
    Row("soak_pss_mib_first", "memory after the warm-up (PSS), MiB", kind="alone"),
    Row("soak_pss_mib_last", "memory at the end (PSS), MiB", kind="alone"),
    Row("soak_pss_mib_per_h", "memory slope (PSS), MiB per hour", kind="alone"),
    Row("soak_rss_mib_per_h", "memory slope (RSS), MiB per hour", kind="alone"),
    Row("soak_pss_mib_per_1000", "memory slope (PSS), MiB per 1,000 runs", kind="alone"),
    *(
        Row(f"soak_{work}_p{share}_ms_{part}", f"{label} p{share} {PARTS[part]}, ms", kind="alone")
        for work, label in (("call", "W2"), ("sequence", "W1"), ("fan", "W3"))
        for share in (50, 99)
        for part in PARTS
    ),
    Row("soak_database_mib", "database at the end, MiB", kind="alone"),
    Row("soak_redis_mib", "Redis at the end, MiB", kind="alone"),
    Row("soak_redis_growth_mib", "Redis, growth, MiB", kind="alone"),
)


class Section(NamedTuple):
    """A table with a heading; ``floor`` is the base of its ratios."""

    title: str
    rows: tuple[Row, ...]
    floor: str = FLOOR


SECTIONS = (
    Section("Calls, runs and queues", MAIN),
    Section("Cost per step", CHAINS),
    Section("Runs in flight", FLIGHT),
    Section("Slow targets", SLOW, f"{FLOOR}, 200 threads"),
    Section("Calls over TLS", TLS),
    Section("Dispatches", DISPATCHES),
    Section("Open streams", STREAMS),
    Section("A million executions against a thousand", READS),
    Section("The same work over a million executions against a thousand", FILLED),
    Section("The sealed trail", TRAIL),
    Section("Soak", SOAK),
)
ON_RABBITMQ = " on RabbitMQ"


def number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def values(rounds: Rounds, product: str, measure: str) -> list[float]:
    """What a measure was in the rounds that have it."""
    return [found[product][measure] for found in rounds if measure in found.get(product, {})]


def ratios(rounds: Rounds, product: str, row: Row, floor: str) -> list[float]:
    """Product against floor within each round, for rows with a ratio."""
    measure = row.measure
    if row.kind == "own":
        return values(rounds, product, measure)
    if row.kind == "alone" or product == floor:
        return []
    both = [found for found in rounds if all(measure in found.get(name, {}) for name in (product, floor))]
    return [found[product][measure] / found[floor][measure] for found in both if found[floor][measure]]


def cell(rounds: Rounds, product: str, row: Row, floor: str) -> str:
    """Median, range, and the median ratio."""
    found = values(rounds, product, row.measure)
    if not found:
        return "-"
    text = number(median(found)) + ("×" if row.kind == "own" else "")
    if len(found) > 1:
        text += f" ({number(min(found))}–{number(max(found))})"
    against = ratios(rounds, product, row, floor)
    if against and row.kind == "ratio":
        text += f" **{median(against):.2f}×**"
    return text


def holds(bound: str, ratio: float) -> bool:
    """Whether a ratio keeps a bound such as ``>= 0.5``."""
    sign, _, limit = bound.partition(" ")
    return ratio >= float(limit) if sign == ">=" else ratio <= float(limit)


def shown(bound: str) -> str:
    """A bound as people write it."""
    return bound.replace(">=", "≥").replace("<=", "≤") + ("×" if bound else "")


def verdict(rounds: Rounds, products: Sequence[str], row: Row, floor: str) -> str:
    """``kept``, with the aim if all reached it, or the products below."""
    judged = {product: ratios(rounds, product, row, floor) for product in products}
    judged = {product: found for product, found in judged.items() if found}
    if not row.bound or not judged:
        return ""
    missed = [product for product, found in judged.items() if not holds(row.bound_of(product), median(found))]
    if missed:
        return f"missed: {', '.join(missed)}"
    reached = row.aim and all(holds(row.aim, median(found)) for found in judged.values())
    return "kept, aim reached" if reached else "kept"


def products_of(rounds: Rounds) -> list[str]:
    """Every product that was measured, in order."""
    return list(dict.fromkeys(name for found in rounds for name in found))


def table(rounds: Rounds, products: Sequence[str], floor: str, rows: Sequence[Row]) -> str:
    """A Markdown table of comparisons with ``floor``; empty without numbers."""
    products = [name for name in products if any(values(rounds, name, row.measure) for row in rows)]
    others = [product for product in products if product != floor]
    compared = floor in products and any(row.kind == "ratio" for row in rows)
    judging = ["must", "aim", "verdict"] if any(row.bound for row in rows) else []
    heads = ["measure", *(f"{name} (×)" if compared and name in others else name for name in products), *judging]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        cells = [cell(rounds, product, row, floor) for product in products]
        if set(cells) - {"-"}:
            musts = list(dict.fromkeys(shown(bound) for bound in (row.bound, row.on_postgres) if bound))
            judged = [", PostgreSQL ".join(musts), shown(row.aim), verdict(rounds, others, row, floor)]
            judged = judged if judging else []
            lines.append([row.label, *cells, *judged])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if len(lines) > 2 else ""


def tables(rounds: Rounds) -> str:
    """All results as Markdown; products on RabbitMQ have their own tables."""
    parts = []
    for section in SECTIONS:
        for suffix in ("", ON_RABBITMQ):
            products = [name for name in products_of(rounds) if (ON_RABBITMQ in name) == bool(suffix)]
            floor = section.floor.replace(FLOOR, FLOOR + suffix)
            text = table(rounds, products, floor, section.rows)
            if text:
                parts.append(f"### {section.title}{suffix}\n\n{text}")
    return "\n\n".join(parts)
