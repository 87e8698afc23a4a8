"""What a function raises, and what a call of a function fails with."""

from __future__ import annotations


class Retry(Exception):
    """A function raises it when its action may succeed later.

    The action's ``retry`` decides whether there is a next attempt; by default there is none.

    Args:
        message: the message of the execution's error.
        after: the least pause before the next attempt, in seconds; None leaves it to ``retry``.

    Example::

        if controller.busy():
            raise Retry("the controller is busy", after=30)
    """

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class HttpFailed(Exception):
    """``context.http`` got no answer, or refused to ask.

    A function that does not catch it fails its execution with this code; a retryable one is tried again as the action's
    ``retry`` says.

    Args:
        code: a stable word, such as ``egress_refused``, ``connection_failed`` or ``http_status``.
        message: what happened, for people.
        retryable: whether trying again may help.
        retry_after: the receiver's wish, in seconds.
        unknown: whether the call may have had its effect although no answer came.

    Example::

        try:
            answer = context.http.get("https://fw.acme.example/rules", timeout=5)
        except HttpFailed as failed:
            context.log(f"the firewall did not answer: {failed}", "WARNING")
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.unknown = unknown


class ActionError(Exception):
    """How a call of a function ended that did not complete.

    Its ``code`` and ``message`` are those of the execution's error: ``bad_parameters``, ``handler_failed``,
    ``bad_output``, or the code of an ``HttpFailed`` that the function did not catch.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.unknown = unknown
