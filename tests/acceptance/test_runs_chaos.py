"""Runs end, whichever process dies: the crash tests of playbooks.

Runs of every shape (sequences, parallels, loops, delays, approvals and playbooks inside)
go on while a nemesis kills processes with SIGKILL, loses what Redis holds and takes the database away for a moment.
Afterwards every accepted run must have ended; each must have left exactly the rows its playbook asks for, so nothing
was lost and every join happened once; no step began before those that lead to it had ended, by the rows' times and by
the order in which the receiver was called; no call came twice under different keys; and a poller that watched every
row all the time has seen none go back.
"""

import contextlib
import json
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.support.playbooks import Book, Kit, Poller, books, broken, granting, step_rows
from tests.support.services import PostgresServer
from tests.support.stack import Stack

#: every accepted run ends within this time after the last fault, seconds
SETTLED = 90
#: for how long the database is away, seconds
AWAY = 1.0
#: for how long the frozen database answers no query, seconds
FROZEN = 40.0


@dataclass
class History:
    """What was asked for and what was broken."""

    runs: dict[str, Book] = field(default_factory=dict)
    repeats: list[tuple[str, str]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)


class Nemesis:
    """Breaks one thing after the other, at random moments."""

    def __init__(self, stack: Stack, server: object, history: History) -> None:
        self.stack, self.server, self.history = stack, server, history

    def strike(self, fault: str, rng: random.Random) -> None:
        """One fault, and what ends it."""
        ways: dict[str, Callable[[random.Random], None]] = {
            "flush": self._flush,
            "empty": self._empty,
            "database": self._database,
            "frozen": self._frozen,
        }
        self.history.faults[fault] += 1
        if fault in ways:
            ways[fault](rng)
        else:
            self.stack.wait_ready(fault)  # one that is still starting would be no loss
            self.stack.kill(fault)
            self.stack.start(fault)
        time.sleep(rng.uniform(0.1, 0.6))

    def _flush(self, _rng: random.Random) -> None:
        self.stack.redis.client().flushall()

    def _empty(self, rng: random.Random) -> None:
        self.stack.redis.kill()
        time.sleep(rng.uniform(0.1, 0.6))
        self.stack.redis.forget()
        self.stack.redis.start()

    def _database(self, _rng: random.Random) -> None:
        if isinstance(self.server, PostgresServer):
            self.server.kill()
            time.sleep(AWAY)
            self.server.start()
        elif self.stack.database_url.startswith("sqlite"):
            lock = sqlite3.connect(self.stack.database_url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
            with contextlib.closing(lock):
                lock.execute("BEGIN IMMEDIATE")
                time.sleep(AWAY)
                lock.execute("ROLLBACK")

    def _frozen(self, _rng: random.Random) -> None:
        assert isinstance(self.server, PostgresServer)
        self.server.send(signal.SIGSTOP)
        time.sleep(FROZEN)
        self.server.send(signal.SIGCONT)


def unleash(stack: Stack, nemesis: Nemesis, kit: Kit, *, seed: int, runs: int, faults: list[str]) -> None:
    """Start runs and break things side by side until both are through."""
    shapes, rng, history = list(books(kit).values()), random.Random(seed), nemesis.history
    over, pace = threading.Event(), threading.Semaphore(4)

    def start(number: int) -> None:
        pace.acquire(timeout=120)
        book, key = shapes[number % len(shapes)], f"{kit.word}-{seed}-{number}"
        run_id = stack.api.insist_on_run(book.playbook_id, key=key)
        history.runs[run_id] = book
        if number % 5 == 0:
            history.repeats.append((run_id, stack.api.insist_on_run(book.playbook_id, key=key)))

    def set_pace() -> None:
        """Spread the runs over the time of the faults, the rest afterwards."""
        while not over.wait(0.25):
            pace.release()
        pace.release(runs)

    with ThreadPoolExecutor(5) as pool:
        pacing = pool.submit(set_pace)
        started = [pool.submit(start, number) for number in range(runs)]
        try:
            for fault in rng.sample(faults, len(faults)):
                nemesis.strike(fault, rng)
        finally:
            over.set()
        for future in (pacing, *started):
            future.result()


def broken_promises(stack: Stack, kit: Kit, history: History) -> list[str]:
    """What was promised and is not so, run by run."""
    rows = step_rows(stack, history.runs)
    ended = {row["id"]: row for row in stack.rows("SELECT * FROM executions WHERE kind = 'playbook'")}
    calls: dict[str, list] = {}
    for call in kit.calls():
        calls.setdefault(call.key.partition(".")[0], []).append(call)
    kills = sum(history.faults[name] for name in ("worker", "worker2", "scripts"))
    faults = [
        f"{again} is a second run under the key of {run_id}" for run_id, again in history.repeats if again != run_id
    ]
    for run_id, book in history.runs.items():
        mine, arrived = rows[run_id], Counter(call.key for call in calls.get(run_id, []))
        faults += broken(mine, calls.get(run_id, []))
        open_rows = [row["id"] for row in mine if row["due_at"] is not None]
        faults += [f"{name} has not ended and its run has" for name in open_rows]
        given_up = [row for row in mine if '"attempts_exhausted"' in (row["error"] or "") and row["lapses"] == 2]
        if ended[run_id]["status"] != "completed":
            if not given_up:
                faults.append(f"{run_id} is {ended[run_id]['status']}: {ended[run_id]['error']}")
            continue
        found = {row["id"].partition(".")[2] for row in mine}
        if found != book.rows:
            faults.append(f"{run_id}: missing {sorted(book.rows - found)}, too many {sorted(found - book.rows)}")
        for row in mine:
            if row["status"] != "completed" or row["lapses"] > kills:
                faults.append(f"{row['id']} is {row['status']} after {row['lapses']} lapses")
            if row["type"] == "action" and not 1 <= arrived[row["id"]] <= row["attempt"]:
                faults.append(f"{row['id']} called {arrived[row['id']]} times in {row['attempt']} attempts")
        strangers = arrived.keys() - {row["id"] for row in mine}
        faults += [f"a call under the key {key!r}, which is no step" for key in strangers]
    return faults


def twice_ended(stack: Stack, run_ids: set[str]) -> list[str]:
    """Runs and steps that, by the audit trail, continued after an end."""
    trail: dict[str, list[str]] = {}
    for row in stack.rows("SELECT subject, event FROM audit WHERE event LIKE 'execution.%' ORDER BY id"):
        if row["subject"].partition(".")[0] in run_ids:
            trail.setdefault(row["subject"], []).append(row["event"].removeprefix("execution."))
    ends = {"completed", "failed", "timeout", "cancelled", "skipped"}
    return [f"{subject}: {json.dumps(events)}" for subject, events in trail.items() if set(events[:-1]) & ends]


@dataclass(frozen=True)
class Survival:
    """What became of the runs: how many there were, and what is wrong with them."""

    runs: int
    #: promises that were broken, rows that went back, runs and steps that went on after their end
    broken: list[str]
    backward: list[str]
    twice_ended: list[str]


def survive(stack: Stack, server: object, *, rounds: range, runs: int, faults: Callable[[int], list[str]]) -> Survival:
    """Run playbooks under faults until all have ended, and look at what they left."""
    stack.start("worker2")
    stack.wait_ready("worker2")
    kit, history = Kit(stack), History()
    nemesis = Nemesis(stack, server, history)
    poller = Poller(stack)
    with granting(stack), poller.watching():
        for seed in rounds:
            unleash(stack, nemesis, kit, seed=seed, runs=runs, faults=faults(seed))
        stack.wait_ended(list(history.runs), SETTLED)
    wrong = broken_promises(stack, kit, history), poller.backward(), twice_ended(stack, set(history.runs))
    return Survival(len(history.runs), *(found[:30] for found in wrong))


def server_of(stack: Stack, request: pytest.FixtureRequest) -> object:
    """The database server, where there is one."""
    return None if stack.database_url.startswith("sqlite") else request.getfixturevalue("postgres_server")


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_runs_end_in_order_whatever_dies(stack: Stack, request: pytest.FixtureRequest) -> None:
    """240 runs outlast 24 faults: 12 seeds of 20 runs and two."""
    kinds = ["worker", "worker2", "scripts", "web", "beat", "flush", "empty", "database"]

    def faults(seed: int) -> list[str]:
        return random.Random(f"faults {seed}").choices(kinds, k=2)

    lived = survive(stack, server_of(stack, request), rounds=range(12), runs=20, faults=faults)
    assert lived == Survival(240, [], [], [])


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_runs_end_in_order_when_the_database_comes_and_goes(
    postgresql_stack: Stack, postgres_server: PostgresServer
) -> None:
    """60 runs outlast database kills and a freeze; no lease lapses."""
    faults = ["database"] * 3 + ["frozen"]
    lived = survive(postgresql_stack, postgres_server, rounds=range(1), runs=60, faults=lambda _seed: faults)
    assert lived == Survival(60, [], [], [])
