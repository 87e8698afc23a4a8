"""Reads of a long history against a short one, and accepts next to them.

In order of time: a history of a thousand executions is written by SQL; every list with each documented filter, the
reading behind /health and a tick are timed. A history of a million is added, and the same is timed again. Then single
triggers are timed alone and next to ``READERS`` clients that read lists without pause; and bursts of W2 alone and
while retention deletes ``OLD`` executions.
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from statistics import median, quantiles

import measure
from measure import Numbers
from processes import BENCH, BenchError
from product import Tocsin

from tests.support.history import DAY, DAYS, HOUR, Definition, History, fill, settle

FEW = 1_000
READERS, OLD = 8, 100_000
TIMES = 15  # requests of each list, and readings
TRIGGERS, PACE = 400, 0.02  # single triggers, and seconds between two
STEPS = tuple(f"s{number}" for number in range(1, 6))


def addresses(layout: Tocsin) -> dict[str, str]:
    """Every list with each documented filter, by name."""
    action, playbook = layout.part, layout.playbooks["sequence"]
    statuses = {"actions": ("pending", "running", "waiting", "completed", "failed", "timeout", "cancelled")}
    statuses["playbooks"] = ("pending", "running", "paused", "completed", "failed", "cancelled")
    filters = {"actions": [f"action_id={action}", "target=a-7", f"action_id={action}&status=failed"]}
    filters["playbooks"] = [f"playbook_id={playbook}", "target_asset_id=a-7", "dry_run=true", "dry_run=false"]
    filters["playbooks"] += [f"trigger={cause}" for cause in ("api", "event", "schedule", "playbook", "retry")]
    middle = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - DAYS * DAY // 2000))
    found = {}
    for kind, mine in filters.items():
        queries = [*mine, *(f"status={status}" for status in statuses[kind]), f"from={middle}", f"to={middle}"]
        queries += ["", "per_page=100", "page=10", "page=1000", "limit=100"]
        names = [query.replace(middle, "the middle") for query in queries]  # which is another each time
        pairs = zip(names, queries, strict=True)
        found |= {f"{kind} {name}": f"/api/{kind}/executions?{query}" for name, query in pairs}
    found["of one action"] = f"/api/actions/{action}/executions"
    found["of one playbook"] = f"/api/playbooks/{playbook}/executions"
    run = get(layout, "/api/playbooks/executions?status=completed&limit=1")["data"][0]["execution_id"]
    found |= {name: f"/api/playbooks/executions/{run}/{name}" for name in ("steps", "logs", "timeline")}
    return found | {"actions": "/api/actions", "playbooks": "/api/playbooks"}


def reads(layout: Tocsin, options) -> Numbers:
    """Everything, with the long history as long as ``--history`` says."""
    measure.warm_up(layout)
    now = int(time.time() * 1000) - HOUR // 60
    write(layout, FEW, now)
    few, few_first = timed(layout)
    few_inside = inside(layout)
    write(layout, options.history, now - DAYS * DAY - 2 * HOUR, live=0)
    many, many_first = timed(layout)
    many_inside = inside(layout)
    ratios = {name: many[name] / few[name] for name in few}
    numbers: Numbers = {f"reads_ratio {name}": ratio for name, ratio in ratios.items()}
    numbers |= {f"reads_ms {name}": took for name, took in many.items()}
    numbers |= {
        "reads_list_ratio_worst": max(ratios.values()),
        "reads_list_ratio_median": median(ratios.values()),
        "reads_list_ms_worst": max(many.values()),
        "reads_list_first_ms_worst": max(many_first.values()),
        "reads_list_first_ms_worst_few": max(few_first.values()),
        "reads_health_ratio": many_inside["health_ms"] / few_inside["health_ms"],
        "reads_tick_ratio": many_inside["tick_ms"] / few_inside["tick_ms"],
    }
    return numbers | beside_readers(layout) | beside_retention(layout, options)


def write(layout: Tocsin, executions: int, until: int, **more: int) -> None:
    """Add a history by SQL."""
    with contextlib.closing(layout.connect(writes=True)) as connection:

        def one(table: str, wanted: str) -> str:
            return connection.execute(f"SELECT revision_id FROM {table} WHERE id = '{wanted}'").fetchone()[0]

        action, playbook = layout.part, layout.playbooks["sequence"]
        hook = layout.target.rsplit("/", 2)[1]
        actions = [Definition(each, one("actions", each)) for each in (action, hook)]
        playbooks = [Definition(playbook, one("playbooks", playbook), STEPS)]
        fill(connection, History(executions, actions, playbooks, until, **more))
        settle(connection)


def get(layout: Tocsin, path: str, link: HTTPConnection | None = None) -> dict:
    """One answer of the product."""
    link = link or HTTPConnection("127.0.0.1", layout.port, timeout=60)
    link.request("GET", path, headers={"Authorization": f"Bearer {layout.key}"})
    answer = link.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise BenchError(f"{layout.name} answered {answer.status} to {path}: {body[:300]!r}")
    return json.loads(body)


def timed(layout: Tocsin) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of each list, and of its first request, which counts a long list.

    Those of the quickest quarter: what the machine does besides makes the others slower.
    """
    usual, first = {}, {}
    link = HTTPConnection("127.0.0.1", layout.port, timeout=60)
    for name, path in addresses(layout).items():
        took = []
        for _ in range(TIMES):
            begin = time.perf_counter()
            get(layout, path, link)
            took.append((time.perf_counter() - begin) * 1000)
        usual[name], first[name] = quantiles(took[1:])[0], took[0]
    return usual, first


def inside(layout: Tocsin, what: str = "times", number: int = TIMES) -> dict[str, float]:
    """Milliseconds of a tick and of the reading behind /health, or another measure of ``inside.py``."""
    said = layout.processes.run([sys.executable, str(BENCH / "inside.py"), what, str(number)])
    return json.loads(said.splitlines()[-1])  # logs come before it


def beside_readers(layout: Tocsin) -> Numbers:
    """Single triggers alone and next to readers of lists."""
    alone = triggers(layout)
    with readers(layout) as process:
        time.sleep(1)
        busy = triggers(layout)
    number = int(process.stdout.read())
    return {
        "reads_accept_p99_ms_alone": alone[98],
        "reads_accept_p99_ms": busy[98],
        "reads_accept_p99_ratio": busy[98] / alone[98],
        "reads_accept_p50_ratio": busy[49] / alone[49],
        "reads_lists_meanwhile": number,
    }


def triggers(layout: Tocsin) -> list[float]:
    """Percentiles 1 to 99 of the milliseconds in which a trigger is accepted."""
    link = HTTPConnection("127.0.0.1", layout.port, timeout=60)
    path = layout.target.partition(f":{layout.port}")[2]
    headers = {"Authorization": f"Bearer {layout.key}", "Content-Type": "application/json"}
    took, begin = [], time.monotonic()
    for number in range(TRIGGERS):
        time.sleep(max(0.0, begin + number * PACE - time.monotonic()))
        sent = time.perf_counter()
        link.request("POST", path, json.dumps({"parameters": {"id": f"beside-{number}"}}), headers)
        answer = link.getresponse()
        answer.read()
        took.append((time.perf_counter() - sent) * 1000)
        if answer.status != 202:
            raise BenchError(f"{layout.name} answered {answer.status} to a trigger")
    return quantiles(took, n=100)


@contextlib.contextmanager
def readers(layout: Tocsin) -> Iterator[subprocess.Popen]:
    """Clients that read lists until the block ends."""
    paths = [path for path in addresses(layout).values() if "executions?" in path]
    command = [sys.executable, str(BENCH / "readers.py"), str(layout.port), layout.key, str(READERS), *paths]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(60)


def beside_retention(layout: Tocsin, options) -> Numbers:
    """W2 alone and while retention deletes the oldest executions."""
    old = DAYS * DAY * OLD // options.history  # what is older than the rest by this much, ms
    days = 2 * DAYS - old // DAY
    before = measure.burst(layout, options.seconds)
    command = [sys.executable, str(BENCH / "inside.py"), "retention", str(days)]
    process = layout.processes.begin(command)
    while process.stdout.readline() not in ("ready\n", ""):
        pass
    process.stdin.write("\n")
    process.stdin.flush()
    during = measure.burst(layout, options.seconds)
    deleted = json.loads(process.communicate(timeout=300)[0].splitlines()[-1])
    after = measure.burst(layout, options.seconds)
    alone = (before["accepted_per_s"] + after["accepted_per_s"]) / 2
    return {
        "reads_retention_ratio": during["accepted_per_s"] / alone,
        "reads_retention_rows": deleted["rows"],
        "reads_retention_s": deleted["seconds"],
    }
