"""The gateway's cost: dispatches and floods against W2, and W1 under rules that do not concern it.

In order of time: W2 one at a time; runs of W1, in turn without rules and under a thousand that concern others; then
fifty rules are loaded, of which ten may concern a dispatch, and dispatches are sent one at a time (answered with their
end), as fast as they are accepted (in turn with W2 without rules), in batches of a thousand, as floods that rules stop,
and next to many events and silences. Last come many groups that are due at once. All ratios are within one start of
the product.
"""

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Callable
from http.client import HTTPConnection

import measure
import profiler
import workloads
from gate import PAYLOAD, TYPES, typical
from layouts import Layout
from measure import Numbers
from processes import BenchError
from sinkclient import load

BATCH = 1000
#: bursts of each kind that are compared
TURNS = 3
ASYNC = "Prefer: respond-async"
PROVIDER = {
    "kind": "http",
    "url": "",
    "body_template": '{"id": "{{ payload.id }}", "text": "measured {{ payload.id }}"}',
}
#: what a flood is called → the rule that stops it
STOPS = {
    "suppressed": {"type": "suppress"},
    "deduplicated": {"type": "deduplicate", "ttl_seconds": 3600, "key_fields": ["action_type"]},
    "throttled": {"type": "throttle", "max_count": 1, "window_seconds": 3600},
    "grouped": {"type": "group", "group_by": ["action_type"], "group_wait_seconds": 3600},
}


#: gathers each by itself
APART = {
    "name": "apart",
    "condition": {"field": "action.action_type", "eq": "apart"},
    "action": {"type": "group", "group_by": ["action.payload.id"], "group_wait_seconds": 3600},
}


def dispatch(action_type: str = TYPES[0], key: str = "%s") -> dict:
    """A dispatch to the sink; ``%s`` stands for an id of its own."""
    payload = {**PAYLOAD, "id": key}
    return {
        "namespace": "alerts",
        "tenant": "default",
        "provider": "hook",
        "action_type": action_type,
        "payload": payload,
    }


def put_in_force(layout: Layout, rules: list[dict]) -> None:
    """Load these rules and the one provider."""
    folder = layout.directory / "var/config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text(
        json.dumps({"providers": {"hook": {**PROVIDER, "url": f"{layout.sink.url}/hook"}}})
    )
    (folder / "rules/all.yaml").write_text(json.dumps({"rules": rules}))
    answer = layout.post(f"http://127.0.0.1:{layout.port}/v1/rules/reload", {})
    if answer["errors"] or answer["loaded"] != len(rules):
        raise BenchError(f"{layout.name} has not loaded {len(rules)} rules: {answer}")


def fifty() -> list[dict]:
    """A common set of rules, and those that stop the floods."""
    stops = [
        {"name": name, "condition": {"field": "action.action_type", "eq": name}, "action": action}
        for name, action in STOPS.items()
    ]
    return [*stops, *others(50 - len(stops))]


def others(number: int) -> list[dict]:
    """Rules about dispatches, of which none matches."""
    return [
        {"name": f"rule-{n}", "origins": ["dispatch"], "condition": typical(n), "action": {"type": "suppress"}}
        for n in range(number)
    ]


def answered(layout: Layout, count: int) -> float:
    """Milliseconds from a dispatch to the answer that tells its end, one at a time."""
    link = HTTPConnection("127.0.0.1", layout.port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {layout.key}"}
    took = []
    for number in range(count):
        begin = time.monotonic()
        link.request("POST", "/v1/dispatch", json.dumps(dispatch(key=f"answered-{number}")), headers)
        answer = link.getresponse()
        content = answer.read()
        took.append((time.monotonic() - begin) * 1000)
        if json.loads(content).get("outcome") != "executed":
            raise BenchError(f"{layout.name} answered {answer.status}: {content[:500]!r}")
        time.sleep(0.01)
    link.close()
    return statistics.median(took)


def flood(layout: Layout, name: str, seconds: float) -> float:
    """Dispatches per second that a rule stops."""
    target = f"http://127.0.0.1:{layout.port}/v1/dispatch"
    found = load(
        "burst",
        target=target,
        key=layout.key,
        seconds=seconds,
        prefix=name,
        header=ASYNC,
        body=json.dumps(dispatch(name)),
    )
    if found["statuses"].keys() - {"200", "202"}:
        raise BenchError(f"{layout.name} answered a flood ({name}) with {found['statuses']}")
    return found["accepted_per_s"]


def in_turn(layout: Layout, seconds: float) -> Numbers:
    """The floods in turn, there and back, each for ``seconds`` in all: they meet the same history; medians."""
    found: dict[str, list[float]] = {name: [] for name in STOPS}
    for turn in range(TURNS):
        for name in list(STOPS)[:: -1 if turn % 2 else 1]:
            found[name].append(flood(layout, name, seconds / TURNS))
    return {name: statistics.median(rates) for name, rates in found.items()}


def batches(layout: Layout, count: int) -> float:
    """Dispatches per second accepted in batches, one after the other."""
    layout.sink.forget()
    bodies = [
        json.dumps({"actions": [dispatch(key=f"batch-{batch}-{n}") for n in range(BATCH)]}) for batch in range(count)
    ]
    link = HTTPConnection("127.0.0.1", layout.port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {layout.key}"}
    begin = time.monotonic()
    for body in bodies:
        link.request("POST", "/v1/dispatch/batch", body, {**headers, "Prefer": "respond-async"})
        answer = link.getresponse()
        content = answer.read()
        if answer.status not in (200, 202):
            raise BenchError(f"{layout.name} answered a batch with {answer.status}: {content[:500]!r}")
    took = time.monotonic() - begin
    link.close()
    measure.drain(layout, count * BATCH)
    return count * BATCH / took


def remembered(layout: Layout, events: int, silences: int) -> None:
    """Make that many events and active silences, none of which concerns what is measured."""
    machine = {
        "name": "alert",
        "initial_state": "open",
        "states": ["open", "firing"],
        "transitions": [{"from": "open", "to": "firing"}],
    }
    (layout.directory / "var/config/state_machines.yaml").write_text(json.dumps({"state_machines": [machine]}))
    moves = {"type": "state_machine", "state_machine": "alert", "fingerprint_fields": ["payload.id"]}
    event = {"name": "events", "condition": {"field": "action.action_type", "eq": "event"}, "action": moves}
    put_in_force(layout, [event, *others(49)])
    link = HTTPConnection("127.0.0.1", layout.port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {layout.key}"}
    bodies = [
        (
            "/v1/dispatch/batch",
            {"actions": [{**dispatch("event", f"event-{batch}-{n}"), "status": "firing"} for n in range(BATCH)]},
        )
        for batch in range(events // BATCH)
    ]
    matcher = {"name": "action.payload.to", "op": "="}
    bodies += [
        ("/v1/silences", {"matchers": [{**matcher, "value": f"n{n}"}], "duration_seconds": 86_400, "comment": "bench"})
        for n in range(silences)
    ]
    for path, body in bodies:
        link.request("POST", path, json.dumps(body), headers)
        answer = link.getresponse()
        content = answer.read()
        if answer.status not in (200, 201):
            raise BenchError(f"{layout.name} answered {path} with {answer.status}: {content[:500]!r}")
    link.close()
    found = (layout.one("SELECT count(*) FROM events"), layout.one("SELECT count(*) FROM silences"))
    if found != (events, silences):
        raise BenchError(f"{layout.name} remembers {found} events and silences, not {(events, silences)}")


def among_others(layout: Layout, options: argparse.Namespace) -> float:
    """CPU of a dispatch among 100,000 events and 1,000 silences that do not concern it, as a ratio to without."""
    target = f"http://127.0.0.1:{layout.port}/v1/dispatch"

    def cost(seconds: float) -> float:
        return measure.burst(layout, seconds, target, header=ASYNC, body=json.dumps(dispatch()))["cpu_ms"]

    without = min(cost(options.seconds) for _ in range(2))
    short = options.idle < 100
    remembered(layout, BATCH if short else 100 * BATCH, 20 if short else 1000)
    return min(cost(options.seconds) for _ in range(2)) / without


def due_at_once(layout: Layout, number: int) -> float:
    """Seconds from when that many groups are due until all their summaries are accepted."""
    put_in_force(layout, [APART, *others(49)])
    link = HTTPConnection("127.0.0.1", layout.port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {layout.key}"}
    for batch in range(number // BATCH):
        several = [dispatch("apart", f"apart-{batch}-{n}") for n in range(BATCH)]
        link.request("POST", "/v1/dispatch/batch", json.dumps({"actions": several}), headers)
        answer = link.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise BenchError(f"{layout.name} answered a batch with {answer.status}: {content[:500]!r}")
    link.close()
    pending = "SELECT count(*) FROM event_groups WHERE rule = 'apart' AND notified_at IS NULL"
    if layout.one(pending) != number:
        raise BenchError(f"{layout.name} gathers {layout.one(pending)} groups, not {number}")
    begin = time.monotonic()
    with contextlib.closing(layout.connect(writes=True)) as connection:
        connection.execute("UPDATE event_groups SET due_at = 1 WHERE rule = 'apart'")
        connection.commit()
    while layout.one(pending) and time.monotonic() - begin < 120:
        time.sleep(0.1)
    return time.monotonic() - begin


def under_rules(layout: Layout, runs: int) -> Numbers:
    """CPU of a run of W1 without rules and under a thousand that concern others, in turn."""
    found: dict[int, list[float]] = {0: [], 1000: []}
    for number in (0, 1000, 1000, 0, 0, 1000):
        put_in_force(layout, others(number))
        workloads.single(layout, "sequence", "warm", 20)
        found[number].append(workloads.many(layout, "sequence", runs)["cpu_ms"])
    without, under = (statistics.median(found[number]) for number in (0, 1000))
    return {"dispatch_w1_cpu_ms": without, "dispatch_w1_cpu_ratio": under / without}


def accepted(layout: Layout, seconds: float, alone: Numbers) -> tuple[Numbers, Numbers]:
    """Dispatches under fifty rules, and W2 without rules, in turn: both meet the same history; the medians of each."""
    target = f"http://127.0.0.1:{layout.port}/v1/dispatch"
    bursts: dict[str, list[Numbers]] = {"w2": [], "dispatch": []}
    for _ in range(TURNS):
        put_in_force(layout, [])
        bursts["w2"].append(measure.burst(layout, seconds))
        put_in_force(layout, fifty())
        bursts["dispatch"].append(measure.burst(layout, seconds, target, header=ASYNC, body=json.dumps(dispatch())))
    made = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0]} for name, found in bursts.items()
    }
    return made["dispatch"], {**alone, **made["w2"]}


def dispatches(layout: Layout, options: argparse.Namespace, say: Callable[[str], None]) -> Numbers:
    """All of it; every number's name begins with ``dispatch``."""
    idle, seconds = options.idle, options.seconds
    measure.warm_up(layout)
    alone = measure.idle_latency(layout, idle)
    under = under_rules(layout, options.runs)  # before anything else is on record
    put_in_force(layout, fifty())
    answered(layout, 40)
    latency = answered(layout, idle)
    with profiler.profiled(layout, options, "dispatch", say):
        burst, alone = accepted(layout, seconds, alone)
    floods = in_turn(layout, seconds)
    batch = batches(layout, 3 if idle < 100 else 10)
    numbers = {
        "dispatch_accepted_per_s": burst["accepted_per_s"],
        "dispatch_completed_per_s": burst["completed_per_s"],
        "dispatch_accepted_ratio": burst["accepted_per_s"] / alone["accepted_per_s"],
        "dispatch_completed_ratio": burst["completed_per_s"] / alone["completed_per_s"],
        "dispatch_cpu_ms": burst["cpu_ms"],
        "dispatch_cpu_ratio": burst["cpu_ms"] / alone["cpu_ms"],
        "dispatch_answer_p50_ms": latency,
        "dispatch_answer_ratio": latency / alone["idle_p50_ms"],
        "dispatch_batch_per_s": batch,
        "dispatch_batch_ratio": batch / burst["accepted_per_s"],
        **{f"dispatch_{name}_ratio": found / alone["accepted_per_s"] for name, found in floods.items()},
        "dispatch_gathered_ratio": floods["grouped"] / floods["suppressed"],
        "dispatch_other_cores": burst["other_cores"],
    }
    numbers["dispatch_among_cpu_ratio"] = among_others(layout, options)
    numbers["dispatch_groups_s"] = due_at_once(layout, 2 * BATCH if idle < 100 else 10 * BATCH)
    return numbers | under
