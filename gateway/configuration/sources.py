"""One file of the configuration folder: read, with the line of every fault."""

from collections.abc import Iterable
from typing import Any

from config import strict_yaml
from config.errors import InvalidRequest, Problem
from config.pointers import step
from config.strict_yaml import Document
from expressions.values import is_encodable
from playbooks.definitions.parameter_values import is_integer

#: characters of one file; a thousand rules have some 400,000
MAX_FILE_CHARACTERS = 5 * 1024 * 1024


class SourceFault(Exception):  # noqa: N818 - reads as the condition it is
    """A file cannot be read; the message names its place."""


class Source:
    """A file that has been read."""

    def __init__(self, file: str, document: Document) -> None:
        self.file = file
        self.document = document

    @property
    def value(self) -> Any:
        """What the file says."""
        return self.document.value

    def placed(self, problems: Iterable[Problem]) -> list[str]:
        """The faults as ``file:line pointer: what``."""
        return [
            f"{self.file}:{self.document.line(problem.pointer)} {problem.pointer or '/'}: {problem.detail}"
            for problem in problems
        ]


def read(file: str, text: str) -> Source:
    """The file with this text.

    Raises:
        SourceFault: it is too large, or not YAML, or holds what no configuration may hold.
    """
    if len(text) > MAX_FILE_CHARACTERS:
        size = f"the file has {len(text)} characters; {MAX_FILE_CHARACTERS} are the most"
        raise SourceFault(f"{file}:1 /: {size}: divide it into several files")
    try:
        source = Source(file, strict_yaml.located(text))
    except strict_yaml.YamlFault as error:
        raise SourceFault(f"{file}:{error.line or 1} /: {error.detail}") from error
    except InvalidRequest as error:
        raise SourceFault(f"{file}:1 /: {str(error).removesuffix('.')}") from error
    problem = unstorable(source.value)
    if problem:
        raise SourceFault(source.placed([problem])[0])
    return source


def unstorable(value: Any) -> Problem | None:
    """The first value that JSON or a database could not hold."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        pointer, one = waiting.pop()
        if isinstance(one, str) and ("\0" in one or not is_encodable(one)):
            return Problem(pointer, "holds NUL or half of a surrogate pair, which cannot be stored")
        if is_integer(one) and not -(2**63) <= one < 2**63:
            return Problem(pointer, "a whole number must fit into 64 bits")
        if isinstance(one, dict):
            if any("\0" in name or not is_encodable(name) for name in one):
                return Problem(pointer, "a name holds NUL or half of a surrogate pair, which cannot be stored")
            waiting.extend((pointer + step(name), item) for name, item in one.items())
        elif isinstance(one, list):
            waiting.extend((f"{pointer}/{number}", item) for number, item in enumerate(one))
    return None
