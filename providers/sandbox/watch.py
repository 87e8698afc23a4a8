"""Watches one running sandbox until it has ended.

The launcher (bubblewrap) says on its status pipe which process is pid 1 of the sandbox; input is written and output is
read without ever blocking; every 50 ms the watch checks the processes' memory, the files they made, the clock and the
caller's ``aborted``. To stop a sandbox its pid 1 is killed: the kernel then ends every process inside, and the launcher
ends by itself. Nothing returns from here, not even an exception from outside, before the launcher and everything inside
are gone and off the process table.
"""

import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from providers.base import ProviderError
from providers.sandbox.launchers import insist, wait
from providers.sandbox.processes import Processes

Ended = Literal["exit", "timeout", "aborted", "output", "memory", "killed"]

OUTPUT_BYTES = 256 * 1024  # kept of each of stdout and stderr; more ends the sandbox
_TICK = 0.05
_SHARE = 10  # checks take at most a tenth of the watch's time, however much there is to check
_PATIENCE = 5.0  # for a killed launcher; past it the launcher itself is killed


@dataclass(frozen=True)
class FinishedProcess:
    """The end of a sandboxed program.

    ``ended`` is "exit" when it ended by itself, else what stopped it.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    ended: Ended
    seconds: float


class Conversation(Protocol):
    """A program's other end: what it writes is heard as it comes, and may be answered."""

    #: a descriptor that can be read when there is something to say
    wakes: int

    def hear(self, data: bytes) -> bool:
        """Take what the program has written to its standard output; False ends it, because it is too much."""

    def said(self) -> bytes:
        """What the program is to read next on its standard input."""


class _Pipes:
    """The sandbox's input, and its outputs: stdout, stderr, launcher status."""

    def __init__(
        self, process: subprocess.Popen[bytes], status: int, stdin: bytes, conversation: Conversation | None
    ) -> None:
        self._conversation = conversation
        self._deaf = False
        self.kept = {"stdout": bytearray(), "stderr": bytearray(), "status": bytearray()}
        self.overflow = False
        self._stdin = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for fd, name in ((process.stdout.fileno(), "stdout"), (process.stderr.fileno(), "stderr"), (status, "status")):
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ, name)
        self._input = process.stdin
        os.set_blocking(self._input.fileno(), False)
        self._selector.register(self._input.fileno(), selectors.EVENT_WRITE, "stdin")
        if conversation is not None:
            self._selector.register(conversation.wakes, selectors.EVENT_READ, "wakes")

    @property
    def open(self) -> bool:
        """Whether the launcher still holds an output.

        It closes the last one by ending.
        """
        return any(key.data not in {"stdin", "wakes"} for key in self._selector.get_map().values())

    def move(self, seconds: float) -> None:
        """Read and write what is ready, after waiting at most ``seconds``."""
        for key, _ in self._selector.select(seconds):
            if key.data == "stdin":
                self._feed(key.fd)
            elif key.data == "wakes":
                self._listen()
            else:
                self._take(key.fd, key.data)

    def _feed(self, fd: int) -> None:
        try:
            self._stdin = self._stdin[os.write(fd, self._stdin[:65536]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # a program need not read its input
            self._stdin = self._stdin[:0]
        if not self._stdin:
            self._selector.unregister(fd)
            if self._conversation is None:
                self._input.close()
            elif self._deaf:
                self._selector.register(self._conversation.wakes, selectors.EVENT_READ, "wakes")
                self._deaf = False

    def _listen(self) -> None:
        """Take what the other end says as the program's input, once the program has read what came before.

        Else a program that never reads would have everything kept for it here.
        """
        assert self._conversation is not None
        if self._stdin:
            self._selector.unregister(self._conversation.wakes)
            self._deaf = True
            return
        self._stdin = memoryview(self._conversation.said())
        if self._stdin:
            self._selector.register(self._input.fileno(), selectors.EVENT_WRITE, "stdin")

    def _take(self, fd: int, name: str) -> None:
        chunk = os.read(fd, 65536)
        if not chunk:
            self._selector.unregister(fd)
            return
        if name == "stdout" and self._conversation is not None:
            self.overflow |= not self._conversation.hear(chunk)
            return
        kept = self.kept[name]
        self.overflow |= len(kept) + len(chunk) > OUTPUT_BYTES
        kept += chunk[: OUTPUT_BYTES - len(kept)]

    def close(self) -> None:
        """Forget the pipes; the process object closes its own."""
        self._selector.close()


def watch(
    process: subprocess.Popen[bytes],
    inside: Processes,
    status: int,
    *,
    stdin: bytes,
    timeout: float,
    aborted: Callable[[], bool],
    conversation: Conversation | None = None,
) -> FinishedProcess:
    """Stay with a started launcher to its end.

    ``status`` is the reading end of its ``--json-status-fd``, ``timeout`` is in seconds. With a ``conversation`` the
    program's input stays open, and its output is heard instead of kept.

    Raises:
        ProviderError: ``sandbox_unavailable``, the launcher could not start the program.
    """
    started = look = time.monotonic()
    pipes = _Pipes(process, status, stdin, conversation)
    ended: Ended | None = None
    try:
        while pipes.open:
            pipes.move(_TICK)
            inside.learn(bytes(pipes.kept["status"]))
            if pipes.overflow:
                ended = "output"
                break
            if inside.over():
                break
            if time.monotonic() < look:  # a program that writes byte by byte must not cause a check each time
                continue
            began = time.monotonic()
            if aborted():
                ended = "aborted"
            elif time.monotonic() - started >= timeout:
                ended = "timeout"
            elif inside.exceeded():
                ended = "memory"
            if ended is not None:
                break
            look = time.monotonic() + max(_TICK, _SHARE * (time.monotonic() - began))
    finally:
        insist(lambda: _stop(process, pipes, inside))
        pipes.close()
        if ended is None and inside.out_of_memory():
            ended = "memory"
        inside.close()
    seconds = time.monotonic() - started
    return _finished(process.returncode, pipes.kept, "output" if pipes.overflow else ended, seconds)


def _stop(process: subprocess.Popen[bytes], pipes: _Pipes, inside: Processes) -> None:
    """End everything of the sandbox, and read its last output."""
    asked = time.monotonic()
    while pipes.open:
        inside.learn(bytes(pipes.kept["status"]))
        inside.kill(launcher=time.monotonic() - asked > _PATIENCE)
        pipes.move(_TICK)
    wait(process)
    inside.learn(bytes(pipes.kept["status"]))
    inside.reap()


def _finished(code: int, kept: dict[str, bytearray], ended: Ended | None, seconds: float) -> FinishedProcess:
    codes = [int(code) for code in re.findall(rb'"exit-code": (\d+)\D', kept["status"])]
    if ended is None and not codes and kept["stderr"].startswith(b"bwrap:"):
        reason = bytes(kept["stderr"][:500]).decode(errors="replace").strip()
        raise ProviderError("sandbox_unavailable", f"the sandbox could not be set up: {reason}")
    if ended is None:  # without a reported code, or with SIGKILL's, something from outside or a limit ended it
        ended = "exit" if codes and codes[0] != 128 + signal.SIGKILL else "killed"
    code = codes[0] if codes else 128 - code if code < 0 else code  # as a shell counts a death by signal
    return FinishedProcess(code, bytes(kept["stdout"]), bytes(kept["stderr"]), ended, seconds)
