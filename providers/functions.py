"""The operator's own Python actions: functions in the actions folder, called in the worker's process.

Their types describe their parameters. In order of time: a file of the folder marks functions with ``@action``;
``providers.handlers`` imports the files and collects them; an action of executor ``local`` names one as its
``handler``; ``invoke`` checks the parameters, calls the function and returns its answer as JSON.

What authors import is ``tocsin.actions``; this module is the name by which files have imported it before, and turns its
errors into those of an executor. docs/functions.md has an example of each. It needs nothing but ``tocsin.actions`` and
a few modules of the project, so that it also works inside the sandbox, which holds no others.
"""

from collections.abc import Mapping
from typing import Any

from tocsin import actions
from tocsin.actions import ActionError, Context, Handler, Length, Pattern, Range, Retry, Secret, action

from config.types import Json
from providers.base import Abandoned, ProviderError
from providers.handlers.library import load

__all__ = [
    "Context",
    "Handler",
    "Length",
    "Pattern",
    "Range",
    "Retry",
    "Secret",
    "action",
    "invoke",
    "load",
]


def invoke(handler: Handler, given: Mapping[str, Any], context: Context) -> Json:
    """Call a function as a worker does.

    Args:
        handler: the function, from ``load``.
        given: values by parameter; None counts as left out, and names that the function lacks are ignored.
        context: what a parameter of type ``Context`` receives.

    Returns:
        The function's answer as a JSON object; any other value stands in it as ``result``.

    Raises:
        ProviderError: ``bad_parameters`` (a value is missing or does not fit); ``handler_failed`` (the function raised
        an
            exception; retryable if a ``Retry``); ``bad_output`` (the answer is not JSON); the code of a call by
            ``context.http`` that failed.
    """
    try:
        return actions.invoke(handler, given, context, passes=_is_the_workers)
    except ActionError as error:
        raise failure(error) from error


def failure(error: ActionError) -> ProviderError:
    """The error of an executor for that of a function."""
    again: dict[str, Any] = {"retryable": error.retryable, "retry_after": error.retry_after, "unknown": error.unknown}
    return ProviderError(error.code, _storable(error.message), **again)


def _storable(message: str) -> str:
    """A message without what no answer and no database can hold: halves of surrogate pairs, and NUL."""
    return message.encode(errors="replace").decode().replace("\0", "\ufffd")


def _is_the_workers(error: BaseException) -> bool:
    """Whether an exception ends the function from outside, and is no failure of its own.

    The worker ends an overlong call by raising its own exception inside it, which is known by its module's name because
    only the worker may import Celery.
    """
    return isinstance(error, ProviderError | Abandoned) or type(error).__module__.partition(".")[0] in {
        "celery",
        "billiard",
    }
