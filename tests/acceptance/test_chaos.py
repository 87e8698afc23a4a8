"""Every accepted execution ends, whichever process dies: the crash tests.

A load of triggers of every kind runs while a nemesis kills processes with SIGKILL, flushes Redis and restarts it
empty, kills the database and freezes it. Afterwards every accepted execution must have ended, every completed one must
have reached the receiver, no effect may have happened more often than attempts were lost, actions that must not be
repeated were not, and no worker whose process lived was taken for dead.
"""

import random
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from tests.support.services import PostgresServer
from tests.support.stack import Stack
from tests.support.waiting import eventually

#: every accepted execution ends within this time after the last fault, seconds
SETTLED = 120


@dataclass
class Plan:
    """How much is asked for, and what is broken meanwhile."""

    triggers: int
    kills: list[str]
    flushes: int
    empty_restarts: int
    seed: int
    #: for how long the database is away or frozen each time, seconds
    database_kills: tuple[float, ...] = ()
    database_freezes: tuple[float, ...] = ()
    callers: int = 4

    def faults(self) -> list[str]:
        """The faults in the order of this seed."""
        faults = [*self.kills, *["flush"] * self.flushes, *["empty"] * self.empty_restarts]
        faults += [f"database killed {seconds}" for seconds in self.database_kills]
        faults += [f"database frozen {seconds}" for seconds in self.database_freezes]
        random.Random(self.seed).shuffle(faults)
        return faults


@dataclass
class History:
    """What the callers and the nemesis did."""

    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])  # of the round: others use the same product
    accepted: dict[str, str] = field(default_factory=dict)  # idempotency key → execution
    kinds: dict[str, str] = field(default_factory=dict)  # execution → kind of action
    repeats: list[tuple[str, str]] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)


def make_actions(stack: Stack) -> dict[str, tuple[str, dict]]:
    """Kind → action and parameters: every queue, every executor, both delivery classes."""
    url = stack.sink.url
    create = stack.api.create_action
    handler = {"type": "script", "executor": "local", "config": {"handler": "post_to"}}
    script = {"interpreter": "bash", "script": 'sleep 0.2; echo "{\\"done\\": true}"'}
    text = [{"name": "url", "type": "string", "required": True}]
    return {
        "notice": (create(type="notification", config={"url": f"{url}/ok?notice"}), {}),
        "urgent": (create(type="containment", config={"url": f"{url}/slow?seconds=1.5"}), {}),
        "steady": (create(config={"url": f"{url}/slow?seconds=0.5"}), {}),
        "once": (create(config={"url": f"{url}/slow?seconds=1"}, idempotent=False), {}),
        "handler": (create(**handler, parameters=text), {"url": f"{url}/ok?handler"}),
        "handler once": (create(**handler, parameters=text, idempotent=False), {"url": f"{url}/slow?seconds=0.7"}),
        "script": (create(type="script", executor="local", config=script), {}),
    }


def unleash(
    stack: Stack,
    plan: Plan,
    server: PostgresServer | None = None,
    actions: dict[str, tuple[str, dict]] | None = None,
) -> History:
    """Run the load and the faults in parallel to their ends."""
    stack.start("worker2")
    stack.wait_ready("worker2")
    history = History()
    actions = actions or make_actions(stack)
    kinds = [*actions, "notice", "steady", "once", "urgent", "steady", "once"]  # scripts are slow, and thus fewer
    faults_over = threading.Event()
    pace = threading.Semaphore(0)

    def call(number: int) -> None:
        pace.acquire(timeout=120)
        kind, key = kinds[number % len(kinds)], f"{history.name}-{number}"
        action_id, parameters = actions[kind]
        execution = stack.api.insist(action_id, parameters, key=key)
        history.accepted[key] = execution
        history.kinds[execution] = kind
        if number % 5 == 0:
            history.repeats.append((key, stack.api.insist(action_id, parameters, key=key)))

    def set_pace() -> None:
        """Spread the triggers over the time of the faults, the rest afterwards."""
        for _ in range(plan.triggers):
            if not faults_over.wait(0.35 if plan.triggers < 200 else 0.12):
                pace.release()
            else:
                break
        pace.release(plan.triggers)

    with ThreadPoolExecutor(plan.callers + 1) as pool:
        pacing = pool.submit(set_pace)
        calls = [pool.submit(call, number) for number in range(plan.triggers)]
        try:
            for fault in plan.faults():
                strike(stack, fault, history, server)
        finally:
            faults_over.set()
        for future in (pacing, *calls):
            future.result()
    return history


def strike(stack: Stack, fault: str, history: History, server: PostgresServer | None) -> None:
    """Cause one fault, at a random moment."""
    rng = random.Random(f"{fault}{sum(history.kills.values())}")
    if fault == "flush":
        stack.redis.client().flushall()
    elif fault == "empty":
        stack.redis.kill()
        time.sleep(rng.uniform(0.2, 1.0))
        stack.redis.forget()
        stack.redis.start()
    elif fault.startswith("database"):
        assert server is not None
        break_database(server, *fault.split()[1:])
    else:
        stack.wait_ready(fault)  # one that is still starting would be no loss
        history.kills[fault] += 1
        stack.kill(fault)
        stack.start(fault)
    time.sleep(rng.uniform(0.3, 1.2))


def break_database(server: PostgresServer, how: str, seconds: str) -> None:
    """Kill or freeze the database, and bring it back after a time."""
    if how == "killed":
        server.kill()
        time.sleep(float(seconds))
        server.start()
    else:
        server.send(signal.SIGSTOP)
        time.sleep(float(seconds))
        server.send(signal.SIGCONT)


def check(stack: Stack, history: History) -> None:
    """The promises, one by one."""
    rows = stack.wait_ended(list(history.accepted.values()), SETTLED)
    eventually(lambda: stack.queued() == 0, 20, "every left-over message is consumed")
    arrived = stack.sink.keys()
    worker_kills = sum(history.kills[name] for name in ("worker", "worker2", "scripts"))
    for key, again in history.repeats:
        assert again == history.accepted[key], "the same Idempotency-Key made two executions"
    for execution, kind in history.kinds.items():
        row = rows[execution]
        if kind != "script" and row["status"] == "completed":
            assert arrived[execution] >= 1, f"{kind} {execution} is completed and its effect never arrived"
        if kind.endswith("once"):
            assert arrived[execution] <= 1, f"{kind} {execution} must not be repeated and was"
            assert row["status"] == "completed" or '"outcome_unknown":true' in row["error"], row
        else:
            given_up = row["lapses"] == 2 and '"attempts_exhausted"' in (row["error"] or "")
            assert row["status"] == "completed" or given_up, row
            assert arrived[execution] <= row["attempt"], f"{kind} {execution}: more effects than attempts"
            assert row["lapses"] <= worker_kills
    extra = sum(count - 1 for execution, count in arrived.items() if execution in history.kinds and count > 1)
    assert extra <= sum(rows[execution]["lapses"] for execution in history.kinds)


def test_nothing_accepted_is_lost(first_stack: Stack) -> None:
    """60 triggers, six kills, a flush, an empty restart: none is lost."""
    stack = first_stack
    kills = ["worker", "worker2", "scripts", "scripts", "web", "beat"]
    history = unleash(stack, Plan(triggers=60, kills=kills, flushes=1, empty_restarts=1, seed=7))
    check(stack, history)


@pytest.mark.chaos
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1])
def test_nothing_accepted_is_lost_at_length(stack: Stack, seed: int) -> None:
    """600 triggers, 18 kills, two flushes, an empty restart: none is lost."""
    kills = ["worker"] * 3 + ["worker2"] * 3 + ["scripts"] * 5 + ["web"] * 4 + ["beat"] * 3
    plan = Plan(triggers=600, kills=kills, flushes=2, empty_restarts=1, seed=seed, callers=8)
    check(stack, unleash(stack, plan))


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_when_the_database_comes_and_goes(
    postgresql_stack: Stack, postgres_server: PostgresServer, seed: int
) -> None:
    """200 triggers outlast kills and freezes of the database, and dying workers."""
    plan = Plan(
        triggers=200,
        kills=["worker", "scripts", "beat", "web"],
        flushes=0,
        empty_restarts=0,
        seed=seed,
        callers=8,
        database_kills=(1, 7, 3),
        database_freezes=(40,),
    )
    check(postgresql_stack, unleash(postgresql_stack, plan, postgres_server))
