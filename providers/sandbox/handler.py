"""Runs one of the operator's functions inside the sandbox.

It speaks as ``tocsin.actions.runner`` does; the functions come from the actions folders, and are called as in a worker.
"""

import json
import logging
import os
import sys
from pathlib import Path

from tocsin.actions.http import Http
from tocsin.actions.runner import Conversation

from providers.base import ProviderError
from providers.functions import Context, invoke, load
from providers.sandbox.capture import capture


def main() -> None:
    """Serve one call."""
    logging.getLogger().setLevel(logging.INFO)
    reading, writing = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    conversation = Conversation(reading, writing)
    job = json.loads(reading.readline())
    conversation.listen()
    with capture(conversation.log) as lines:
        http, cancelled = Http(conversation.ask), conversation.cancelled
        try:
            handler = load(*sorted(Path("/job/actions").iterdir()))[job["handler"]]
            context = Context(**job["context"], sink=lines, http=http, is_cancelled=cancelled)
            last: dict[str, object] = {"output": invoke(handler, job["parameters"], context)}
        except KeyError:
            last = {"error": {"code": "unknown_handler", "message": f"{job['handler']} cannot be loaded here"}}
        except ProviderError as error:
            retry = {"retryable": error.retryable, "retry_after": error.retry_after, "unknown": error.unknown}
            last = {"error": {"code": error.code, "message": error.message, **retry}}
    conversation.say(**last)
    sys.stdout.flush()
    os._exit(0)  # the thread that listens, and those of the function, hold nothing up


if __name__ == "__main__":
    main()
