"""Starts everything in order, and checks that it works.

The order is Redis, the database's schema, the processes of the Procfile.
"""

import os
import re
import subprocess
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from launcher import embedded_redis
from launcher.demo.client import is_up
from launcher.environment import ROOT, Installation, use_redis
from launcher.listeners import is_ours
from launcher.log_lines import last_lines
from launcher.services import Service, Services
from launcher.terminal import LauncherError, Terminal

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
#: monitors: started when the others are up
_WATCHERS = ("flower",)
#: how long everything may take to come up, seconds: a slow machine's first start compiles thousands of modules
_PATIENCE = 90.0
_LOOK_EVERY = 0.05


def procfile() -> dict[str, str]:
    """Name → command line of each process, in the Procfile's order."""
    found = map(_LINE.fullmatch, (ROOT / "Procfile").read_text().splitlines())
    return {match[1]: match[2] for match in found if match}


def processes() -> dict[str, str]:
    """Name → command line of what one machine runs.

    The Procfile's lines ``web`` and ``workers`` can be scaled each by itself. Here the supervisor of the workers forks
    the API too, which shares their memory.
    """
    commands = procfile()
    start, supervisor, names = commands.pop("workers").partition("worker.supervisor ")
    return commands | {"web": f"{start}{supervisor}web {names}"}


class Start:
    """The start of everything, in two parts.

    Monitors come second, so that they do not slow down the workers. They show the last minute too, and with it the demo
    that runs while they start (``tasks.clock.monitors``).
    """

    def __init__(self, terminal: Terminal, place: Installation, services: Services) -> None:
        self._terminal = terminal
        self._place = place
        self._services = services
        self._commands = processes()
        self._waiting: dict[str, Callable[[], bool]] = {}

    def bring_up(self) -> None:
        """Start everything; returns when all but the monitors work.

        Raises:
            LauncherError: something does not come up; the message holds the end of its log.
        """
        if self._place.embedded_redis:
            _start_redis(self._terminal, self._place, self._services)
        _release(self._place, self._commands.pop("release"))
        self._terminal.say(f"Database {_described(self._place)} is up to date")
        self._launch([name for name in self._commands if name not in _WATCHERS])
        self.wait()
        self._launch([name for name in self._commands if name in _WATCHERS])

    def wait(self) -> None:
        """Return when everything that was started works.

        Raises:
            LauncherError: something does not come up.
        """
        names = list(self._waiting)
        _wait(self._waiting, self._services)
        self._waiting = {}
        self._terminal.say("   ".join(f"{name} ok" for name in names), "good")

    def _launch(self, names: list[str]) -> None:
        for name in names:
            self._services.start(Service(name, self._commands[name], self._place.var / "log"))
            self._waiting[name] = _sign_of_life(name, self._commands[name], self._place, self._services)


def _start_redis(terminal: Terminal, place: Installation, services: Services) -> None:
    path = embedded_redis.socket_path(place.var)
    program = embedded_redis.find_program()
    command = embedded_redis.command(program, place.var, path)
    services.start(Service("redis", command, place.var / "log", quiet=True))
    _wait({"redis": lambda: embedded_redis.answers(path)}, services)
    use_redis(embedded_redis.url(path))
    server = embedded_redis.server_of(program) or program
    terminal.say(f"Broker: {server} at {place.shown(path)} (set TOCSIN_REDIS_URL to use another)")


def _described(place: Installation) -> str:
    """The kind of the database, and its place without its password."""
    kind = place.settings.database_url.partition(":")[0].partition("+")[0]
    return place.settings.database_url.removeprefix("sqlite:///") if kind == "sqlite" else f"({kind})"


def _release(place: Installation, command: str) -> None:
    """Run the Procfile's release line to its end."""
    log = place.var / "log" / "release.log"
    with log.open("wb") as output:
        done = subprocess.run(  # noqa: S602 - the Procfile is written for a shell
            command, shell=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode:
        raise LauncherError(f"Migrating the database failed. The end of {log}:\n{last_lines(log)}")


def _sign_of_life(name: str, command: str, place: Installation, services: Services) -> Callable[[], bool]:
    """The check that a process works.

    Servers answer, workers write their heartbeat to the database.
    """
    sites = {"web": f"{place.url}/health", "flower": f"{place.flower_url}/healthcheck"}
    signs: list[Callable[[], bool]] = []
    if name in sites:
        port = urlsplit(sites[name]).port or 0
        # another program on that port would receive a key or a password
        signs.append(lambda: is_ours(services[name].pid, port) and is_up(sites[name]))
    workers = set(command.partition("worker.supervisor ")[2].split()) - {"web"}
    if workers:
        signs.append(lambda: workers <= _heartbeats(services[name].pid))
    return lambda: all(shows() for shows in signs)


def _heartbeats(group: int) -> set[str]:
    """The workers of this process group that are alive."""
    from config.errors import Unavailable
    from store import worker_processes  # SQLAlchemy loads slowly: while the processes start, not before
    from store.engine import db

    try:
        with db.read() as connection:
            living = worker_processes.living(connection)
    except Unavailable:
        return set()
    return {row.name.partition("@")[0] for row in living if _group(row.pid) == group}


def _group(pid: int) -> int:
    """The process group of a process; 0 when it has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _wait(waiting: dict[str, Callable[[], bool]], services: Services) -> None:
    give_up = time.monotonic() + _PATIENCE
    waiting = dict(waiting)
    while waiting:
        services.check()
        if time.monotonic() > give_up:
            name = next(iter(waiting))
            log = services[name].log
            raise LauncherError(f"{name} did not start within {_PATIENCE:.0f} s. The end of {log}:\n{last_lines(log)}")
        waiting = {name: works for name, works in waiting.items() if not works()}
        time.sleep(_LOOK_EVERY)
