"""Files that people write: YAML or JSON, and where exactly they are wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Optional, Tuple

from tocsin.cli.failures import Failure

_LARGEST = 8 * 1024 * 1024


def text_of(name: str) -> str:
    """The text of a file; ``-`` is standard input."""
    try:
        content = sys.stdin.buffer.read(_LARGEST) if name == "-" else Path(name).read_bytes()
        return content.decode("utf-8-sig")
    except IsADirectoryError:
        raise Failure(f"{name} is a folder, not a file.") from None
    except UnicodeDecodeError as error:
        raise Failure(f"{name}: byte {error.start} is not UTF-8.") from None


def structure_of(name: str) -> Any:
    """What a file holds, as objects and lists.

    Raises:
        Failure: it is neither JSON nor YAML; the message says in which line and column.
    """
    text = text_of(name)
    shown = "standard input" if name == "-" else name
    if name.endswith(".json"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise Failure(f"{shown}:{error.lineno}:{error.colno}: {error.msg}") from None
    import yaml

    try:
        return _plain(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        raise Failure(_marked(shown, error)) from None
    except yaml.YAMLError as error:
        raise Failure(f"{shown}: {' '.join(str(error).split())}") from None
    except (ValueError, RecursionError) as error:
        raise Failure(f"{shown}: {error}") from None


def _marked(shown: str, error: Any) -> str:
    mark = error.problem_mark or error.context_mark
    place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
    context = f", {error.context}" if error.context else ""
    return f"{shown}{place}: {error.problem or error.context}{context if error.problem else ''}"


def _plain(value: Any) -> Any:
    """The value with dates as text and names as text, as JSON has them."""
    if isinstance(value, dict):
        return {name if isinstance(name, str) else _word(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else value.isoformat()


def _word(name: Any) -> str:
    return (
        {True: "true", False: "false", None: "null"}.get(name, str(name))
        if not isinstance(name, int) or isinstance(name, bool)
        else str(name)
    )


def line_of(name: str, pointer: str) -> Optional[Tuple[int, int]]:
    """Line and column of what a JSON pointer means in a YAML or JSON file; None where it is unknown."""
    import yaml

    try:
        node = yaml.compose(Path(name).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    for part in pointer.strip("/").split("/") if pointer.strip("/") else ():
        following = _inner(node, part.replace("~1", "/").replace("~0", "~"))
        if following is None:
            break
        node = following
    return (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else None


def _inner(node: Any, part: str) -> Any:
    if node.id == "sequence" and part.isdigit() and int(part) < len(node.value):
        return node.value[int(part)]
    if node.id == "mapping":
        return next((value for key, value in node.value if getattr(key, "value", None) == part), None)
    return None
