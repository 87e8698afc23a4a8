"""Runs one of the operator's functions inside the sandbox.

Standard input is ``{handler, parameters, context}``; standard output is one JSON object a line, first
``{"log": [level, line]}`` any number of times, last ``{"output": …}`` or ``{"error": {code, message, …}}``.
"""

import json
import logging
import os
import sys
from pathlib import Path

from providers.base import ProviderError
from providers.functions import Context, invoke, load
from providers.sandbox.capture import capture


def main() -> None:
    """Serve one call."""
    logging.getLogger().setLevel(logging.INFO)
    job = json.load(sys.stdin)
    voice = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def say(**message: object) -> None:
        print(json.dumps(message), file=voice, flush=True)

    with capture(lambda level, line: say(log=[level, line])) as lines:
        try:
            handler = load(*sorted(Path("/job/actions").iterdir()))[job["handler"]]
            last: dict[str, object] = {
                "output": invoke(handler, job["parameters"], Context(**job["context"], sink=lines))
            }
        except KeyError:
            last = {"error": {"code": "unknown_handler", "message": f"{job['handler']} cannot be loaded here"}}
        except ProviderError as error:
            retry = {"retryable": error.retryable, "retry_after": error.retry_after}
            last = {"error": {"code": error.code, "message": error.message, **retry}}
    say(**last)


if __name__ == "__main__":
    main()
