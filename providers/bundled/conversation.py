"""The worker's end of the pipes of ``tocsin.actions.runner``.

The watch of the sandbox hands over what the runner has written, and asks what it is to read. A thread makes the calls,
one after the other, so that the watch goes on meanwhile: memory, time and cancels are looked at during a call, too.
Whatever comes out of the sandbox is untrusted: lines are bounded, and what is none of the known messages is logged.
"""

import contextlib
import json
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from tocsin.actions.errors import HttpFailed

from config.types import Json
from providers.base import Abandoned, TimedOut
from providers.sandbox.capture import LineLog
from providers.sandbox.watch import OUTPUT_BYTES

#: bytes of a line that asks for a call; a body of 1 MiB takes more in JSON
_CALL_BYTES = 4 * 1024 * 1024
#: bytes of all lines that ask for calls
_CALLS_BYTES = 64 * 1024 * 1024
#: calls that wait for the one before; the runner asks for one at a time, when it has read the answer before
_WAITING = 1
#: seconds within which a call that is under way is given up at the end
_PATIENCE = 5.0
#: seconds that a function has to end by itself once its execution is cancelled
GRACE = 1.0

Send = Callable[[Any], Json]


class Conversation:
    """What the runner says, and what it is answered."""

    def __init__(self, job: Json, send: Send, log: Callable[[str, str], None]) -> None:
        self.first = json.dumps(job).encode() + b"\n"
        #: the runner's last object: an output, an error or a description
        self.last: Json | None = None
        self.over = False
        self._send = send
        self._log = LineLog(log)
        self._begun = bytearray()
        self._spoken = self._asked = 0
        self._calls: queue.Queue[Any] = queue.Queue(_WAITING)
        self._answers: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        #: whether the answer before is on its way to the runner: one that does not read keeps no answers here
        self._taken = threading.Event()
        self._taken.set()
        self._caller: threading.Thread | None = None
        self._cancelled_at: float | None = None
        self.wakes, self._wake = os.pipe()

    def hear(self, data: bytes) -> bool:
        """Take what the runner has written; False when it is too much."""
        self._begun += data
        lines: list[bytes] = []
        if b"\n" in data:  # else nothing is copied: code may write byte by byte
            *lines, rest = bytes(self._begun).split(b"\n")
            self._begun = bytearray(rest)
        return len(self._begun) <= _CALL_BYTES and all(map(self._take, lines))

    def _take(self, line: bytes) -> bool:
        """Take a line; False when it is too much."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if isinstance(message, dict) and "call" in message:
            return self._ask(message["call"], len(line))
        self._spoken += len(line) + 1  # an empty line is a line
        if self._spoken > OUTPUT_BYTES:
            return False
        if isinstance(message, dict) and {"output", "error", "functions"} & message.keys():
            self.last = message
        elif isinstance(message, dict) and _is_log(message.get("log")):
            self._log(*message["log"])
        else:
            self._log("INFO", line.decode(errors="replace"))
        return True

    def _ask(self, request: Any, size: int) -> bool:
        self._asked += size
        if self._asked > _CALLS_BYTES:
            return False
        if self._caller is None:
            self._caller = threading.Thread(target=self._make_calls, name="bundle-calls", daemon=True)
            self._caller.start()
        try:
            self._calls.put_nowait(request)
        except queue.Full:
            return False
        return True

    def _make_calls(self) -> None:
        while (request := self._calls.get()) is not None and self._in_turn():
            try:
                answer: Json = {"response": self._send(request)}
            except HttpFailed as failed:
                how = {"retryable": failed.retryable, "retry_after": failed.retry_after, "unknown": failed.unknown}
                answer = {"failed": {"code": failed.code, "message": failed.message, **how}}
            except (TimedOut, Abandoned):  # the watch ends the runner for the same reason
                return
            except Exception as error:  # noqa: BLE001 - a call that breaks must not leave the runner waiting
                broke = f"the worker could not make the call ({type(error).__name__})"
                answer = {"failed": {"code": "internal_error", "message": broke}}
            if self.over:
                return
            self._taken.clear()
            self._answers.put(json.dumps(answer).encode() + b"\n")
            with contextlib.suppress(OSError):
                os.write(self._wake, b".")

    def _in_turn(self) -> bool:
        """Wait until the answer before is on its way; whether a call may still be made."""
        self._taken.wait()
        return not self.over

    def cancel(self) -> bool:
        """Tell the runner that the execution is over; whether it has had its time to end by itself."""
        if self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            self._answers.put(b'{"cancelled": true}\n')
            os.write(self._wake, b".")
        return time.monotonic() - self._cancelled_at >= GRACE

    def said(self) -> bytes:
        """What the runner is to read next."""
        os.read(self.wakes, 4096)
        pieces = []
        with contextlib.suppress(queue.Empty):
            while True:
                pieces.append(self._answers.get_nowait())
        self._taken.set()
        return b"".join(pieces)

    def close(self, stderr: bytes) -> None:
        """End it; ``stderr`` is what the runner has written there."""
        self.over = True
        self._taken.set()
        if self._caller is not None:
            with contextlib.suppress(queue.Full):
                self._calls.put_nowait(None)
            self._caller.join(_PATIENCE)
        os.close(self.wakes)
        os.close(self._wake)
        self._log("WARNING", stderr.decode(errors="replace"))
        self._log.close()


def _is_log(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str) for one in value)  # noqa: PLR2004
