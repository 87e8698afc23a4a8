"""The providers of a generation as revisions: one that did not change keeps its revision.

What an executor treats as a credential is masked in the definition and sealed, as in an action. References to the
environment are sealed with it where a credential holds one; they are filled in when a call is made.
"""

from typing import Any

from config.types import Json
from gateway.configuration.generation import Generation
from playbooks.definitions import actions
from providers import registry
from store.definitions.actions import Revision
from store.engine.db import Connection
from store.gateway import providers
from store.gateway.providers import WORKSPACE
from store.ids import new_id
from store.sealing.seal import SealBroken
from tasks.secrets import sealing


def written(connection: Connection, made: Generation, actor: str) -> dict[str, str]:
    """The revision of each provider by name; those that are new or changed are added."""
    known, found = providers.current(connection), dict[str, str]()
    for name, entry in made.providers.items():
        definition, hidden = _parted(entry["definition"])
        if name in known and _is(known[name], definition, hidden):
            found[name] = known[name].id
            continue
        found[name] = revision_id = new_id("rev")
        sealed = sealing.sealed_config(WORKSPACE, revision_id, definition, hidden)
        providers.add_revision(connection, name, revision_id, definition, sealed, actor)
    return found


def opened(revision: Revision) -> Json:
    """The config of a provider's revision in clear, references to the environment aside.

    Raises:
        SealBroken: its credentials cannot be opened.
    """
    config: dict[str, Any] = dict(revision.definition["config"])
    return sealing.plain(sealing.restore_secrets(config, sealing.opened_config(WORKSPACE, revision)))


def _parted(definition: Json) -> tuple[Json, Json]:
    """The definition with its credentials masked, and these by path."""
    outward = definition["executor"] in actions.EXECUTORS  # the gateway's own executors have no credentials
    patterns = registry.executor(definition["executor"]).SECRETS if outward else ()
    config, hidden = sealing.extract_secrets(definition["config"], patterns)
    return {**definition, "config": config}, hidden


def _is(revision: Revision, definition: Json, hidden: Json) -> bool:
    """Whether a revision says the same, versions aside."""
    if {**revision.definition, "version": None} != {**definition, "version": None}:
        return False
    try:
        return sealing.opened_config(WORKSPACE, revision) == hidden
    except SealBroken:
        return False
