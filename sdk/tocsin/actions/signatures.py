"""Reads a Python function's parameters as an action's parameter schema, and its return type as its output schema."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from tocsin.actions.errors import ActionError
from tocsin.actions.kinds import UNIONS, kind_of
from tocsin.actions.notes import Secret
from tocsin.actions.outputs import as_json, schema_of
from tocsin.actions.scalars import Kind, Unfit

#: the attribute of a marked function that holds its ``Handler``
MARK = "__tocsin_action__"


@dataclass(frozen=True)
class FunctionParameter:
    """A parameter of a function: its schema and its kind."""

    name: str
    kind: Kind
    schema: dict[str, Any]

    def is_given(self, given: Mapping[str, Any]) -> bool:
        """Whether the call has a value; None counts as left out.

        Raises:
            ActionError: ``bad_parameters``, it is required and left out.
        """
        if given.get(self.name) is not None:
            return True
        if self.schema["required"]:
            raise ActionError("bad_parameters", f"the function needs the parameter {self.name}")
        return False

    def value(self, given: Mapping[str, Any]) -> Any:
        """The call's value as the function's type.

        Raises:
            ActionError: ``bad_parameters``, the value does not fit. It is not repeated: it may be secret.
        """
        try:
            return self.kind.convert(given[self.name], self.name)
        except Unfit as error:
            raise ActionError("bad_parameters", str(error)) from None


@dataclass(frozen=True)
class Handler:
    """A function that ``action`` has marked."""

    #: what a definition gives as ``config.handler``
    name: str
    #: the first line of the docstring
    description: str
    function: Callable[..., Any]
    takes: tuple[FunctionParameter, ...]
    #: the parameter that receives the ``Context``, if there is one
    context_name: str | None
    #: the JSON Schema of the output, where the return type says it
    output: dict[str, Any] | None = None
    #: what the author wishes of the action: ``type``, ``timeout_seconds``, ``retry``, ``idempotent``, ``tags``
    wishes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """The parameter schema, as an action declares it."""
        return [parameter.schema for parameter in self.takes]


def read(
    function: Callable[..., Any], context: type
) -> tuple[tuple[FunctionParameter, ...], str | None, dict[str, Any] | None]:
    """The function's parameters, the name of its ``context`` parameter, and the schema of its output.

    The name is None if no parameter has that type.

    Raises:
        TypeError: a parameter has no type, or one that cannot come from JSON.
    """
    hints = get_type_hints(function, include_extras=True)
    takes, context_name = [], None
    for name, parameter in inspect.signature(function).parameters.items():
        if hints.get(name) is context:
            context_name = name
        elif name not in hints or parameter.kind not in _PASSED_BY_NAME:
            raise TypeError(f"{function.__name__}: the parameter {name} needs a type and must be passable by name")
        else:
            takes.append(_parameter(function.__name__, parameter, hints[name]))
    return tuple(takes), context_name, schema_of(hints.get("return"))


_PASSED_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def _notes(hint: Any) -> Iterator[Any]:
    """What ``Annotated`` says about a parameter, inside ``Optional`` too."""
    if get_origin(hint) is Annotated:
        yield from hint.__metadata__
        yield from _notes(hint.__origin__)
    elif get_origin(hint) in UNIONS:
        for member in get_args(hint):
            yield from _notes(member)


def _parameter(function: str, parameter: inspect.Parameter, hint: Any) -> FunctionParameter:
    try:
        kind = kind_of(hint)
    except TypeError as error:
        raise TypeError(f"{function}: the parameter {parameter.name} has {error}") from error
    notes = list(_notes(hint))
    required = parameter.default is inspect.Parameter.empty
    schema: dict[str, Any] = {"name": parameter.name, "type": kind.word, "required": required}
    if any(note is Secret or isinstance(note, Secret) for note in notes):
        schema["type"] = "secret"
    if kind.options is not None:
        schema["options"] = kind.options
    if kind.validation:
        schema["validation"] = dict(kind.validation)
    if kind.detailed:
        schema["schema"] = dict(kind.schema)
    if not required and parameter.default is not None:
        schema["default"] = json.loads(json.dumps(parameter.default, default=as_json))
    described = [note for note in notes if isinstance(note, str)]
    return FunctionParameter(parameter.name, kind, schema | ({"description": described[0]} if described else {}))
