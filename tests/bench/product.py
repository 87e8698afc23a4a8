"""Tocsin as the Procfile starts it, with webhook actions and playbooks."""

import contextlib
import secrets
import sqlite3
import sys
from pathlib import Path

from layouts import Layout
from processes import ROOT, BenchError, free_port
from services import start_postgres, start_rabbitmq, start_redis
from shapes import ARMS, SEQUENCE
from sinkclient import Sink

#: calls that each worker for quick calls makes at the same time, where the number of all is given: the default
QUICK = 16
BODY = '{"id": "{{ id }}", "text": "measured {{ id }}"}'
PART = '{"id": "{{ id }}", "part": {{ part }}, "of": {{ of }}, "after": {{ after }}, "value": "{{ value }}"}'
API_ALONE = 'exec gunicorn -c config/gunicorn.py "api:create_app()"'
RECORD = "SELECT kind, status, count(*) FROM executions WHERE {} GROUP BY kind, status"


class Tocsin(Layout):
    """Every process of the Procfile, Redis with append-only file, and a database."""

    preload_options = ("--recorded",)

    def __init__(
        self,
        sink: Sink,
        database: str,
        *,
        broker: str = "redis",
        synchronous: str = "",
        threads: int = 0,
        flower: bool = False,
    ) -> None:
        super().__init__(sink, broker=broker, threads=threads)
        self.database = database
        self.synchronous = synchronous
        self.flower = flower
        self.playbooks: dict[str, str] = {}
        parts = ["Tocsin", "PostgreSQL" if database == "postgres" else "SQLite", synchronous]
        self.name = " ".join(filter(None, parts)) + (" on RabbitMQ" if broker == "rabbitmq" else "")

    def configure(self) -> None:
        """Start the servers and put everything the product reads into its environment."""
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
            "TOCSIN_STREAMS": "1000",
            "TOCSIN_TENANT_SILENCES": "2000",
            "TOCSIN_RETENTION_DAYS": "3650",  # retention is measured where a work asks for it
            "TOCSIN_PORT": str(self.port),
            "BENCH_REDIS": socket,
            "TOCSIN_HOST": "127.0.0.1",
            "TOCSIN_FLOWER_PORT": str(free_port()),
            "TOCSIN_FLOWER_AUTH": f"bench:{secrets.token_urlsafe(12)}",
            "PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        if self.broker == "rabbitmq":
            self.processes.environment["TOCSIN_BROKER_URL"] = start_rabbitmq(self.processes)
        if self.synchronous:
            self.processes.environment["TOCSIN_SQLITE_SYNCHRONOUS"] = self.synchronous
        if self.threads:  # in all: slow calls have a worker of their own, next to those for quick calls
            quick = sum(name.startswith("steps") for name in supervised_labels(procfile()).values())
            self.processes.environment |= {
                "TOCSIN_STEPS_CONCURRENCY": str(QUICK),
                "TOCSIN_SLOW_CONCURRENCY": str(self.threads - quick * QUICK),
            }

    def start(self) -> None:
        self.configure()
        self.commands = procfile()
        self.processes.run(["sh", "-c", self.commands.pop("release")])
        if not self.flower:
            del self.commands["flower"]
        self.labels = supervised_labels(self.commands)
        self.key = self.processes.run([sys.executable, "-m", "launcher.key", "--tenants", "*"]).strip()
        for name, command in self.commands.items():
            self.processes.start(name, command)
        self.wait_for_web()
        self.base = f"http://127.0.0.1:{self.port}/api"
        self.target = self.add_call("hook")
        numbers = dict.fromkeys(("part", "of", "after"), "integer")
        kinds = {"id": "string", "value": "string"} | numbers
        self.part = self.create_action("part", f"{self.sink.url}/part", PART, kinds)
        self.create_playbook("sequence", sequence(self.part, SEQUENCE))
        self.create_playbook("fan", fan(self.part))

    def create_action(self, name: str, url: str, body: str, parameters: dict[str, str]) -> str:
        """Create a webhook action that POSTs to the sink; returns its id."""
        config = {"url": url, "method": "POST", "body_template": body}
        config["headers"] = {"Content-Type": "application/json"}
        action = {"name": f"Bench {name}", "type": "webhook", "executor": "webhook", "config": config}
        action["parameters"] = [{"name": given, "type": kind, "required": True} for given, kind in parameters.items()]
        return self.post(f"{self.base}/actions", action)["data"]["id"]

    def create_playbook(self, work: str, steps: list[dict]) -> None:
        """Create the playbook that a workload runs."""
        playbook = {"name": f"Bench {work}", "steps": steps}
        playbook["parameters"] = [{"name": "id", "type": "string", "required": True}]
        self.playbooks[work] = self.post(f"{self.base}/playbooks", playbook)["data"]["id"]
        self.targets[work] = f"{self.base}/playbooks/{self.playbooks[work]}/run"

    def add_call(self, where: str) -> str:
        address = f"{self.sink.tls_url}/hook" if where == "tls" else f"{self.sink.url}/{where}"
        return f"{self.base}/actions/{self.create_action(where, address, BODY, {'id': 'string'})}/trigger"

    def add_sequence(self, steps: int) -> str:
        name = f"sequence of {steps}"
        self.create_playbook(name, sequence(self.part, steps))
        self.steps[name] = steps
        return name

    def recorded(self, work: str) -> dict[str, int]:
        """A playbook's runs and steps, counted in the database to spare CPU."""
        mine = f"action_id = '{self.playbooks[work]}'"
        query = RECORD.format(f"{mine} OR run_id IN (SELECT id FROM executions WHERE {mine})")
        with contextlib.closing(self.connect()) as connection:
            return {f"{kind} {status}": count for kind, status, count in connection.execute(query)}

    def unfinished(self) -> int:
        return self.one("SELECT count(*) FROM executions WHERE status <> 'completed'")

    def database_mib(self) -> float:
        if self.database == "postgres":
            return self.one("SELECT pg_database_size(current_database())") / (1 << 20)
        return sum(path.stat().st_size for path in self.directory.glob("tocsin.db*")) / (1 << 20)

    def one(self, query: str) -> int:
        """The only value a query finds."""
        with contextlib.closing(self.connect()) as connection:
            return connection.execute(query).fetchone()[0]

    def connect(self, *, writes: bool = False):
        """A connection of the bench's own to the product's database."""
        if self.database == "postgres":
            import psycopg

            return psycopg.connect(self.database_url.replace("+psycopg", ""), autocommit=True)
        mode = "rw" if writes else "ro"
        return sqlite3.connect(f"file:{self.directory / 'tocsin.db'}?mode={mode}", uri=True, timeout=60)

    def start_steps(self) -> None:
        """The workers by themselves, next to the API by itself."""
        start, supervisor, names = self.commands["web"].partition("worker.supervisor ")
        workers = " ".join(name for name in names.split() if name != "web")
        self.processes.start("workers", f"{start}{supervisor}{workers}")

    def stop_steps(self) -> None:
        """End the workers; the first time that ends the supervisor of all, and the API goes on by itself."""
        if "workers" in self.processes.running:
            self.processes.stop("workers", grace=3)
            return
        self.processes.stop("web", grace=3)
        self.processes.start("web", API_ALONE)
        self.wait_for_web()


def part_step(step_id: str, action_id: str, number: int, of: int, *, after: int = 0, value: str = "") -> dict:
    """A step that makes one call of a run."""
    given = {"id": "{{ parameters.id }}", "part": number, "of": of, "after": after, "value": value}
    return {"id": step_id, "type": "action", "action_ref": action_id, "parameters": given}


def sequence(action_id: str, count: int) -> list[dict]:
    """The steps of W1 and longer chains: each sends its predecessor's answer."""
    later = [
        part_step(f"s{n}", action_id, n, count, after=n - 1, value=f"{{{{ steps.s{n - 1}.output.value }}}}")
        for n in range(2, count + 1)
    ]
    return [part_step("s1", action_id, 1, count), *later]


def fan(action_id: str) -> list[dict]:
    """The steps of W3: parallel branches, then one with the last's answer."""
    arms = [{"steps": [part_step(f"a{n}", action_id, n, ARMS + 1)]} for n in range(1, ARMS + 1)]
    value = f"{{{{ steps.a{ARMS}.output.value }}}}"
    joined = part_step("joined", action_id, ARMS + 1, ARMS + 1, after=ARMS, value=value)
    return [{"id": "fan", "type": "parallel", "branches": arms}, joined]


def procfile(path: Path = ROOT / "Procfile") -> dict[str, str]:
    """The commands of the Procfile by name; the supervisor of the workers forks the API, as the launcher has it."""
    if not path.exists():
        raise BenchError(f"{path} does not exist")
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#")]
    commands = {name.strip(): command.strip() for name, _colon, command in pairs}
    start, supervisor, names = commands.pop("workers", "").partition("worker.supervisor ")
    return commands | ({"web": f"{start}{supervisor}web {names}"} if supervisor else {})


def supervised_labels(commands: dict[str, str]) -> dict[str, str]:
    """The names of the workers that one command forks, in that order."""
    found = {}
    for name, command in commands.items():
        _, supervisor, roles = command.partition("worker.supervisor ")
        found |= {f"{name}.{number}": role for number, role in enumerate(roles.split(), start=1)}
        found |= {name: "supervisor"} if supervisor else {}
    return found
