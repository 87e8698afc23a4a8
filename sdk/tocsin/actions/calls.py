"""Marks functions as actions, and calls them as a worker does."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, overload

from tocsin.actions.context import Context
from tocsin.actions.errors import ActionError, HttpFailed, Retry
from tocsin.actions.outputs import output_of
from tocsin.actions.signatures import MARK, Handler, read

#: what an action may be for; the same words as in the catalogue of the server
TYPES = (
    "notification",
    "remediation",
    "webhook",
    "script",
    "approval",
    "enrichment",
    "investigation",
    "containment",
)
_LONGEST_SECONDS = 86_400
_MOST_ATTEMPTS = 10

_Function = TypeVar("_Function", bound=Callable[..., Any])


@overload
def action(id: _Function) -> _Function: ...
@overload
def action(
    id: str | None = None,
    *,
    type: str | None = None,
    timeout: int | None = None,
    retry: int | Mapping[str, Any] | None = None,
    idempotent: bool | None = None,
    tags: Iterable[str] = (),
    name: str | None = None,
) -> Callable[[_Function], _Function]: ...
def action(
    id: Any = None,  # noqa: A002 - the word of the catalogue
    *,
    type: str | None = None,  # noqa: A002 - the word of the catalogue
    timeout: int | None = None,
    retry: int | Mapping[str, Any] | None = None,
    idempotent: bool | None = None,
    tags: Iterable[str] = (),
    name: str | None = None,
) -> Any:
    """Mark a function as an action.

    The types of the function's parameters become the parameters of the action, its return type the schema of the
    output; the first line of its docstring becomes the description.

    Args:
        id: the name of the function in the catalogue; by default the function's own. A bundle's action is called
            ``act-<bundle>-<id>``; a definition of an in-process function gives it as ``config.handler``.
        type: what the action is for: ``remediation``, ``containment``, ``enrichment``, ``investigation``,
            ``notification``, ``webhook`` or ``script``.
        timeout: seconds for one attempt, 300 by default.
        retry: attempts in all, or ``{"max_attempts": 3, "backoff_seconds": 5}``; by default there is one.
        idempotent: whether a second call does no harm; False makes the worker call it at most once.
        tags: words to find it by.
        name: the older spelling of ``id``.

    Returns:
        A decorator. It returns the function unchanged, so that tests and other functions call it as such.

    Raises:
        TypeError: a parameter has no type, has a type that JSON lacks, or cannot be passed by name.
        ValueError: a setting has a value that the catalogue does not take.

    Example::

        @action("quarantine_host", type="containment", timeout=30, retry=3, tags=["network"])
        def quarantine(host: str) -> dict:
            '''Move a host into the quarantine network.'''
            return {"host": host, "vlan": 666}
    """
    if callable(id):  # @action without parentheses
        return action()(id)
    wishes = _wishes(type, timeout, retry, idempotent, tags)

    def mark(function: _Function) -> _Function:
        takes, context_name, output = read(function, Context)
        described = (inspect.getdoc(function) or "").partition("\n")[0]
        known = id or name or function.__name__
        setattr(function, MARK, Handler(known, described, function, takes, context_name, output, wishes))
        return function

    return mark


def _wishes(kind: str | None, timeout: Any, retry: Any, idempotent: bool | None, tags: Iterable[str]) -> dict[str, Any]:
    if kind is not None and kind not in TYPES:
        raise ValueError(f"type is one of {', '.join(TYPES)}, not {kind}")
    if timeout is not None and not _is_whole(timeout, _LONGEST_SECONDS):
        raise ValueError(f"timeout is a whole number of seconds from 1 to {_LONGEST_SECONDS}")
    if isinstance(retry, int):
        if not _is_whole(retry, _MOST_ATTEMPTS):
            raise ValueError(f"retry is a number of attempts from 1 to {_MOST_ATTEMPTS}")
        retry = {"max_attempts": retry}
    if isinstance(tags, str):
        raise TypeError("tags is a list of texts")
    given = {
        "type": kind,
        "timeout_seconds": timeout,
        "retry": None if retry is None else dict(retry),
        "idempotent": idempotent,
        "tags": list(tags) or None,
    }
    return {wish: value for wish, value in given.items() if value is not None}


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def invoke(
    handler: Handler,
    given: Mapping[str, Any],
    context: Context,
    *,
    passes: Callable[[BaseException], bool] = lambda _error: False,
) -> dict[str, Any]:
    """Call a function as a worker does.

    Args:
        handler: the function, from ``load``.
        given: values by parameter; None counts as left out, and names that the function lacks are ignored.
        context: what a parameter of type ``Context`` receives.
        passes: whether an exception is the caller's own, and no failure of the function.

    Returns:
        The function's answer as a JSON object; any other value stands in it as ``result``.

    Raises:
        ActionError: ``bad_parameters`` (a value is missing or does not fit); ``handler_failed`` (the function raised an
            exception; retryable if a ``Retry``); ``bad_output`` (the answer is not JSON); the code of an
            ``HttpFailed``.
    """
    values = {taken.name: taken.value(given) for taken in handler.takes if taken.is_given(given)}
    if handler.context_name:
        values[handler.context_name] = context
    try:
        returned = handler.function(**values)
    except Retry as error:
        raise ActionError("handler_failed", str(error), retryable=True, retry_after=error.after) from error
    except (Exception, SystemExit) as error:  # sys.exit() ends the function, not the process that runs it
        if passes(error):
            raise
        frame = traceback.extract_tb(error.__traceback__)[-1]
        if isinstance(error, HttpFailed):
            again: dict[str, Any] = {
                "retryable": error.retryable,
                "retry_after": error.retry_after,
                "unknown": error.unknown,
            }
            raise ActionError(error.code, error.message, **again) from error
        context.log(f"{Path(frame.filename).name}, line {frame.lineno}, in {frame.name}", "ERROR")
        raise ActionError("handler_failed", f"{type(error).__name__}: {error}") from error
    try:
        return output_of(returned)
    except ValueError as error:
        raise ActionError("bad_output", f"what the function returned is not JSON: {error}") from error
