"""Reads a Python function's parameters as an action's parameter schema.

``str`` is string, ``int`` integer, ``float`` number, ``bool`` boolean, ``Literal`` and ``Enum`` are enum with
``options``, ``list`` is array, ``dict`` object; ``Annotated[str, Secret]`` is secret, a string inside ``Annotated`` is
the description, ``X | None`` is an X that may be left out.
"""

import enum
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from config.types import Json
from providers.base import ProviderError


class Secret:
    """The marker of a secret parameter: ``Annotated[str, Secret]``.

    The function receives the value in clear. It is sealed in the database, and masked in logs, outputs and errors.
    """


_NAMES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
}


#: the attribute of a marked function that holds its ``Handler``
MARK = "__tocsin_action__"


@dataclass(frozen=True)
class FunctionParameter:
    """A parameter of a function: its schema and its Python type."""

    name: str
    kind: type
    schema: Json

    def is_given(self, given: Mapping[str, Any]) -> bool:
        """Whether the call has a value; None counts as left out.

        Raises:
            ProviderError: ``bad_parameters``, it is required and left out.
        """
        if given.get(self.name) is not None:
            return True
        if self.schema["required"]:
            raise ProviderError("bad_parameters", f"the function needs the parameter {self.name}")
        return False

    def value(self, given: Mapping[str, Any]) -> Any:
        """The call's value as the function's type.

        Raises:
            ProviderError: ``bad_parameters``, the value has another type. It is not repeated: it may be secret.
        """
        value = given[self.name]
        if "options" in self.schema:
            if value not in self.schema["options"]:
                raise ProviderError("bad_parameters", f"{self.name}: expected one of {self.schema['options']}")
            return self.kind(value) if issubclass(self.kind, enum.Enum) else value
        fits = isinstance(value, (int, float) if self.kind is float else self.kind)
        if not fits or (isinstance(value, bool) and self.kind is not bool):
            wanted = _NAMES[self.kind]
            raise ProviderError("bad_parameters", f"{self.name}: expected {wanted}, got {type(value).__name__}")
        return value


@dataclass(frozen=True)
class Handler:
    """A function that ``providers.functions.action`` has marked."""

    #: what a definition gives as ``config.handler``
    name: str
    #: the first line of the docstring
    description: str
    function: Callable[..., Any]
    takes: tuple[FunctionParameter, ...]
    #: the parameter that receives the ``Context``, if there is one
    context_name: str | None

    @property
    def parameters(self) -> list[Json]:
        """The parameter schema, as an action declares it."""
        return [parameter.schema for parameter in self.takes]


def read(function: Callable[..., Any], context: type) -> tuple[tuple[FunctionParameter, ...], str | None]:
    """The function's parameters, and the name of its ``context`` parameter.

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
    return tuple(takes), context_name


_PASSED_BY_NAME = {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}


def _parameter(function: str, parameter: inspect.Parameter, hint: Any) -> FunctionParameter:
    hint, notes = (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())
    if get_origin(hint) in (Union, types.UnionType):
        hint = next((one for one in get_args(hint) if one is not types.NoneType), hint)
    required = parameter.default is inspect.Parameter.empty
    schema: Json = {"name": parameter.name, "type": "", "required": required}
    if get_origin(hint) is Literal:
        kind, schema["type"], schema["options"] = object, "enum", list(get_args(hint))
    else:
        kind = get_origin(hint) or hint
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            schema["type"], schema["options"] = "enum", [member.value for member in kind]
        elif kind in _NAMES:
            schema["type"] = _NAMES[kind]
        else:
            raise TypeError(f"{function}: the parameter {parameter.name} has a type that JSON does not: {hint}")
    if any(note is Secret or isinstance(note, Secret) for note in notes):
        schema["type"] = "secret"
    if not required and parameter.default is not None:
        schema["default"] = getattr(parameter.default, "value", parameter.default)
    described = [note for note in notes if isinstance(note, str)]
    return FunctionParameter(parameter.name, kind, schema | ({"description": described[0]} if described else {}))
