"""Which action of ours carries out a CACAO command, on which target.

http-api and openc2-http become ``webhook`` actions, bash becomes a sandboxed script, a manual command a question to a
person. Every other type is for an action called ``cacao.<type>`` that the workspace has registered; where there is
none, and where a command cannot be read, a person is asked to do it: no command is passed over in silence.

The id of an action that is made here tells its content, so that the same command of two playbooks shares one, and a
command that changes gets another.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.cacao.identity import fingerprint
from playbooks.cacao.names import Names, is_template

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: types of commands that are HTTP requests, drafts of the standard included
HTTP = frozenset({"http-api", "openc2-http", "openc2-json", "openc2"})
_OPENC2_TYPE = "application/openc2+json;version=1.0"
_START_LINE = re.compile(r"\s*([A-Za-z]{3,7})\s+(\S+)(?:\s+HTTP/?[\d.]*)?\s*")
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Doing:
    """How a command is carried out: ``step`` holds the members of our step.

    ``action`` is the definition of the action it needs, if that has to be made; ``asked`` is why a person has to do it.
    """

    step: Json
    action: Json | None = None
    asked: str = ""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a command stands in: its document's variables, the agent, the target, and what is registered here.

    ``registered``: ``cacao.<type>`` → the names of the parameters that the action takes.
    """

    names: Names
    agent: Mapping[str, Any]
    target: Mapping[str, Any]
    authentication: Mapping[str, Any] = field(default_factory=dict)
    registered: Mapping[str, frozenset[str]] = field(default_factory=dict)


class _Unable(Exception):  # noqa: N818
    """Why a command cannot be carried out by a machine."""


def doing(command: Mapping[str, Any], context: Context) -> Doing:
    """How one command is carried out."""
    kind = str(command.get("type", ""))
    if f"cacao.{kind}" in context.registered:
        return _registered(kind, command, context)
    if kind == "manual":
        return Doing(step=_question(_text(command) or str(command.get("description", "")), context))
    try:
        if kind in HTTP:
            return _webhook(_request(kind, command, context), context)
        if kind == "bash" and not context.target:
            return _script(command, context)
    except _Unable as reason:
        return _by_a_person(command, context, str(reason))
    where = (
        "on another machine, which needs an agent" if kind in ("bash", "ssh", "powershell") else "in no way known here"
    )
    return _by_a_person(command, context, f"a command of type '{kind[:64]}' is carried out {where}")


def _registered(kind: str, command: Mapping[str, Any], context: Context) -> Doing:
    """A step for the action that the workspace has registered; it gets of the command what it declares."""
    template = context.names.template
    given = {
        "command": template(_text(command) or ""),
        "content": template(_content(command) or ""),
        "headers": _templates(_headers(command), template),
        "target": _templates(dict(context.target), template),
        "agent": _templates(dict(context.agent), template),
    }
    known = context.registered[f"cacao.{kind}"]
    parameters = {name: value for name, value in given.items() if name in known}
    if not all(map(is_template, _texts(parameters))):
        return _by_a_person(command, context, "what its action would get is too large for a template")
    return Doing(step={"type": "action", "action_ref": f"cacao.{kind}", "parameters": parameters})


def _templates(value: Any, template: Callable[[str], str]) -> Any:
    """A value of the document with each text in it, keys too, as a template; as deep as a request may be, no deeper."""
    if isinstance(value, dict):
        return {template(key): _templates(one, template) for key, one in value.items()}
    if isinstance(value, list):
        return [_templates(one, template) for one in value]
    return template(value) if isinstance(value, str) else value


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys too."""
    if isinstance(value, str):
        yield value
    for one in (
        [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from _texts(one)


def _by_a_person(command: Mapping[str, Any], context: Context, reason: str) -> Doing:
    what = _text(command) or _content(command) or str(command.get("description", "")) or "the command"
    on = context.target.get("name") or context.agent.get("name")
    where = f" on {on}" if on else ""
    return Doing(step=_question(f"Carry this out by hand{where}, then approve:\n{what}", context), asked=reason)


def _question(text: str, context: Context) -> Json:
    step: Json = {"type": "approval", "message": context.names.message(text or "Go on?")}
    name = context.agent.get("name")
    if isinstance(name, str) and name.strip() and name.isprintable():
        step["approvers"] = [name[:128]]
    return step


def _request(kind: str, command: Mapping[str, Any], context: Context) -> Json:
    """The config of the webhook that a command is."""
    found = _START_LINE.fullmatch(_text(command) or "")
    if found is None or found[1].upper() not in METHODS:
        raise _Unable("its start line is not 'METHOD target'")
    headers = _headers(command)
    if kind != "http-api" and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = _OPENC2_TYPE
    config: Json = {"method": found[1].upper(), "url": _url(found[2], context)}
    content = _content(command)
    if content is not None and config["method"] != "HEAD":
        if not any(name.lower() == "content-type" for name in headers) and not _is_json(content):
            headers["Content-Type"] = "text/plain; charset=utf-8"
        config["body_template"] = content
    credentials = _credentials(context.authentication)
    if credentials and not any(name.lower() == "authorization" for name in headers):
        headers["Authorization"] = credentials
    return {**config, "headers": headers} if headers else config


def _url(target: str, context: Context) -> str:
    if _ABSOLUTE.match(target):
        return target
    here = context.target or context.agent
    address = here.get("address")
    for kind in ("url", "dname", "ipv4", "ipv6"):
        values = address.get(kind) if isinstance(address, Mapping) else None
        if isinstance(values, list) and values and isinstance(values[0], str) and values[0]:
            host = f"[{values[0]}]" if kind == "ipv6" and ":" in values[0] else values[0]
            break
    else:
        raise _Unable("neither its start line nor its target has an address")
    base = host if _ABSOLUTE.match(host) else f"{_scheme(here)}://{host}"
    port = here.get("port")
    if isinstance(port, str) and port.isdigit() and kind != "url":
        base += f":{port}"
    return f"{base.rstrip('/')}/{target.lstrip('/')}"


def _scheme(target: Mapping[str, Any]) -> str:
    """Https unless the port is one that is used in clear: a document has no word for it."""
    return "http" if target.get("port") in ("80", "8000", "8080") else "https"


def _credentials(info: Mapping[str, Any]) -> str:
    """The Authorization header for authentication information; "" for none.

    Raises:
        _Unable: it lies in a key management system, which is not asked.
    """
    if not info:
        return ""
    if info.get("kms") is True:
        raise _Unable("its credentials lie in a key management system")
    user, password = info.get("user_id") or info.get("username"), info.get("password")
    if isinstance(user, str) and isinstance(password, str):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    token = info.get("token")
    return f"Bearer {token}" if isinstance(token, str) else ""


def _webhook(config: Json, context: Context) -> Doing:
    texts = [config["url"], config.get("body_template", ""), *config.get("headers", {}).values()]
    return _made("webhook", "webhook", _renamed(config, context), context.names.used(" ".join(texts)), context)


def _renamed(config: Any, context: Context) -> Any:
    """The config with each variable as a parameter of the action."""
    if isinstance(config, dict):
        return {key: _renamed(value, context) for key, value in config.items()}
    return context.names.template(config, context.names.native)


def _script(command: Mapping[str, Any], context: Context) -> Doing:
    script = _text(command)
    if not script:
        raise _Unable("its command_b64 is no text")
    used = context.names.used(script)
    if len({context.names.native(name).upper() for name in used}) != len(used):
        raise _Unable("two of its variables differ in case only")
    script = context.names.replaced(script, lambda name: f"${{PARAM_{context.names.native(name).upper()}}}")
    return _made("script", "local", {"interpreter": "bash", "script": script}, used, context)


def _made(kind: str, executor: str, config: Json, used: list[str], context: Context) -> Doing:
    declared = [{"name": context.names.native(name), "type": "string", "default": ""} for name in used]
    # who receives it may not know what an idempotency key is, so what adds or sends something is never done twice
    again = config.get("method") not in ("POST", "PATCH")
    content = {"type": kind, "executor": executor, "config": config, "parameters": declared, "idempotent": again}
    digest = fingerprint(content)[:20]  # with a password in it too, which nobody may guess by its name
    method = f"{config['method']} " if executor == "webhook" else "bash "
    action = {"id": f"cacao.{kind}.{digest}", "name": f"CACAO {method}{digest[:8]}", "tags": ["cacao"], **content}
    given = {context.names.native(name): f"{{{{ {context.names.read(name)} | string }}}}" for name in used}
    return Doing(step={"type": "action", "action_ref": action["id"], "parameters": given}, action=action)


def _text(command: Mapping[str, Any]) -> str | None:
    text = command.get("command")
    return text if isinstance(text, str) else _decoded(command.get("command_b64"))


def _content(command: Mapping[str, Any]) -> str | None:
    text = command.get("content")
    return text if isinstance(text, str) else _decoded(command.get("content_b64"))


def _decoded(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=False).decode()
    except (binascii.Error, ValueError):
        return None


def _headers(command: Mapping[str, Any]) -> dict[str, str]:
    """Each header as one line; a list of values is joined as HTTP has it."""
    given = command.get("headers")
    found: dict[str, str] = {}
    for name, values in given.items() if isinstance(given, Mapping) else ():
        lines = [one for one in (values if isinstance(values, list) else [values]) if isinstance(one, str)]
        found[str(name)] = ", ".join(lines)
    return found


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
