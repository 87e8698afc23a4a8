"""The product as real processes of the Procfile, each worker alone.

In order of time: a Redis of its own; the migrations, a workspace and an admin key (``tests.support.nursery``); the web
line and every worker (from there too), each in a process group of its own with a clean environment; then it
waits until the API is healthy and every worker consumes. Tests may kill, freeze, restart anything; ``heal`` brings back
what is missing.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import httpx
import sqlalchemy as sa

from tests.support.client import TERMINAL, Api
from tests.support.nursery import READ_LATE, Forked, Nursery
from tests.support.processes import ROOT, Process, clean_environment, end_all, free_port
from tests.support.services import RedisServer, queued
from tests.support.sink import Sink
from tests.support.waiting import eventually

#: name in tests → one worker of each kind in the supervisor, by itself, so that it stays dead when a test has killed
#: it; one that ends by itself is started again where a test waits for executions, as the supervisor does
WORKERS = {"worker": "steps", "slow": "slow", "scripts": "scripts", "beat": "control"}
NAMES = ("web", *WORKERS)
#: with those that a test may add; the next one that heals the stack has them ended
ALL_WORKERS = {**WORKERS, "worker2": "steps2"}
QUEUES = ("urgent", "steps", "notifications", "bulk", "slow", "scripts", "quarantine", "control")
FLOWER_LOGIN = ("tests", "flower-password")
#: settings that a whole run of the tests tries out, such as "TOCSIN_STEPS_CONCURRENCY=400 TOCSIN_IN_PLACE_MS=0"
TRIED = dict(one.split("=", 1) for one in os.environ.get("TOCSIN_TEST_SETTINGS", "").split())  # noqa: TID251


def lines_of(tree: Path) -> dict[str, str]:
    """Name → command, as the Procfile of this source tree says."""
    lines = (tree / "Procfile").read_text().splitlines()
    return {name: command.strip() for name, _, command in (line.partition(":") for line in lines) if command}


def procfile() -> dict[str, str]:
    """Name → command: of the Procfile, and besides each worker by itself, and ``all`` as the launcher starts them."""
    commands = lines_of(ROOT)
    start, supervisor, names = commands["workers"].partition("worker.supervisor ")
    kinds = {name.rstrip("0123456789") for name in names.split()}
    assert kinds == set(WORKERS.values()), "the supervisor of the Procfile is the one that is tested"
    alone = {name: f"{start}{supervisor}{worker}" for name, worker in ALL_WORKERS.items()}
    return commands | {"all": f"{start}{supervisor}web {names}"} | alone


class Stack:
    """One installation of the product; as a context manager it cleans up."""

    def __init__(self, database_url: str, *, broker_url: str = "", lease_seconds: int = 5, **settings: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="tcn-"))
        self.database_url = database_url or f"sqlite:///{self.directory}/var/tocsin.db"
        self.lease_seconds = lease_seconds
        self.redis = RedisServer(self.directory)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = clean_environment(
            TOCSIN_ENV="development",
            TOCSIN_VAR_DIR=str(self.directory / "var"),
            TOCSIN_DATABASE_URL=self.database_url,
            TOCSIN_REDIS_URL=self.redis.url,
            TOCSIN_BROKER_URL=broker_url,
            TOCSIN_HOST="127.0.0.1",
            TOCSIN_PORT=str(self.port),
            TOCSIN_LEASE_SECONDS=str(lease_seconds),
            TOCSIN_EGRESS_ALLOW="127.0.0.0/8",
            TOCSIN_RATE_LIMIT="1000000/minute",
            TOCSIN_ACTIONS_DIR=f"{self.directory / 'functions'}:{Path(__file__).parent / 'handlers'}",
            TOCSIN_FLOWER_AUTH=":".join(FLOWER_LOGIN),
            TOCSIN_FLOWER_PORT=str(free_port()),
            TOCSIN_LOG_LEVEL="INFO",
            **{**TRIED, **settings},
        )
        self.running: dict[str, Process] = {}
        self._altered: set[str] = set()
        #: what a test has killed, which stays dead until it starts it again
        self._killed: set[str] = set()
        self._engine = sa.create_engine(self.database_url, poolclass=sa.NullPool)

    def __enter__(self) -> Self:
        try:
            self._set_up()
        except BaseException:
            print(self.log_tails())
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end_all(self.running.values())
        if hasattr(self, "nursery"):
            self.nursery.end()
        if hasattr(self, "sink"):
            self.sink.stop()
            self.api.close()
        self.redis.stop()
        self._engine.dispose()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _set_up(self) -> None:
        (self.directory / "var").mkdir()
        self.redis.start()
        self.nursery = Nursery(self.directory, self.environment)
        self.sink = Sink(self.directory)
        self.api = Api(self.url, self.nursery.make_key())
        for name in NAMES:
            self.start(name)
        for name in NAMES:
            self.wait_ready(name)

    def run_once(self, name: str, command: list[str], **settings: str) -> str:
        """Run a command of the product to its end; returns its output."""
        process = Process(command, self.directory / f"{name}.log", env=self.environment | settings)
        try:
            assert process.popen.wait(timeout=60) == 0, self.log(name)
        finally:
            process.end()
        return self.log(name)

    def start(self, name: str, line: str = "", **settings: str) -> None:
        """Start the command ``line`` (or ``name``) of ``procfile``, perhaps with other settings."""
        log = self.directory / f"{name}.log"
        if settings:
            self._altered.add(name)
        if name in ALL_WORKERS and settings.keys() <= READ_LATE:
            self.running[name] = self.nursery.start(ALL_WORKERS[name], log, settings)
            return
        command = procfile()[line or name]
        self.running[name] = Process(["bash", "-c", command], log, env=self.environment | settings)

    def kill(self, name: str) -> None:
        """``kill -9`` of a process with all its children."""
        self._killed.add(name)
        self.running[name].kill()

    def _supervise(self) -> None:
        """Start workers again that have ended by themselves, as the supervisor does."""
        for name in (ALL_WORKERS.keys() & self.running.keys()) - self._killed - self._altered:
            if not self.running[name].alive():
                print(f"the worker {name} has ended by itself:\n{self.log(name)[-6000:]}")
                self.start(name)

    def end(self, name: str) -> None:
        """Stop a process in good order and forget it."""
        self.running.pop(name).end(grace=15)

    def freeze(self, name: str) -> None:
        """Stop the whole group with SIGSTOP."""
        self.running[name].send(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self.running[name].send(signal.SIGCONT)

    def restart(self, name: str, **settings: str) -> None:
        """Kill it if it lives and start it again."""
        if self.running[name].alive():
            self.kill(name)
        self._altered.discard(name)
        self.start(name, **settings)
        self._killed.discard(name)

    def is_ready(self, name: str) -> bool:
        """Whether the API is healthy, or the worker that runs now consumes."""
        if name == "web":
            try:
                return self.api.health().status_code == 200
            except httpx.TransportError:
                return False
        pid = self.running[name].pid
        known = self.rows("SELECT pid FROM processes WHERE name LIKE :name", name=f"{ALL_WORKERS[name]}@%")
        return [row["pid"] for row in known] == [pid]

    def wait_ready(self, name: str) -> None:
        """Wait until the process does its work."""

        def look() -> bool:
            assert self.running[name].alive(), f"{name} ended:\n{self.log(name)[-3000:]}"
            return self.is_ready(name)

        eventually(look, 60, f"{name} is ready", every=0.1)

    def heal(self) -> None:
        """Restart what a test has ended, and wait until all is well."""
        self.redis.thaw()
        if not self.redis.running():
            self.redis.start()
        for name in set(self.running) - set(NAMES):
            self.end(name)
        for name in NAMES:
            self.thaw(name)
            if not self.running[name].alive() or name in self._altered:
                self.restart(name)
        for name in NAMES:
            self.wait_ready(name)

    def log(self, name: str) -> str:
        """What a process has printed."""
        path = self.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def log_tails(self, size: int = 2500) -> str:
        """The end of every log."""
        names = sorted(path.stem for path in self.directory.glob("*.log"))
        return "\n".join(f"----- {name}\n{self.log(name)[-size:]}" for name in names)

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database directly.

        A server that was frozen first serves the callers that have given up, and has no room for a moment.
        """
        give_up = time.monotonic() + 10
        while True:
            try:
                with self._engine.connect() as connection:
                    return [dict(row) for row in connection.execute(sa.text(query), values).mappings()]
            except sa.exc.OperationalError as error:
                if "too many clients" not in str(error) or time.monotonic() > give_up:
                    raise
            time.sleep(0.2)

    def change(self, statement: str, **values: Any) -> None:
        """Change the database behind the product's back."""
        with self._engine.begin() as connection:
            connection.execute(sa.text(statement), values)

    def forget_configuration(self) -> None:
        """Empty the gateway's folder, and put that in force: tests of other files use the same product."""
        folder = self.directory / "var" / "config"
        shutil.rmtree(folder)
        folder.mkdir()
        with contextlib.suppress(httpx.HTTPError):  # a test that failed may have left no product
            self.api.http.post("/v1/rules/reload")

    def row(self, execution_id: str) -> dict[str, Any]:
        """An execution as the database holds it."""
        return self.rows("SELECT * FROM executions WHERE id = :id", id=execution_id)[0]

    def wait_ended(self, ids: list[str], seconds: float) -> dict[str, dict[str, Any]]:
        """The rows of these executions once every one of them is terminal."""
        wanted = set(ids)

        def look() -> dict[str, dict[str, Any]] | None:
            known = {row["id"]: row for row in self.rows("SELECT * FROM executions") if row["id"] in wanted}
            assert len(known) == len(wanted), f"{len(wanted) - len(known)} accepted executions are gone"
            self._supervise()
            return known if all(row["status"] in TERMINAL for row in known.values()) else None

        try:
            return eventually(look, seconds, "every execution is terminal", every=0.25)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.standstill()}") from None

    def standstill(self) -> str:
        """Which process is gone, what waits, what is open, on one line; below it where each worker's threads are."""
        gone = [name for name, process in self.running.items() if not process.alive()]
        waiting = {name: length for name in QUEUES if (length := self.redis.client().llen(name))}
        fields = "id, status, queue, attempt, lapses, publishes, due_at, owner"
        rows = self.rows(f"SELECT {fields} FROM executions WHERE due_at IS NOT NULL ORDER BY due_at")
        some = [" ".join(map(str, row.values())) for row in rows[:8]]
        for process in self.running.values():
            if isinstance(process, Forked):
                process.send(signal.SIGRTMIN)  # see the nursery
        time.sleep(1)
        line = f"now {time.time() * 1000:.0f}; gone {gone}; on queues {waiting}; {len(rows)} open: {some}"
        return f"{line}\n{self.log_tails(12_000)}"

    def queued(self, *queues: str) -> int:
        """How many executions wait in Redis; several may share a message."""
        return queued(self.redis, *(queues or QUEUES))
