"""Liveness of one worker for a supervisor: ``python -m worker.health NAME``.

``NAME`` is as given with ``-n``.

Exit status 0: it lives and takes work. 1: it is gone, or it lives and takes nothing (restart it). 2: the
database cannot be asked (restarting the worker would not help).
"""

import socket
import sys

from config.errors import Unavailable
from store import worker_processes
from store.engine import db
from worker import roles


def main(arguments: list[str]) -> int:
    """Print the state of the worker in one line."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m worker.health NAME   (for example steps@myhost or steps@%h)\n")
        return 2
    worker, at, host = arguments[0].replace("%h", socket.gethostname()).partition("@")
    name = f"{roles.present(worker)}{at}{host}"
    try:
        with db.read() as connection:
            row = worker_processes.get(connection, name)
    except Unavailable as error:
        sys.stderr.write(f"{error}\n")
        return 2
    state = "gone" if row is None else worker_processes.state(row)
    sys.stdout.write(f"{name}: {state}\n")
    return 0 if state == "consuming" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
