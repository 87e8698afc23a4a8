"""The run of a chain that a rule starts in place of something else.

Its one parameter is the origin: what a dispatch says of itself, or what the rules have seen of a trigger, a step or a
scheduled run. Secrets stay masked: they were given to an action, not to the chain.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from config.types import Json
from gateway.configuration import chains
from gateway.facts import CHAIN_PREFIX
from gateway.outcomes import ChainStarted
from store.executions.rows import NewRow
from tasks.definitions import provided
from tasks.intake import run_start
from tasks.intake.run_start import RunRequest
from tasks.messages.model import Chain
from tasks.policy import words
from tasks.policy.judge import Decision


class ChainStart(NamedTuple):
    """A run to accept in place of an execution: its row, its first messages, and the outcome."""

    row: NewRow
    messages: Chain
    outcome: ChainStarted

    @property
    def output(self) -> Json:
        """The output of the execution in whose place it runs."""
        return self.outcome.members()


def prepared(name: str, origin: Mapping[str, Any], **more: Any) -> ChainStart:
    """The run of a chain; ``origin`` has the members of a dispatch, ``more`` are members of its ``RunRequest``.

    Raises:
        NotFound: there is no such chain. Conflict: one of its providers cannot be used, or chains start too deep.
        Unavailable: the database is away.
    """
    chain = provided.chain(name)
    request = RunRequest(playbook_id=CHAIN_PREFIX + name, parameters=chains.origin(origin), trigger="chain", **more)
    row, messages, _ = run_start.prepare(request)
    return ChainStart(row, messages, ChainStarted(row["id"], name, chain["total_steps"], chain["first_step"]))


def origin_of(decision: Decision) -> Json:
    """The origin of a chain: the trigger, step or scheduled run in whose place it runs."""
    seen = decision.facts
    more = {name: getattr(seen, name) for name in ("provider", "status", "fingerprint", "dedup_key")}
    return {**words.provider_parameters(decision), **more}
