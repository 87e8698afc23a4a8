"""The HTTP request of a CACAO command, as a webhook's config.

The config still has the document's variables. In order of time: ``request`` reads the start line, finds the address and
adds credentials; ``unquoted`` finds the variables that stand in a JSON body as values of their own, outside of quotes.
"""

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from cacao.reading.command_texts import content_of, headers_of, text_of
from cacao.reading.names import TYPES, Names
from config.types import Json
from playbooks.credentials import MASK

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: types of commands that are HTTP requests, those of drafts included
HTTP = frozenset({"http-api", "openc2-http", "openc2-json", "openc2"})
_OPENC2_TYPE = "application/openc2+json;version=1.0"
_START_LINE = re.compile(r"\s*([A-Za-z]{3,7})\s+(\S+)(?:\s+HTTP/?[\d.]*)?\s*")
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
#: a string in JSON, or the rest of an unclosed one
_QUOTED = re.compile(r'"(?>(?:[^"\\]+|\\.)*)(?:"|\\?\Z)', re.DOTALL)


class Unable(Exception):  # noqa: N818
    """A machine cannot carry out the command; the text says why."""


def request(
    kind: str, command: Mapping[str, Any], here: Mapping[str, Any], authentication: Mapping[str, Any], names: Names
) -> Json:
    """The webhook config for a command; ``here`` is its target or agent.

    Raises:
        Unable: the request cannot be sent.
    """
    found = _START_LINE.fullmatch(text_of(command) or "")
    if found is None or found[1].upper() not in METHODS:
        raise Unable("its start line is not 'METHOD target'")
    headers = headers_of(command)
    if kind != "http-api":
        _add(headers, "Content-Type", _OPENC2_TYPE)
    config: Json = {"method": found[1].upper(), "url": _url(found[2], here)}
    content = content_of(command)
    if content is not None and config["method"] != "HEAD":
        if not _is_json(content, names):
            _add(headers, "Content-Type", "text/plain; charset=utf-8")
        config["body_template"] = content
    credentials = _credentials(authentication)
    if credentials:
        _add(headers, "Authorization", credentials)
    if any(MASK in one for one in (config["url"], *headers.values())):
        raise Unable("its credentials were taken out when the document was exported")
    return {**config, "headers": headers} if headers else config


def unquoted(config: Json, names: Names) -> set[str]:
    """The variables that are JSON values of their own in a body.

    There are none where the body is no JSON.

    Raises:
        Unable: the whole body is a text, which may be JSON itself or a string in JSON.
    """
    content, headers = config.get("body_template", ""), config.get("headers", {})
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "application/json")
    kind = kind.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        return set()
    found = set(names.used(_QUOTED.sub('""', content)))
    only = next((name for name in found if content.strip() == f"{name}:value"), None)
    if only is not None and names.type(only) not in TYPES:
        raise Unable("its whole content is a variable, which may be JSON or a text in it")
    return found


def _is_json(content: str, names: Names) -> bool:
    """Whether a content is JSON whatever its variables are.

    A content that is one variable and nothing else counts as text.
    """
    filled = names.replaced(content, lambda _: "0")
    if filled.strip() == "0" != content.strip():
        return False
    try:
        json.loads(filled)
    except (ValueError, RecursionError):
        return False
    return True


def _add(headers: dict[str, str], name: str, value: str) -> None:
    """Add a header unless it exists in any spelling."""
    if all(one.lower() != name.lower() for one in headers):
        headers[name] = value


def _url(target: str, here: Mapping[str, Any]) -> str:
    if _ABSOLUTE.match(target):
        return target
    address = here.get("address")
    for kind in ("url", "dname", "ipv4", "ipv6"):
        values = address.get(kind) if isinstance(address, Mapping) else None
        if isinstance(values, list) and values and isinstance(values[0], str) and values[0]:
            host = f"[{values[0]}]" if kind == "ipv6" and ":" in values[0] else values[0]
            break
    else:
        raise Unable("neither its start line nor its target has an address")
    base = host if _ABSOLUTE.match(host) else f"{_scheme(here)}://{host}"
    port = here.get("port")
    if isinstance(port, str) and port.isdigit() and kind != "url":
        base += f":{port}"
    return f"{base.rstrip('/')}/{target.lstrip('/')}"


def _scheme(target: Mapping[str, Any]) -> str:
    """Https, except for ports that usually serve plain HTTP.

    CACAO has no property for the scheme.
    """
    return "http" if target.get("port") in ("80", "8000", "8080") else "https"


def _credentials(info: Mapping[str, Any]) -> str:
    """The Authorization header for authentication information, "" for none.

    Raises:
        Unable: it refers to a key management system, which Tocsin does not ask.
    """
    if not info:
        return ""
    if info.get("kms") is True:
        raise Unable("its credentials lie in a key management system")
    user, password = info.get("user_id") or info.get("username"), info.get("password")
    if isinstance(user, str) and isinstance(password, str):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = info.get("token")
    return f"Bearer {token}" if isinstance(token, str) else ""
