"""Providers and chains of the generation in force, as revisions that executions and runs pin.

A provider of kind ``action`` stands for an action of the tenant and is pinned as that, so that timeout, retries, queue
and secret parameters are the action's. A chain is a playbook: its revision is written when it is first wanted, under an
id that its content gives, so that no two processes write it twice.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from config.errors import Conflict, NotFound, ProviderNotFound
from expressions.suggestions import nearest
from gateway.current import current
from gateway.facts import CHAIN_PREFIX, PROVIDER_PREFIX
from store.definitions import actions, playbooks
from store.definitions.actions import Revision
from store.engine import db
from tasks.definitions import revisions


def is_provider(reference: str) -> bool:
    """Whether a reference names a provider in place of an action."""
    return reference.startswith(PROVIDER_PREFIX)


def provider(workspace_id: str, name: str) -> Revision:
    """The revision that carries out what is sent by a provider now.

    Raises:
        NotFound: there is no such provider. Conflict: it, or the action that it stands for, is switched off or gone.
        Unavailable: the database is away.
    """
    revision = revisions.action(_revision_id(name))
    if not revision.definition["enabled"]:
        raise Conflict(f"The provider {name!r} is disabled; enable it first.", code="provider_disabled")
    return revision if revision.definition["executor"] != "action" else _action_of(workspace_id, revision)


def standing_for(workspace_id: str, name: str) -> Revision | None:
    """The action of a tenant for which a provider stands, whether either is enabled; None where there is none.

    Raises:
        NotFound: there is no such provider. Unavailable: the database is away.
    """
    definition = revisions.action(_revision_id(name)).definition
    if definition["executor"] != "action":
        return None
    action_id = definition["config"]["action"]
    head = db.read_one(actions.heads, workspace_id, [action_id]).get(action_id)
    return None if head is None else revisions.action(head.revision_id)


def require(name: str) -> None:
    """Refuse a name that no provider has.

    Raises:
        NotFound: as it is. Unavailable: the database is away.
    """
    _revision_id(name)


def _revision_id(name: str) -> str:
    present = current().revisions
    if name not in present:
        meant = nearest(name, present)
        raise ProviderNotFound(name, f"{f'did you mean {meant!r}? ' if meant else ''}GET /v1/providers lists them")
    return present[name]


def _action_of(workspace_id: str, standing: Revision) -> Revision:
    name, action_id = standing.definition["id"], standing.definition["config"]["action"]
    stands = f"The provider {name!r} stands for the action {action_id!r}"
    head = db.read_one(actions.heads, workspace_id, [action_id]).get(action_id)
    if head is None:
        raise Conflict(f"{stands}, which this tenant does not have.", code="action_missing")
    if not head.enabled:
        raise Conflict(f"{stands}, which is disabled.", code="action_disabled")
    revision = revisions.action(head.revision_id)
    if revision.definition["executor"] == "opservant":
        raise Conflict(f"{stands}, which needs an agent, and none is connected.", code="no_agent")
    return revision


def known(references: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """The definitions of the providers that a playbook names, by reference.

    If one is missing, those of all providers, as suggestions.
    """
    present = {PROVIDER_PREFIX + name: revision_id for name, revision_id in current().revisions.items()}
    wanted = {name for name in references if is_provider(name)}
    if not wanted:
        return {}
    shown = wanted if wanted <= present.keys() else {*wanted, *present}
    return {name: revisions.action(present[name]).definition for name in shown if name in present}


def pins(workspace_id: str, references: Collection[str], kept: Mapping[str, str]) -> dict[str, str]:
    """The revision to pin of each provider: from ``kept``, else present.

    Raises:
        Conflict: one of them cannot be used.
    """
    found = {}
    for reference in references:
        try:
            found[reference] = kept.get(reference) or provider(workspace_id, reference.removeprefix(PROVIDER_PREFIX)).id
        except NotFound as missing:
            raise Conflict(
                f"The playbook uses a provider that is gone. {missing}", code="provider_missing"
            ) from missing
    return found


def is_chain(playbook_id: str) -> bool:
    """Whether a reference names a chain in place of a playbook."""
    return playbook_id.startswith(CHAIN_PREFIX)


def chain(name: str) -> Mapping[str, Any]:
    """A chain of the generation in force, as that stores it.

    Raises:
        NotFound: there is none of that name.
    """
    found = current().generation.chains.get(name)
    if found is None:
        raise NotFound(f"There is no chain {name!r}.", code="chain_not_found")
    return found


def chain_revision(name: str) -> str:
    """The revision that carries out a chain now, written if need be.

    Raises:
        NotFound: there is no such chain. Unavailable.
    """
    definition = chain(name)["definition"]
    digest = hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()
    revision_id = f"rev-chain-{digest[:32]}"
    if not db.read_one(playbooks.has_revision, revision_id):
        with db.write() as writing:
            playbooks.ensure_revision(writing, revision_id, CHAIN_PREFIX + name, definition)
    return revision_id
