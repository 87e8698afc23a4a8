"""A rolling update under load: two releases, one database, one broker.

In order of time: the release before is at work and callers ask it for actions of every kind, runs of every shape and
poison, while a schedule comes round each minute; ``release`` migrates the database; its workers are replaced one by
one, then its API, with a time of load after each of these; the load ends. Then every execution must have ended, every
effect must have come as often as its kind promises, the schedule must have been kept once each minute, and no queue may
hold a message, under its present name or its former one.
"""

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.acceptance import test_chaos, test_runs_chaos
from tests.support.before import NoHistory, UpdatedStack
from tests.support.client import Api
from tests.support.databases import own_database
from tests.support.playbooks import Book, Kit, Poller, books, granting
from tests.support.services import Missing, missing
from tests.support.waiting import eventually

#: the queues by the names that the release before gives them, and by today's
FORMER, PRESENT = ("notices", "patient", "suspects"), ("notifications", "slow", "quarantine")
#: for how long the load goes on after each step of the update, and between two requests of a caller, seconds
STAGE, PAUSE = 5.0, 0.6
#: everything has ended within this time after the load, seconds
SETTLED = 240


@pytest.fixture(params=["sqlite", "postgresql"])
def updated(request: pytest.FixtureRequest) -> Iterator[UpdatedStack]:
    """The release before, with few slots, so that slow calls are requeued."""
    with own_database(request, request.param, "rolling") as url:
        try:
            stack = UpdatedStack(url, TOCSIN_STEPS_CONCURRENCY="4")
        except NoHistory as reason:
            pytest.skip(str(reason))
        except Missing as reason:
            missing(reason)
        with stack:
            yield stack


@dataclass
class Load:
    """Callers of all living APIs in turn, and the accepted requests."""

    stack: UpdatedStack
    kinds: dict[str, tuple[str, dict]]
    shapes: list[Book]
    executions: dict[str, str] = field(default_factory=dict)  # execution → kind of action
    runs: dict[str, Book] = field(default_factory=dict)
    repeats: list[tuple[str, str]] = field(default_factory=list)  # asked for under one key
    _over: threading.Event = field(default_factory=threading.Event)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _broken: list[BaseException] = field(default_factory=list)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Ask until the block ends."""
        order = [*sorted(self.kinds.keys() - {"poison"}), *["notice"] * 4, "steady", "once", "slow", "slow"]
        callers = [threading.Thread(target=self._repeat, args=(self._trigger, order)) for _ in range(4)]
        callers.append(threading.Thread(target=self._repeat, args=(self._run, self.shapes)))
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            self._over.set()
            for caller in callers:
                caller.join()
        assert not self._broken, self._broken[0]

    def ask(self, post: Callable[[Api, str], httpx.Response]) -> str:
        """Ask under one key until the API accepts; returns the id."""
        number, give_up = next(self._numbers), time.monotonic() + 60
        while True:
            apis = [*self.stack.apis]
            with contextlib.suppress(httpx.TransportError, RuntimeError):  # its client is closed: that API has ended
                answer = post(apis[number % len(apis)], f"rolling {number}")
                if answer.status_code == 202:
                    return str(answer.json()["data"]["execution_id"])
                assert answer.status_code >= 500, answer.text
            assert time.monotonic() < give_up, "no API has accepted it"
            time.sleep(0.1)

    def poison(self) -> None:
        """Trigger an action that ends whatever process it runs in."""
        self._trigger("poison")

    def _repeat(self, ask: Callable, of: list) -> None:
        try:
            while not self._over.wait(PAUSE):
                ask(of[next(self._numbers) % len(of)])
        except BaseException as error:
            self._broken.append(error)

    def _trigger(self, kind: str) -> None:
        action_id, parameters = self.kinds[kind]
        execution = self.ask(lambda api, key: api.post_trigger(action_id, parameters, key=key))
        self.executions[execution] = kind

    def _run(self, book: Book) -> None:
        run = self.ask(lambda api, key: api.post_run(book.playbook_id, key=key))
        self.runs[run] = book


def kinds(stack: UpdatedStack) -> dict[str, tuple[str, dict]]:
    """Kind → action and parameters: the crash tests' kinds, slow, and poison."""
    create, url = stack.api.create_action, stack.sink.url
    handler = {"type": "script", "executor": "local", "config": {"handler": "exit_now"}, "timeout_seconds": 30}
    return {
        **test_chaos.make_actions(stack),
        "slow": (create(config={"url": f"{url}/slow?seconds=3"}), {}),
        "poison": (create(**handler), {}),
    }


def update(stack: UpdatedStack, load: Load) -> None:
    """Update step by step, each followed by poison and a load."""
    steps: list[Callable[[], object]] = [
        lambda: None,
        stack.release,
        *(lambda name=name: stack.update(name) for name in ("worker", "scripts", "beat", "slow", "worker2")),
        stack.add_api,
        stack.end_former_api,
    ]
    for step in steps:
        step()
        load.poison()
        time.sleep(STAGE)


def check_actions(stack: UpdatedStack, load: Load) -> None:
    """Every action has ended as its kind promises."""
    rows = stack.wait_ended([*load.executions], SETTLED)
    arrived = stack.sink.keys()
    for execution, kind in load.executions.items():
        row = rows[execution]
        if kind == "poison":
            assert '"attempts_exhausted"' in row["error"], row
        else:
            assert row["status"] == "completed", (kind, row)
        if kind.endswith("once"):
            assert arrived[execution] == 1, f"{kind} {execution} must not be repeated: {arrived[execution]} calls"
        elif kind not in ("script", "poison"):
            assert 1 <= arrived[execution] <= row["attempt"], f"{kind} {execution}: {arrived[execution]} calls"


def minutes(stack: UpdatedStack, playbook_id: str) -> list[int]:
    """The minutes in which a schedule has started its playbook."""
    query = "SELECT created_at FROM executions WHERE kind = 'playbook' AND action_id = :id"
    return [row["created_at"] // 60_000 for row in stack.rows(query, id=playbook_id)]


@pytest.mark.chaos
@pytest.mark.timeout(1200)
def test_an_update_under_load_loses_nothing(updated: UpdatedStack) -> None:
    """An update under load loses nothing, repeats nothing wrongly, and empties queues."""
    kit, history = Kit(updated), test_runs_chaos.History()
    load = Load(updated, kinds(updated), list(books(kit).values()))
    scheduled = kit.playbook(kit.act("tell"), trigger={"event": "schedule", "cron": "* * * * *"})
    began = int(time.time() // 60)
    poller = Poller(updated)
    with granting(updated), poller.watching():
        with load.going_on():
            update(updated, load)
        ended = int(time.time() // 60)
        check_actions(updated, load)
        updated.wait_ended([*load.runs], SETTLED)
    history.runs = load.runs
    assert test_runs_chaos.broken_promises(updated, kit, history) == []
    assert poller.backward() == []
    assert test_runs_chaos.twice_ended(updated, set(history.runs)) == []

    kept = Counter(minutes(updated, scheduled))
    assert set(range(began + 1, ended + 1)) <= kept.keys()
    assert set(kept.values()) == {1}, "no minute is kept twice"
    eventually(lambda: updated.queued(*FORMER, *PRESENT) == updated.queued() == 0, 60, "every queue is empty")
    written = {row["queue"] for row in updated.rows("SELECT DISTINCT queue FROM executions")}
    assert {"notices", "suspects", "notifications", "quarantine"} <= written, "both releases have had their part"
    print(f"{len(load.executions)} actions, {len(load.runs)} runs, {sum(kept.values())} more by schedule")
