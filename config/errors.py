"""The errors that a caller may see, each kind once.

Any layer raises one of these; the HTTP surface turns it into the one error body. ``code`` is the stable word clients
may branch on, the message is for people, ``problems`` name each fault by its JSON pointer. The docstring of a class is
its message unless another is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One fault of an input: its place and what is wrong.

    The place is a pointer (RFC 6901; "" is the whole); the message includes a remedy.
    """

    pointer: str
    detail: str

    def under(self, prefix: str) -> "Problem":
        """The same fault in a document that holds this one at ``prefix``."""
        return Problem(prefix + self.pointer, self.detail)


class CallerError(Exception):
    """The request cannot be carried out."""

    status = 400
    code = "invalid_request"
    retryable = False

    #: members of the error body that only this error has
    members: Mapping[str, Any] = {}

    def __init__(self, message: str = "", *, code: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message or self.__doc__ or "")
        self.code = code or type(self).code
        self.problems = list(problems)


class InvalidRequest(CallerError):  # noqa: N818 - reads as the condition it is
    """The request is malformed or misses something it needs."""


class NotFound(CallerError):  # noqa: N818
    """There is no such thing in this workspace."""

    status, code = 404, "not_found"


class ProviderNotFound(NotFound):
    """There is no such provider.

    Existing clients compare the message, so the suggestion stands in ``errors`` alone.
    """

    code = "provider_not_found"

    def __init__(self, name: str, suggestion: str) -> None:
        super().__init__(f"Provider not found: {name}")
        self.members = {"errors": [{"pointer": "/provider", "detail": suggestion}]}


class Forbidden(CallerError):  # noqa: N818
    """The key does not carry the permission this needs."""

    status, code = 403, "forbidden"


class Conflict(CallerError):  # noqa: N818
    """The state of the thing does not allow this now."""

    status, code = 409, "conflict"


class NotSealed(Conflict):
    """The record waits for its seal. Try again in a moment."""

    code, retryable, members = "not_sealed", True, {"retryable": True}


class Gone(CallerError):  # noqa: N818
    """It is over."""

    status, code = 410, "gone"


class InUse(Conflict):
    """Other definitions need it."""

    code = "in_use"

    def __init__(self, message: str, *, used_by: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(message)
        self.members = {"used_by": list(used_by)}


class AlreadyRunning(Conflict):
    """The playbook runs for this asset, and does so once at a time.

    ``run_id`` is the run under way; None where it is not known, or has ended meanwhile.
    """

    code = "already_running"

    def __init__(self, playbook_id: str, target: str | None, run_id: str | None) -> None:
        as_run = f", as the execution {run_id!r}" if run_id else ""
        super().__init__(f"The playbook {playbook_id!r} is already running for the asset {target!r}{as_run}.")
        self.members = {"running_execution_id": run_id} if run_id else {}


class TooSlow(CallerError):  # noqa: N818
    """The body did not arrive in time; send it without pauses."""

    status, code, retryable = 408, "request_timeout", True


class PreconditionFailed(CallerError):  # noqa: N818
    """It is no longer as the request says; read it again, and base the change on what it is now."""

    status, code = 412, "changed"


class Unprocessable(CallerError):  # noqa: N818
    """The values do not fit the declared parameters."""

    status, code = 422, "invalid_parameters"


class NotConfigured(NotFound):
    """The operator has not configured this."""

    code = "not_configured"


class NoEmbedding(CallerError):  # noqa: N818
    """The provider of embeddings has failed."""

    status, code = 500, "embedding_failed"

    def __init__(self, message: str, *, retryable: bool) -> None:
        super().__init__(f"The similarity is not known: {message}.")
        self.members = {"retryable": retryable}


class StreamOff(CallerError):  # noqa: N818
    """SSE streaming is not enabled: the operator has set TOCSIN_STREAM=off."""

    status, code, members = 503, "stream_off", {"retryable": False}


class Overloaded(CallerError):  # noqa: N818
    """More is being asked than can be done soon; nothing was accepted. Try again in a moment."""

    status, code, retryable = 503, "overloaded", True


class Unavailable(CallerError):  # noqa: N818
    """The database cannot be reached; nothing was accepted. Try again in a moment."""

    status, code, retryable = 503, "unavailable", True


class Busy(CallerError):  # noqa: N818
    """Too many large definitions are being looked into at this moment. Try again in a few seconds."""

    status, code, retryable = 503, "busy", True
