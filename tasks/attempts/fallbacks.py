"""What a fallback gets in place of the provider that was asked for.

Both get a dispatch; only a provider that stands for an action of the catalogue gets the payload alone, as the
parameters of that action. Secrets stay where they were put, as with the reroute of a rule: the secret parameters of an
action are masked in the payload of a provider and left out of that of another action, and what is secret in a run is
masked everywhere.
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
from tasks.secrets.redact import MASK, masked, redactor, texts
from tasks.secrets.sealing import HANDED_ON

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
    if other.id == revision.id:  # it stands for the same action: the secrets stay where they are
        return other, given, hidden
    members = given
    if not provider_calls.is_provider(revision):
        payload = masked(given, declared.secret_names(revision.definition["parameters"]))
        members = {"labels": {}, "tenant": workspace_id, **(dispatch or {}), "payload": payload}
    members = redactor(texts(hidden.get(HANDED_ON)))(members)
    if provider_calls.is_provider(other):
        return other, members, hidden
    # an action would take a mask for the secret itself, and refuses any name that it does not declare
    payload = {name: value for name, value in members["payload"].items() if value not in (None, MASK)}
    values, problems = declared.resolve(other.definition["parameters"], payload)
    if problems:
        raise CircuitOpen(way.asked, (way.asked, way.by), problems)
    names = declared.secret_names(other.definition["parameters"])
    secret = {name: value for name, value in values.items() if name in names and value is not None}
    return other, values, {**hidden, **secret}


def _revision(workspace_id: str, provider: str) -> Revision | None:
    try:
        return provided.provider(workspace_id, provider)
    except (NotFound, Conflict):  # it, or the action that it stands for, is gone or disabled
        return None
