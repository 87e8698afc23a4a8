"""The generation in force in this process: one reference, which is swapped as a whole.

A caller asks ``current()`` once for each decision, so that no decision mixes two generations. The thread that learns of
a new generation compiles it aside and calls ``put``. Before the first ``put`` there are no rules.

A process that obeys changes made elsewhere is a follower (``follow``): each time it learns that it has the newest
generation it calls ``heard``. When it has not heard for ``FRESH`` seconds, because it was frozen, is cut off or is very
busy, ``current()`` looks before it answers. So a change that was made ``FRESH`` seconds ago is obeyed everywhere.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway import circuits, grants
from gateway.calendars.calendar import Calendar, named
from gateway.configuration.generation import EMPTY, Generation
from gateway.rules.ruleset import Ruleset
from gateway.silences.in_force import NOTHING, Silences

#: how long a process may decide without having heard that its generation is the newest, seconds
FRESH = 1.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing of a tenant goes out until it is lifted; ``*`` means of any tenant."""

    tenant: str
    reason: str
    by: str


class InForce:
    """A generation, compiled, with the switches, stops, silences and calendars that no file has.

    ``number`` counts every change of any of them. ``loaded`` is the number of the generation alone, ``revisions`` has
    the revision of each provider by name. ``compiled`` is a ruleset of the same generation, whose rules are used again.
    """

    def __init__(
        self,
        number: int,
        generation: Generation,
        switches: Mapping[str, bool] | None = None,
        stops: tuple[Stop, ...] = (),
        *,
        loaded: int = 0,
        revisions: Mapping[str, str] | None = None,
        compiled: Ruleset | None = None,
        silences: Silences = NOTHING,
    ) -> None:
        self.number = number
        self.generation = generation
        self.loaded = loaded
        self.revisions = revisions or {}
        self.ruleset = generation.ruleset(switches) if compiled is None else compiled.switched(switches)
        self.breakers = generation.breakers()
        self.machines = generation.machines()
        self.stops = stops
        self.silences = silences
        #: those of the generation, and those that requests have made
        self.calendars: dict[str, Calendar] = named(generation.time_intervals)
        #: the rules that may concern executions with this origin, namespace, tenant, provider and action type
        self.candidates = self.ruleset.candidates
        #: those of them that the texts in the facts do not rule out
        self.asked = self.ruleset.asked

    def with_calendars(self, made: Mapping[str, Mapping[str, Any]]) -> "InForce":
        """The same, with calendars that requests have made, in their stored form; those of files come first."""
        self.calendars = named(made) | self.calendars
        return self

    def stopped(self, tenant: str) -> Stop | None:
        """The stop that holds this tenant, or None."""
        if not self.stops:
            return None
        return next((stop for stop in self.stops if grants.covers(stop.tenant, tenant)), None)


_in_force = InForce(0, EMPTY)
#: how a follower makes sure that it has the newest generation, and until when it need not
_look: Callable[[], None] | None = None
_fresh_until = float("inf")


def now() -> float:
    """The clock of freshness, seconds; it goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def current() -> InForce:
    """What is in force now.

    Raises:
        Unavailable: this process has not heard for a while and cannot look; it must not decide.
    """
    if now() > _fresh_until and _look is not None:
        _look()
    return _in_force


def held() -> InForce:
    """What this process has, without a look: for what looks, and for what only shows it."""
    return _in_force


def put(in_force: InForce) -> None:
    """Put a generation in force; one older than that in force is ignored."""
    global _in_force  # noqa: PLW0603 - the one reference that this module is for
    if in_force.number >= _in_force.number:
        _in_force = in_force


def replace(in_force: InForce) -> None:
    """Put a generation in force, even an older one: the database was restored from a backup."""
    global _in_force  # noqa: PLW0603
    _in_force = in_force


def follow(look: Callable[[], None]) -> None:
    """Make this process a follower: ``look`` is called before the first decision."""
    global _look, _fresh_until
    _look, _fresh_until = look, float("-inf")


def heard(at: float) -> None:
    """Note that what is in force was the newest at this time of ``now``."""
    global _fresh_until  # noqa: PLW0603
    if _look is not None:
        _fresh_until = max(_fresh_until, at + FRESH)


def forget() -> None:
    """Go back to the beginning: no rules, and no one to ask."""
    global _in_force, _look, _fresh_until
    _in_force, _look, _fresh_until = InForce(0, EMPTY), None, float("inf")
    circuits.forget()
