"""The texts of a CACAO command: its command, content and headers.

``shown`` joins them for a person.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from playbooks.credentials import is_secret_header, replaced, spans

#: user and password before the host of an address
_USER = re.compile(r"(?<=://)[^/\s\"'<>]*@")
_MASK = "***"


def text_of(command: Mapping[str, Any]) -> str | None:
    """The command's text, None where there is none."""
    text = command.get("command")
    return text if isinstance(text, str) else _decoded(command.get("command_b64"))


def content_of(command: Mapping[str, Any]) -> str | None:
    """The command's content, None where there is none or no text."""
    text = command.get("content")
    return text if isinstance(text, str) else _decoded(command.get("content_b64"))


def headers_of(command: Mapping[str, Any]) -> dict[str, str]:
    """Each header as one line; several values are joined as in HTTP."""
    given = command.get("headers")
    found: dict[str, str] = {}
    for name, values in given.items() if isinstance(given, Mapping) else ():
        lines = [one for one in (values if isinstance(values, list) else [values]) if isinstance(one, str)]
        found[str(name)] = ", ".join(lines)
    return found


def shown(command: Mapping[str, Any]) -> str:
    """The whole command for a person who carries it out.

    Everything that looks like a credential is masked.
    """
    headers = [f"{name}: {_MASK if is_secret_header(name) else value}" for name, value in headers_of(command).items()]
    start = "\n".join(one for one in [text_of(command), *headers] if one)
    full = "\n\n".join(one for one in (start, content_of(command)) if one)
    text = _USER.sub(f"{_MASK}@", full or str(command.get("description", "")) or "the command")
    return replaced(text, [span for span in spans(text) if not text.startswith(("__", _MASK), span[0])])


def _decoded(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=False).decode()
    except (binascii.Error, ValueError):
        return None
