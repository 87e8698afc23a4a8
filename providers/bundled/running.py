"""Runs a function of a bundle in the sandbox.

In order of time: the worker has the bundle's files in memory, verified; they, the runner and the authors' API appear
under ``/job`` in a fresh sandbox without network; the job goes in on standard input, with placeholders in place of
secrets; ``Conversation`` hears what comes out and makes the calls it asks for (``Outgoing``); the last object is the
output or the error.
"""

import dataclasses
import functools
import importlib.util
import io
import marshal
import secrets
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tocsin import actions
from tocsin.actions import ActionError
from tocsin.actions.outputs import output_of
from tocsin.actions.placeholders import placeholder

from config.types import Json
from providers.base import Bundle, Call, ProviderError
from providers.bundled.conversation import Conversation, Send
from providers.bundled.requests import Outgoing
from providers.functions import failure
from providers.sandbox import recipe, sandbox, script
from providers.sandbox.sandbox import FinishedProcess

#: the folders of a bundle that its code may need
CODE = ("actions/", "vendor/")
_FOLDER = "/job/bundle"
_SDK = "/job/sdk.zip"
#: of compiled code: valid whatever its source is
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)
#: what an error of a function may be called; code inside has no say in other codes
_CODES = frozenset(
    {"handler_failed", "bad_parameters", "bad_output", "unknown_handler", "connection_failed", "egress_refused"}
    | {"http_timeout", "http_status", "bad_answer", "response_too_large", "response_unreadable", "invalid_header"}
    | {"tls_verification_failed", "host_not_listed", "secret_missing", "secret_misplaced", "too_many_calls"}
    | {"bad_request"}
)
_LONGEST_PAUSE, _MESSAGE = 86_400, 4096
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def perform(call: Call) -> Json:
    """Run the function and return its output.

    Raises:
        ProviderError: what the function fails with; ``script_limit``, ``sandbox_unavailable``, ``bundle_missing``.
        TimedOut: it took longer than the action allows.
        Abandoned: the execution is no longer ours.
    """
    bundle = present(call)
    call.still_ours()
    nonce = secrets.token_hex(16)
    job = {
        "folder": _FOLDER,
        "handler": call.config["handler"],
        "parameters": dict(call.parameters),
        "context": {
            "execution_id": call.execution_id,
            "target": str(call.context.get("target") or ""),
            "idempotency_key": call.idempotency_key,
            "deadline": time.time() + call.seconds_left,
            "secrets": held(bundle, nonce),
        },
    }
    finished, last = _run(job, bundle.files, lambda asking: Outgoing(asking, bundle, nonce).send, call)
    script.record(call, finished, {"interpreter": "python", "bundle": bundle.name, "handler": call.config["handler"]})
    return output(finished, last, call.shown)


def plan(call: Call) -> Json:
    """What would run, without the values."""
    bundle = present(call)
    return {
        "executor": "local",
        "bundle": bundle.name,
        "version": bundle.version,
        "handler": call.config["handler"],
        "hosts": list(bundle.hosts),
        "secrets": sorted(bundle.declared),
        "parameters": sorted(call.parameters),
        "timeout_seconds": round(call.seconds_left),
    }


def present(call: Call) -> Bundle:
    """The bundle of a call.

    Raises:
        ProviderError: ``bundle_missing``.
    """
    if call.bundle is None:
        raise ProviderError("bundle_missing", f"the bundle {call.config.get('bundle')} is not there")
    return call.bundle


def held(bundle: Bundle, nonce: str) -> dict[str, str]:
    """What the code holds of each secret: a placeholder, or the value where the manifest reveals it."""
    known = {name: placeholder(nonce, name) for name in bundle.declared - bundle.revealed}
    return known | {name: bundle.secrets[name] for name in bundle.revealed & bundle.secrets.keys()}


def describe(files: Mapping[str, bytes], *, timeout: float) -> Json:
    """What the functions of a bundle say of themselves, read in the sandbox: ``functions`` and ``faults``.

    Raises:
        ProviderError: ``script_limit``, ``script_failed``, ``timeout``, ``sandbox_unavailable``: code that is imported
            did not come to an end.
    """

    def refuse(_request: Any) -> Json:
        return {"status": 503, "headers": []}

    call = Call(
        execution_id="",
        idempotency_key="",
        config={},
        parameters={},
        context={},
        expires_at=time.monotonic() + timeout,
        timeout_seconds=timeout,
    )
    finished, last = _run({"folder": _FOLDER, "handler": None}, files, lambda _asking: refuse, call)
    script.raise_for(finished)
    if last is None or not isinstance(last.get("functions"), list) or not isinstance(last.get("faults"), list):
        raise ProviderError("script_failed", "the process ended before its functions were read")
    return last


def _run(
    job: Json, files: Mapping[str, bytes], sending: Callable[[Call], Send], call: Call
) -> tuple[FinishedProcess, Json | None]:
    python, readonly = script.command("python")
    inside = {f"{_FOLDER}/{name}": content for name, content in files.items() if name.startswith(CODE)}
    return converse(
        [*python, "-m", "tocsin.actions.runner"],
        job,
        sending,
        call,
        files={**_authors(), **inside},
        env={"PYTHONPATH": _SDK},
        readonly=readonly,
    )


def converse(
    command: Sequence[str],
    job: Json,
    sending: Callable[[Call], Send],
    call: Call,
    *,
    files: Mapping[str, bytes],
    env: Mapping[str, str],
    readonly: Sequence[Path],
) -> tuple[FinishedProcess, Json | None]:
    """Run a program that speaks as the runner does, to its end; returns its last object, too.

    ``sending`` makes, of a call that is over when the program is, what sends the calls that it asks for.
    """
    ended = [False]
    asking = dataclasses.replace(call, aborted=lambda: ended[0] or call.aborted())
    conversation = Conversation(job, sending(asking), _leveled(call.log))
    stderr = b""
    try:
        finished = sandbox.run(
            command,
            stdin=conversation.first,
            env=env,
            files=files,
            timeout=call.seconds_left,
            aborted=lambda: call.aborted() and conversation.cancel(),
            readonly=readonly,
            conversation=conversation,
        )
        stderr = finished.stderr
    finally:
        ended[0] = True
        conversation.close(stderr)
    return finished, conversation.last


def _leveled(log: Callable[[str, str], None]) -> Callable[[str, str], None]:
    """The log, with the levels that there are."""
    return lambda level, line: log(level if level in _LEVELS else "INFO", line)


@functools.cache
def _authors() -> dict[str, bytes]:
    """The authors' API and the runner, as one archive that Python imports from: each file more would take its time.

    They are compiled once here, for the same version of Python; their sources are there in case it is another.
    """
    package, written = Path(actions.__file__).parent, io.BytesIO()
    sources = {f"tocsin/actions/{path.relative_to(package)}": path.read_bytes() for path in recipe.sources(package)}
    with zipfile.ZipFile(written, "w") as archive:
        for name, source in {"tocsin/__init__.py": b"", **sources}.items():
            code = marshal.dumps(compile(source, f"{_SDK}/{name}", "exec", dont_inherit=True))
            archive.writestr(name, source)
            archive.writestr(f"{name}c", importlib.util.MAGIC_NUMBER + _UNCHECKED + code)
    return {_SDK: written.getvalue()}


def output(finished: FinishedProcess, last: Json | None, shown: Callable[[str], str]) -> Json:
    """The output of a function, or what it has failed with."""
    if finished.ended != "exit" or last is None:
        script.raise_for(finished)
        raise ProviderError("handler_failed", "the function ended the process without returning")
    if "error" in last:
        raise _error(last["error"], shown)
    try:
        return output_of(last.get("output"))
    except ValueError as error:
        raise ProviderError("bad_output", f"what the function returned is not JSON: {error}") from error


def _error(said: Any, shown: Callable[[str], str]) -> ProviderError:
    """The error of a function; code inside may have written anything in its place.

    Secrets are masked before a long message is cut: the beginning of one would not be known for it.
    """
    about = said if isinstance(said, dict) else {}
    after, code, message = about.get("retry_after"), about.get("code"), about.get("message")
    fits = isinstance(after, int | float) and not isinstance(after, bool) and 0 <= after <= _LONGEST_PAUSE
    return failure(
        ActionError(
            code if isinstance(code, str) and code in _CODES else "handler_failed",
            shown(message)[:_MESSAGE] if isinstance(message, str) else "",
            retryable=about.get("retryable") is True,
            retry_after=float(str(after)) if fits else None,
            unknown=about.get("unknown") is True,
        )
    )
