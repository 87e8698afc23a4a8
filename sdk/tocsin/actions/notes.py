"""Notes on a parameter's type: what ``Annotated`` says about its values.

``Annotated[str, Secret]`` is a secret, ``Annotated[int, Range(1, 720)]`` is bounded; a plain text is the description.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


class Secret:
    """The marker of a secret parameter.

    The function receives the value in clear. It is sealed in the database, and masked in logs, outputs, errors and
    recordings.

    Example::

        def log_in(user: str, password: Annotated[str, Secret]) -> dict: ...
    """


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a number; None leaves a side open.

    Example::

        def block(ip: str, hours: Annotated[int, Range(1, 720)] = 24) -> dict: ...
    """

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Length:
    """The least and the greatest length of a text or a list; None leaves a side open.

    Example::

        def tag(labels: Annotated[list[str], Length(1, 20)]) -> dict: ...
    """

    least: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Pattern:
    """A regular expression that the whole text must match.

    The server reads it with RE2, which knows neither look-around nor back-references.

    Raises:
        ValueError: it is no regular expression.

    Example::

        def isolate(host: Annotated[str, Pattern("[a-z0-9-]{1,63}")]) -> dict: ...
    """

    expression: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.expression)
        except re.error as error:
            raise ValueError(f"{self.expression!r} is no regular expression: {error}") from error
