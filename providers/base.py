"""The interface of executors: a call, its result, and its failures.

In order of time: the worker claims an execution and builds a ``Call``; the executor renders the action's ``config``
with ``call.context``; before a costly preparation (connecting) it may call ``call.still_ours()``, and right before each
outside effect it calls ``call.checkpoint()``; both raise ``Abandoned`` when the execution is no longer ours (cancelled,
timed out, taken over), and what was abandoned before its first checkpoint is known to have had no effect; while it
works it checks ``call.aborted()`` at least once a second and gives up when that turns true; it returns a ``Result`` or
raises a ``ProviderError``. Every outside call goes through ``providers.egress.client`` or
``providers.sandbox.sandbox``. ``client.send`` honours ``call.mode`` by itself; ``client.connect`` refuses any mode but
``live``, so an executor that uses it records in ``call.report`` what it would have sent:

``live``      make the call
``sandbox``   run, but record every outside call in ``call.report`` instead of making it
``dry_run``   render and describe only (``plan``), nothing runs
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from config.errors import Problem
from config.types import Json
from playbooks.states import Mode


class Abandoned(Exception):  # noqa: N818 - not an error: the execution is no longer ours
    """The execution was cancelled, timed out or taken over; stop working."""


class Waiting(Exception):  # noqa: N818 - not an error: the execution goes on when a person has answered
    """The execution waits for a person for at most ``seconds``.

    ``output`` has the question.
    """

    def __init__(self, *, seconds: float, output: Json) -> None:
        super().__init__()
        self.seconds = seconds
        self.output = output


class ProviderError(Exception):
    """The outside call failed.

    ``retryable`` says whether trying again may help; ``retry_after`` is the receiver's wish in seconds; ``code`` is a
    stable word such as ``http_status``, ``egress_refused``, ``script_failed``; ``unknown`` says that the effect may
    have happened although no answer came.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        unknown: bool = False,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.unknown = unknown
        self.details = dict(details or {})


class TimedOut(ProviderError):  # noqa: N818 - reads as the condition it is
    """The attempt used up the action's ``timeout_seconds``."""

    def __init__(self, message: str = "the action took longer than its timeout_seconds") -> None:
        super().__init__("timeout", message)


@dataclass
class Report:
    """What a sandboxed execution would have done (``sandbox_report`` in answers)."""

    intercepted_calls: list[Json] = field(default_factory=list)
    commands_executed: list[Json] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The version of a bundle that an attempt runs, with what it may use."""

    name: str
    version: str
    digest: str
    #: contents by path: its actions and what they import
    files: Mapping[str, bytes]
    hosts: tuple[str, ...] = ()
    #: values by name; a secret without a value is left out
    secrets: Mapping[str, str] = field(default_factory=dict)
    #: the names of those that it declares, and of those whose value its code sees
    declared: frozenset[str] = frozenset()
    revealed: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Call:
    """One attempt at one action, as an executor sees it."""

    execution_id: str
    idempotency_key: str
    config: Mapping[str, Any]
    parameters: Mapping[str, Any]
    context: Mapping[str, Any]
    mode: Mode = Mode.LIVE
    expires_at: float = field(default_factory=lambda: time.monotonic() + 300)
    timeout_seconds: float = 300
    log: Callable[[str, str], None] = lambda _level, _message: None
    still_ours: Callable[[], None] = lambda: None
    checkpoint: Callable[[], None] = lambda: None
    aborted: Callable[[], bool] = lambda: False
    #: the workspace for which it is made
    workspace_id: str = ""
    #: ``traceparent`` and ``tracestate``, for the receiver
    trace: Mapping[str, str] = field(default_factory=dict)
    #: which call of its provider this is, counted over all processes
    number: Callable[[], int] = lambda: 1
    #: a text with its secrets masked
    shown: Callable[[str], str] = lambda text: text
    report: Report = field(default_factory=Report)
    #: where the action is a function of a bundle
    bundle: Bundle | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds until the attempt's time (``timeout_seconds``) is used up."""
        return max(0.0, self.expires_at - time.monotonic())


class Executor(Protocol):
    """The protocol of an executor: a module with these names."""

    #: keys of ``config`` (dotted for nested ones) that are secrets: sealed at rest, masked in answers
    SECRETS: tuple[str, ...]
    #: whether ``perform`` blocks no thread of a worker: it waits only in ``providers.egress.client.send`` and
    #: ``event_loop.waiting``. Any other executor is called in a thread of its own, and says nothing
    ON_LOOP: bool

    def check(self, config: Mapping[str, Any], names: set[str]) -> list[Problem]:
        """Every fault of ``config``.

        Pointers are relative to it; ``names`` are the known template roots.
        """

    def plan(self, call: Call) -> Json:
        """What ``perform`` would send, rendered, as JSON; makes no call."""

    def perform(self, call: Call) -> Any:
        """Make the call and return the output (any JSON value)."""
