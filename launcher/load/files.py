"""Reads the definitions in the YAML and JSON files of a folder.

In order of time: the files are found, in every folder below, by their names' ends; each is read as the API reads a
body, and holds a definition or a list of them; a definition with ``steps`` is a playbook, one with ``executor`` or
``type`` an action; its variables are filled in. Whatever is wrong with a file becomes a fault of it, so that all files'
faults are found at once. Files of the gateway's configuration, silences and recurring actions, which lie next to the
examples, are left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from api.actions import definition_body
from api.http.body import MAX_BYTES
from api.versioned import id_problems
from cacao.reading.detect import NotRecognised, recognise
from config import strict_json, strict_yaml
from config.errors import InvalidRequest, Problem
from config.pointers import step
from config.types import Json
from launcher.load.variables import filled
from store.definitions import actions, playbooks
from tasks.definitions import playbooks as library
from tasks.definitions.collection import Member

_KINDS = {".yaml", ".yml", ".json"}
_CONFIGURATION = {"rules", "providers", "circuit_breakers", "chains", "state_machines", "time_intervals"}
#: members of what is sent to ``POST /v1/silences``, and to ``POST /v1/recurring`` in either of its words
_SENT = ({"matchers", "comment"}, {"namespace", "cron_expr"}, {"namespace", "cron_expression"})
_NEITHER = "is neither a playbook (which has steps) nor an action (which has an executor)"
_CACAO = "is a CACAO document: import it with POST /api/playbooks/import"


@dataclass(frozen=True)
class Found:
    """A definition of a file, at a pointer; ``member`` is None if none could be read."""

    path: Path
    pointer: str
    member: Member | None
    #: the faults of a file without a definition
    problems: tuple[Problem, ...] = ()

    @property
    def faults(self) -> list[Problem]:
        """The faults, with pointers into the file."""
        own = self.member.problems if self.member is not None else self.problems
        return [problem.under(self.pointer) for problem in own]


def read(folder: Path, variables: Mapping[str, str]) -> list[Found]:
    """Everything in the definition files of a folder and those below, in the order of their names.

    Hidden files and folders are left out.
    """
    bundles = {manifest.parent for manifest in folder.rglob("bundle.toml")}  # these are pushed, not registered
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix in _KINDS and path.is_file() and not bundles.intersection(path.parents)
    )
    shown = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    return [found for path in shown for found in _of_file(path, variables)]


def _of_file(path: Path, variables: Mapping[str, str]) -> Iterator[Found]:
    try:
        value = _value(path)
    except InvalidRequest as error:
        faults = error.problems or [Problem("", "")]
        said = str(error).replace("The body", "The file")
        yield Found(path, "", None, tuple(Problem(one.pointer, f"{said} {one.detail}".strip()) for one in faults))
        return
    if isinstance(value, dict) and value and _is_of_the_gateway(value):
        return
    several = value if isinstance(value, list) else [value]
    for number, definition in enumerate(several):
        yield _found(path, step(number) if isinstance(value, list) else "", definition, variables)


def _is_of_the_gateway(value: Json) -> bool:
    return value.keys() <= _CONFIGURATION or any(value.keys() >= members for members in _SENT)


def _value(path: Path) -> Any:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The file cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise InvalidRequest(f"The file has {len(raw)} bytes; at most {MAX_BYTES} are taken.")
    if path.suffix == ".json":
        return strict_json.parse(raw)
    try:
        value = strict_yaml.load(raw.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The file is not UTF-8 (byte {error.start}).") from error
    strict_json.inspect(value)
    return value


def _found(path: Path, pointer: str, definition: Any, variables: Mapping[str, str]) -> Found:
    if not isinstance(definition, dict):
        return Found(path, pointer, None, (Problem("", _NEITHER),))
    if "steps" in definition:
        given = {name: value for name, value in library.written(definition).items() if value is not None}
        problems = id_problems(playbooks.kind, definition, None)
        return Found(path, pointer, Member(noun="playbook", definition=given, problems=problems))
    if _is_cacao(definition):
        return Found(path, pointer, None, (Problem("", _CACAO),))
    if "executor" not in definition and "type" not in definition:
        return Found(path, pointer, None, (Problem("", _NEITHER),))
    return Found(path, pointer, _action(definition, variables))


def _action(definition: Json, variables: Mapping[str, str]) -> Member:
    problems = definition_body.unknown(definition) + id_problems(actions.kind, definition, None)
    given = definition_body.written(definition)
    for name in ("config", "executor"):  # the second may be an object, whose members are part of the first
        given_value, unset = filled(given.get(name), variables)
        if name in given:
            given[name] = given_value
        problems += [problem.under(step(name)) for problem in unset]
    return Member(noun="action", definition=given, problems=problems)


def _is_cacao(definition: Json) -> bool:
    try:
        return recognise(definition).is_cacao
    except NotRecognised:
        return False
