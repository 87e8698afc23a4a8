"""The operator's own Python actions: functions in the actions folder, found and described by their types.

In order of time: a file of the folder marks functions with ``@action``; ``load`` imports the files and
collects them; an action of executor ``local`` names one as its ``handler``; ``invoke`` checks the parameters,
calls it and returns what it returned as JSON::

    from providers.functions import Context, Secret, action

    @action()
    def block_ip(ip: str, hours: int = 24, token: Annotated[str, Secret] = "", *, context: Context) -> dict:
        '''Block an address at the firewall.'''

This module needs nothing but the standard library and a few modules beside it, so that it also works inside
the sandbox, where nothing else is.
"""

import functools
import importlib
import inspect
import logging
import sys
import traceback
import types
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.types import Json
from providers.base import ProviderError
from providers.outputs import output_of
from providers.signatures import Parameter, Secret, read

__all__ = ["Context", "Handler", "Retry", "Secret", "action", "handlers", "invoke", "load"]

logger = logging.getLogger(__name__)
_MARK = "__tocsin_action__"


class Retry(Exception):  # noqa: N818 - reads as the request it is: raise Retry("locked", after=30)
    """Raised by an action that failed but may succeed when tried again, ``after`` so many seconds."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


@dataclass(frozen=True)
class Context:
    """What a function may know about the execution it runs for; asked for by a parameter of this type."""

    execution_id: str
    target: str
    idempotency_key: str
    sink: Callable[[str, str], None] = lambda _level, _message: None

    def log(self, message: str, level: str = "INFO") -> None:
        """Add a line to the execution's log."""
        self.sink(level, message)


@dataclass(frozen=True)
class Handler:
    """One registered function: its name, what its docstring says, and what it takes."""

    name: str
    description: str
    function: Callable[..., Any]
    takes: tuple[Parameter, ...]
    context_name: str | None

    @property
    def parameters(self) -> list[Json]:
        """The parameter schema, as an action declares it."""
        return [parameter.schema for parameter in self.takes]


def action(name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a function as an action, named like the function unless ``name`` is given.

    The function stays what it was and can be called and tested as such.

    Raises:
        TypeError: a parameter has no type, or one that cannot come from JSON.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        takes, context_name = read(function, Context)
        described = (inspect.getdoc(function) or "").partition("\n")[0]
        setattr(function, _MARK, Handler(name or function.__name__, described, function, takes, context_name))
        return function

    return mark


def load(folder: Path) -> dict[str, Handler]:
    """Every action in the folder's ``*.py`` files, by name; each file is imported once in a process.

    Files that begin with an underscore are for the others to import (``from ._shared import x``). A file that
    fails is logged with its line and left out; so is the second function of a name.
    """
    found: dict[str, Handler] = {}
    package = types.ModuleType(f"tocsin_actions_{zlib.crc32(str(folder).encode()):08x}")
    package.__path__ = [str(folder)]
    sys.modules.setdefault(package.__name__, package)
    importlib.invalidate_caches()
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith("_"):
            continue
        for handler in _import(f"{package.__name__}.{path.stem}", path):
            if handler.name in found:
                logger.error("%s: the action %s exists already; this one is left out", path, handler.name)
            else:
                found[handler.name] = handler
    return found


def _import(module_name: str, path: Path) -> list[Handler]:
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an operator's file does, the others stay usable
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        logger.error("%s, line %s: %s: %s; its actions are left out", path, line, type(error).__name__, error)  # noqa: TRY400 - the line says more than our own frames
        return []
    marked = [getattr(value, _MARK, None) for value in vars(module).values() if inspect.isfunction(value)]
    return [one for one in marked if isinstance(one, Handler) and one.function.__module__ == module_name]


@functools.cache
def handlers() -> dict[str, Handler]:
    """The actions of this installation's actions folder, loaded on first use."""
    from config.settings import settings  # not there inside the sandbox, where nobody asks for it

    return load(settings().actions_dir)


def invoke(handler: Handler, given: Mapping[str, Any], context: Context) -> Json:
    """Call the function with these parameters and return what it returned (a non-object as ``result``).

    Raises:
        ProviderError: ``bad_parameters``; ``handler_failed`` (it raised, retryable if a ``Retry``);
            ``bad_output`` (what it returned is not JSON).
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
