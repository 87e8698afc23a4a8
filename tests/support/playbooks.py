"""Playbooks for tests of runs, approvers, and the promises of runs.

A step's row id is the Idempotency-Key of its call, so the receiver's book tells which step called when. ``broken``
holds the promises about one run against its rows and that book.
"""

import itertools
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa

from tests.support.client import TERMINAL
from tests.support.sink import Arrival
from tests.support.stack import Stack

ENDED = TERMINAL | {"skipped"}
_TEXT = [{"name": "message", "type": "string", "required": False, "default": "hello"}]


class Kit:
    """Actions at the receiver and their steps; ``word`` marks their calls."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.word = uuid.uuid4().hex[:8]
        self._actions: dict[str, str] = {}

    def action(self, path: str = "ok", **more: Any) -> str:
        """The id of an action that sends ``message`` to this path."""
        known = f"{path} {more}"
        if known not in self._actions:
            mark = f"{path}{'&' if '?' in path else '?'}kit={self.word}"
            config = {"url": f"{self.stack.sink.url}/{mark}", "body": {"message": "{{ message }}"}}
            self._actions[known] = self.stack.api.create_action(config=config, parameters=_TEXT, **more)
        return self._actions[known]

    def act(self, step_id: str, path: str = "ok", message: str = "hello", **more: Any) -> dict[str, Any]:
        """A step that calls the receiver."""
        step = {"id": step_id, "type": "action", "action_ref": self.action(path), "parameters": {"message": message}}
        return {**step, **more}

    def slow(self, step_id: str, seconds: float, **more: Any) -> dict[str, Any]:
        """A step whose call takes its time."""
        return self.act(step_id, f"slow?seconds={seconds:g}", **more)

    def playbook(self, *steps: dict[str, Any], **more: Any) -> str:
        """Add a playbook of these steps; returns its id."""
        return self.stack.api.create_playbook(steps=list(steps), **more)

    def calls(self, run_id: str = "") -> list[Arrival]:
        """The calls of this kit's actions (of one run), in order."""
        mine = [call for call in self.stack.sink.arrivals() if f"kit={self.word}" in call.path]
        return [call for call in mine if call.key.startswith(run_id)]

    def called(self, run_id: str) -> list[str]:
        """A run's steps in order of their calls, without the run's id."""
        return [call.key.partition(".")[2] for call in self.calls(run_id)]


def approval(step_id: str = "ask", **more: Any) -> dict[str, Any]:
    """A step that waits for an approval."""
    return {"id": step_id, "type": "approval", "message": "May we?", **more}


def delay(step_id: str = "rest", seconds: float = 1, **more: Any) -> dict[str, Any]:
    """A step that waits for the clock."""
    return {"id": step_id, "type": "delay", "seconds": seconds, **more}


def parallel(step_id: str, *branches: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Branches side by side."""
    return {"id": step_id, "type": "parallel", "branches": [{"steps": branch} for branch in branches], **more}


def loop(step_id: str, iterations: int, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Steps again and again."""
    return {"id": step_id, "type": "loop", "while": f"index < {iterations}", "steps": list(steps), **more}


def for_each(step_id: str, items: Any, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Steps for each item."""
    return {"id": step_id, "type": "for_each", "items": items, "steps": list(steps), **more}


def child(step_id: str, playbook_id: str, **more: Any) -> dict[str, Any]:
    """A playbook as a step."""
    return {"id": step_id, "type": "playbook", "playbook_ref": playbook_id, **more}


@dataclass(frozen=True)
class Book:
    """A playbook, and the rows (``step`` or ``step.iteration``) of a successful run."""

    playbook_id: str
    rows: frozenset[str]


def books(kit: Kit) -> dict[str, Book]:
    """One playbook of five to eight steps for each shape of run."""
    act, quick = kit.act, "slow?seconds=0.05"
    tail = kit.playbook(act("t1"), act("t2"))
    steps: dict[str, tuple[list[dict[str, Any]], str]] = {
        "sequence": ([act(f"s{number}", quick) for number in range(6)], "s0 s1 s2 s3 s4 s5"),
        "branches": (
            [
                act("before"),
                parallel("p", [act("x1"), act("x2")], [kit.slow("y1", 0.4)], [act("z1", quick)]),
                act("after"),
            ],
            "before p x1 x2 y1 z1 after",
        ),
        "mixed": (
            [
                parallel(
                    "p",
                    [act("m1"), delay("rest", 1), act("m2")],
                    [act("n1"), {"id": "c", "type": "condition", "expression": "true", "on_true": "n2"}, act("n2")],
                ),
                act("after"),
            ],
            "p m1 rest m2 n1 c n2 after",
        ),
        "waits": (
            [act("first"), delay("rest", 1), act("second"), approval(), act("third", quick)],
            "first rest second ask third",
        ),
        "each": (
            [act("before"), for_each("e", [1, 2, 3], act("w1", quick), act("w2"), max_concurrency=2), act("after")],
            "before e w1.0 w2.0 w1.1 w2.1 w1.2 w2.2 after",
        ),
        "loop": ([act("before"), loop("l", 3, act("b1"), act("b2")), act("after")],
                 "before l b1.0 b2.0 b1.1 b2.1 b1.2 b2.2 after"),
        "child": (
            [act("before"), act("more"), child("sub", tail), act("then", quick), act("after")],
            "before more sub then after",
        ),
    }  # fmt: skip
    return {name: Book(kit.playbook(*made), frozenset(rows.split())) for name, (made, rows) in steps.items()}


def repeated(rows: Iterable[dict[str, Any]], calls: Counter[str]) -> list[str]:
    """Executions not called exactly once, or once more for each lapsed lease."""
    wrong = [row for row in rows if not 1 <= calls[row["id"]] <= 1 + row["lapses"]]
    return [f"{row['id']}: {calls[row['id']]} calls, {row['lapses']} lapses" for row in wrong]


def step_rows(stack: Stack, run_ids: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Run → the rows of its steps, in order of creation."""
    found: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
    for row in stack.rows("SELECT * FROM executions WHERE kind = 'step' ORDER BY created_at, id"):
        if row["run_id"] in found:
            found[row["run_id"]].append(row)
    return found


def children(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    """The runs that steps of a run have started, directly or indirectly."""
    query = "SELECT * FROM executions WHERE kind = 'playbook' AND parent_id LIKE :of"
    found = stack.rows(query, of=f"{run_id}.%")
    return [*found, *(below for each in found for below in children(stack, each["id"]))]


def broken(rows: list[dict[str, Any]], calls: list[Arrival]) -> list[str]:
    """The faults of one run: no step begins before its predecessors end.

    ``calls`` are the receiver's, in order of arrival.
    """
    by_id = {row["id"]: row for row in rows}
    first, last = {}, {}
    for call in calls:
        first.setdefault(call.key, call.at)
        last[call.key] = call.at
    faults = []
    for row in rows:
        leads = by_id.get(row["previous_id"])
        if leads is None:
            if row["previous_id"] is not None:
                faults.append(f"{row['id']} follows {row['previous_id']}, which is not there")
            continue
        began = row["started_at"] or row["created_at"]
        if leads["id"] == row["parent_id"]:  # the first of a block: what holds it has begun
            if began < leads["started_at"]:
                faults.append(f"{row['id']} began before {leads['id']}, which holds it")
            continue
        if leads["status"] not in ENDED:
            faults.append(f"{row['id']} exists and {leads['id']} has not ended: {leads['status']}")
        elif began < leads["completed_at"]:
            faults.append(f"{row['id']} began {leads['completed_at'] - began} ms before the end of {leads['id']}")
        called = first.get(row["id"], float("inf"))
        late = [before for before in _callers(leads, rows) if called < last.get(before, 0)]
        faults += [f"{row['id']} called before {before} had" for before in late]
    return faults


def _callers(row: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """A step, or for one that holds others all that it holds."""
    held = [inner for other in rows if other["parent_id"] == row["id"] for inner in _callers(other, rows)]
    return [row["id"], *held]


@dataclass
class Poller:
    """Watcher of every row of runs; remembers the states it has seen."""

    stack: Stack
    seen: dict[str, list[tuple[str, int, int]]] = field(default_factory=dict)
    since: int = field(default_factory=lambda: int(time.time() * 1000))

    @contextmanager
    def watching(self) -> Iterator["Poller"]:
        """Watch until the block ends."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                with suppress(sa.exc.OperationalError):
                    self.look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield self
        finally:
            over.set()
            watcher.join()
            self.look()

    def look(self) -> None:
        """Look once."""
        query = "SELECT id, status, attempt, lapses FROM executions WHERE kind <> 'action' AND created_at >= :since"
        for row in self.stack.rows(query, since=self.since):
            state, states = (row["status"], row["attempt"], row["lapses"]), self.seen.setdefault(row["id"], [])
            if not states or states[-1] != state:
                states.append(state)

    def backward(self) -> list[str]:
        """Rows that went back: from an end, in attempt, or to ``pending``."""
        return [f"{name}: {states}" for name, states in self.seen.items() if not _forward(states)]


def _forward(states: list[tuple[str, int, int]]) -> bool:
    for (before, attempt, lapses), (after, attempts, lost) in itertools.pairwise(states):
        if before in ENDED or attempts < attempt or lost < lapses:
            return False
        again = before in ("waiting", "running") or lost > lapses or attempts > attempt
        if after == "pending" and not again:
            return False
    return True


@contextmanager
def granting(stack: Stack) -> Iterator[None]:
    """Approve every waiting step during the block, also through outages."""
    over = threading.Event()

    def grant() -> None:
        while not over.wait(0.2):
            with suppress(sa.exc.OperationalError, httpx.TransportError):
                waiting = "SELECT run_id, step_id FROM executions WHERE kind = 'step' AND waiting_for = 'approval'"
                for row in stack.rows(waiting):
                    status = stack.api.decide_step(row["run_id"], row["step_id"], "approve").status_code
                    assert status in (200, 409) or status >= 500, status

    granter = threading.Thread(target=grant)
    granter.start()
    try:
        yield
    finally:
        over.set()
        granter.join()
