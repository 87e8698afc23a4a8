"""The operator's own Python actions: functions in the actions folder.

Their types describe their parameters. In order of time: a file of the folder marks functions with ``@action``;
``providers.handlers`` imports the files and collects them; an action of executor ``local`` names one as its
``handler``; ``invoke`` checks the parameters, calls the function and returns its answer as JSON::

    from typing import Annotated

    from providers.functions import Context, Secret, action

    @action()
    def block_ip(ip: str, token: Annotated[str, Secret], hours: int = 24, *, context: Context) -> dict:
        '''Block an address at the firewall.'''

``action``, ``Context``, ``Secret`` and ``Retry`` are what operators import; docs/functions.md has an example of each.
This module needs nothing but the standard library and a few modules of the project, so that it also works inside the
sandbox, which holds no others.
"""

import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.types import Json
from providers.base import ProviderError
from providers.handlers.library import load
from providers.outputs import output_of
from providers.signatures import MARK, Handler, Secret, read

__all__ = ["Context", "Handler", "Retry", "Secret", "action", "invoke", "load"]


class Retry(Exception):  # noqa: N818 - reads as the request it is: raise Retry("locked", after=30)
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


@dataclass(frozen=True)
class Context:
    """The execution that a function runs for.

    A function that has a parameter of this type receives it there; the parameter is none of the action's. A test makes
    one by hand: ``Context("exec-1", target="web-01", idempotency_key="exec-1")``.
    """

    #: the id of the execution, as the API shows it
    execution_id: str
    #: the target that the trigger or the run names; empty without one
    target: str
    #: the same text in every attempt of one execution, for services that carry out a call once for each key
    idempotency_key: str
    #: takes the level and the text of each line that ``log`` adds
    sink: Callable[[str, str], None] = lambda _level, _message: None

    def log(self, message: str, level: str = "INFO") -> None:
        """Add a line to the execution's log.

        Args:
            message: the line; secrets of the action's parameters are masked in it.
            level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
        """
        self.sink(level, message)


def action(name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function as an action.

    The types of the function's parameters become the parameters of the action; the first line of its docstring becomes
    the description.

    Args:
        name: what a definition gives as ``config.handler``; by default the name of the function.

    Returns:
        A decorator. It returns the function unchanged, so that tests and other functions call it as such.

    Raises:
        TypeError: a parameter has no type, has a type that JSON lacks, or cannot be passed by name.

    Example::

        @action("quarantine_host")
        def quarantine(host: str) -> dict:
            '''Move a host into the quarantine network.'''
            return {"host": host, "vlan": 666}
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        takes, context_name = read(function, Context)
        described = (inspect.getdoc(function) or "").partition("\n")[0]
        setattr(function, MARK, Handler(name or function.__name__, described, function, takes, context_name))
        return function

    return mark


def invoke(handler: Handler, given: Mapping[str, Any], context: Context) -> Json:
    """Call a function as a worker does.

    Args:
        handler: the function, from ``load``.
        given: values by parameter; None counts as left out, and names that the function lacks are ignored.
        context: what a parameter of type ``Context`` receives.

    Returns:
        The function's answer as a JSON object; any other value stands in it as ``result``.

    Raises:
        ProviderError: ``bad_parameters`` (a value is missing or has another type); ``handler_failed`` (the function
            raised an exception; retryable if a ``Retry``); ``bad_output`` (the answer is not JSON).
    """
    values = {taken.name: taken.value(given) for taken in handler.takes if taken.is_given(given)}
    if handler.context_name:
        values[handler.context_name] = context
    try:
        returned = handler.function(**values)
    except ProviderError:
        raise
    except Retry as error:
        raise ProviderError("handler_failed", str(error), retryable=True, retry_after=error.after) from error
    except (Exception, SystemExit) as error:  # sys.exit() ends the function, not the worker that runs it
        # The worker ends an overlong call by raising its own exception inside it; that one is not a failure
        # of the function. It is known by its module's name because only the worker may import Celery.
        if type(error).__module__.partition(".")[0] in {"celery", "billiard"}:
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        context.log(f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}", "ERROR")
        raise ProviderError("handler_failed", f"{type(error).__name__}: {error}") from error
    try:
        return output_of(returned)
    except ValueError as error:
        raise ProviderError("bad_output", f"what the function returned is not JSON: {error}") from error
