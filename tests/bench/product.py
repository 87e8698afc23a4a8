"""Tocsin as it is started: what the Procfile says, on SQLite or PostgreSQL, with webhook actions and playbooks."""

import contextlib
import itertools
import secrets
import sqlite3
import sys
from pathlib import Path

from layouts import Layout
from processes import ROOT, BenchError, free_port
from services import start_postgres, start_redis
from shapes import ARMS, SEQUENCE
from sinkclient import Sink

BODY = '{"id": "{{ id }}", "text": "measured {{ id }}"}'
PART = '{"id": "{{ id }}", "part": {{ part }}, "of": {{ of }}, "after": {{ after }}, "value": "{{ value }}"}'
RECORD = "SELECT kind, status, count(*) FROM executions WHERE {} GROUP BY kind, status"


class Tocsin(Layout):
    """Every process of the Procfile, Redis with its append-only file, and a database."""

    preload_options = ("--recorded",)

    def __init__(self, sink: Sink, database: str, *, flower: bool = False) -> None:
        super().__init__(sink)
        self.database = database
        self.flower = flower
        self.playbooks: dict[str, str] = {}
        self.name = f"Tocsin {'PostgreSQL' if database == 'postgres' else 'SQLite'}"

    def start(self) -> None:
        socket = start_redis(self.processes, durable=True)
        url = f"sqlite:///{self.directory / 'tocsin.db'}"
        if self.database == "postgres":
            url = start_postgres(self.processes)
        self.database_url = url
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
        base = f"http://127.0.0.1:{self.port}/api"
        action_id = self.create_action("hook", BODY, {"id": "string"})
        self.target = f"{base}/actions/{action_id}/trigger"
        numbers = dict.fromkeys(("part", "of", "after"), "integer")
        part = self.create_action("part", PART, {"id": "string", "value": "string"} | numbers)
        for work, steps in {"sequence": sequence(part), "fan": fan(part)}.items():
            playbook = {"name": f"Bench {work}", "steps": steps}
            playbook["parameters"] = [{"name": "id", "type": "string", "required": True}]
            self.playbooks[work] = self.post(f"{base}/playbooks", playbook)["data"]["id"]
            self.targets[work] = f"{base}/playbooks/{self.playbooks[work]}/run"

    def create_action(self, path: str, body: str, parameters: dict[str, str]) -> str:
        """Create a webhook action that POSTs to the sink and return its id."""
        config = {"url": f"{self.sink.url}/{path}", "method": "POST", "body_template": body}
        config["headers"] = {"Content-Type": "application/json"}
        action = {"name": f"Bench {path}", "type": "webhook", "executor": "webhook", "config": config}
        action["parameters"] = [{"name": name, "type": kind, "required": True} for name, kind in parameters.items()]
        return self.post(f"http://127.0.0.1:{self.port}/api/actions", action)["data"]["id"]

    def recorded(self, work: str) -> dict[str, int]:
        """The runs of a playbook and their steps, counted in the database itself: asking the API would cost it CPU."""
        mine = f"action_id = '{self.playbooks[work]}'"
        query = RECORD.format(f"{mine} OR run_id IN (SELECT id FROM executions WHERE {mine})")
        with contextlib.closing(self.connect()) as connection:
            return {f"{kind} {status}": count for kind, status, count in connection.execute(query)}

    def connect(self):
        """A connection of the bench's own to the product's database."""
        if self.database == "postgres":
            import psycopg

            return psycopg.connect(self.database_url.replace("+psycopg", ""), autocommit=True)
        return sqlite3.connect(f"file:{self.directory / 'tocsin.db'}?mode=ro", uri=True, timeout=10)

    def step_names(self) -> list[str]:
        """The commands of the Procfile that take work from the queue ``steps``."""
        return [name for name, command in self.commands.items() if consumes_steps(command)]

    def start_steps(self) -> None:
        for name in self.step_names():
            self.processes.start(name, self.commands[name])

    def stop_steps(self) -> None:
        self.processes.stop(*self.step_names(), grace=3)


def part_step(step_id: str, action_id: str, number: int, of: int, *, after: int = 0, value: str = "") -> dict:
    """A step that makes one call of a run."""
    given = {"id": "{{ parameters.id }}", "part": number, "of": of, "after": after, "value": value}
    return {"id": step_id, "type": "action", "action_ref": action_id, "parameters": given}


def sequence(action_id: str) -> list[dict]:
    """The steps of W1: each brings what was answered to the one before."""
    later = [
        part_step(f"s{n}", action_id, n, SEQUENCE, after=n - 1, value=f"{{{{ steps.s{n - 1}.output.value }}}}")
        for n in range(2, SEQUENCE + 1)
    ]
    return [part_step("s1", action_id, 1, SEQUENCE), *later]


def fan(action_id: str) -> list[dict]:
    """The steps of W3: branches of one step side by side, then a step that brings what the last was answered."""
    arms = [{"steps": [part_step(f"a{n}", action_id, n, ARMS + 1)]} for n in range(1, ARMS + 1)]
    value = f"{{{{ steps.a{ARMS}.output.value }}}}"
    joined = part_step("joined", action_id, ARMS + 1, ARMS + 1, after=ARMS, value=value)
    return [{"id": "fan", "type": "parallel", "branches": arms}, joined]


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
