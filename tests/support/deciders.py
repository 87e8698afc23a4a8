"""Processes that decide by the configuration in force, without anything of the product around it.

Each is started by ``Decider``; it is asked by a line on its input and answers what it would decide by.
"""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any

from config.settings import settings
from tests.support import forked
from tests.support.processes import stop

#: the tenant, provider and type that are asked about
KEY = ("dispatch", "n", "acme", "mail", "t")


class Decider:
    """One process, on the database of the test."""

    def __init__(self, **more: str) -> None:
        own = {
            "TOCSIN_ENV": "development",
            "TOCSIN_VAR_DIR": str(settings().var_dir),
            "TOCSIN_DATABASE_URL": settings().database_url,
            "TOCSIN_REDIS_URL": settings().redis_url,
            "TOCSIN_SECRET_KEY": settings().secret_key,
        }
        given = {**own, **more}
        self._process = forked.start("tests.support.deciders", takes_input=True, output=subprocess.PIPE, **given)
        self.pid = self._process.pid

    def ask(self) -> dict[str, Any]:
        """What it decides by now."""
        self.begin_asking()
        return self.answer()

    def begin_asking(self) -> None:
        """Ask, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The answer to the oldest question."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):  # it may log in between
                return json.loads(line)
        raise AssertionError("the process has ended")

    def freeze(self) -> None:
        """Stop it in the middle of whatever it does."""
        stop(self.pid)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """End it hard."""
        self._process.kill()
        self._process.wait()
        self._process.close()


def main() -> None:
    """Answer until the input ends."""
    from config.errors import Unavailable
    from gateway import current
    from tasks.generations import follow

    follow.begin("test")
    for _ in sys.stdin:
        try:
            held = current.current()
        except Unavailable as error:
            shown: dict[str, Any] = {"unavailable": str(error)}
        else:
            stop = held.stopped("acme")
            shown = {
                "edition": held.number,
                "generation": held.loaded,
                "rules": [rule.name for rule in held.candidates(*KEY)],
                "stopped": stop.reason if stop else None,
                "silences": sorted(one.comment for one in held.silences.by_id.values()),
                "at": time.time(),
            }
        sys.stdout.write(json.dumps(shown) + "\n")
        sys.stdout.flush()
