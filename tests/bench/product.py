"""Tocsin as it is started: what the Procfile says, on SQLite or PostgreSQL, with one webhook action."""

import itertools
import secrets
import sys
from pathlib import Path

from layouts import Layout
from processes import ROOT, BenchError, free_port
from services import start_postgres, start_redis
from sinkclient import Sink

BODY = '{"id": "{{ id }}", "text": "measured {{ id }}"}'


class Tocsin(Layout):
    """Every process of the Procfile, Redis with its append-only file, and a database."""

    preload_options = ("--recorded",)

    def __init__(self, sink: Sink, database: str, *, flower: bool = False) -> None:
        super().__init__(sink)
        self.database = database
        self.flower = flower
        self.name = f"Tocsin {'PostgreSQL' if database == 'postgres' else 'SQLite'}"

    def start(self) -> None:
        socket = start_redis(self.processes, durable=True)
        url = f"sqlite:///{self.directory / 'tocsin.db'}"
        if self.database == "postgres":
            url = start_postgres(self.processes)
        self.processes.environment |= {
            "TOCSIN_ENV": "development",
            "TOCSIN_VAR_DIR": str(self.directory / "var"),
            "TOCSIN_DATABASE_URL": url,
            "TOCSIN_REDIS_URL": f"unix://{socket}",
            "TOCSIN_EGRESS_ALLOW": "127.0.0.0/8",
            "TOCSIN_RATE_LIMIT": "100000000/minute",
            "TOCSIN_PORT": str(self.port),
            "BENCH_REDIS": socket,
            "TOCSIN_HOST": "127.0.0.1",
            "TOCSIN_FLOWER_PORT": str(free_port()),
            "TOCSIN_FLOWER_AUTH": f"bench:{secrets.token_urlsafe(12)}",
            "PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        self.commands = procfile()
        self.processes.run(["sh", "-c", self.commands.pop("release")])
        if not self.flower:
            del self.commands["flower"]
        self.key = self.processes.run([sys.executable, "-m", "launcher.key"]).strip()
        for name, command in self.commands.items():
            self.processes.start(name, command)
        self.wait_for_web()
        self.create_action()

    def create_action(self) -> None:
        """Create the webhook action every trigger of the bench executes."""
        config = {"url": f"{self.sink.url}/hook", "method": "POST", "body_template": BODY}
        config["headers"] = {"Content-Type": "application/json"}
        action = {"name": "Bench", "type": "webhook", "executor": "webhook", "config": config}
        action["parameters"] = [{"name": "id", "type": "string", "required": True}]
        base = f"http://127.0.0.1:{self.port}/api/actions"
        action_id = self.post(base, action)["data"]["id"]
        self.target = f"{base}/{action_id}/trigger"

    def step_names(self) -> list[str]:
        """The commands of the Procfile that take work from the queue ``steps``."""
        return [name for name, command in self.commands.items() if consumes_steps(command)]

    def start_steps(self) -> None:
        for name in self.step_names():
            self.processes.start(name, self.commands[name])

    def stop_steps(self) -> None:
        self.processes.stop(*self.step_names(), grace=3)


def procfile(path: Path = ROOT / "Procfile") -> dict[str, str]:
    """The commands of the Procfile by name."""
    if not path.exists():
        raise BenchError(f"{path} does not exist")
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    return {name.strip(): command.strip() for name, _colon, command in pairs}


def consumes_steps(command: str) -> bool:
    """Whether a command line is a worker of the queue ``steps``."""
    words = command.replace("=", " ").split()
    queues = [after for word, after in itertools.pairwise(words) if word in {"-Q", "--queues"}]
    return any("steps" in chosen.split(",") for chosen in queues)
