"""What a rule sees of an execution: one tuple of facts, whatever its origin.

The first five facts are the key: the rules that may concern an execution are known from the key alone. The others are
built only when at least one rule does. Secrets in ``payload`` are masked by the caller.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

from config.types import Json

Origin = Literal["dispatch", "trigger", "step", "recurring", "chain", "group", "event", "approval", "audit", "silence"]

ORIGINS: tuple[Origin, ...] = get_args(Origin)
#: the origins that begin in the gateway itself; the others are actions and playbooks
GATEWAY_ORIGINS = frozenset(ORIGINS) - {"trigger", "step"}

#: the namespaces of what is no dispatch
ACTIONS, PLAYBOOKS = "actions", "playbooks"

#: how a playbook step names a provider instead of an action
PROVIDER_PREFIX = "provider:"
#: how the run of a chain names the chain instead of a playbook
CHAIN_PREFIX = "chain:"

#: origin, namespace, tenant, provider, action type
Key = tuple[str, str, str, str, str]


class Facts(NamedTuple):
    """The facts of one execution; those that it does not have are None."""

    origin: str
    namespace: str
    tenant: str
    provider: str
    action_type: str
    #: the moment of the decision, milliseconds since 1970
    at: int
    payload: Json
    metadata: Json
    id: str | None = None
    status: str | None = None
    fingerprint: str | None = None
    dedup_key: str | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    caller: str | None = None
    category: str | None = None

    @property
    def key(self) -> Key:
        """The part that decides which rules may concern it."""
        return self[:5]


def provider_of(definition: Mapping[str, Any]) -> str:
    """The provider of a catalogue action: its executor, of a notification its channel."""
    executor = str(definition["executor"])
    channel = definition.get("config", {}).get("kind") if executor == "notification" else None
    return channel if isinstance(channel, str) else executor


class Cause(NamedTuple):
    """What has an action carried out by itself: a trigger, or a schedule with a namespace and labels."""

    origin: Origin = "trigger"
    namespace: str = ACTIONS
    labels: Mapping[str, str] = MappingProxyType({})


TRIGGER = Cause()


def trigger_key(definition: Mapping[str, Any], action_id: str, workspace_id: str, cause: Cause = TRIGGER) -> Key:
    """The key of a triggered action."""
    return cause.origin, cause.namespace, workspace_id, provider_of(definition), action_id


def step_key(
    definition: Mapping[str, Any], action_ref: str, workspace_id: str, parameters: Json, playbook_id: str
) -> Key:
    """The key of a step.

    ``provider:NAME`` names its provider, and its parameters are those of a dispatch. The steps of a chain have the
    origin ``chain`` and the namespace of the dispatch that started it.
    """
    named = action_ref.removeprefix(PROVIDER_PREFIX)
    if named == action_ref:
        return "step", PLAYBOOKS, workspace_id, provider_of(definition), action_ref
    action_type = _text(parameters.get("action_type"))
    if playbook_id.startswith(CHAIN_PREFIX):
        return "chain", _text(parameters.get("namespace")) or PLAYBOOKS, workspace_id, named, action_type
    return "step", PLAYBOOKS, workspace_id, named, action_type


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Attempted(NamedTuple):
    """What a triggered action and an attempt at a step have in common."""

    workspace_id: str
    at: int
    #: secrets masked
    parameters: Json
    target: str | None = None
    caller: str | None = None
    execution_id: str | None = None


class StepPlace(NamedTuple):
    """Where a step belongs; ``tags`` are the playbook's."""

    playbook: str
    step: str
    run: str
    tags: tuple[str, ...] = ()


def of_trigger(definition: Mapping[str, Any], action_id: str, attempted: Attempted, cause: Cause = TRIGGER) -> Facts:
    """The facts of a triggered action."""
    metadata = {**cause.labels, "target": attempted.target, "tags": list(definition.get("tags", ()))}
    key = trigger_key(definition, action_id, attempted.workspace_id, cause)
    return _of_action(key, definition, attempted, metadata)


def of_step(definition: Mapping[str, Any], action_ref: str, attempted: Attempted, place: StepPlace) -> Facts:
    """The facts of an attempt at a playbook step."""
    metadata = {
        "target": attempted.target,
        "playbook": place.playbook,
        "step": place.step,
        "run": place.run,
        "tags": [*place.tags, *definition.get("tags", ())],
    }
    key = step_key(definition, action_ref, attempted.workspace_id, attempted.parameters, place.playbook)
    if action_ref.startswith(PROVIDER_PREFIX):
        payload, labels = (_object(attempted.parameters.get(name)) for name in ("payload", "labels"))
        return _of_action(key, definition, attempted._replace(parameters=payload), {**labels, **metadata})
    return _of_action(key, definition, attempted, metadata)


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _of_action(key: Key, definition: Mapping[str, Any], attempted: Attempted, metadata: Json) -> Facts:
    return Facts(
        *key,
        attempted.at,
        attempted.parameters,
        metadata,
        id=attempted.execution_id,
        caller=attempted.caller,
        category=definition.get("type"),
    )


def of_dispatch(
    dispatch: Mapping[str, Any],
    *,
    at: int,
    origin: Origin = "dispatch",
    caller: str | None = None,
    execution_id: str | None = None,
) -> Facts:
    """The facts of a dispatch, or of one that a chain, a group or a schedule makes.

    ``labels`` of the dispatch become ``action.metadata``.
    """
    return Facts(
        origin,
        dispatch["namespace"],
        dispatch["tenant"],
        dispatch["provider"],
        dispatch["action_type"],
        at,
        dispatch["payload"],
        dict(dispatch.get("labels") or {}),
        id=dispatch.get("id") or execution_id,
        status=dispatch.get("status"),
        fingerprint=dispatch.get("fingerprint"),
        dedup_key=dispatch.get("dedup_key"),
        starts_at=dispatch.get("starts_at"),
        ends_at=dispatch.get("ends_at"),
        caller=caller,
    )
