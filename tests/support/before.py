"""The release before, from the history, and an installation updated from it.

In order of time: the revision is found (the newest one whose queues have their former names, unless TOCSIN_TEST_BASE
names another) and its files are unpacked; its ``release`` makes the database and its processes start; a test then puts
those of this checkout in their place, one by one, on the same database and broker.
"""

import os
import signal
import subprocess
from pathlib import Path

import httpx

from tests.support.client import Api
from tests.support.nursery import Nursery
from tests.support.processes import ROOT, Process, free_port
from tests.support.sink import Sink
from tests.support.stack import ALL_WORKERS, Stack, lines_of
from tests.support.waiting import eventually


class NoHistory(Exception):  # noqa: N818 - reads as the condition it is
    """The checkout has no release before: a shallow clone, or no history."""


#: a line that the newest revision with the former names of queues has, and later ones have not
_FILE, _FORMER = "tasks/app.py", '"suspects": '
#: worker in tests → its name in the release before, where it had another one
WORKERS = ALL_WORKERS | {"slow": "patient"}


def unpack(directory: Path) -> str:
    """Put the files of the release before into ``directory``; returns its revision.

    Raises:
        NoHistory: it does not go so far back.
    """
    revision = os.environ.get("TOCSIN_TEST_BASE") or _newest_with_former_names()  # noqa: TID251
    directory.mkdir()
    subprocess.run(["tar", "-x"], input=_git("archive", "--format=tar", revision), cwd=directory, check=True)
    return revision


def _newest_with_former_names() -> str:
    changes = _git("log", "--format=%H", f"-S{_FORMER}", "--", _FILE).decode().split()
    before = f"{changes[0]}~1" if changes else ""
    if not before or _FORMER not in _git("show", f"{before}:{_FILE}").decode():
        raise NoHistory("the history of this checkout does not go back to the former names of queues")
    return before


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise NoHistory(f"there is no history that could be asked: {error}") from error


class UpdatedStack(Stack):
    """An installation of the release before, updated process by process.

    Each API has a port of its own, so that both can answer; ``api`` is the older one that lives, ``apis`` are both.
    """

    def __init__(self, database_url: str, **settings: str) -> None:
        super().__init__(database_url, **settings)
        self.environment["TOCSIN_ACTIONS_DIR"] = str(Path(__file__).parent / "handlers")  # that release takes one
        self.before = self.directory / "before"
        self.revision = unpack(self.before)
        self._commands = lines_of(self.before)
        self._former_port = str(free_port())
        self.apis: list[Api] = []

    def _set_up(self) -> None:
        (self.directory / "var").mkdir()
        self.redis.start()
        self._start_before("release", self._commands["release"]).wait(120)
        self._start_before("key", "python -m launcher.key --workspace tests --role admin").wait(60)
        key = self.log("before key").strip().splitlines()[-1]
        self.nursery = Nursery(self.directory, self.environment)
        self.sink = Sink(self.directory)
        self.api = Api(f"http://127.0.0.1:{self._former_port}", key, documented=False)
        self.apis = [self.api]
        self._start_before("web", self._commands["web"])
        supervisor = self._commands["workers"].partition("worker.supervisor ")
        for name, worker in WORKERS.items():
            self._start_before(name, f"{supervisor[0]}{supervisor[1]}{worker}")
        eventually(self._all_before_are_ready, 120, "the release before is at work")

    def _start_before(self, name: str, command: str) -> Process:
        environment = self.environment | {"PYTHONPATH": str(self.before), "TOCSIN_PORT": self._former_port}
        log = self.directory / f"before {name}.log"
        process = Process(["bash", "-c", command], log, env=environment, cwd=self.before)
        self.running[f"before {name}"] = process
        return process

    def _all_before_are_ready(self) -> bool:
        names = {row["name"].partition("@")[0] for row in self.rows("SELECT name FROM processes")}
        return set(WORKERS.values()) <= names and _answers(self.api)

    def release(self) -> None:
        """Bring the database to the schema of this checkout, whatever runs."""
        self.run_once("release", ["bash", "-c", lines_of(ROOT)["release"]])

    def update(self, name: str) -> None:
        """Replace a worker of the release before gracefully by this checkout's."""
        self._end_before(name)
        self.start(name)
        self.wait_ready(name)

    def _end_before(self, name: str) -> None:
        """Send TERM to the main process alone: scripts may finish."""
        process = self.running[f"before {name}"]
        os.kill(process.pid, signal.SIGTERM)
        process.wait(60)
        self.running.pop(f"before {name}").end()

    def add_api(self) -> None:
        """Start the API of this checkout in parallel with the other."""
        self.start("web")
        self.apis.append(Api(self.url, self.api.key))
        eventually(lambda: _answers(self.apis[-1]), 60, "the second API answers")

    def end_former_api(self) -> None:
        """Stop the API of the release before in good order."""
        self.api = self.apis[-1]
        former = self.apis.pop(0)
        self._end_before("web")
        former.close()

    def __exit__(self, *details: object) -> None:
        for api in self.apis:
            api.close()
        super().__exit__(*details)


def _answers(api: Api) -> bool:
    try:
        return api.health().status_code == 200
    except httpx.TransportError:
        return False
