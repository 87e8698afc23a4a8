"""The hot path loses nothing: bursts, steps in place, poison among neighbours.

Many requests share a transaction, many messages share a bundle, and many steps of a run share a message. Here the
processes that hold them are killed.
"""

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.playbooks import Kit, broken, parallel, step_rows
from tests.support.stack import TRIED, Stack
from tests.support.trail import half_written
from tests.support.waiting import eventually

#: every accepted execution ends within this time after the last fault, seconds
SETTLED = 120
#: how many callers there are at once
CALLERS = 8


def burst(stack: Stack, action: str, playbook: str, number: int, word: str) -> dict[str, str]:
    """Trigger ``number`` executions at full speed; returns those that were accepted.

    Idempotency-Key, or a number where there is none → execution.
    """
    answered: dict[str, str] = {}

    def one(index: int) -> None:
        key = f"{word}-{index}" if index % 5 == 0 else None
        post, what = (stack.api.post_run, playbook) if index % 4 == 0 else (stack.api.post_trigger, action)
        with contextlib.suppress(httpx.TransportError):  # the API promised nothing
            answer = post(what, key=key)
            assert answer.status_code == 202 or answer.status_code >= 500, answer.text
            if answer.status_code == 202:
                answered[key or f"{word}/{index}"] = answer.json()["data"]["execution_id"]

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(one, range(number)))
    return answered


def kill_in_bursts(stack: Stack, victims: list[str], *, size: int, seed: int) -> list[str]:
    """Kill each victim in mid-burst; returns the broken promises."""
    kit, rng = Kit(stack), random.Random(seed)
    answered: dict[str, str] = {}
    action, playbook = kit.action("ok"), kit.playbook(*(kit.act(f"s{number}") for number in range(4)))
    with ThreadPoolExecutor(1) as pool:
        for turn, victim in enumerate(victims):
            asking = pool.submit(burst, stack, action, playbook, size, f"{kit.word}-{turn}")
            time.sleep(rng.uniform(0.02, 0.5))  # a random moment
            stack.kill(victim)
            answered |= asking.result()
            stack.start(victim)
            stack.wait_ready(victim)
    answered |= burst(stack, action, playbook, size, f"{kit.word}-after")
    everyone = [
        row["id"] for row in stack.rows("SELECT id FROM executions WHERE action_id IN (:a, :p)", a=action, p=playbook)
    ]
    rows = stack.wait_ended(everyone, SETTLED)
    faults = [f"{number} requests share {id_}" for id_, number in Counter(answered.values()).items() if number > 1]
    faults += [f"{id_} is {rows[id_]['status']}" for id_ in answered.values() if rows[id_]["status"] != "completed"]
    faults += [] if len(answered) >= size else [f"only {len(answered)} requests were accepted"]
    for key in [key for key in answered if "/" not in key]:
        kind = rows[answered[key]]["kind"]
        again = stack.api.post_run(playbook, key=key) if kind == "playbook" else stack.api.post_trigger(action, key=key)
        if again.json()["data"]["execution_id"] != answered[key]:
            faults.append(f"{key} made two executions")
    return [*faults, *map(str, half_written(stack)), *wrongly_called(stack, kit, action)]


def wrongly_called(stack: Stack, kit: Kit, action: str) -> list[str]:
    """Calls without an execution, and executions called never or too often."""
    arrived = Counter(call.key for call in kit.calls())
    rows = stack.rows("SELECT id, attempt, status FROM executions WHERE action_id = :action", action=action)
    faults = [f"a call under {key!r}, which is no execution" for key in arrived.keys() - {row["id"] for row in rows}]
    for row in rows:
        least = 1 if row["status"] == "completed" else 0
        if not least <= arrived[row["id"]] <= row["attempt"]:
            faults.append(f"{row['id']} is {row['status']}, {arrived[row['id']]} calls in {row['attempt']} attempts")
    return faults


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_bursts_survive_kills(stack: Stack) -> None:
    """API and workers die 12 times in mid-burst: accepted executions complete under one key."""
    victims = ["web", "worker", "web", "worker", "beat", "worker"] * 2
    assert kill_in_bursts(stack, victims, size=200, seed=22) == []


@pytest.mark.gate
def test_a_worker_dies_with_a_chain_half_carried_out(first_stack: Stack) -> None:
    """A worker killed in the fourth of six steps loses no step."""
    stack = first_stack
    kit = Kit(stack)
    before = [kit.act(f"s{number}") for number in (1, 2, 3)]
    playbook = kit.playbook(*before, kit.act("s4", "slow-first?seconds=60"), kit.act("s5"), kit.act("s6"))
    runs = [stack.api.run(playbook) for _ in range(5)]
    for run_id in runs:
        eventually(lambda r=run_id: "s4" in kit.called(r), 60, "the fourth step has called")
    fourth = {run_id: stack.row(f"{run_id}.s4") for run_id in runs}
    stack.kill("worker")
    assert {row["status"] for row in fourth.values()} == {"running"}, "they were under way when the worker died"
    if TRIED.get("TOCSIN_IN_PLACE_MS") != "0":
        assert 0 in {row["publishes"] for row in fourth.values()}, "at least one was taken up without a message"
    stack.start("worker")
    rows, steps = stack.wait_ended(runs, SETTLED), step_rows(stack, runs)
    assert {row["status"] for row in rows.values()} == {"completed"}
    for run_id in runs:
        called = Counter(kit.called(run_id))
        assert [called[f"s{number}"] for number in (1, 2, 3)] == [1, 1, 1], "what was done is not done again"
        assert called["s4"] == 2, "under one key, once before the kill and once after"
        assert (called["s5"], called["s6"], len(called)) == (1, 1, 6)
        assert list(dict.fromkeys(kit.called(run_id))) == [f"s{number}" for number in range(1, 7)]
        assert [row["attempt"] for row in steps[run_id]] == [1, 1, 1, 2, 1, 1]
        assert not broken(steps[run_id], kit.calls(run_id))
    assert not half_written(stack)


class Poison:
    """A call that kills the process that makes it."""

    def __init__(self, stack: Stack, kit: Kit) -> None:
        self.stack, self.kit = stack, kit
        self.killed: list[str] = []

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Kill the process of each call; restart a missing worker."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.05):
                calls = [call for call in self.kit.calls() if "poison" in call.path]
                if len(calls) > len(self.killed):
                    self._kill(calls[len(self.killed)].key)
                for name in ("worker", "scripts"):
                    if not self.stack.running[name].alive():
                        self.stack.start(name)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _kill(self, execution_id: str) -> None:
        owner = self.stack.row(execution_id)["owner"]
        self.killed.append(owner)
        if owner is None:  # the machine stood still for so long that it was taken over meanwhile
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(owner.split(":")[1]), signal.SIGKILL)


def poisoned(stack: Stack, neighbours: int) -> list[str]:
    """Run a poisonous step with innocent steps and triggers in one process.

    Returns what is not as it should be.
    """
    kit = Kit(stack)
    poison = {**kit.slow("poison", 60), "continue_on_error": True}
    poison["action_ref"] = kit.action("slow?seconds=60&poison")
    innocent = [[kit.slow(f"n{number}", 0.3)] for number in range(neighbours)]
    middle = neighbours // 2
    branches = parallel("all", *innocent[:middle], [poison], *innocent[middle:])
    playbook, action = kit.playbook(branches, kit.act("after")), kit.action("slow?seconds=0.3")
    nemesis = Poison(stack, kit)
    with nemesis.at_work():
        run_id = stack.api.run(playbook)
        with ThreadPoolExecutor(CALLERS) as pool:
            triggered = list(pool.map(lambda _: stack.api.trigger(action), range(neighbours)))
        rows = stack.wait_ended([run_id, *triggered], SETTLED + neighbours)
    steps = {row["step_id"]: row for row in step_rows(stack, [run_id])[run_id]}
    given_up, others = steps.pop("poison"), [*steps.values(), *rows.values()]
    faults = [f"{row['id']} is {row['status']}" for row in others if row["status"] != "completed"]
    if (given_up["status"], given_up["attempt"], given_up["lapses"]) != ("failed", 3, 2):
        faults.append(f"the poison was not given up after three: {given_up}")
    if '"attempts_exhausted"' not in given_up["error"]:
        faults.append(f"the poison ended for another reason: {given_up['error']}")
    if len(set(nemesis.killed)) != 3:
        faults.append(f"the poison took down {nemesis.killed}, not three processes")
    if len(steps) != neighbours + 2:
        faults.append(f"{len(steps)} steps next to the poison")
    return [*faults, *hit_too_often(kit, others), *map(str, half_written(stack))]


def hit_too_often(kit: Kit, rows: Iterable[dict[str, Any]]) -> list[str]:
    """Neighbours lost more than twice, or called never or too often."""
    arrived = Counter(call.key for call in kit.calls())
    called = [row for row in rows if row["kind"] != "playbook" and row["type"] != "parallel"]
    wrong = [row for row in called if not 1 <= arrived[row["id"]] <= row["attempt"] <= 3]
    return [f"{row['id']}: {arrived[row['id']]} calls in {row['attempt']} attempts" for row in wrong]


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_poison_in_a_large_bundle_spares_its_neighbours(stack: Stack) -> None:
    """A step that kills its worker ends after three; its hundred neighbours complete."""
    assert poisoned(stack, 100) == []
