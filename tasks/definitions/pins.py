"""What a run pins when it begins: a revision of each action and provider that its playbook names."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from config.errors import Conflict
from playbooks.plan import every_step
from store.definitions import actions
from store.engine import shared_reads
from tasks.definitions import provided, revisions


class _Used(NamedTuple):
    """The actions and the providers that a playbook names."""

    actions: tuple[str, ...]
    providers: tuple[str, ...]


def pins(
    workspace_id: str, revision_id: str, kept: Mapping[str, str] | None = None, known: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """Action or ``provider:NAME`` → the revision to pin: from ``kept``, else present.

    ``known`` are the heads of actions that have just been read.

    Raises:
        Conflict: an action or a provider that it uses is gone or switched off. Unavailable: the database is away.
    """
    return _pinned(workspace_id, _used(revision_id), kept or {}, known or {})


def pins_of(workspace_id: str, definition: Mapping[str, Any]) -> dict[str, str]:
    """The same for a definition of which there is no revision.

    Raises:
        As ``pins``.
    """
    return _pinned(workspace_id, _named(definition), {}, {})


def _pinned(workspace_id: str, used: _Used, kept: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    heads = dict(known)
    if further := tuple(action_id for action_id in used.actions if action_id not in heads):
        heads |= shared_reads.look_up(actions.heads, workspace_id, further)
    found = provided.pins(workspace_id, used.providers, kept)
    for action_id in used.actions:
        head = heads.get(action_id)
        if head is None:
            raise Conflict(f"The playbook uses the action {action_id!r}, which is gone.", code="action_missing")
        if not head.enabled:
            text = f"The playbook uses the action {action_id!r}, which is disabled; enable it first."
            raise Conflict(text, code="action_disabled")
        found[action_id] = kept.get(action_id) or head.revision_id
    return found


@functools.lru_cache(maxsize=256)
def _used(revision_id: str) -> _Used:
    return _named(revisions.playbook(revision_id)[0].definition)


def _named(definition: Mapping[str, Any]) -> _Used:
    steps: Iterable[Mapping[str, Any]] = every_step(definition["steps"])
    named = sorted({step["action_ref"] for step in steps if step["type"] == "action"})
    sent = tuple(name for name in named if provided.is_provider(name))
    return _Used(tuple(name for name in named if name not in sent), sent)
