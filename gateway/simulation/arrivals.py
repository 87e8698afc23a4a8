"""An arrival: a recorded execution as it came, and what had become of it."""

from typing import NamedTuple

from gateway.facts import Facts
from gateway.verdicts import Allow, Chain, Deduplicate, Modify, RequireApproval, Reroute, Schedule, Throttle

#: what became of what a check refuses, a silence keeps back, a calendar mutes, or the rules cannot be applied to
DEDUPLICATED, THROTTLED, SILENCED, MUTED = "deduplicated", "throttled", "silenced", "muted"
REFUSED = "refused"
#: what goes out by itself, sooner or later
GOES_OUT = frozenset({Allow.kind, Deduplicate.kind, Throttle.kind, Modify.kind, Reroute.kind, Schedule.kind})
#: the outcomes of records that say by themselves what became of it
BY_OUTCOME = frozenset({DEDUPLICATED, THROTTLED, SILENCED, MUTED})
ASKED, CHAINED, REROUTED = RequireApproval.kind, Chain.kind, Reroute.kind


class Became(NamedTuple):
    """What the rules make of an execution.

    ``decision`` is the verdict, or one of the words above; ``to`` is the provider or chain, where both are known.
    """

    decision: str
    rule: str | None = None
    to: str | None = None


class Arrival(NamedTuple):
    """A recorded execution; times are milliseconds since 1970."""

    #: those of its record
    id: int
    subject: str
    action_id: str
    #: as the rules saw it, at the moment of then
    facts: Facts
    ended_at: int
    outcome: str
    before: Became
    #: of a deduplicated one: the subject of its equal
    of: str | None = None
    #: of a throttled one: when it might have been tried again
    again_at: int | None = None
    #: whether its end frees the keys that it holds
    frees: bool = False
