"""Tries actions without a server: what ``tocsin actions schema`` and ``tocsin actions test`` do.

In order of time: ``schema`` imports a file and describes its functions; ``attempt`` calls one of them as a worker does.
Its calls to other systems are answered from a recording (``replay``), made and recorded (``record``), made (``live``),
or, with none of the three, refused. With ``sandbox`` the function runs in bubblewrap, as the functions of a bundle do
on a worker. Secrets of a bundle come from ``secrets`` or from the environment, as ``TOCSIN_SECRET_<NAME>``.
"""

from __future__ import annotations

import json
import os
import secrets as random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin.actions.bundles.manifest import FILE, Manifest, parse
from tocsin.actions.calls import invoke
from tocsin.actions.context import Context
from tocsin.actions.errors import ActionError, HttpFailed
from tocsin.actions.files import collect, described
from tocsin.actions.http import Http, Transport
from tocsin.actions.placeholders import Secrets, placeholder
from tocsin.actions.printing import captured
from tocsin.actions.signatures import Handler
from tocsin.actions.trials import isolated, live
from tocsin.actions.trials.recordings import Recording

_DEFAULT_SECONDS = 300
_ENVIRONMENT = "TOCSIN_SECRET_"


class Unusable(Exception):
    """A file cannot be tried; the message says why, with file and line."""


@dataclass
class Trial:
    """How a trial ended."""

    action: str
    #: what the function returned; None where it failed
    output: dict[str, Any] | None = None
    error: ActionError | None = None
    #: level and text of each line
    log: list[tuple[str, str]] = field(default_factory=list)
    #: the calls it asked for, secrets masked
    calls: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A function to try, with its bundle, if its file is part of one."""

    file: Path
    handler: Handler
    manifest: Manifest | None


def schema(path: str | Path) -> list[dict[str, Any]]:
    """What the catalogue learns of each function of a file.

    Raises:
        Unusable: the file is missing, fails to load, or has no action.
    """
    return [described(handler) for handler in _handlers(Path(path)).values()]


def find(where: str | Path) -> Subject:
    """The function that ``FILE`` or ``FILE::NAME`` names; a file with one action needs no name.

    Raises:
        Unusable: there is none, or more than one.
    """
    file, _, name = str(where).partition("::")
    path = Path(file)
    handlers = _handlers(path)
    there_are = ", ".join(handlers)
    if not name and len(handlers) > 1:
        raise Unusable(f"{path} has several actions, name one as {path}::NAME: {there_are}")
    found = handlers.get(name) if name else next(iter(handlers.values()))
    if found is None:
        raise Unusable(f"{path} has no action {name}; there are {there_are}")
    return Subject(path, found, manifest_of(path))


def _handlers(path: Path) -> dict[str, Handler]:
    if not path.is_file():
        raise Unusable(f"{path}: there is no such file")
    collected = collect(path.resolve().parent, [path.name], below=f"{path.parent}/" if str(path.parent) != "." else "")
    if collected.faults:
        raise Unusable("\n".join(map(str, collected.faults)))
    if not collected.handlers:
        raise Unusable(f"{path} has no action: mark a function with @action()")
    return collected.handlers


def manifest_of(path: Path) -> Manifest | None:
    """The manifest of the bundle that a file of actions belongs to, or None.

    Raises:
        Unusable: it has faults.
    """
    file = path.resolve().parent.parent / FILE
    if path.resolve().parent.name != "actions" or not file.is_file():
        return None
    manifest, faults = parse(file.read_bytes())
    if manifest is None:
        raise Unusable("\n".join(map(str, faults)))
    return manifest


def values_of(handler: Handler, words: list[str]) -> dict[str, Any]:
    """Parameters from a command line.

    Args:
        handler: the function, whose types say how a value is read.
        words: each ``name=value``, ``name:=json``, or ``name=@file``.

    Raises:
        ValueError: a word has another form, names no parameter, or does not fit its type.
    """
    declared = {parameter.name: parameter.schema for parameter in handler.takes}
    values = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise ValueError(f"{word}: give parameters as name=value")
        literal = name.endswith(":")
        name = name.rstrip(":")
        if name not in declared:
            raise ValueError(f"{name} is no parameter of {handler.name}; there are {', '.join(declared) or 'none'}")
        if text.startswith("@") and not literal:
            text = Path(text[1:]).read_text(encoding="utf-8")
        values[name] = _value(name, text, "json" if literal else declared[name]["type"])
    return values


def _value(name: str, text: str, kind: str) -> Any:
    if kind in ("string", "secret"):
        return text
    try:
        return json.loads(text)
    except ValueError:
        if kind == "enum":
            return text
        raise ValueError(f"{name}: {text[:80]!r} is not JSON of the type {kind}") from None


def attempt(
    subject: Subject,
    parameters: Mapping[str, Any],
    *,
    is_live: bool = False,
    record: Path | None = None,
    replay: Path | None = None,
    sandbox: bool = False,
    target: str = "",
    secrets: Mapping[str, str] | None = None,
) -> Trial:
    """Call a function as a worker does.

    Args:
        subject: the function, from ``find``.
        parameters: values by name.
        is_live: make its calls.
        record: make its calls and write them to this file.
        replay: answer its calls from this file.
        sandbox: run it in bubblewrap.
        target: what ``context.target`` is.
        secrets: values of the bundle's secrets.

    Raises:
        Unusable: a recording is missing or broken, or there is no sandbox on this machine.
    """
    given = dict(secrets or {})
    masked = [*secret_values(subject, parameters), *given.values(), *environment_secrets(subject).values()]
    recording = open_recording(record or replay, masked, must_exist=replay is not None and record is None)
    trial = Trial(subject.handler.name)
    nonce = random.token_hex(16)

    if is_live or record is not None:
        transport = live_transport(subject, nonce, given, f"try-{nonce[:12]}")
        transport = recording.recording(transport)
    elif replay is not None:
        transport = recording.replaying(f"record it with --record {replay}")
    else:
        transport = recording.replaying("make it with --live, or record it with --record FILE")
    began = time.monotonic()
    try:
        trial.output = run(subject, parameters, transport, nonce, trial.log, target=target, sandbox=sandbox)
    except ActionError as error:
        trial.error = error
    trial.seconds = time.monotonic() - began
    trial.calls = recording.asked
    if record is not None:
        recording.save()
    return trial


def open_recording(path: Path | None, masked: list[str], *, must_exist: bool) -> Recording:
    """The recording of a file.

    Raises:
        Unusable: it is missing or broken.
    """
    if must_exist and path is not None and not path.is_file():
        raise Unusable(f"{path}: there is no such recording; make it with --record {path}")
    try:
        return Recording(path, masked)
    except ValueError as error:
        raise Unusable(str(error)) from error


def live_transport(subject: Subject, nonce: str, secrets: Mapping[str, str], key: str) -> Transport:
    """The transport that makes the calls of a function, with the secrets and to the hosts of its bundle."""
    known = {**environment_secrets(subject), **secrets}

    def value_of(name: str) -> str:
        if name not in known:
            raise HttpFailed("secret_missing", f"the secret {name} has no value: set {_ENVIRONMENT}{name}")
        return known[name]

    hosts = None if subject.manifest is None else subject.manifest.hosts
    return live.transport(key, hosts, nonce, value_of)


def run(
    subject: Subject,
    parameters: Mapping[str, Any],
    transport: Transport,
    nonce: str,
    log: list[tuple[str, str]],
    *,
    target: str = "",
    sandbox: bool = False,
) -> dict[str, Any]:
    """The output of a function whose calls a transport carries out.

    Raises:
        ActionError: it did not complete.
        Unusable: there is no sandbox on this machine.
    """
    seconds = subject.handler.wishes.get("timeout_seconds", _DEFAULT_SECONDS)
    about: dict[str, Any] = {"execution_id": "exec-trial", "target": target, "idempotency_key": f"try-{nonce[:12]}"}
    known = _held(subject, nonce)
    if sandbox:
        try:
            return isolated.run(
                subject.file, subject.handler.name, parameters, {**about, "secrets": known}, transport, log, seconds
            )
        except isolated.Unavailable as error:
            raise Unusable(str(error)) from error
    context = Context(
        **about, sink=lambda level, line: log.append((level, line)), http=Http(transport), secrets=Secrets(known)
    )
    with captured(context.sink):
        return invoke(subject.handler, parameters, context)


def _held(subject: Subject, nonce: str) -> dict[str, str]:
    """What the code holds of each secret: a placeholder, or the value where the manifest reveals it."""
    if subject.manifest is None:
        return {}
    values = environment_secrets(subject)
    return {
        name: values.get(name, f"value-of-{name}") if rule.reveal else placeholder(nonce, name)
        for name, rule in subject.manifest.secrets.items()
    }


def environment_secrets(subject: Subject) -> dict[str, str]:
    """The values that the environment has of the bundle's secrets."""
    names = () if subject.manifest is None else subject.manifest.secrets
    return {name: os.environ[_ENVIRONMENT + name] for name in names if _ENVIRONMENT + name in os.environ}


def secret_values(subject: Subject, parameters: Mapping[str, Any]) -> list[str]:
    """The values of the secret parameters."""
    names = [one.name for one in subject.handler.takes if one.schema["type"] == "secret"]
    return [parameters[name] for name in names if isinstance(parameters.get(name), str)]
