"""Answers of the server as objects: attributes with types over the JSON as it was received.

In order of time: ``Model(data)`` keeps the parsed JSON and looks at nothing; reading an attribute decodes that member
by its annotation, once (nested models, times with their zone); a member that the class knows and the answer lacks
reads as None. Nothing is validated, so a newer server breaks no older client: what a class does not know is read as
``item["name"]`` and is in ``to_dict()``. The classes, all annotations, are generated (``tocsin/models.py``).
"""

from __future__ import annotations

import copy
import re
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple, Type, TypeVar, Union

if TYPE_CHECKING:
    from typing_extensions import dataclass_transform  # checkers bring it along
else:

    def dataclass_transform(**_: bool) -> Any:
        """Say nothing when running."""
        return lambda cls: cls


_FRACTION = re.compile(r"\.(\d+)")
Decoder = Callable[[Any], Any]
#: class → what ``_decoders`` has worked out
_KNOWN: Dict[type, Dict[str, Optional[Decoder]]] = {}
Some = TypeVar("Some", bound="Model")


@dataclass_transform(frozen_default=True)
class Model:  # noqa: PLW1641 - what it holds can be changed by who has it
    """An object of an answer: read-only, equal to another with the same content."""

    __slots__ = ("_data", "_read", "etag")
    _data: Dict[str, Any]
    _read: Dict[str, Any]
    #: what the server calls this state of the thing, for ``if_match``; empty where it does not say
    etag: str

    def __init__(self, data: Mapping[str, Any], etag: str = "") -> None:
        object.__setattr__(self, "_data", dict(data))
        object.__setattr__(self, "_read", {})
        object.__setattr__(self, "etag", etag)

    if not TYPE_CHECKING:  # checkers know the annotations, and that nothing is set

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            decoders = _decoders(type(self))
            if name not in decoders:
                raise AttributeError(self._no_member(name))
            if name not in self._read:
                value, decode = self._data.get(_member(name)), decoders[name]
                self._read[name] = value if decode is None or value is None else decode(value)
            return self._read[name]

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(f"{type(self).__name__} is read-only; {name!r} cannot be set")

        def __delattr__(self, name: str) -> None:
            raise AttributeError(f"{type(self).__name__} is read-only; {name!r} cannot be deleted")

    def _no_member(self, name: str) -> str:
        if name in self._data:
            return f"{type(self).__name__} does not know {name!r}, which this answer has: read it as [{name!r}]"
        return f"{type(self).__name__} has no {name!r}; this answer has: {', '.join(self._data) or 'nothing'}"

    def __getitem__(self, name: str) -> Any:
        """The member as JSON, also one that this release does not know."""
        return self._data[name]

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __dir__(self) -> List[str]:
        return [*super().__dir__(), *_decoders(type(self))]

    @classmethod
    def from_dict(cls: Type[Some], data: Mapping[str, Any]) -> Some:
        """An answer made of a JSON object, as tests want it."""
        return decode(cls, data)

    def to_dict(self) -> Dict[str, Any]:
        """A copy of the whole JSON object, as the server sent it."""
        return copy.deepcopy(self._data)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._data == other._data

    def __reduce__(self) -> Any:
        return type(self), (self._data, self.etag)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self._data.items() if value not in (None, [], {}))
        return f"{type(self).__name__}({shown[:200] + '…' if len(shown) > 200 else shown})"


def decode(into: Type[Some], data: Any, etag: str = "") -> Some:
    """The object of an answer as a model; what is no object keeps its value under ``value``."""
    return into(data if isinstance(data, Mapping) else {} if data is None else {"value": data}, etag)


def moment(text: Any) -> Any:
    """A time as the server writes it, with its zone; what is no time stays as it is."""
    if not isinstance(text, str):
        return text
    # Python before 3.11 reads neither Z nor fractions of other than three or six digits
    plain = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text.replace("Z", "+00:00"), count=1)
    try:
        read = datetime.fromisoformat(plain)
    except ValueError:
        return text
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _member(attribute: str) -> str:
    return attribute.removesuffix("_")


def _decoders(cls: Type[Model]) -> Dict[str, Optional[Decoder]]:
    """Attribute → how its value is decoded, None where it is shown as it is; worked out when first read."""
    if cls in _KNOWN:
        return _KNOWN[cls]
    found: Dict[str, Optional[Decoder]] = {}
    for base in reversed(cls.__mro__):
        names = vars(sys.modules[base.__module__])
        if issubclass(base, Model) and base is not Model:
            for name, kind in base.__dict__.get("__annotations__", {}).items():
                found[name] = _decoder(eval(kind, dict(names)) if isinstance(kind, str) else kind)  # noqa: S307 - ours
    _KNOWN[cls] = found
    return found


def _by_type(several: List[Type[Model]]) -> Decoder:
    """Of several classes the one whose ``type`` has the object's word; without one the object stays as it is."""
    words: Dict[Any, Type[Model]] = {}
    for one in several:
        names = vars(sys.modules[one.__module__])
        kind = eval(one.__annotations__.get("type", "None"), dict(names))  # noqa: S307 - ours
        words.update(dict.fromkeys(getattr(kind, "__args__", ()), one))

    def decoded(value: Any) -> Any:
        found = words.get(value.get("type")) if isinstance(value, dict) else None
        return value if found is None else found(value)

    return decoded


def _decoder(kind: Any) -> Optional[Decoder]:
    if isinstance(kind, type) and issubclass(kind, Model):
        return lambda value: kind(value) if isinstance(value, dict) else value
    if kind is datetime:
        return moment
    origin = getattr(kind, "__origin__", None)
    arguments: Tuple[Any, ...] = getattr(kind, "__args__", ())
    if origin is Union:
        several = [one for one in arguments if isinstance(one, type) and issubclass(one, Model)]
        if len(several) > 1:
            return _by_type(several)
        return next((one for one in map(_decoder, arguments) if one is not None), None)
    inner = _decoder(arguments[-1]) if origin in (list, dict) else None
    if inner is None:
        return None
    if origin is list:
        return lambda value: [inner(one) for one in value] if isinstance(value, list) else value
    return lambda value: {name: inner(one) for name, one in value.items()} if isinstance(value, dict) else value
