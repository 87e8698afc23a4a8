"""The fair queue: a flow that floods is served after one that asks for little, and never starved."""

import pytest

from tasks.fairness import fair_queue
from tasks.fairness.fair_queue import MOST_FLOWS, OF_FLOW, OF_QUEUE, OF_WORKSPACE, WIDE, FairQueue
from tasks.messages.canvas import BATCH_SIZE
from tasks.queue_order import BULK, EVERY, QueueOrder

#: executions that the workers complete in a second, in most of these tests
DONE = 200
AT_ONCE, EACH_SECOND = round(OF_FLOW.at_once * DONE), round(OF_FLOW.each_second * DONE)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def fair_queue_by(clock: Clock, done: float = DONE) -> FairQueue:
    """A fair queue for workers that complete ``done`` executions in a second."""
    return FairQueue(clock, lambda _queue: done)


def ask(
    measured: FairQueue,
    number: int,
    workspace: str = "a",
    actor: str = "key",
    thing: str = "act",
    queue: str = "steps",
) -> list[str]:
    """The queues for ``number`` requests."""
    return [measured.queue(queue, workspace, actor, thing) for _ in range(number)]


def flood(
    measured: FairQueue, clock: Clock, things: int, seconds: int, queue: str = "steps", workspace: str = "a"
) -> int:
    """The executions that stay on the queue while flows ask for four times what the workers complete."""
    kept = 0
    for at in range(seconds * 100):
        clock.now += 0.01
        asked = [measured.queue(queue, workspace, "key", f"act {(at * 8 + n) % things}") for n in range(DONE // 25)]
        kept += asked.count(queue)
    return kept


def test_what_exceeds_goes_to_bulk(clock: Clock) -> None:
    """A quarter of a second's work goes at once to its own queue, the rest to bulk."""
    asked = ask(fair_queue_by(clock), AT_ONCE + 5)
    assert asked == ["steps"] * AT_ONCE + [BULK] * 5


def test_each_second_brings_some_more(clock: Clock) -> None:
    """A quarter of the workers' work goes through for any time; a long rest brings no more than at first."""
    measured = fair_queue_by(clock)
    ask(measured, AT_ONCE)
    through = 0
    for _ in range(10 * EACH_SECOND):
        clock.now += 1 / EACH_SECOND
        through += ask(measured, 2).count("steps")
    assert abs(through - 10 * EACH_SECOND) <= 1
    clock.now += 3600
    assert ask(measured, AT_ONCE + 1).count("steps") == AT_ONCE


@pytest.mark.parametrize("other", [{"workspace": "b"}, {"actor": "another key"}, {"thing": "another act"}])
def test_a_flood_affects_its_own_flow_only(other: dict[str, str], clock: Clock) -> None:
    """Another workspace, caller or action is not affected."""
    measured = fair_queue_by(clock)
    ask(measured, AT_ONCE * 2)
    assert ask(measured, 1, **other) == ["steps"]


@pytest.mark.parametrize("things", [2, 8, 64, 512])
def test_a_workspace_gets_half_however_many_flows_it_floods_with(things: int, clock: Clock) -> None:
    """Of a flood of four times the pace, half the pace stays on the queue, and what went there at once."""
    seconds = 20
    kept = flood(fair_queue_by(clock), clock, things, seconds)
    assert kept <= DONE * (OF_WORKSPACE.each_second * seconds + OF_WORKSPACE.at_once) + 1
    assert kept >= DONE * OF_FLOW.each_second * seconds


@pytest.mark.parametrize("done", [10, 100, 1000])
def test_allowances_are_parts_of_what_the_workers_complete(done: int, clock: Clock) -> None:
    """A flow has less with slow workers than with quick ones, and always the same part."""
    measured = fair_queue_by(clock, done)
    assert ask(measured, 2 * done).count("steps") == int(OF_FLOW.at_once * done)


@pytest.mark.parametrize("things", [2, 8, 64])
def test_a_flood_of_one_kind_leaves_urgent_executions_alone(things: int, clock: Clock) -> None:
    """While a workspace floods one queue, its own containments, and those of others, stay on theirs."""
    measured = fair_queue_by(clock)
    for _ in range(10):
        flood(measured, clock, things, 1)
        for workspace in ("a", "b"):
            assert ask(measured, 3, workspace, thing="contain", queue="urgent") == ["urgent"] * 3


@pytest.mark.parametrize("things", [2, 8, 32])
def test_a_flow_that_asks_for_little_has_its_place_among_floods(things: int, clock: Clock) -> None:
    """A flow that floods leaves as much as it gets, also on the queue that is flooded."""
    measured = fair_queue_by(clock)
    for _ in range(10):
        flood(measured, clock, things, 1, "urgent")
        assert ask(measured, 1, thing="contain", queue="urgent") == ["urgent"]
        assert ask(measured, 3, "b", thing="contain", queue="urgent") == ["urgent"] * 3


def test_many_workspaces_that_flood_leave_the_queue_to_others(clock: Clock) -> None:
    """Together they get no more than the queue takes in, and one that asks for little still has its place."""
    measured, kept = fair_queue_by(clock), 0
    names = [f"w{number}" for number in range(10)]
    for _ in range(10):
        kept += sum(flood(measured, clock, 2, 1, workspace=name) for name in names)
        assert ask(measured, 3, "small") == ["steps"] * 3
    seconds = 10 * len(names)  # their floods came one after the other
    assert kept <= DONE * (OF_QUEUE.each_second * seconds + OF_QUEUE.at_once)


def test_what_went_to_bulk_costs_nothing(clock: Clock) -> None:
    """A flow that floods uses up its own allowance, not that of its workspace."""
    measured = fair_queue_by(clock)
    ask(measured, 50 * AT_ONCE)
    assert ask(measured, 10, thing="another act") == ["steps"] * 10


def test_a_run_is_a_flow(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """What exceeds the allowance of a run goes to bulk, whatever its kind; another run is not affected."""
    monkeypatch.setattr(fair_queue, "_fair_queue", fair_queue_by(clock))
    asked = [fair_queue.of_run("steps", "a", "pexec-1") for _ in range(2 * AT_ONCE)]
    assert asked.count("steps") == AT_ONCE
    assert fair_queue.of_run("steps", "a", "pexec-2") == "steps"
    assert fair_queue.of_run("scripts", "a", "pexec-1") == "scripts"


@pytest.mark.parametrize("queue", ["scripts", "quarantine", "control"])
def test_other_queues_have_no_bulk(queue: str, clock: Clock) -> None:
    """An execution that needs a process that can be killed stays on its queue."""
    measured = fair_queue_by(clock)
    asked = {measured.queue(queue, "a", "key", "act") for _ in range(AT_ONCE * 2)}
    assert asked == {queue}


def test_the_flows_remembered_are_bounded(clock: Clock) -> None:
    """Of very many flows the one unused for longest is forgotten."""
    measured = fair_queue_by(clock)
    for number in range(MOST_FLOWS):
        ask(measured, 1, workspace=f"w{number}")
    assert len(measured._known) == MOST_FLOWS
    assert ("steps", "w0") not in measured._known
    assert ("steps",) in measured._known


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("steps", "steps", True),
        ("urgent", "steps", False),
        (BULK, "urgent", True),
        ("notifications", BULK, True),
        (BULK, BULK, True),
        (BULK, "scripts", False),
    ],
)
def test_bulk_goes_together_with_what_its_worker_consumes(one: str, other: str, fits: bool) -> None:
    """A worker that took a run off bulk goes on with its steps in place."""
    assert fair_queue.together(one, other) is fits


def _rows(number: int, queue: str = "steps") -> list[dict]:
    return [{"type": "action", "status": "pending", "queue": queue} for _ in range(number)]


def test_wide_steps_go_to_bulk() -> None:
    """More than 32 branches that begin together are for bulk; as many as that are not."""
    few, many = _rows(WIDE), _rows(WIDE + 1)
    fair_queue.spread(few)
    fair_queue.spread(many)
    assert {row["queue"] for row in few} == {"steps"}
    assert {row["queue"] for row in many} == {BULK}


def test_wide_steps_of_scripts_stay() -> None:
    """Branches that need a process that can be killed stay on their queue."""
    rows = _rows(WIDE + 1, "scripts")
    fair_queue.spread(rows)
    assert {row["queue"] for row in rows} == {"scripts"}


def test_a_quarter_of_what_is_done_is_ensured_to_bulk() -> None:
    """With all queues full one message in ``EVERY`` is of bulk: eight executions in it are a quarter of all."""
    assert 8 / (8 + EVERY - 1) == 0.25
    assert BATCH_SIZE >= 8, "a flood has as many in a message"
    order = QueueOrder()
    order.update(["urgent", "steps", BULK])
    taken = []
    for _ in range(3 * EVERY):
        first = order.consume(3)[0]
        assert sorted(order.consume(3)) == sorted(["urgent", "steps", BULK])
        order.rotate(first)
        taken.append(first)
    assert taken == [*["urgent"] * (EVERY - 1), BULK] * 3


def test_a_worker_without_bulk_asks_in_order() -> None:
    """A worker that does not consume bulk keeps the order of its queues."""
    order = QueueOrder(["quarantine", "scripts"])
    for _ in range(10):
        order.rotate("scripts")
    assert order.consume(2) == ["quarantine", "scripts"]
