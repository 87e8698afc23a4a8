"""The generation in force in this process: one reference, which is swapped as a whole.

A caller asks ``current()`` once for each decision, so that no decision mixes two generations. The thread that learns of
a new generation compiles it aside and calls ``put``. Before the first ``put`` there are no rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway import grants
from gateway.configuration.generation import EMPTY, Generation


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing of a tenant goes out until it is lifted; ``*`` means of any tenant."""

    tenant: str
    reason: str
    by: str


class InForce:
    """A generation, compiled, with the switches and stops that no file has."""

    def __init__(
        self,
        number: int,
        generation: Generation,
        switches: Mapping[str, bool] | None = None,
        stops: tuple[Stop, ...] = (),
    ) -> None:
        self.number = number
        self.generation = generation
        self.ruleset = generation.ruleset(switches)
        self.breakers = generation.breakers()
        self.stops = stops
        #: the rules that may concern executions with this origin, namespace, tenant, provider and action type
        self.candidates = self.ruleset.candidates

    def stopped(self, tenant: str) -> Stop | None:
        """The stop that holds this tenant, or None."""
        if not self.stops:
            return None
        return next((stop for stop in self.stops if grants.covers(stop.tenant, tenant)), None)


_in_force = InForce(0, EMPTY)


def current() -> InForce:
    """What is in force now."""
    return _in_force


def put(in_force: InForce) -> None:
    """Put a generation in force; one older than that in force is ignored."""
    global _in_force  # noqa: PLW0603 - the one reference that this module is for
    if in_force.number >= _in_force.number:
        _in_force = in_force
