"""What goes wrong, as one message on standard error and an exit code.

With ``-o json`` (``jsonl``) the message is a JSON object. No error shows a traceback: an unforeseen one
is one line, too, and ``TOCSIN_DEBUG=1`` raises it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence, Tuple

import click

from tocsin._errors import (
    ApiError,
    ConfigurationError,
    ExecutionFailed,
    StillRunning,
    TocsinError,
)

DONE, ENDED_OTHERWISE, USAGE, MISSING, DENIED, CONFLICT, INVALID, LATE, CANCELLED, UNREACHED = range(10)
#: Ctrl-C, as shells have it
INTERRUPTED = 130
MEANINGS = {
    DONE: "done",
    ENDED_OTHERWISE: "the execution or run ended, and not as completed",
    USAGE: "the command line or its configuration is wrong",
    MISSING: "the resource does not exist",
    DENIED: "the key is not valid, or lacks the permission",
    CONFLICT: "the resource's state does not allow it, or another caller has changed it",
    INVALID: "a value or a file is invalid",
    LATE: "the time limit passed; the execution or run goes on",
    CANCELLED: "the execution or run was cancelled",
    UNREACHED: "the server cannot be reached, or fails",
    INTERRUPTED: "Ctrl-C; the execution or run goes on",
}
_OF_STATUS = {
    400: INVALID,
    401: DENIED,
    403: DENIED,
    404: MISSING,
    409: CONFLICT,
    410: MISSING,
    412: CONFLICT,
    413: INVALID,
    415: INVALID,
    422: INVALID,
}


class Failure(click.ClickException):
    """Something that the command line itself finds wrong."""

    def __init__(self, message: str, code: int = INVALID, word: str = "invalid") -> None:
        super().__init__(message)
        self.code = code
        self.word = word


def reported(error: BaseException, given: Sequence[str]) -> int:
    """Say what went wrong; returns the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else USAGE
    if os.environ.get("TOCSIN_DEBUG") and not isinstance(error, (KeyboardInterrupt, click.Abort, click.ClickException)):
        raise error
    code, facts = _facts(error)
    _write(_json(facts, code) if wants_json(given) else _text(error, facts), code)
    return code


def _write(text: str, code: int) -> None:
    if code == INTERRUPTED and not text:
        return
    try:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
    except OSError:
        return


def wants_json(given: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, also one that is not understood."""
    words = list(given)
    for number, word in enumerate(words):
        value = words[number + 1] if word in ("-o", "--output") and number + 1 < len(words) else ""
        if value in ("json", "jsonl") or word in ("-ojson", "-ojsonl", "--output=json", "--output=jsonl"):
            return True
    return False


def _facts(error: BaseException) -> Tuple[int, Dict[str, Any]]:
    if isinstance(error, ApiError):
        return _of_answer(error)
    if isinstance(error, Failure):
        return error.code, {"code": error.word, "message": error.message}
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED, {"code": "interrupted", "message": "Interrupted."}
    if isinstance(error, click.ClickException):
        return USAGE, {"code": "usage", "message": error.format_message()}
    if isinstance(error, TocsinError):
        return _of_client(error)
    if isinstance(error, OSError) and error.filename is not None:
        return USAGE, {"code": "unreadable", "message": f"{error.filename}: {error.strerror}"}
    message = f"This is a fault of the command line: {type(error).__name__}: {error}; TOCSIN_DEBUG=1 shows where."
    return UNREACHED, {"code": "internal", "message": message}


def _of_answer(error: ApiError) -> Tuple[int, Dict[str, Any]]:
    facts: Dict[str, Any] = {"code": error.code or "error", "message": error.detail, "status": error.status}
    facts["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in error.errors]
    facts.update(request_id=error.request_id or None, retryable=error.retryable, retry_after=error.retry_after)
    return _OF_STATUS.get(error.status, UNREACHED), facts


def _of_client(error: TocsinError) -> Tuple[int, Dict[str, Any]]:
    if isinstance(error, ExecutionFailed):
        code = CANCELLED if error.status == "cancelled" else ENDED_OTHERWISE
        return code, {"code": error.code, "message": str(error), "execution_id": error.execution_id}
    if isinstance(error, StillRunning):
        return LATE, {"code": "still_running", "message": f"{error}.", "execution_id": error.execution_id}
    word, code = ("configuration", USAGE) if isinstance(error, ConfigurationError) else ("unreachable", UNREACHED)
    return code, {"code": word, "message": str(error)}


def _json(facts: Dict[str, Any], code: int) -> str:
    from tocsin.cli.output.formats import as_json

    known = {name: value for name, value in facts.items() if value not in (None, [])}
    return as_json({"error": {**known, "exit_code": code}}) or json.dumps(known)


def _text(error: BaseException, facts: Dict[str, Any]) -> str:
    from tocsin.cli.output.words import safe

    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return ""
    lines: List[str] = [f"Error: {safe(str(facts['message'] or facts['code']))}"]
    faults = [(fault["pointer"] or "/", fault["detail"]) for fault in facts.get("errors", ())]
    new = [f"{pointer}: {detail}" for pointer, detail in faults if f"{pointer}: {detail}" not in lines[0]]
    lines.extend(f"  {safe(one)}" for one in new)
    if facts.get("request_id"):
        lines.append(f"  ({facts['status']} {facts['code']}, request {safe(facts['request_id'])})")
    help_for: Optional[click.Context] = getattr(error, "ctx", None)
    if isinstance(error, click.UsageError) and help_for is not None:
        lines.append(f"{help_for.command_path} --help tells more.")
    return "\n".join(lines)
