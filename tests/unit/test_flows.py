"""Flows: who asks for much at once is served after who asks for little, and never starved."""

import pytest

from tasks import flows
from tasks.flows import AT_ONCE, BULK, EVERY, MOST_FLOWS, PER_SECOND, SHARE, WIDE, Flows, Order


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def ask(measured: Flows, number: int, workspace: str = "a", actor: str = "key", thing: str = "act") -> list[str]:
    """The queues for so many requests."""
    return [measured.queue("steps", workspace, actor, thing) for _ in range(number)]


def test_what_exceeds_goes_to_bulk(clock: Clock) -> None:
    """A hundred at once go to their own queue, what comes then to bulk."""
    asked = ask(Flows(clock), AT_ONCE + 5)
    assert asked == ["steps"] * AT_ONCE + [BULK] * 5


def test_each_second_brings_some_more(clock: Clock) -> None:
    """Fifty a second go through for as long as one likes; a long rest brings no more than a hundred at once."""
    measured = Flows(clock)
    ask(measured, AT_ONCE)
    clock.now += 1
    assert ask(measured, PER_SECOND + 1) == ["steps"] * PER_SECOND + [BULK]
    clock.now += 3600
    assert ask(measured, AT_ONCE + 1).count("steps") == AT_ONCE


@pytest.mark.parametrize("other", [{"workspace": "b"}, {"actor": "another key"}, {"thing": "another act"}])
def test_a_flood_is_nobody_elses(other: dict[str, str], clock: Clock) -> None:
    """Another workspace, caller or action is not affected."""
    measured = Flows(clock)
    ask(measured, AT_ONCE * 2)
    assert ask(measured, 1, **other) == ["steps"]


def test_a_workspace_has_a_measure_too(clock: Clock) -> None:
    """Many small flows together are a flood as well; another workspace is not affected."""
    measured = Flows(clock)
    asked = [queue for number in range(SHARE + 1) for queue in ask(measured, AT_ONCE, thing=f"act {number}")]
    assert asked == ["steps"] * SHARE * AT_ONCE + [BULK] * AT_ONCE
    assert ask(measured, 1, workspace="b") == ["steps"]


def test_what_went_to_bulk_costs_nothing(clock: Clock) -> None:
    """A flow that floods uses up its own measure, not that of its workspace."""
    measured = Flows(clock)
    ask(measured, 50 * AT_ONCE)
    assert ask(measured, AT_ONCE, thing="another act") == ["steps"] * AT_ONCE


@pytest.mark.parametrize("queue", ["scripts", "suspects", "control"])
def test_other_queues_have_no_bulk(queue: str, clock: Clock) -> None:
    """What needs a process that can be killed stays where one is."""
    measured = Flows(clock)
    asked = {measured.queue(queue, "a", "key", "act") for _ in range(AT_ONCE * 2)}
    assert asked == {queue}


def test_the_flows_remembered_are_bounded(clock: Clock) -> None:
    """Of very many flows the one that rested longest is forgotten."""
    measured = Flows(clock)
    for number in range(MOST_FLOWS + 10):
        ask(measured, 1, workspace=f"w{number}")
    assert len(measured._left) == MOST_FLOWS
    assert ("w0",) not in measured._left


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("steps", "steps", True),
        ("urgent", "steps", False),
        (BULK, "urgent", True),
        ("notices", BULK, True),
        (BULK, BULK, True),
        (BULK, "scripts", False),
    ],
)
def test_bulk_goes_together_with_what_its_worker_consumes(one: str, other: str, fits: bool) -> None:
    """A worker that took a run off bulk goes on with its steps in place."""
    assert flows.together(one, other) is fits


def _rows(number: int, queue: str = "steps") -> list[dict]:
    return [{"type": "action", "status": "pending", "queue": queue} for _ in range(number)]


def test_wide_steps_go_to_bulk() -> None:
    """More than 32 branches that begin together are for bulk; as many as that are not."""
    few, many = _rows(WIDE), _rows(WIDE + 1)
    flows.spread(few)
    flows.spread(many)
    assert {row["queue"] for row in few} == {"steps"}
    assert {row["queue"] for row in many} == {BULK}


def test_wide_steps_of_scripts_stay() -> None:
    """Branches that need a process that can be killed stay on their queue."""
    rows = _rows(WIDE + 1, "scripts")
    flows.spread(rows)
    assert {row["queue"] for row in rows} == {"scripts"}


def test_every_fourth_message_is_asked_of_bulk_first() -> None:
    """With all queues full a worker takes three others, then one of bulk; with bulk alone it takes that."""
    order = Order()
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
    order = Order(["suspects", "scripts"])
    for _ in range(10):
        order.rotate("scripts")
    assert order.consume(2) == ["suspects", "scripts"]
