"""What a fallback gets in place of the provider that was asked for.

Both get a dispatch; only a provider that stands for an action of the catalogue gets the payload alone, as the
parameters of that action.
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Conflict, NotFound
from playbooks.definitions import parameters as declared
from store.definitions.actions import Revision
from tasks.attempts import provider_calls
from tasks.attempts.circuits import CircuitOpen, Way
from tasks.attempts.patience import with_patience
from tasks.definitions import provided

#: a revision, the parameters of its call, and those of them that are secret
Sent = tuple[Revision, Mapping[str, Any], Mapping[str, Any]]


def sent(
    way: Way | None,
    workspace_id: str,
    revision: Revision,
    given: Mapping[str, Any],
    hidden: Mapping[str, Any],
    dispatch: Mapping[str, Any] | None,
) -> Sent:
    """What goes out, and how: as it is without a fallback.

    An action has been given the payload alone: ``dispatch`` is that around it.

    Raises:
        CircuitOpen: the fallback cannot be used.
    """
    if way is None or way.by == way.asked:
        return revision, given, hidden
    other = with_patience(lambda: _revision(workspace_id, way.by))
    if other is None:
        raise CircuitOpen(way.asked, (way.asked, way.by))
    members = given
    if not provider_calls.is_provider(revision):
        members = {"labels": {}, "tenant": workspace_id, **(dispatch or {}), "payload": dict(given)}
    if provider_calls.is_provider(other):
        return other, members, hidden
    values, problems = declared.resolve(other.definition["parameters"], dict(members["payload"]))
    if problems:
        raise CircuitOpen(way.asked, (way.asked, way.by))
    names = declared.secret_names(other.definition["parameters"])
    secret = {name: value for name, value in values.items() if name in names and value is not None}
    return other, values, {**hidden, **secret}


def _revision(workspace_id: str, provider: str) -> Revision | None:
    try:
        return provided.provider(workspace_id, provider)
    except (NotFound, Conflict):  # it, or the action that it stands for, is gone or disabled
        return None
