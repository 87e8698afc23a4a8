"""The whole gateway at work while everything dies: each rule is obeyed, each record is there, each stream is complete.

Triggers, dispatches, runs and recurring actions meet rules of every kind, groups gather, approvals are decided by links
and by requests, and fifty clients follow, cut off again and again. Meanwhile processes are killed and frozen, Redis is
emptied and frozen, and the database is taken away. Afterwards everything has ended as its rule says and was called no
more often than it was attempted, the trail verifies, the counters equal the rows, and the clients have everything.
"""

import contextlib
import json
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.test_runs_chaos import History, Nemesis, server_of
from tests.support import numbers
from tests.support.every_rule import NAMESPACE, OF_DISPATCHES, RULES, STEPS, Load, folder
from tests.support.following import Following, check_whole, dispatched, ended_runs
from tests.support.stack import Stack
from tests.support.trail import half_written
from tests.support.waiting import eventually, eventually_none

#: how long the clients of a stream stay connected, seconds
STAYS = (0.5, 2.0, 4.0, 6.0)
CLIENTS = (*("/v1/stream",) * 40, *("/v1/stream?event_type=action_dispatched,run_changed",) * 10)
#: rule → the statuses in which its triggers may end
ENDS = {
    "denied": {"failed"},
    "suppressed": {"cancelled"},
    "muted": {"cancelled"},
    "single": {"completed", "cancelled"},
    "three": {"completed", "cancelled"},
    "asked": {"completed", "failed"},
    "exceeding": {"completed", "failed"},
}
#: rule → the outcomes that the records of its dispatches may have
OUTCOMES = {
    "denied": {"suppressed"},
    "suppressed": {"suppressed"},
    "muted": {"muted"},
    "single": {"executed", "deduplicated"},
    "three": {"executed", "throttled"},
    "rerouted": {"rerouted"},
    "chained": {"chain_started"},
    "asked": {"executed", "failed"},
    "exceeding": {"executed", "failed"},
    "gathered": {"grouped"},
    "alert": {"state_changed"},
}
#: how many of a rule may have gone out, by its own limit
LIMITS = {"single": 1, "three": 3}


@dataclass
class Seen:
    """What is there afterwards."""

    stack: Stack
    load: Load
    rows: dict[str, dict[str, Any]]
    #: key → how often it has arrived
    arrived: Counter[str]
    #: the sender's id → the outcomes of its records
    records: dict[str, list[str]]
    #: execution → the status of its approval
    approvals: dict[str, str]


@pytest.fixture
def roomy(stack: Stack) -> Iterator[Stack]:
    """The product with room for fifty streams, whose configuration the tests of other files do not find."""
    stack.environment["TOCSIN_STREAMS"] = "100"
    stack.restart("web")
    stack.wait_ready("web")
    yield stack
    del stack.environment["TOCSIN_STREAMS"]
    stack.heal()
    stack.restart("web")
    stack.wait_ready("web")
    stack.forget_configuration()


def put_in_force(stack: Stack, load: Load) -> None:
    """Load the rules of every kind."""
    place = stack.directory / "var/config"
    (place / "rules").mkdir(parents=True, exist_ok=True)
    for name, text in folder(stack.sink.url, load.actions).items():
        (place / name).write_text(text)
    answer = stack.api.http.post("/v1/rules/reload").json()
    assert (answer["loaded"], answer["errors"]) == (len(RULES | OF_DISPATCHES) + 1, []), answer


class Harm:
    """Every fault, some of them twice, in an order of its own."""

    def __init__(self, stack: Stack, server: object, seed: int) -> None:
        self.stack, self.rng = stack, random.Random(seed)
        self.nemesis = Nemesis(stack, server, History())
        kills = ["worker", "worker2", "scripts", "web", "beat", "slow"]
        self.faults = [*kills, "worker", "web", "beat", "flush", "empty", "database", "stands worker", "stands beat"]
        self.faults += ["stands web", "stands redis", "database"]
        self.rng.shuffle(self.faults)

    def __call__(self) -> None:
        """One after the other."""
        for fault in self.faults:
            if fault.startswith("stands"):
                self._stand_still(fault.split()[1])
            else:
                self.nemesis.strike(fault, self.rng)

    def _stand_still(self, name: str) -> None:
        """Freeze a process, a worker for longer than its leases."""
        what: Any = self.stack.redis if name == "redis" else self.stack
        names = () if name == "redis" else (name,)
        what.freeze(*names)
        time.sleep(self.stack.lease_seconds + 1 if name == "worker" else 2)
        what.thaw(*names)


def look(stack: Stack, load: Load, since: int) -> Seen:
    """Read everything that is there."""
    rows = {row["id"]: row for row in stack.rows("SELECT * FROM executions WHERE created_at >= :since", since=since)}
    records: dict[str, list[str]] = {}
    for row in stack.rows("SELECT given_id, outcome FROM audit WHERE outcome IS NOT NULL AND given_id IS NOT NULL"):
        records.setdefault(row["given_id"], []).append(row["outcome"])
    approvals = stack.rows("SELECT execution_id, status FROM approvals WHERE created_at >= :since", since=since)
    status = {row["execution_id"]: row["status"] for row in approvals}
    return Seen(stack, load, rows, stack.sink.keys(), records, status)


def calls_of(seen: Seen) -> list[str]:
    """What was called more often than attempted, or never; what was called under a key of nobody."""
    faults = []
    for row in seen.rows.values():
        if row["kind"] == "playbook" or (row["kind"] == "step" and row["type"] != "action"):
            continue
        replaced = row["gate"] is not None and json.loads(row["gate"]).get("verdict") == "chain"
        least = 1 if row["status"] == "completed" and not replaced else 0
        if not least <= seen.arrived[row["id"]] <= row["attempt"]:
            faults.append(f"{row['id']}: {row['status']}, {seen.arrived[row['id']]} calls, {row['attempt']} attempts")
    known = {row["id"] for row in seen.stack.rows("SELECT id FROM executions")}
    return faults + [f"a call under {key!r}, which is no execution" for key in seen.arrived.keys() - known]


def triggers_of(seen: Seen) -> list[str]:
    """Triggers that did not end as their rule says."""
    faults, went = list[str](), Counter[str]()
    for execution, name in seen.load.triggers.items():
        row = seen.rows[execution]
        went[name] += bool(seen.arrived[execution])
        if row["status"] not in ENDS.get(name, {"completed"}):
            faults.append(f"{name}: {execution} is {row['status']} {row['error']}")
        asked = seen.approvals.get(execution)
        if asked and (row["status"] == "completed") != (asked == "approved"):
            faults.append(f"{execution} was {asked} and is {row['status']}")
        if name == "asked" and not asked:
            faults.append(f"nobody was asked about {execution}")
    return faults + [f"{went[name]} of {name} went out" for name, limit in LIMITS.items() if went[name] != limit]


def dispatches_of(seen: Seen) -> list[str]:
    """Dispatches that have not exactly one record, or one of another outcome."""
    faults, went = list[str](), Counter[str]()
    for given_id, (name, _) in seen.load.dispatches.items():
        outcomes, allowed = seen.records.get(given_id, []), OUTCOMES.get(name, {"executed"})
        once = len(outcomes) == 1 or set(outcomes) == {"throttled"}  # what is throttled may be sent again
        if not once or not {*outcomes} <= allowed:
            faults.append(f"{given_id} has the records {outcomes}")
        went[name] += "executed" in outcomes
    return faults + [f"{went[name]} of {name} went out" for name, limit in LIMITS.items() if went[name] != limit]


def runs_of(seen: Seen) -> list[str]:
    """Runs whose steps did not end as their rules say; chains that did not start or end once for each."""
    faults = []
    for run_id in seen.load.runs:
        steps = {row["step_id"]: row["status"] for row in seen.rows.values() if row["run_id"] == run_id}
        wanted = dict.fromkeys((*STEPS, "rest"), "completed") | {"suppressed": "skipped", "denied": "failed"}
        if steps != wanted or seen.rows[run_id]["status"] != "completed":
            faults.append(f"{run_id} is {seen.rows[run_id]['status']}: {steps}")
    chains = [row for row in seen.rows.values() if row["kind"] == "playbook" and row["cause"] == "chain"]
    asked = [name for name in seen.load.triggers.values() if name == "chained"]
    asked += [name for name, _ in seen.load.dispatches.values() if name == "chained"]
    if len(chains) != len(asked) + len(seen.load.runs):
        faults.append(f"{len(chains)} chains for {len(asked)} and {len(seen.load.runs)} steps")
    return faults + [f"{row['id']} is {row['status']}" for row in chains if row["status"] != "completed"]


def groups_of(seen: Seen) -> list[str]:
    """Members of groups that were lost or told twice, groups with no summary or several."""
    query = (
        "SELECT group_id, given_id FROM group_events WHERE group_id IN"
        f" (SELECT id FROM event_groups WHERE namespace = '{NAMESPACE}')"
    )
    members = seen.stack.rows(query)
    sent = [given_id for given_id, (name, _) in seen.load.dispatches.items() if name == "gathered"]
    faults = [] if sorted(one["given_id"] for one in members) == sorted(sent) else ["members of groups were lost"]
    told = {(one.key, one.body) for one in seen.stack.sink.arrivals("/chat")}
    counts = sorted((body["group_id"], body["event_count"]) for body in (json.loads(one) for _, one in told))
    wanted = sorted(Counter(one["group_id"] for one in members).items())
    return faults + ([] if counts == wanted else [f"summaries {counts}, groups {wanted}"])


def events_of(seen: Seen, dispatches: int) -> list[str]:
    """Events in a wrong state, and moves that were told never or twice."""
    bodies = {one.key: json.loads(one.body) for one in seen.stack.sink.arrivals("/events")}
    told = Counter((one["fingerprint"], one["new_state"]) for one in bodies.values())
    faults = []
    for number in range(dispatches):
        name, last = seen.load.fingerprint(number), "resolved" if number % 2 else "stale"
        [row] = seen.stack.rows("SELECT state FROM events WHERE fingerprint = :name", name=name)
        found = [told[name, state] for state in ("firing", last)]
        if row["state"] != last or found != [1, 1] or told[name, "stale"] > 1:
            faults.append(f"{name} is {row['state']}, told {found}")
    return faults


def approvals_of(seen: Seen) -> list[str]:
    """Approvals that were not decided once, as was answered, or that nobody was told of."""
    mailed = {json.loads(one.body)["approval_id"] for one in seen.stack.sink.arrivals("/mail")}
    words, faults = {"approve": "approved", "reject": "rejected"}, []
    for row in seen.stack.rows("SELECT id, execution_id, status, notify FROM approvals"):
        if row["execution_id"] not in seen.rows:
            continue
        votes = seen.stack.rows("SELECT decision FROM approval_votes WHERE approval_id = :id", id=row["id"])
        answered = words.get(seen.load.decided.get(row["id"], ""))
        if row["status"] != answered or len(votes) != 1:
            faults.append(f"{row['id']} is {row['status']} with {len(votes)} votes, answered {answered}")
        if row["id"] not in mailed:
            faults.append(f"nobody was told of {row['id']}")
    return faults


def recurring_of(seen: Seen) -> list[str]:
    """Times of recurring actions that did not come, or came twice."""
    faults, made = [], Counter[str]()
    for recurring_id, first in seen.load.recurring.items():
        query = "SELECT due_at, outcome, execution_id FROM recurring_firings WHERE recurring_id = :id ORDER BY due_at"
        times = [time for time in seen.stack.rows(query, id=recurring_id) if time["due_at"] >= first]
        minutes = [(time["due_at"] - first) // 60_000 for time in times]
        if minutes != list(range(len(minutes))) or len(minutes) < 5:
            faults.append(f"{recurring_id} fired at the minutes {minutes}")
        made.update(time["execution_id"] for time in times)
        faults += [f"{recurring_id}: {time}" for time in times if time["outcome"] != "accepted"]
    for execution, number in made.items():
        if number != 1 or seen.rows[execution]["status"] != "completed":
            faults.append(f"{execution} of {number} times is {seen.rows[execution]['status']}")
    return faults


def check_trail(stack: Stack) -> None:
    """All rows are sealed and as they were; each execution has its rows and its record."""
    assert half_written(stack) == []
    eventually(lambda: stack.api.http.get("/v1/audit/verify").json()["unsealed"] == 0, 60, "all is sealed", every=0.2)
    shown = stack.api.http.get("/v1/audit/verify").json()
    assert (shown["valid"], shown["complete"], shown["faults"]) == (True, True, []), shown
    [row] = stack.rows("SELECT count(*) AS n FROM audit WHERE workspace_id = 'tests'")
    assert shown["records_checked"] >= row["n"]


def check_counters(stack: Stack) -> None:
    """The counters of all processes equal a count of the rows."""
    counted = "SELECT origin, outcome, count(*) AS n FROM audit WHERE outcome IS NOT NULL GROUP BY origin, outcome"

    def differs() -> list[Any]:
        shown = stack.api.http.get("/metrics", headers={"Accept": "application/json"}).json()["by_origin"]
        counts: dict[str, dict[str, int]] = {}
        for row in stack.rows(counted):
            counts.setdefault(row["origin"], {})[row["outcome"]] = row["n"]
        return [] if shown == counts else [shown, counts]

    eventually_none(differs, 30, "the counters equal a count of the records", every=0.5)
    expected = numbers.counted(stack.rows, "tests")
    numbers.assert_equal(numbers.samples(stack.api.http.get("/metrics/prometheus").text), expected)


def check_streams(stack: Stack, clients: list[Following], begun: int) -> None:
    """Each client has each event once and in the one order, or was told how many it has not."""
    query = "SELECT subject, given_id FROM audit WHERE outcome IS NOT NULL AND id > :begun"
    names = {row["given_id"] or row["subject"] for row in stack.rows(query, begun=begun)}
    query = "SELECT subject FROM audit WHERE event = 'execution.completed' AND subject LIKE 'pexec-%' AND id > :begun"
    ended = {row["subject"] for row in stack.rows(query, begun=begun) if "." not in row["subject"]}
    for client in clients:
        client.calm = True
    with contextlib.suppress(AssertionError):
        eventually(lambda: all(names <= {*dispatched(one.events)} for one in clients), 40, "all have all", every=1)
        eventually(lambda: ended <= ended_runs(clients[-1].events), 20, "all runs are told", every=0.5)
    for client in clients:
        client.goes_on = False
    for client in clients:
        client.end()
    order = [event.last_id for event in clients[0].events if event.type != "lagged"]
    for client in clients:
        assert client.cuts > 1
        check_whole(client, names, order)
    skipped = sum(event.json["skipped"] for event in clients[-1].events if event.type == "lagged")
    assert len(ended - ended_runs(clients[-1].events)) <= skipped


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_every_rule_and_fifty_streams_outlast_every_fault(roomy: Stack, request: pytest.FixtureRequest) -> None:
    """Some 300 requests under 15 rules and 17 faults: all end as they should, once, and every client hears of it."""
    stack, since = roomy, int(time.time() * 1000)
    dispatches, load = 10, Load(roomy, uuid.uuid4().hex[:8])
    put_in_force(stack, load)
    load.prepare(recurring=3)
    stack.start("worker2")
    stack.wait_ready("worker2")
    clients = [Following(stack, path, STAYS) for path in CLIENTS]
    try:
        eventually(lambda: all(client.last_id for client in clients), 60, "the first places are known")
        [row] = stack.rows("SELECT max(id) AS id FROM audit")  # what ended before they came is not theirs
        load.send_while(Harm(stack, server_of(stack, request), 17), triggers=7, dispatches=dispatches, runs=12)
        eventually(lambda: stack.queued() == 0, 30, "every left-over message is consumed")
        seen = look(stack, load, since)
        looks = (calls_of, triggers_of, dispatches_of, runs_of, groups_of, approvals_of, recurring_of)
        faults = {one.__name__: found for one in looks if (found := one(seen))}
        assert (faults, events_of(seen, dispatches)) == ({}, [])
        check_trail(stack)
        check_counters(stack)
        check_streams(stack, clients, row["id"])
    finally:
        for client in clients:
            client.goes_on = False
        load.clear()
