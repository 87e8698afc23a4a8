"""The execution that a function runs for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from tocsin.actions.http import Http, unavailable
from tocsin.actions.placeholders import Secrets


@dataclass(frozen=True)
class Context:
    """The execution that a function runs for.

    A function that has a parameter of this type receives it there; the parameter is none of the action's. A test makes
    one by hand: ``Context("exec-1", target="web-01", idempotency_key="exec-1")``.

    Example::

        @action()
        def note_target(*, context: Context) -> dict:
            context.log(f"looking at {context.target}")
            return {"target": context.target}
    """

    #: the id of the execution, as the API shows it
    execution_id: str
    #: the target that the trigger or the run names; empty without one
    target: str
    #: the same text in every attempt of one execution, for services that carry out a call once for each key
    idempotency_key: str
    #: takes the level and the text of each line that ``log`` adds
    sink: Callable[[str, str], None] = lambda _level, _message: None
    #: when the time of this attempt is up; None in a test
    deadline: dt.datetime | None = None
    #: makes calls to other systems
    http: Http = field(default_factory=lambda: Http(unavailable))
    #: the secrets of the bundle, by name
    secrets: Secrets = field(default_factory=lambda: Secrets({}))
    #: what ``cancelled`` asks
    is_cancelled: Callable[[], bool] = lambda: False

    def log(self, message: str, level: str = "INFO") -> None:
        """Add a line to the execution's log.

        Args:
            message: the line; secrets of the action's parameters are masked in it.
            level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.

        Example::

            context.log("the rule exists already", "WARNING")
        """
        self.sink(level, message)

    def cancelled(self) -> bool:
        """Whether the execution has been cancelled or its time is up.

        A function that works for long asks now and then, and returns early. One that does not ask is stopped.

        Example::

            for host in hosts:
                if context.cancelled():
                    break
                scan(host)
        """
        return self.is_cancelled()
