"""What the rules decide: the closed list of effects, and the verdict that carries one.

An effect is what one rule asks for; a verdict is what all rules together decide about one execution. Effects that must
remember something (deduplicate, throttle) leave a ``Check``: the caller makes it in the transaction that accepts the
execution, because only there it is exact.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from config.types import Json


@dataclass(frozen=True, slots=True)
class Allow:
    """It goes out."""

    kind: ClassVar[str] = "allow"


@dataclass(frozen=True, slots=True)
class Deny:
    """It fails, and counts as refused."""

    kind: ClassVar[str] = "deny"


@dataclass(frozen=True, slots=True)
class Suppress:
    """It does not go out; a run goes on without it."""

    kind: ClassVar[str] = "suppress"


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence keeps it from going out; ``would`` is the word of what the rules decided."""

    would: str = Allow.kind
    kind: ClassVar[str] = "silence"


@dataclass(frozen=True, slots=True)
class Muted:
    """The rule that matches lets nothing out now, by a calendar; ``would`` is the word of what the rules decided."""

    interval: str
    would: str = Allow.kind
    kind: ClassVar[str] = "mute"


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """It goes out unless its equal did within the time."""

    ttl_seconds: int
    key_fields: tuple[str, ...] = ()
    kind: ClassVar[str] = "deduplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequireApproval:
    """It goes out once enough callers approve it.

    ``approvers`` are the only ones who may decide; without any, every caller with the permission may. What is
    undecided after ``timeout_seconds`` ends as ``on_timeout`` says.
    """

    message: str = ""
    #: the provider by which the question and its reminders go out
    notify: str | None = None
    approvers: tuple[str, ...] = ()
    quorum: int = 1
    reject_quorum: int = 1
    timeout_seconds: int = 86_400
    on_timeout: Literal["fail", "reject"] = "fail"
    requester_may_approve: bool = False
    reminder_seconds: int | None = None
    kind: ClassVar[str] = "require_approval"


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``max_count`` go out within a window.

    ``by`` counts for each of its values, ``distinct`` counts different values. What exceeds is rejected, waits,
    or needs an approval.
    """

    max_count: int
    window_seconds: int
    by: tuple[str, ...] = ()
    distinct: str | None = None
    on_excess: Literal["reject", "wait", "require_approval"] = "reject"
    max_wait_seconds: int | None = None
    #: what is asked of what exceeds, with ``on_excess: require_approval``
    approval: RequireApproval | None = None
    kind: ClassVar[str] = "throttle"


@dataclass(frozen=True, slots=True)
class Reroute:
    """It goes out by another provider."""

    target_provider: str
    kind: ClassVar[str] = "reroute"


@dataclass(frozen=True, slots=True)
class Modify:
    """Its payload is changed by a merge patch."""

    changes: Json
    kind: ClassVar[str] = "modify"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain starts in its place."""

    chain_name: str
    kind: ClassVar[str] = "chain"


@dataclass(frozen=True, slots=True)
class Schedule:
    """It goes out later."""

    delay_seconds: int
    kind: ClassVar[str] = "schedule"


@dataclass(frozen=True, slots=True)
class StateMachine:
    """It does not go out: it moves its event, which the fields identify where it has no fingerprint."""

    state_machine: str
    fingerprint_fields: tuple[str, ...] = ()
    kind: ClassVar[str] = "state_machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """It goes out with others of its kind, in one summary.

    What agrees in ``group_by`` is gathered: for ``group_wait_seconds`` from the first on, and after a summary until
    ``group_interval_seconds`` are over. A full group goes out at once.
    """

    group_by: tuple[str, ...]
    group_wait_seconds: int = 30
    group_interval_seconds: int = 300
    #: after this time what is not resolved goes out again
    repeat_interval_seconds: int | None = None
    max_group_size: int = 100
    #: whether the first of a new group goes out at once
    first: Literal["wait", "now"] = "wait"
    flush_on: tuple[str, ...] = ("full",)
    #: the provider of the summary; None: that of its members
    notify_provider: str | None = None
    template: str | None = None
    kind: ClassVar[str] = "group"


Effect = (
    Allow
    | Deny
    | Suppress
    | Deduplicate
    | Throttle
    | Reroute
    | Modify
    | Chain
    | Schedule
    | RequireApproval
    | Group
    | Silenced
    | Muted
    | StateMachine
)

#: the words of all effects that a rule may ask for
EFFECTS = tuple(
    one.kind
    for one in (
        Allow,
        Deny,
        Suppress,
        Deduplicate,
        Throttle,
        Reroute,
        Modify,
        Chain,
        Schedule,
        RequireApproval,
        Group,
        StateMachine,
    )
)
#: the effects that say where an execution goes
WHERE: frozenset[str] = frozenset({Reroute.kind, Chain.kind, Group.kind})
#: the effects that stop an execution for good: it is neither counted nor remembered by the checks of other rules
STOPPING: frozenset[str] = frozenset({Deny.kind, Suppress.kind})
#: the effects after which further rules may be asked
CONTINUING: frozenset[str] = frozenset({Modify.kind, Deduplicate.kind, Throttle.kind})


class Check(NamedTuple):
    """Something to remember exactly: a deduplication or a throttle.

    ``key`` names what is counted or kept within the tenant; ``value`` is what a throttle with ``distinct`` counts.
    """

    rule: str
    effect: Deduplicate | Throttle
    key: str
    value: str | None = None
    reason: str | None = None
    #: the condition of the rule, which held
    condition: str | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """The silence that keeps an execution back.

    ``until`` (ms) is when the period ends in which it is active; ``alert`` is the alert that it is about, if any.
    """

    id: str
    comment: str
    until: int
    after: str
    window: bool = False
    alert: str | None = None

    @property
    def holds(self) -> bool:
        """Whether what it keeps back is let go when the period is over."""
        return self.after == "release"


@dataclass(frozen=True, slots=True)
class Gathered:
    """The group to which a dispatch belongs: its key, and what its members have in common, by name."""

    key: str
    common: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a rule in shadow mode would have decided."""

    rule: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the condition of a rule could not be decided; such a rule does not match."""

    rule: str
    detail: str


class Verdict(NamedTuple):
    """The decision about one execution.

    ``effect`` is what applies once all ``checks`` let it through, in their order; a check that is the effect itself is
    the last of them, and an effect that stops the execution has none. ``patches`` are applied to the real values first,
    in order. ``rule`` is None when no rule matched.
    """

    effect: Effect
    rule: str | None = None
    reason: str | None = None
    condition: str | None = None
    checks: tuple[Check, ...] = ()
    patches: tuple[Json, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    problems: tuple[Problem, ...] = ()
    #: what keeps it back: for good where the effect is ``Silenced``, else for a time
    quiet: Quiet | None = None
    #: an alert whose firing passes, of which a silence has kept an earlier one back
    clears: str | None = None
    #: where the effect is a ``Group``: which one
    gathered: Gathered | None = None

    @property
    def kind(self) -> str:
        """The word for the record: what the rules decided, whether something keeps it back or not."""
        return self.effect.would if isinstance(self.effect, Silenced | Muted) else self.effect.kind

    @property
    def plain(self) -> bool:
        """Whether the execution goes out as it is, with nothing to check."""
        goes_out = isinstance(self.effect, Allow) and not self.checks and not self.patches
        return goes_out and self.quiet is None and self.clears is None


def described(effect: Effect) -> Json:
    """An effect as the rules write it."""
    members: dict[str, Any] = {"type": effect.kind}
    for name in type(effect).__slots__:
        value = getattr(effect, name)
        if isinstance(value, RequireApproval):
            members |= {member: one for member, one in described(value).items() if member != "type"}
        elif value is not None and value != ():
            members[name] = list(value) if isinstance(value, tuple) else value
    return members
