"""The command line: ``tocsin runs watch``, ``tocsin trigger``, and a verb for all else that the server can do.

In order of time: ``main`` makes the terminal safe to write to and starts click; the root group imports the noun that is
called and no other (``tocsin.cli.root``); a verb, which is declared by its operation (``tocsin.cli.verb``), calls the
server through the client of this package and shows the answer (``tocsin.cli.output``); whatever goes wrong becomes one
message and an exit code (``tocsin.cli.failures``).
"""

from __future__ import annotations

import os
import sys
from typing import List, Optional


def main(arguments: Optional[List[str]] = None) -> int:
    """Carry out a command line; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without the character shows a question mark
    try:
        code = _carry_out(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # who reads has all that it wanted; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _carry_out(given: List[str]) -> int:
    from tocsin.cli.root import root

    try:
        if "_TOCSIN_COMPLETE" in os.environ:
            from click.shell_completion import shell_complete

            return shell_complete(root, {}, "tocsin", "_TOCSIN_COMPLETE", os.environ["_TOCSIN_COMPLETE"])
        with root.make_context("tocsin", list(given) or ["--help"]) as ctx:
            found = root.invoke(ctx)
    except BrokenPipeError:
        raise
    except BaseException as error:  # noqa: BLE001 - each becomes one message
        from tocsin.cli.failures import reported

        return reported(error, given)
    return found if isinstance(found, int) else 0
