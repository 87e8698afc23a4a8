"""Turns: slow targets leave room for quick ones. Four of sixteen lanes are never for one action, or for long calls."""

import threading
from collections.abc import Iterator

import pytest

from tasks import turns
from tasks.turns import LONG, MOST_KNOWN, PATIENCE, Turn, Turns
from tests.support.waiting import eventually


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


@pytest.fixture
def lanes(clock: Clock) -> Turns:
    """The turns of a worker with sixteen lanes."""
    return Turns(16, clock=clock)


def take(lanes: Turns, action: str, number: int) -> list[Turn]:
    """So many turns that are there to be had."""
    taken = [lanes.take(action, wait=False) for _ in range(number)]
    assert None not in taken
    return [turn for turn in taken if turn is not None]


def known(lanes: Turns, clock: Clock, action: str, seconds: float) -> None:
    """Have a call of the action made that takes so long."""
    [turn] = take(lanes, action, 1)
    clock.now += seconds
    lanes.end(turn)


@pytest.mark.parametrize(("number", "most"), [(1, 1), (2, 1), (4, 3), (16, 12), (200, 150)])
def test_one_action_holds_at_most_three_quarters(number: int, most: int, clock: Clock) -> None:
    """However many lanes there are, a quarter of them (but not the only one) is kept from any one action."""
    lanes = Turns(number, clock=clock)
    take(lanes, "slow", most)
    assert lanes.take("slow", wait=False) is None
    assert not lanes.has_room("slow")
    assert lanes.has_room("other") is (number > most)


def test_a_lane_goes_on_with_a_quick_action_however_many_have_it(lanes: Turns, clock: Clock) -> None:
    """Who has just ended a call takes no room from anybody; without a free lane it stops."""
    known(lanes, clock, "quick", 0.01)
    take(lanes, "quick", 12)
    assert lanes.take("quick", wait=False) is None
    assert all(lanes.go_on("quick") for _ in range(4))
    assert lanes.go_on("quick") is None


def test_a_turn_that_ends_makes_room_for_one_more(lanes: Turns) -> None:
    """The thirteenth call gets in when one of the twelve is done, the fourteenth not yet."""
    held = take(lanes, "slow", 12)
    lanes.end(held[0])
    assert lanes.take("slow", wait=False) is not None
    assert lanes.take("slow", wait=False) is None


def test_no_more_calls_than_lanes(lanes: Turns) -> None:
    """Quick or not, the seventeenth call has no lane."""
    take(lanes, "one", 8)
    take(lanes, "other", 8)
    assert lanes.take("third", wait=False) is None


def test_while_long_calls_hold_three_quarters_only_quick_actions_get_in(lanes: Turns, clock: Clock) -> None:
    """Two slow actions share twelve lanes; of the last four a third slow one gets none, a quick one all."""
    known(lanes, clock, "quick", LONG / 10)
    known(lanes, clock, "slow too", LONG * 2)
    take(lanes, "slow", 6)
    take(lanes, "slower", 6)
    assert lanes.has_room("slow too"), "nothing has taken long yet"
    clock.now += LONG
    assert not lanes.has_room("slow too")
    take(lanes, "quick", 4)


def test_what_took_long_the_last_time_counts_as_long_at_once(lanes: Turns, clock: Clock) -> None:
    """A burst of calls known to be slow does not fill every lane in the quarter of a second before it shows."""
    for action in ("slow", "slower"):
        known(lanes, clock, action, LONG)
    take(lanes, "slow", 6)
    take(lanes, "slower", 6)
    assert not lanes.has_room("slow")


def test_of_what_is_not_known_one_call_gets_in(lanes: Turns, clock: Clock) -> None:
    """The first call of a new action is made and tells whether the others may come; there is room for two such."""
    take(lanes, "slow", 12)
    clock.now += LONG
    [first] = take(lanes, "new", 1)
    assert not lanes.has_room("new")
    take(lanes, "newer", 1)
    assert not lanes.has_room("newest")
    lanes.end(first)
    take(lanes, "new", 3)


def test_what_came_to_nothing_tells_nothing(lanes: Turns, clock: Clock) -> None:
    """A stale message is over at once; its action does not count as quick for that."""
    known(lanes, clock, "slow", LONG)
    [turn] = take(lanes, "slow", 1)
    lanes.end(turn, called=False)
    take(lanes, "other", 12)
    clock.now += LONG
    assert not lanes.has_room("slow")


def test_nobody_waits_where_nothing_moves(lanes: Turns, clock: Clock) -> None:
    """An action that has ended no turn for a while is refused at once; the answer does not take the wait's time."""
    take(lanes, "slow", 12)
    clock.now += PATIENCE
    assert lanes.take("slow") is None
    assert not lanes._waiting


def test_who_waits_is_given_the_next_turn(clock: Clock) -> None:
    """Where turns end often a call waits for its own; what comes later does not overtake it."""
    lanes = Turns(4, refusing=False, clock=clock)  # waits as long as it takes
    held, given = take(lanes, "quick", 4), []
    waiting = threading.Thread(target=lambda: given.append(lanes.take("quick")))
    waiting.start()
    eventually(lambda: lanes._waiting, 5, "the fifth call waits")
    lanes.end(held[0])
    assert lanes.take("quick", wait=False) is None, "the turn is for who waited"
    waiting.join(5)
    assert given[0] is not None


def test_a_wait_comes_to_an_end(lanes: Turns) -> None:
    """Where turns have just ended a message waits, but not for ever, and leaves nothing behind."""
    held = take(lanes, "quick", 12)
    assert lanes.take("quick") is None
    assert not lanes._waiting
    lanes.end(held[0])
    assert lanes.has_room("quick")


def test_a_process_that_refuses_nobody_gives_every_lane(clock: Clock) -> None:
    """Where the patient calls go, one slow action may hold every lane."""
    lanes = Turns(16, refusing=False, clock=clock)
    take(lanes, "slow", 16)
    assert not lanes.has_room("slow")


def test_what_is_known_is_bounded(lanes: Turns, clock: Clock) -> None:
    """Of very many actions the one that was longest not called is forgotten."""
    for number in range(MOST_KNOWN + 1):
        known(lanes, clock, f"action {number}", 0)
    assert len(lanes._took) == MOST_KNOWN
    assert "action 0" not in lanes._took


@pytest.fixture
def worker() -> Iterator[Turns]:
    """The turns of this process, which is a worker with four lanes for the time of a test."""
    before = turns._process
    turns.open_lanes(4, refusing=True)
    yield turns.of_process()
    turns._process = before


def test_going_on_in_place_takes_another_turn(worker: Turns) -> None:
    """A worker that goes on with another action holds a turn for that one instead, and none when it is done."""
    with turns.message("first") as has_turn:
        assert has_turn
        assert turns.move_on("second")
        assert (worker._of["first"], worker._of["second"]) == (0, 1)
    assert not worker._held


def test_going_on_in_place_needs_room(worker: Turns) -> None:
    """Where an action holds its share nobody goes on with it in place; the turn of the call before is given back."""
    take(worker, "second", 3)
    with turns.message("first") as has_turn:
        assert has_turn
        assert not turns.move_on("second")
        assert len(worker._held) == 3
    assert len(worker._held) == 3


def test_a_turn_is_given_back_whatever_happens(worker: Turns) -> None:
    """Also when the message ends in an exception."""
    with pytest.raises(RuntimeError), turns.message("first"):
        raise RuntimeError
    assert not worker._held
