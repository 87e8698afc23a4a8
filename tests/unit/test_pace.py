"""The pace: what workers are known to do, from what they have done and from what waits."""

import os

from tasks.fairness.pace import BUSY, LONGEST_WAIT, UNKNOWN, Pace


class Workers:
    """Workers that complete up to ``can_do`` executions a second, and the process that watches them."""

    def __init__(self, can_do: int) -> None:
        self.can_do = can_do
        self.pace = Pace()
        self.pace._pid = -1
        self._now, self._done, self.waiting = 100.0, 0, 0

    def second(self, asked: int, queue: str = "steps") -> float:
        """Let a second pass with ``asked`` new executions; returns how much the queue can take in then."""
        did = min(self.can_do, self.waiting + asked)
        self.waiting += asked - did
        self._now += 1
        self._done += did
        self.pace.learn(self._now, self._done, {"steps": self.waiting, "urgent": 0, "bulk": 0})
        return self.pace._of[queue]


def test_idle_workers_are_taken_to_do_what_any_do() -> None:
    """Of workers that were never seen at work something is expected."""
    workers = Workers(1000)
    assert {workers.second(1) for _ in range(20)} == {UNKNOWN}


def test_busy_workers_show_what_they_can_do() -> None:
    """While much waits it is what they have done, after a few seconds, whether that is more or less than before."""
    workers = Workers(800)
    for _ in range(10):
        workers.second(900)
    assert 750 < workers.second(900, "urgent") <= 800
    for can_do in (200, 40):
        workers.can_do = can_do
        for _ in range(10):
            workers.second(can_do)
        assert can_do <= workers.second(can_do, "urgent") < 1.1 * can_do


def test_what_was_seen_is_soon_forgotten() -> None:
    """Work that came before was perhaps quicker: what floods next must not be let in at the pace of that.

    To expect too little costs nothing: what a queue does not take in runs from ``bulk`` while workers have time.
    """
    workers = Workers(1000)
    for _ in range(10):
        workers.second(1000)
    for _ in range(6):
        workers.second(5)
    assert UNKNOWN < workers.second(5, "urgent") < 1.2 * UNKNOWN


def test_workers_that_are_away_show_nothing() -> None:
    """While no execution completes, the known pace stays, however much waits."""
    workers = Workers(400)
    for _ in range(10):
        workers.second(500)
    workers.can_do = 0
    before = workers.second(0, "urgent")
    assert {workers.second(10, "urgent") for _ in range(10)} == {before}


def test_a_queue_that_is_too_long_takes_in_less() -> None:
    """One of which the messages wait twice as long as they should takes in half; a short one, and others, do not."""
    workers = Workers(400)
    for _ in range(10):
        workers.second(400)
    workers.waiting = round(2 * LONGEST_WAIT * 400)
    steps, urgent = workers.second(400), workers.pace._of["urgent"]
    assert 0.45 * urgent < steps < 0.55 * urgent
    workers.waiting = BUSY
    assert workers.second(400) == workers.pace._of["urgent"]


def test_a_number_that_begins_again_is_no_pace() -> None:
    """Redis was emptied, or the process has just begun to look: nothing is concluded from that."""
    pace = Pace()
    pace.learn(100.0, 50_000, {"steps": 0})
    assert pace._of == {"steps": UNKNOWN}
    pace.learn(101.0, 7, {"steps": 0})
    assert pace._of == {"steps": UNKNOWN}
    pace.learn(102.0, 507, {"steps": 0})
    assert pace._of == {"steps": 500}


def test_with_another_broker_it_is_what_was_seen() -> None:
    """Where the lengths of the queues are unknown, each queue takes in as much as the workers were seen to complete."""
    pace = Pace()
    pace._pid = os.getpid()
    for second in range(5):
        pace.learn(100.0 + second, 300 * second, {})
    assert pace.of("steps") == pace.of("urgent") == 300
