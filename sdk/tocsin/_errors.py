"""What can go wrong: the classes by status; ``tocsin.errors`` has those of each code, too.

``TocsinError`` is the base of all. ``ApiError`` is an answer of the server, ``ConnectionFailed`` that there was none,
``ExecutionFailed`` and ``StillRunning`` what became of the work itself.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple, Type

__all__ = [
    "ApiError",
    "BadGateway",
    "BadRequest",
    "CertificateRefused",
    "ConfigurationError",
    "Conflict",
    "ConnectionFailed",
    "ExecutionFailed",
    "Fault",
    "Forbidden",
    "GatewayTimeout",
    "Gone",
    "InvalidValues",
    "MethodNotAllowed",
    "NotFound",
    "PreconditionFailed",
    "RequestTimeout",
    "ServerError",
    "ServiceUnavailable",
    "StillRunning",
    "TimedOut",
    "TocsinError",
    "TooLarge",
    "TooManyRequests",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMediaType",
]


class TocsinError(Exception):
    """The base of all errors of this package."""

    def __reduce__(self) -> Any:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: Type[TocsinError], arguments: Tuple[Any, ...], members: Dict[str, Any]) -> TocsinError:
    """An error as it was, on its way between processes; its class is not called again."""
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(members)
    return error


class ConfigurationError(TocsinError):
    """The client has no address or no key, or must not use those that it has."""


class ConnectionFailed(TocsinError):
    """The server cannot be reached, or broke off its answer, at each try."""


class TimedOut(ConnectionFailed):
    """The server did not answer in time, at each try."""


class CertificateRefused(ConnectionFailed):
    """The server's certificate is not one that this machine trusts."""


class UnexpectedAnswer(TocsinError):
    """The answer is none of a Tocsin server, such as the page of a proxy."""


class Fault(NamedTuple):
    """One thing that is wrong with a request: a JSON pointer, and what is wrong there."""

    pointer: str
    detail: str


class ApiError(TocsinError):
    """The server refuses.

    Attributes:
        status: the HTTP status
        code: a stable word to branch on; empty where the answer has none, as a proxy's
        detail: what is wrong, for people
        errors: each fault with its JSON pointer
        request_id: names the request in the server's logs
        retryable: whether the same request may succeed later
        retry_after: seconds after which the server wants to be asked again, if it says so
        body: the whole body of the answer

    """

    def __init__(
        self,
        status: int,
        code: str = "",
        detail: str = "",
        *,
        errors: Optional[List[Fault]] = None,
        request_id: str = "",
        retryable: bool = False,
        retry_after: Optional[float] = None,
        body: Optional[Mapping[str, Any]] = None,
    ) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors or []
        self.request_id = request_id
        self.retryable = retryable
        self.retry_after = retry_after
        self.body: Dict[str, Any] = dict(body or {})

    def __str__(self) -> str:
        said = self.detail or f"The server answers {self.status}."
        more = [f"{one.pointer or '/'}: {one.detail}" for one in self.errors if one.detail not in said]
        known = [f"{self.status} {self.code}".strip(), *([f"request {self.request_id}"] if self.request_id else [])]
        return "\n  ".join([f"{said} ({', '.join(known)})", *more])


class BadRequest(ApiError):
    """400: the request is malformed or misses something."""


class Unauthorized(ApiError):
    """401: there is no valid key."""


class Forbidden(ApiError):
    """403: the key lacks the permission."""


class NotFound(ApiError):
    """404: there is no such thing for this key."""


class MethodNotAllowed(ApiError):
    """405: the path takes other methods."""


class RequestTimeout(ApiError):
    """408: the body did not arrive in time."""


class Conflict(ApiError):
    """409: the state of the thing does not allow it."""


class Gone(ApiError):
    """410: it was there, and is no more."""


class PreconditionFailed(ApiError):
    """412: another caller has changed it since it was read."""


class TooLarge(ApiError):
    """413: the body is too large."""


class UnsupportedMediaType(ApiError):
    """415: the body is of another kind than the operation takes."""


class InvalidValues(ApiError):
    """422: values do not fit what is declared."""


class TooManyRequests(ApiError):
    """429: too many requests; ``retry_after`` says when to come back."""


class ServerError(ApiError):
    """5xx: the server fails."""


class BadGateway(ServerError):
    """502: a proxy does not reach the server."""


class ServiceUnavailable(ServerError):
    """503: the server cannot do it now."""


class GatewayTimeout(ServerError):
    """504: a proxy does not hear from the server in time."""


BY_STATUS: Dict[int, Type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    408: RequestTimeout,
    409: Conflict,
    410: Gone,
    412: PreconditionFailed,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: InvalidValues,
    429: TooManyRequests,
    500: ServerError,
    502: BadGateway,
    503: ServiceUnavailable,
    504: GatewayTimeout,
}


def of_status(status: int) -> Type[ApiError]:
    """The class of a status."""
    return BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)


class ExecutionFailed(TocsinError):
    """An execution or a run has ended, and not as completed.

    Attributes:
        execution_id, status: which one, and how it ended
        code, message: the error that it ended with
        outcome_unknown: whether the effect may have happened all the same
        step_id: the step of a run that failed

    """

    def __init__(self, execution_id: str, status: str, error: Optional[Mapping[str, Any]] = None) -> None:
        error = error or {}
        self.execution_id = execution_id
        self.status = status
        self.code = str(error.get("code") or status)
        self.message = str(error.get("message") or "")
        self.outcome_unknown = bool(error.get("outcome_unknown"))
        self.step_id: Optional[str] = error.get("step_id")
        super().__init__(execution_id, status, self.code, self.message)

    def __str__(self) -> str:
        where = f" at step {self.step_id}" if self.step_id else ""
        doubt = " (whether it had its effect is unknown)" if self.outcome_unknown else ""
        told = f": {self.message}" if self.message else ""
        code = f" ({self.code})" if self.code != self.status else ""
        return f"{self.execution_id} ended {self.status}{where}{code}{told}{doubt}"


class StillRunning(TocsinError):
    """The time to wait is over and the execution goes on; nothing is cancelled.

    ``state`` is what was last known of it.
    """

    def __init__(self, execution_id: str, state: Any, seconds: float) -> None:
        self.execution_id = execution_id
        self.state = state
        super().__init__(f"{execution_id} is still {state.status} after {seconds:g} s; it goes on")
