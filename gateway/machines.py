"""State machines: the states of an event, the moves that are allowed, and its time-outs.

A machine never changes an event by itself: it says which move a wish amounts to, and ``tasks.intake.moves`` makes it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.requests import moment

#: the state that an event takes which has ended, where its machine has it
RESOLVED = "resolved"
#: the states in which an event is not active, unless its machine says otherwise
INACTIVE = (RESOLVED, "closed")


@dataclass(frozen=True, slots=True)
class Notice:
    """Whether a move is made known, by which provider, and with which labels besides those of the event.

    ``provider`` None is the one that the event's last dispatch has named.
    """

    notify: bool = False
    provider: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimeOut:
    """What becomes of an event that stays in a state for too long."""

    after_seconds: int
    to: str
    notice: Notice


@dataclass(frozen=True, slots=True)
class Step:
    """What a wish amounts to: from one state to the next, or why the event stays where it is."""

    previous: str
    state: str
    moves: bool = False
    notice: Notice = field(default_factory=Notice)
    #: why a move that was asked for is not made
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One state machine of the generation in force."""

    name: str
    initial_state: str
    #: in the order in which they are written
    states: tuple[str, ...]
    #: (from, to) → how that move is made known
    transitions: Mapping[tuple[str, str], Notice] = field(default_factory=dict)
    #: state → its time-out
    timeouts: Mapping[str, TimeOut] = field(default_factory=dict)
    inactive: frozenset[str] = frozenset()

    def wanted(self, status: str | None, ends_at: str | None, at: int) -> str | None:
        """The state that a dispatch asks for at ``at`` (ms); None: that in which its event is."""
        if ends_at is not None and RESOLVED in self.states:
            ended = moment(ends_at)
            if ended is not None and ended <= datetime.fromtimestamp(at / 1000, UTC):
                return RESOLVED
        return status

    def step(self, state: str | None, wanted: str | None) -> Step:
        """The move from a state towards the one that is wanted; an event that is new has no state yet."""
        before = self.initial_state if state is None else state
        if wanted is None:
            return Step(before, before)
        if wanted not in self.states:
            return Step(before, before, refused=f"the state machine {self.name!r} has no state {wanted!r}")
        notice = self.transitions.get((self.place(before), wanted))
        if notice is not None:
            return Step(before, wanted, moves=True, notice=notice)
        if wanted == before:
            return Step(before, before)
        return Step(
            before, before, refused=f"the state machine {self.name!r} does not lead from {before!r} to {wanted!r}"
        )

    def allowed(self, state: str) -> list[str]:
        """The states to which a move leads from one."""
        here = self.place(state)
        return [each for each in self.states if (here, each) in self.transitions]

    def told(self, wanted: str | None) -> Iterator[tuple[str, Notice]]:
        """The moves to a state that are made known: the state that each comes from, and its notice."""
        return ((before, notice) for (before, to), notice in self.transitions.items() if to == wanted and notice.notify)

    def is_active(self, state: str) -> bool:
        """Whether an event in this state goes on: it can inhibit others, and is never forgotten."""
        return state not in self.inactive

    def place(self, state: str) -> str:
        """Where an event stands: at the beginning, if the machine has lost its state since."""
        return state if state in self.states else self.initial_state
