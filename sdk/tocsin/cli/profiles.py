"""Writes the file with the profiles: readable by its owner alone, and replaced as a whole."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator

from tocsin._settings import config_file, profiles


def write(known: Dict[str, Any]) -> Path:
    """Replace the file."""
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".config")  # 0600 from its first byte on
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(_lines(known)) + "\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path


def read() -> Dict[str, Any]:
    """The whole file, ready to be changed."""
    known = profiles()
    known.setdefault("profiles", {})
    return known


def _lines(known: Dict[str, Any], prefix: str = "") -> Iterator[str]:
    tables = {name: one for name, one in known.items() if isinstance(one, dict)}
    for name, one in known.items():
        if not isinstance(one, dict):
            yield f"{_name(name)} = {_value(one)}"
    for name, one in tables.items():
        full = prefix + _name(name)
        if any(not isinstance(inner, dict) for inner in one.values()):
            yield f"\n[{full}]"
        yield from _lines(one, f"{full}.")


def _name(name: str) -> str:
    plain = name.replace("-", "").replace("_", "")
    return name if plain.isascii() and plain.isalnum() else json.dumps(name)


def _value(value: Any) -> str:
    if isinstance(value, (str, bool, int, float)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    return str(value.isoformat())
