"""A helper process that computes for another: see ``tasks.offload.pool``.

It reads a call from its standard input, makes it and writes its result, until the other process closes the pipe or no
call comes for a while. A call that takes too long ends the process, so that the other gets no result.
"""

import contextlib
import io
import os
import pickle
import select
import signal
import struct
import sys
import time
from typing import IO, Any

#: its nice value: the event loop comes first where both want the processor
_NICE = 5
_HEAD = struct.Struct("!I")


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write a message. Raises OSError: the reader has ended."""
    pipe.write(_HEAD.pack(len(message)) + message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read a message. Raises EOFError: the pipe is closed."""
    return _exactly(pipe, *_HEAD.unpack(_exactly(pipe, _HEAD.size)))


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    found = pipe.read(length)
    if len(found) < length:
        raise EOFError
    return found


def main(patience: int, rest: int) -> None:
    """Make call after call until none comes for ``rest`` seconds.

    Each has ``patience`` seconds of processor time.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process, which then closes the pipe
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    asked = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever is printed goes to the log
    calls = io.BufferedReader(asked)
    while select.select([asked], [], [], rest)[0]:
        try:
            message = receive(calls)
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, patience)  # without a handler for it the process ends
        answer = _result_of(message)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(answers, answer)


def _result_of(message: bytes) -> bytes:
    began = time.process_time()
    try:
        function, given, more = pickle.loads(message)  # noqa: S301 - of our own code
        returned, value = True, function(*given, **more)
    except Exception as error:  # noqa: BLE001 - raised again where the call came from
        returned, value = False, error
    result: Any = (returned, value, time.process_time() - began)
    return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
