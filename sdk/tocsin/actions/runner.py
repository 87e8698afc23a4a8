"""Runs a function of a bundle in a process of its own: ``python -m tocsin.actions.runner``.

The process has neither network nor secrets; the process that started it answers its calls. In order of time: one line
of standard input is the job; the files of the folder are imported; with a ``handler`` its function is called, without
one all are described; each ``context.http`` call is a line ``{"call": request}`` on standard output, answered by a line
``{"response"}`` or ``{"failed"}`` on standard input; lines ``{"log": [level, line]}`` come in between; the last line is
``{"output"}``, ``{"error"}`` or ``{"functions", "faults"}``. Standard output belongs to this conversation alone: what
code prints becomes log lines, and what programs write goes to standard error.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import queue
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tocsin.actions.calls import invoke
from tocsin.actions.context import Context
from tocsin.actions.errors import ActionError, HttpFailed
from tocsin.actions.files import Collected, Fault, collect, described
from tocsin.actions.http import Http
from tocsin.actions.placeholders import Secrets
from tocsin.actions.printing import captured


class Conversation:
    """The lines that the runner and its starter exchange."""

    def __init__(self, reading: TextIO, writing: TextIO) -> None:
        self._reading = reading
        self._writing = writing
        self._speaking = threading.Lock()
        self._asking = threading.Lock()
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._cancelled = threading.Event()

    def listen(self) -> None:
        """Read what comes in from now on, in a thread."""
        threading.Thread(target=self._read, daemon=True, name="answers").start()

    def _read(self) -> None:
        for line in self._reading:
            message = json.loads(line)
            if message.get("cancelled"):
                self._cancelled.set()
            else:
                self._answers.put(message)
        self._answers.put({"failed": {"code": "no_http", "message": "the worker has gone"}})

    def say(self, **message: object) -> None:
        """Write a line."""
        text = json.dumps(message, ensure_ascii=True)
        with self._speaking:
            self._writing.write(text + "\n")
            self._writing.flush()

    def log(self, level: str, line: str) -> None:
        """Write a line of the log."""
        self.say(log=[str(level), str(line)])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The response to a call; the transport of ``context.http``."""
        with self._asking:
            self.say(call=request)
            answer = self._answers.get()
        if "failed" in answer:
            raise HttpFailed(**answer["failed"])
        response: dict[str, Any] = answer["response"]
        return response

    def cancelled(self) -> bool:
        """Whether the execution is over."""
        return self._cancelled.is_set()


def main() -> None:
    """Serve one job."""
    writing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what programs and libraries of C write does not belong to the conversation
    reading = os.fdopen(os.dup(0), encoding="utf-8")
    conversation = Conversation(reading, writing)
    job = json.loads(reading.readline())
    conversation.listen()
    with captured(conversation.log):
        last = serve(job, conversation)
    conversation.say(**last)
    os._exit(0)  # threads that the function has left behind do not hold the answer up


def serve(job: Mapping[str, Any], conversation: Conversation) -> dict[str, Any]:
    """The last line of a job."""
    folder = Path(job["folder"])
    if (folder / "vendor").is_dir():
        sys.path.insert(0, str(folder / "vendor"))
    collected = collect(folder / "actions", below="actions/")
    if job.get("handler") is None:
        return _description(collected)
    handler = collected.handlers.get(job["handler"])
    if handler is None:
        reasons = "; ".join(map(str, collected.faults[:3]))
        return _error(
            ActionError("unknown_handler", f"no function {job['handler']} can be loaded; {reasons}".rstrip("; "))
        )
    about = job["context"]
    deadline = about.get("deadline")
    context = Context(
        about["execution_id"],
        about["target"],
        about["idempotency_key"],
        conversation.log,
        None if deadline is None else dt.datetime.fromtimestamp(deadline, dt.timezone.utc),
        Http(conversation.ask),
        Secrets(about.get("secrets", {})),
        conversation.cancelled,
    )
    try:
        return {"output": invoke(handler, job["parameters"], context)}
    except ActionError as error:
        return _error(error)


def _description(collected: Collected) -> dict[str, Any]:
    faults = collected.faults
    functions = []
    for name, handler in collected.handlers.items():
        about = {**described(handler), "handler": name}
        try:
            json.dumps(about, allow_nan=False)
        except (TypeError, ValueError) as error:
            line = handler.function.__code__.co_firstlineno
            faults.append(Fault(Path(handler.function.__code__.co_filename).name, line, f"{name}: {error}"))
        else:
            functions.append({**about, "place": _place(handler.function)})
    return {"functions": functions, "faults": [[fault.file, fault.line, fault.message] for fault in faults]}


def _place(function: Any) -> list[Any]:
    code = function.__code__
    return [f"actions/{Path(code.co_filename).name}", code.co_firstlineno]


def _error(error: ActionError) -> dict[str, Any]:
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "retryable": error.retryable,
            "retry_after": error.retry_after,
            "unknown": error.unknown,
        }
    }


if __name__ == "__main__":
    main()
