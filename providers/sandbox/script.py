"""Scripts of executor ``local``, run in the sandbox without network.

In order of time: the text (bash or Python) stays as it is (it is no template, so nothing that an attacker controls
can become code); the parameters go in as one JSON object on standard input and as ``PARAM_<NAME>`` variables,
never as arguments; after the checkpoint the sandbox runs it and gives up when the execution is no longer
ours; the last line of standard output that is JSON is the output, all other lines become log lines. A script
has no outward effect, so the modes ``live`` and ``sandbox`` run it alike.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.actions.outputs import output_in

from config.errors import Problem
from config.types import Json
from playbooks.states import Mode
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.sandbox import recipe, sandbox
from providers.sandbox.capture import LineLog, shorten

SCRIPT_BYTES = 64 * 1024
_VARIABLE_BYTES = 32 * 1024  # the kernel refuses a program whose one variable is over 128 KiB
_ENVIRONMENT_BYTES = 256 * 1024
_INTERPRETERS = ("bash", "python")


def check(config: Mapping[str, Any]) -> list[Problem]:
    """Every fault of ``{interpreter, script}``."""
    problems = []
    if config.get("interpreter") not in _INTERPRETERS:
        problems.append(Problem("/interpreter", "must be bash or python"))
    script = config.get("script")
    if not isinstance(script, str) or not script.strip():
        problems.append(Problem("/script", "must be the text of the script"))
    elif "\0" in script or len(script.encode(errors="replace")) > SCRIPT_BYTES:
        problems.append(Problem("/script", f"must be text of at most {SCRIPT_BYTES} bytes without NUL characters"))
    return problems


def plan(call: Call) -> Json:
    """What would run, without the text and the values."""
    return {
        "executor": "local",
        "interpreter": call.config["interpreter"],
        "script_bytes": len(call.config["script"].encode()),
        "parameters": sorted(call.parameters),
        "timeout_seconds": round(call.seconds_left),
    }


def perform(call: Call) -> Json:
    """Run the script and return its output.

    Raises:
        ProviderError: ``script_failed`` (with ``details.exit_code`` and ``details.stderr``, its last line),
            ``script_limit``, ``sandbox_unavailable``.
        TimedOut: it took longer than the action allows.
        Abandoned: the execution is no longer ours.
    """
    interpreter = call.config["interpreter"]
    argv, readonly = command(interpreter)
    call.checkpoint()
    finished = sandbox.run(
        [*argv, "/job/script"],
        stdin=json.dumps(dict(call.parameters)).encode(),
        env=environment(call),
        files={"/job/script": call.config["script"].encode()},
        timeout=call.seconds_left,
        aborted=call.aborted,
        readonly=readonly,
    )
    record(call, finished, {"interpreter": interpreter})
    output, lines = _output(_text(finished.stdout))
    log = LineLog(call.log)
    for line in lines:
        log("INFO", line)
    log("WARNING", _text(finished.stderr))
    log.close()
    raise_for(finished)
    return output


def command(interpreter: str) -> tuple[list[str], list[Path]]:
    """The command that starts the interpreter, and its visible folders.

    Raises:
        ProviderError: ``sandbox_unavailable``, the machine does not have it.
    """
    if interpreter == "bash":
        return ["/bin/bash", "--noprofile", "--norc"], []
    python, readonly = recipe.python()
    return [python, "-B", "-s"], readonly


def environment(call: Call) -> dict[str, str]:
    """The environment: parameters as variables, and the execution's data.

    Strings stay as they are, others are JSON. A value that is too large for a variable, or holds a NUL, is only on
    standard input.
    """
    env = {
        "TOCSIN_EXECUTION_ID": call.execution_id,
        "TOCSIN_IDEMPOTENCY_KEY": call.idempotency_key,
        "TOCSIN_TARGET": str(call.context.get("target") or ""),
    }
    room = _ENVIRONMENT_BYTES
    for name, value in call.parameters.items():
        text = value if isinstance(value, str) else json.dumps(value)
        size = len(text.encode(errors="replace"))
        room -= size
        if "\0" not in text and size <= _VARIABLE_BYTES and room >= 0:
            env["PARAM_" + re.sub(r"[^A-Z0-9_]", "_", name.upper())] = text
    return env


def record(call: Call, finished: sandbox.FinishedProcess, what: Json) -> None:
    """Add what ran to a sandboxed execution's report."""
    if call.mode == Mode.SANDBOX:
        seconds = round(finished.seconds, 3)
        call.report.commands_executed.append({**what, "exit_code": finished.exit_code, "seconds": seconds})


def raise_for(finished: sandbox.FinishedProcess) -> None:
    """Turn every end but a clean exit into its error."""
    details: Json = {"exit_code": finished.exit_code}
    if last := _last_line(_text(finished.stderr)):
        details["stderr"] = last
    if finished.ended == "timeout":
        raise TimedOut
    if finished.ended == "aborted":
        raise Abandoned("the script was stopped because its execution is over")
    if finished.ended == "memory":
        raise ProviderError("script_limit", "the script used more memory or files than allowed", details=details)
    if finished.ended == "output":
        raise ProviderError("script_limit", "the script wrote more than 256 KiB", details=details)
    if finished.ended == "killed":
        raise ProviderError("script_limit", "the script was killed: a limit, or from outside", details=details)
    if finished.exit_code != 0:
        raise ProviderError("script_failed", f"the script ended with exit code {finished.exit_code}", details=details)


def _last_line(text: str) -> str:
    """The last line that says anything: usually the reason of a failure."""
    lines = [line for line in text.splitlines() if line.strip()]
    return shorten(lines[-1].strip()) if lines else ""


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _output(stdout: str) -> tuple[Json, list[str]]:
    """The output, and the lines that are not part of it."""
    lines = stdout.splitlines()
    for at in range(len(lines) - 1, -1, -1):
        output = output_in(lines[at])
        if output is not None:
            return output, lines[:at] + lines[at + 1 :]
    return {}, lines
