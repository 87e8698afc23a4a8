"""Turns of clients that read what they have missed, so that none of them holds up another.

A client asks, waits, and leaves. Of those that wait the owners are called one after the other, each with the client
that has waited longest. One that has something else to do meanwhile steps aside: it keeps its place and is not called,
for it may be away for long.
"""

import math
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Turns at something that ``most`` may do at once, and ``of_one`` of each owner."""

    def __init__(self, most: float = math.inf, of_one: float = math.inf) -> None:
        self._most, self._of_one = most, of_one
        self._lock = threading.Lock()
        self._waiting: OrderedDict[str, deque[Turn]] = OrderedDict()
        self._held: Counter[str] = Counter()

    @contextmanager
    def asked(self, owner: str) -> Iterator["Turn"]:
        """A turn of a client of this owner: to be waited for, and given back with the block."""
        turn = Turn(self, owner)
        with self._lock:
            self._waiting.setdefault(owner, deque()).append(turn)
            self._call()
        try:
            yield turn
        finally:
            self._leave(turn)

    def _leave(self, turn: "Turn") -> None:
        with self._lock:
            if turn.has_come:
                self._held[turn.owner] -= 1
                self._held += Counter()  # owners without a turn are forgotten
            else:
                self._forget(turn)
            self._call()

    def step_aside(self, turn: "Turn") -> bool:
        """Pass a turn over from now on; false where it has come already."""
        with self._lock:
            turn.is_aside = not turn.has_come
            return turn.is_aside

    def come_back(self, turn: "Turn") -> None:
        """Pass a turn over no more."""
        with self._lock:
            turn.is_aside = False
            self._call()

    def _forget(self, turn: "Turn") -> None:
        alike = self._waiting[turn.owner]
        alike.remove(turn)
        if not alike:
            del self._waiting[turn.owner]

    def _call(self) -> None:
        while self._held.total() < self._most and (turn := self._next()) is not None:
            self._waiting.move_to_end(turn.owner)
            self._forget(turn)
            self._held[turn.owner] += 1
            turn.come()

    def _next(self) -> "Turn | None":
        for owner, alike in self._waiting.items():
            if self._held[owner] < self._of_one:
                for turn in alike:
                    if not turn.is_aside:
                        return turn
        return None


class Turn:
    """The turn of a client, which it has or waits for."""

    def __init__(self, turns: Turns, owner: str) -> None:
        self.owner = owner
        self.is_aside = False
        self._turns = turns
        self._come = threading.Event()

    @property
    def has_come(self) -> bool:
        """Whether it is the client's turn."""
        return self._come.is_set()

    def come(self) -> None:
        """Let the client have it."""
        self._come.set()

    def wait(self, seconds: float) -> bool:
        """Whether it comes within so long."""
        return self._come.wait(seconds)

    def step_aside(self) -> bool:
        """Be passed over from now on; false where it is the client's turn already."""
        return self._turns.step_aside(self)

    def come_back(self) -> None:
        """Be called again."""
        self._turns.come_back(self)
