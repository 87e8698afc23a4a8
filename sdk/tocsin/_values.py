"""Values on their way to the server: paths, queries, bodies, definitions."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple, TypeVar, Union
from urllib.parse import quote

from tocsin._errors import ConfigurationError
from tocsin._model import Model

Some = TypeVar("Some")
#: one of something, or several
Many = Union[Some, Sequence[Some]]
#: a moment; a ``timedelta`` means so long ago, a text is sent as it is
When = Union[datetime, timedelta, str]
#: the definition of an action or a playbook: a dict, text in YAML or JSON, or the path of a file with either
Definition = Union[Mapping[str, Any], Model, str, "os.PathLike[str]"]

_HEADER = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")

YAML = "application/yaml"
JSON = "application/json"


def path_of(template: str, values: Mapping[str, Any]) -> str:
    """The path of an operation with its values."""
    for name, value in values.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} is a text that is not empty, not {value!r}")
        if value in (".", ".."):
            raise ValueError(f"{value!r} is no {name}")
        template = template.replace("{" + name + "}", quote(value, safe=""))
    return template


def query_of(values: Mapping[str, Any]) -> Dict[str, str]:
    """The query of an operation; what is None is left out."""
    return {name: _word(value) for name, value in values.items() if value is not None}


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime, timedelta)):
        return moment_of(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(_word(one) for one in value)
    return str(value)


def moment_of(value: Union[datetime, timedelta]) -> str:
    """A moment as the server reads it."""
    if isinstance(value, timedelta):
        value = datetime.now(timezone.utc) - value
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone; datetime.now(timezone.utc) has one")
    return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def headers_of(values: Mapping[str, str]) -> Dict[str, str]:
    """The headers of a request.

    Raises:
        ValueError: one cannot be sent; nothing was.
    """
    for name, value in values.items():
        if not _HEADER.fullmatch(value):
            raise ValueError(f"{name} is plain ASCII in one line without spaces around it")
    return dict(values)


def body_of(values: Mapping[str, Any]) -> Dict[str, Any]:
    """A body of these members; what is None is left out."""
    return {name: value for name, value in values.items() if value is not None}


def encoded(body: Any) -> bytes:
    """A body: bytes and text as they are, anything else as JSON."""
    if isinstance(body, (bytes, str)):
        return body if isinstance(body, bytes) else body.encode()
    return json.dumps(body, default=_plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, (datetime, timedelta)):
        return moment_of(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def definition(given: Definition) -> Tuple[Any, str]:
    """A definition as it is sent, and its kind: an object as JSON, or text as YAML (of which JSON is a part)."""
    if isinstance(given, Model):
        return given.to_dict(), JSON
    if isinstance(given, Mapping):
        return dict(given), JSON
    if isinstance(given, os.PathLike) or _is_path(given):
        path = Path(given)
        text = path.read_text(encoding="utf-8")
        return (json.loads(text), JSON) if path.suffix == ".json" else (text, YAML)
    return given, YAML


def _is_path(text: str) -> bool:
    return "\n" not in text and text.endswith((".yaml", ".yml", ".json"))


def parsed(given: Definition) -> Dict[str, Any]:
    """A definition as an object, which for YAML takes PyYAML.

    Raises:
        ConfigurationError: it is YAML, and PyYAML is not installed.
    """
    found, kind = definition(given)
    if kind == YAML:
        try:
            import yaml
        except ModuleNotFoundError:
            raise ConfigurationError("Reading YAML here takes PyYAML: pip install 'tocsin[cli]'") from None
        found = yaml.safe_load(found)
    if not isinstance(found, dict):
        raise TypeError("A definition is an object with members.")
    return found


def names_of(given: Definition) -> Tuple[Optional[str], Optional[str]]:
    """The id and the name in a definition."""
    known = parsed(given)
    return known.get("id"), known.get("name")
