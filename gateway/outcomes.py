"""The outcomes of a dispatch, each as the document writes it and as tagged for existing clients."""

from dataclasses import dataclass
from typing import Any, ClassVar

from config.types import Json

#: in place of a link that lets its reader decide
REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Response:
    """What a provider answered."""

    body: Any
    status: str = "success"

    def plain(self) -> Json:
        """As the document has it."""
        return {"status": self.status, "body": self.body}

    def tagged(self) -> Json:
        """As existing clients read it; headers are never shown."""
        return {"status": self.status, "body": self.body, "headers": {}}


@dataclass(frozen=True, slots=True)
class Executed:
    """The provider carried it out."""

    response: Response
    name: ClassVar[str] = "executed"

    def members(self) -> Json:
        """What the document's form carries."""
        return {"response": self.response.plain()}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Executed": self.response.tagged()}


@dataclass(frozen=True, slots=True)
class Deduplicated:
    """Its equal went out within the time; ``of`` is that one."""

    of: str | None = None
    name: ClassVar[str] = "deduplicated"

    def members(self) -> Json:
        """What the document's form carries."""
        return {"of": self.of}

    def tagged(self) -> Any:
        """The tagged form."""
        return "Deduplicated"


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A rule stopped it; ``denied`` says that the rule refused it."""

    rule: str
    reason: str | None = None
    denied: bool = False
    name: ClassVar[str] = "suppressed"

    def members(self) -> Json:
        """What the document's form carries."""
        members: Json = {"rule": self.rule, "reason": self.reason}
        return {**members, "denied": True} if self.denied else members

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Suppressed": {"rule": self.rule}}


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence keeps it back, until a time if ``held``; ``rule`` is the one that would have applied."""

    silence_id: str
    reason: str
    until: str
    rule: str | None = None
    held: bool = False
    name: ClassVar[str] = "silenced"

    def members(self) -> Json:
        """What the document's form carries."""
        return _plain(self)

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Silenced": {"silence_id": self.silence_id, "matched_rule": self.rule}}


@dataclass(frozen=True, slots=True)
class Muted:
    """A rule lets nothing out at this time, by the calendar ``interval``."""

    interval: str
    reason: str
    rule: str | None = None
    name: ClassVar[str] = "muted"

    def members(self) -> Json:
        """What the document's form carries."""
        return _plain(self)

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Muted": {"interval": self.interval, "reason": self.reason, "matched_rule": self.rule}}


@dataclass(frozen=True, slots=True)
class Rerouted:
    """Another provider carried it out."""

    original_provider: str
    new_provider: str
    response: Response
    name: ClassVar[str] = "rerouted"

    def members(self) -> Json:
        """What the document's form carries."""
        return {**self._providers(), "response": self.response.plain()}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Rerouted": {**self._providers(), "response": self.response.tagged()}}

    def _providers(self) -> Json:
        return {"original_provider": self.original_provider, "new_provider": self.new_provider}


@dataclass(frozen=True, slots=True)
class Throttled:
    """The limit of a rule is reached; ``retry_after_ms`` is the true rest of its window."""

    rule: str
    retry_after_ms: int
    name: ClassVar[str] = "throttled"

    @property
    def retry_after_seconds(self) -> int:
        """Whole seconds after which it is worth trying again, at least one."""
        return max(1, -(-self.retry_after_ms // 1000))

    def members(self) -> Json:
        """What the document's form carries."""
        return {"rule": self.rule, "retry_after_seconds": self.retry_after_seconds}

    def tagged(self) -> Any:
        """The tagged form."""
        seconds, rest = divmod(max(0, self.retry_after_ms), 1000)
        return {"Throttled": {"retry_after": {"secs": seconds, "nanos": rest * 1_000_000}}}


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider failed at every attempt."""

    code: str
    message: str
    retryable: bool
    attempts: int
    name: ClassVar[str] = "failed"

    def members(self) -> Json:
        """What the document's form carries."""
        return {"error": _plain(self)}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Failed": _plain(self)}


@dataclass(frozen=True, slots=True)
class CircuitOpen:
    """The circuit breaker of the provider and of each fallback is open."""

    provider: str
    fallback_chain: tuple[str, ...] = ()
    name: ClassVar[str] = "circuit_open"

    def members(self) -> Json:
        """What the document's form carries."""
        return {"provider": self.provider, "fallback_chain": list(self.fallback_chain)}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"CircuitOpen": self.members()}


@dataclass(frozen=True, slots=True)
class ChainStarted:
    """A chain runs in its place."""

    chain_id: str
    chain_name: str
    total_steps: int
    first_step: str
    name: ClassVar[str] = "chain_started"

    def members(self) -> Json:
        """What the document's form carries."""
        return _plain(self)

    def tagged(self) -> Any:
        """The tagged form."""
        return {"ChainStarted": _plain(self)}


@dataclass(frozen=True, slots=True)
class Scheduled:
    """It goes out later."""

    action_id: str
    scheduled_for: str
    name: ClassVar[str] = "scheduled"

    def members(self) -> Json:
        """What the document's form carries."""
        return {"scheduled_for": self.scheduled_for}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Scheduled": _plain(self)}


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """It goes out once it is approved.

    ``approve_url`` and ``reject_url`` are None where they are not to be shown.
    """

    approval_id: str
    expires_at: str
    approve_url: str | None = None
    reject_url: str | None = None
    notification_sent: bool = False
    name: ClassVar[str] = "pending_approval"

    def members(self) -> Json:
        """What the document's form carries."""
        urls = {"approve_url": self.approve_url, "reject_url": self.reject_url}
        return {**_plain(self), **{name: url if url is not None else REDACTED for name, url in urls.items()}}

    def tagged(self) -> Any:
        """The tagged form."""
        return {"PendingApproval": self.members()}


@dataclass(frozen=True, slots=True)
class StateChanged:
    """It has moved its event, or left it in its state; ``refused`` says why a move was not made."""

    fingerprint: str
    previous_state: str
    new_state: str
    notify: bool
    refused: str | None = None
    name: ClassVar[str] = "state_changed"

    def members(self) -> Json:
        """What the document's form carries."""
        members = _plain(self)
        if self.refused is None:
            del members["refused"]
        return members

    def tagged(self) -> Any:
        """The tagged form."""
        return {"StateChanged": self.members()}


@dataclass(frozen=True, slots=True)
class Grouped:
    """It goes out with others, in the summary of its group."""

    group_id: str
    group_size: int
    notify_at: str
    name: ClassVar[str] = "grouped"

    def members(self) -> Json:
        """What the document's form carries."""
        return _plain(self)

    def tagged(self) -> Any:
        """The tagged form."""
        return {"Grouped": _plain(self)}


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would have become of it."""

    verdict: str
    matched_rule: str | None
    would_be_provider: str
    name: ClassVar[str] = "dry_run"

    def members(self) -> Json:
        """What the document's form carries."""
        return _plain(self)

    def tagged(self) -> Any:
        """The tagged form."""
        return {"DryRun": _plain(self)}


Outcome = (
    Executed
    | Deduplicated
    | Suppressed
    | Silenced
    | Muted
    | Rerouted
    | Throttled
    | Failed
    | CircuitOpen
    | ChainStarted
    | Scheduled
    | PendingApproval
    | StateChanged
    | Grouped
    | DryRun
)
#: the outcomes of which records are kept, by their words
NAMES = tuple(
    kind.name
    for kind in (
        Executed,
        Deduplicated,
        Suppressed,
        Silenced,
        Muted,
        Rerouted,
        Throttled,
        Failed,
        CircuitOpen,
        ChainStarted,
        Scheduled,
        StateChanged,
        Grouped,
    )
)


def plain(outcome: Outcome, action_id: str) -> Json:
    """The outcome in the form of the document."""
    return {"outcome": outcome.name, "action_id": action_id, **outcome.members()}


def _plain(outcome: Any) -> Json:
    return {name: getattr(outcome, name) for name in outcome.__match_args__}
