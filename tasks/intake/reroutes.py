"""Where a rule sends an action, a step or a dispatch: the provider, and what it gets.

A provider gets a dispatch. One that stands for an action of the tenant is that action, which gets the payload as its
parameters. Secret parameters stay masked or are left out: they were given to the action that was asked for.
"""

from collections.abc import Collection
from typing import NamedTuple

from config.errors import Conflict, NotFound, Unprocessable
from config.types import Json
from gateway.verdicts import Reroute
from playbooks.credentials import MASK
from playbooks.definitions import parameters
from store.definitions.actions import Revision
from tasks.definitions import provided
from tasks.policy import words
from tasks.policy.judge import Decision


class Sent(NamedTuple):
    """What goes out in place of what was asked for."""

    revision: Revision
    values: Json
    secret_names: Collection[str]


def sent(decision: Decision, secret_names: Collection[str]) -> Sent:
    """What goes out by the provider of a rule; ``secret_names`` are those of the parameters that the facts show masked.

    Raises:
        Conflict: the provider, or the action that it stands for, is disabled or gone. Unprocessable: the values do not
        fit that action. Unavailable: the database is away.
    """
    effect, rule = decision.verdict.effect, decision.verdict.rule
    assert isinstance(effect, Reroute)
    try:
        revision = provided.provider(decision.facts.tenant, effect.target_provider)
    except (Conflict, NotFound) as refusal:
        raise Conflict(f"The rule {rule!r} sends it on. {refusal}", code=refusal.code) from refusal
    declared = revision.definition["parameters"]
    given = words.provider_parameters(decision)
    if revision.workspace_id:
        given = payload_for(revision, decision.facts.payload, secret_names)
    values, problems = parameters.resolve(declared, given)
    if problems:
        problems = [problem.under("/parameters") for problem in problems]
        raise Unprocessable(misfit(rule, effect.target_provider), problems=problems)
    return Sent(revision, values, parameters.secret_names(declared))


def payload_for(revision: Revision, payload: Json, secret_names: Collection[str]) -> Json:
    """The masked payload as a provider gets it: an action would take a mask for the secret itself.

    ``secret_names`` are those of what was asked for. The secret of a run, which a step by a provider may name in any
    member, is known by its mask.
    """
    if not revision.workspace_id:
        return payload
    masks = (name for name in parameters.secret_names(revision.definition["parameters"]) if payload.get(name) == MASK)
    left_out = {*secret_names, *masks}
    return {name: value for name, value in payload.items() if name not in left_out}


def misfit(rule: str | None, provider: str) -> str:
    """The sentence of a refusal: the values do not fit the action of the provider to which a rule sends them."""
    return f"The rule {rule!r} sends it to the provider {provider!r}, which takes other values."
