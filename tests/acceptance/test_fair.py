"""Small work is prompt during and after the worst runs and floods.

Each test prints its figures (``-s`` shows them).
"""

import contextlib
import http.client
import json
import statistics
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest

from playbooks.definitions.normalise import normalise
from tests.support.others import Asked, Others
from tests.support.playbooks import delay, for_each
from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none
from tests.support.weighing import bystander

#: steps of one run that may be under way, and steps in all
MOST_LIVE, MOST_STEPS = 500, 20_000
#: small work takes at most this, seconds, or at most this multiple of its undisturbed time
SOON = {"webhook": 2.0, "containment": 1.0}
TIMES = 20


def is_soon(asked: Asked) -> bool:
    """Whether the median is soon: the machine may be slow once, not every time."""
    return asked.middle < max(SOON[asked.kind], TIMES * statistics.median(asked.undisturbed))


def nested(stack: Stack) -> str:
    """A playbook of 125,000 concurrent iterations, as an older version stored it."""
    playbook = stack.api.create_playbook(steps=[delay("rest", 0)])
    items, step = list(range(1000)), delay("rest", 0)
    for step_id in "cba":
        step = for_each(step_id, items, step, max_concurrency=50)
    refused = stack.api.http.post("/api/playbooks", json={"name": "Nested", "steps": [step]})
    print(f"a new playbook like that is answered with {refused.status_code}")
    definition = json.dumps(normalise({"name": "Nested", "steps": [step]}))
    where = "playbook_id = :id"
    stack.change(f"UPDATE playbook_revisions SET definition = :text WHERE {where}", text=definition, id=playbook)
    return playbook


def live_steps(stack: Stack, run_id: str) -> int:
    """How many steps of a run are under way, without containers."""
    where = "run_id = :id AND type = 'delay' AND (status IN ('pending', 'running', 'waiting') OR due_at IS NOT NULL)"
    return stack.rows(f"SELECT count(*) AS n FROM executions WHERE {where}", id=run_id)[0]["n"]


def in_all(stack: Stack, run_id: str) -> int:
    """How many steps a run has come to."""
    return stack.rows("SELECT count(*) AS n FROM executions WHERE run_id = :id", id=run_id)[0]["n"]


@pytest.mark.gate
def test_a_run_of_nested_loops_leaves_room_for_others(first_stack: Stack) -> None:
    """Others' actions are prompt during and after the run; no step stays."""
    stack = first_stack
    others, playbook = Others(stack), nested(stack)
    run_id = stack.api.run(playbook)
    eventually(lambda: live_steps(stack, run_id) > 100, 60, "it is under way")
    widest, began = 0, time.monotonic()
    with bystander() as slow, others.asking() as during:
        while time.monotonic() - began < 6:
            widest = max(widest, live_steps(stack, run_id))
            time.sleep(0.2)
        asked, pace = time.monotonic(), stack.api.pace()
        answer = stack.api.post_to_run(run_id, "cancel")
        cancelled = time.monotonic() - asked - pace
    assert answer.status_code == 200, answer.text
    queued, steps = stack.queued("steps"), in_all(stack, run_id)
    with others.asking() as after:
        time.sleep(4)
    for words, found in (("during", during), ("after", after)):
        print(f"{words}: " + "; ".join(one.words for one in found))
    print(f"{widest} steps under way, {steps} in all; cancelled in {cancelled:.2f} s, then {queued} on steps")
    assert widest <= MOST_LIVE
    assert steps < 2 * MOST_STEPS
    assert cancelled < max(slow[0], TIMES * pace)
    assert queued < 2 * MOST_LIVE
    assert [one.words for one in (*during, *after) if not is_soon(one)] == []
    eventually_none(lambda: [row for row in open_rows(stack, run_id) if row["due_at"]], 60, "nothing is left")
    assert in_all(stack, run_id) == steps


def open_rows(stack: Stack, run_id: str) -> list[dict[str, Any]]:
    """What goes on of a run."""
    where = "(id = :id OR run_id = :id) AND (due_at IS NOT NULL OR owner IS NOT NULL)"
    return stack.rows(f"SELECT id, status, due_at FROM executions WHERE {where} LIMIT 5", id=run_id)


@contextlib.contextmanager
def flooding(stack: Stack, actions: list[str], each_second: int) -> Any:
    """Trigger these actions in turn at this rate; gives times of acceptance."""
    headers = {"Authorization": f"Bearer {stack.api.key}", "Content-Type": "application/json"}
    over, accepted, callers, body = threading.Event(), list[float](), 8, b'{"parameters": {}}'

    def post(caller: int) -> None:
        number, next_at = caller, time.monotonic()
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)) as connection:
            while not over.is_set():
                connection.request("POST", f"/api/actions/{actions[number % len(actions)]}/trigger", body, headers)
                answer = connection.getresponse()
                answer.read()
                accepted.extend([time.monotonic()] * (answer.status == 202))
                number, next_at = number + callers + 1, next_at + callers / each_second
                over.wait(max(0.0, next_at - time.monotonic()))

    threads = [threading.Thread(target=post, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield accepted
    finally:
        over.set()
        for thread in threads:
            thread.join()


@dataclass
class Flood:
    """What a flood did to the workers, and how soon small work was done beside it."""

    waiting: int
    #: what others asked for during and after the flood
    others: list[Asked]
    #: the containment that the caller of the flood asked for
    own: Asked

    @property
    def other_queues(self) -> set[str]:
        """The queues over which the others' work came."""
        return {queue for one in self.others for queue in one.queues}


def flood(stack: Stack, things: int, seconds: float) -> Flood:
    """Flood slow workers over ``things`` actions while others ask for little."""
    others = Others(stack)
    url = f"{stack.sink.url}/slow?seconds=0.04&flood"
    actions = [stack.api.create_action(config={"url": f"{url}={number}"}) for number in range(things)]
    own = stack.api.create_action(type="containment", config={"url": f"{stack.sink.url}/ok?own"})
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="4")
    stack.wait_ready("worker")
    with flooding(stack, actions, 400) as accepted:
        time.sleep(2)
        contained = []
        with others.asking(patience=30) as during:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                contained.append(stack.api.trigger(own))
                time.sleep(0.5)
    with others.asking(patience=30) as after:
        time.sleep(2)
    span = accepted[-1] - accepted[0]
    waiting = stack.rows("SELECT count(*) AS n FROM executions WHERE status = 'pending'")[0]["n"]
    rows = list(stack.wait_ended(contained, 120).values())
    mine = Asked("containment", during[1].undisturbed, contained)
    mine.took = [(row["completed_at"] - row["created_at"]) / 1000 for row in rows]
    mine.queues = {row["queue"] for row in rows}
    print(f"{things} actions, {len(accepted) / span:.0f}/s accepted, {waiting} waiting after it")
    for words, found in (("during", during), ("after", after), ("its own", [mine])):
        print(f"{words}: " + "; ".join(f"{one.words} on {', '.join(sorted(one.queues))}" for one in found))
    stack.restart("worker")
    stack.wait_ready("worker")
    query = "SELECT id FROM executions WHERE status IN ('pending', 'running') LIMIT 1"
    eventually_none(lambda: stack.rows(query), 600, "the flood is done too")
    return Flood(waiting, [*during, *after], mine)


@pytest.mark.gate
def test_a_flood_leaves_room_for_others(sqlite_stack: Stack) -> None:
    """A flood over eight actions delays no other caller and no containment."""
    found = flood(sqlite_stack, 8, 5)
    assert found.waiting > 100, "the workers were not flooded"
    assert [one.words for one in (*found.others, found.own) if not is_soon(one)] == []
    assert found.own.queues == {"urgent"}
    assert found.other_queues == {"urgent", "steps"}


@pytest.mark.wide
@pytest.mark.parametrize(("stack", "things"), [("sqlite", 64), ("postgresql", 2)], indirect=["stack"])
def test_a_long_flood_leaves_room_for_others(stack: Stack, things: int) -> None:
    """The same over many actions and few, and on the other database."""
    found = flood(stack, things, 10)
    assert found.waiting > 100, "the workers were not flooded"
    assert [one.words for one in (*found.others, found.own) if not is_soon(one)] == []
    assert found.own.queues == {"urgent"}
    assert found.other_queues == {"urgent", "steps"}
