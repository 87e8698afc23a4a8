"""The action that carries out a CACAO command, and on which target.

http-api and openc2-http become ``webhook`` actions, bash becomes a sandboxed script, a manual command a question to a
person. Every other type runs the action ``cacao.<type>`` that the workspace has registered. Where there is none, where
a command cannot be read, and where it needs a value that only a person knows or that nothing provides, a person is
asked to carry it out: no command is dropped in silence, and none runs without its values.

The id of an action made here is derived from its content, so that the same command of two playbooks shares one action,
and a changed command gets another.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cacao.model.identity import fingerprint
from cacao.model.texts import templates, texts
from cacao.reading import requests, shell
from cacao.reading.command_texts import content_of, headers_of, shown, text_of
from cacao.reading.names import TYPES, Names, is_template
from cacao.reading.requests import HTTP, Unable
from config.types import Json
from expressions.json_templates import check_json
from expressions.limits import MAX_TEMPLATE_CHARACTERS
from expressions.values import TemplateError

__all__ = ["HTTP", "METHODS", "CommandContext", "Translation", "by_hand", "translate"]

METHODS = requests.METHODS
#: types of commands that run on the agent's machine
_ON_MACHINES = ("bash", "ssh", "powershell")
#: the members of a target or agent that an action receives; all others may be secret
_SHARED = ("type", "name", "description", "address", "port", "category", "sector", "location", "contact")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The way a command is carried out, with its step's members.

    ``action`` is the definition of the action it needs, if the import has to make it; ``asked`` is why a person has to
    do it.
    """

    step: Json
    action: Json | None = None
    asked: str = ""


@dataclass(frozen=True, kw_only=True)
class CommandContext:
    """The context of a command: variables, agent, target, registered actions.

    ``registered``: ``cacao.<type>`` → the names of the action's parameters. ``missing`` says why the target or the
    agent that the step names is unknown.
    """

    names: Names
    agent: Mapping[str, Any]
    target: Mapping[str, Any]
    authentication: Mapping[str, Any] = field(default_factory=dict)
    registered: Mapping[str, frozenset[str]] = field(default_factory=dict)
    missing: str = ""


def translate(command: Mapping[str, Any], context: CommandContext) -> Translation:
    """The way one command is carried out."""
    kind = str(command.get("type", ""))
    if kind == "manual" and "cacao.manual" not in context.registered:
        return Translation(step=_question(text_of(command) or str(command.get("description", "")), context))
    try:
        return _by_a_machine(kind, command, context)
    except Unable as reason:
        return by_hand(command, context, str(reason))


def _by_a_machine(kind: str, command: Mapping[str, Any], context: CommandContext) -> Translation:
    """The way a command is carried out without a person.

    Raises Unable where that is impossible.
    """
    if context.missing:
        raise Unable(context.missing)
    if f"cacao.{kind}" in context.registered:
        return _registered(kind, command, context)
    if kind in HTTP:
        return _webhook(kind, command, context)
    if kind == "bash" and not context.target and not context.agent.get("address"):
        return _script(command, context)
    where = "on another machine, which needs an agent" if kind in _ON_MACHINES else "in no way known here"
    raise Unable(f"a command of type '{kind[:64]}' is carried out {where}")


def by_hand(command: Mapping[str, Any], context: CommandContext, reason: str) -> Translation:
    """A question that shows a person the command with credentials masked.

    ``reason`` is why no machine does it. It also serves for a command whose action was refused.
    """
    on = context.target.get("name") or context.agent.get("name")
    where = f" on {on}" if on else ""
    message = f"Carry this out by hand{where}, then approve:\n{shown(command)}"
    return Translation(step=_question(message, context), asked=reason)


def _registered(kind: str, command: Mapping[str, Any], context: CommandContext) -> Translation:
    """A step for the registered action, with the parameters that it declares."""
    target, agent = _shared(context.target), _shared(context.agent)
    given = {
        "command": text_of(command) or "",
        "content": content_of(command) or "",
        "headers": headers_of(command),
        "target": target,
        "agent": agent,
        "cacao_target": target,  # users' actions may have no parameter called target
        "cacao_agent": agent,
    }
    known = context.registered[f"cacao.{kind}"]
    wanted = {name: value for name, value in given.items() if name in known}
    _used(texts(wanted), context)
    parameters = templates(wanted, lambda text: context.names.template(text, context.names.text))
    if not all(map(is_template, texts(parameters))):
        raise Unable("what its action would get is too large for a template")
    return Translation(step={"type": "action", "action_ref": f"cacao.{kind}", "parameters": parameters})


def _shared(definition: Mapping[str, Any]) -> Json:
    return {name: definition[name] for name in _SHARED if name in definition}


def _used(given: Iterable[str], context: CommandContext) -> list[str]:
    """The variables whose values these texts ask for.

    Raises:
        Unable: an action cannot be given the value of one of them.
    """
    used = context.names.used("\n".join(given))
    for name in used:
        if context.names.only_people_know(name):
            raise Unable("it needs a value that a person returns")
        if not context.names.available(name):
            raise Unable(f"it needs the value of {name[:80]}, which nothing gives")
    return used


def _question(text: str, context: CommandContext) -> Json:
    step: Json = {"type": "approval", "message": context.names.message(text or "Go on?")}
    name = context.agent.get("name")
    if isinstance(name, str) and name.strip() and name.isprintable():
        step["audience"] = [name[:128]]
    return step


def _webhook(kind: str, command: Mapping[str, Any], context: CommandContext) -> Translation:
    names = context.names
    config = requests.request(kind, command, context.target or context.agent, context.authentication, names)
    used = _used([config["url"], config.get("body_template", ""), *config.get("headers", {}).values()], context)
    values = requests.unquoted(config, names)
    renamed = _renamed(config, names)
    if values:
        try:
            check_json(renamed["body_template"])
        except TemplateError:
            raise Unable("a variable in its JSON is no value of its own") from None
    return _made("webhook", "webhook", renamed, used, context, values)


def _renamed(config: Any, names: Names) -> Any:
    """The config with each variable as a parameter of the action."""
    if isinstance(config, dict):
        return {key: _renamed(value, names) for key, value in config.items()}
    return names.template(config, names.native)


def _script(command: Mapping[str, Any], context: CommandContext) -> Translation:
    script, names = text_of(command), context.names
    if not script:
        raise Unable("its command_b64 is no text")
    used = _used([script], context)
    if len({names.native(name).upper() for name in used}) != len(used):
        raise Unable("two of its variables differ in case only")
    if fault := shell.fault(script, names.places(script)):
        raise Unable(fault)
    # if a value is too long for the environment, the question mark ends the script; else the value would be empty
    script = names.replaced(script, lambda name: f"${{PARAM_{names.native(name).upper()}?}}")
    return _made("script", "local", {"interpreter": "bash", "script": script}, used, context)


def _made(
    kind: str, executor: str, config: Json, used: list[str], context: CommandContext, values: Collection[str] = ()
) -> Translation:
    """A step with an action of its own.

    ``values`` are the variables that it gets with their types, not as texts.
    """
    names = context.names
    types = {name: TYPES.get(names.type(name), "string") if name in values else "string" for name in used}
    declared = [{"name": names.native(name), "type": types[name], "required": True} for name in used]
    # the receiver may ignore idempotency keys, so a request that creates or sends something is never repeated
    again = config.get("method") not in ("POST", "PATCH")
    content = {"type": kind, "executor": executor, "config": config, "parameters": declared, "idempotent": again}
    digest = fingerprint(content)[:20]  # keyed: a plain digest would confirm guesses at a password in it
    method = f"{config['method']} " if executor == "webhook" else "bash "
    action = {"id": f"cacao.{kind}.{digest}", "name": f"CACAO {method}{digest[:8]}", "tags": ["cacao"], **content}
    given = {names.native(name): _given(name, types[name], names) for name in used}
    if sum(map(len, texts(given))) > MAX_TEMPLATE_CHARACTERS or not all(map(is_template, texts(given))):
        raise Unable("the values of its variables are too large for a template")
    return Translation(step={"type": "action", "action_ref": action["id"], "parameters": given}, action=action)


def _given(name: str, kind: str, names: Names) -> Any:
    """The value of a variable that a step gives its action."""
    if kind == "string":
        return names.given(name)
    if isinstance(names.value(name), str):
        raise Unable(f"the value of {name[:80]} does not have its type")
    given = names.argument(name)
    is_read_late = kind == "integer" and isinstance(given, str)
    return f"{{{{ {names.read(name, 'none')} | int }}}}" if is_read_late else given
