"""The layout of a started product, and the floor: raw Celery.

Tocsin is in ``product``. A layout is used as a context manager: entering starts everything and waits until a first
trigger has arrived at the sink; leaving ends it all. ``stop_steps`` and ``start_steps`` end and start again the
processes that make the calls, while ``preload`` fills their queue.
"""

import json
import shutil
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import redis
from preload import MODEL
from processes import BENCH, BenchError, Processes, environment, free_port
from services import start_rabbitmq, start_redis
from shapes import ARMS, SEQUENCE
from sinkclient import Sink

PATIENCE = 60.0  # seconds in which a product has to come up


class Layout:
    """What raw Celery and Tocsin have in common."""

    name = ""
    key = ""
    preload_options: tuple[str, ...] = ()

    def __init__(self, sink: Sink, *, broker: str = "redis", threads: int = 0) -> None:
        self.sink = sink
        self.broker = broker
        #: how many calls the workers make at the same time, on threads; 0 is the product's own choice
        self.threads = threads
        self.port = free_port()
        self.target = ""
        #: where runs of several calls are started: workload -> URL
        self.targets: dict[str, str] = {}
        #: workload -> steps on record for each run
        self.steps = {"sequence": SEQUENCE, "fan": ARMS + 2}
        #: processes that have a name of their own: name in ``memory_by_process`` -> name
        self.labels: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a Unix socket's path has 107 bytes
        self.processes = Processes(
            self.directory, environment(HOME=str(self.directory), **self.sink.trust)
        )  # gunicorn keeps a socket there
        try:
            self.start()
            self.wait_for_first()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.__exit__()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start every process and set ``target``."""
        raise NotImplementedError

    def add_call(self, where: str) -> str:
        """The URL that triggers a call to ``slow`` or ``tls``."""
        raise NotImplementedError

    def add_sequence(self, steps: int) -> str:
        """Make a sequence of ``steps`` calls and return its name in ``targets``."""
        raise NotImplementedError

    def recorded(self, work: str) -> dict[str, int] | None:
        """Recorded rows of a workload by "<kind> <status>"; None without a record."""
        return None

    def unfinished(self) -> int:
        """How many executions on record are anything but completed."""
        return 0

    def database_mib(self) -> float:
        """Size of the product's database; 0 when it has none."""
        return 0.0

    def redis_mib(self) -> float:
        """What Redis says it holds in memory."""
        link = redis.Redis(unix_socket_path=self.processes.environment["BENCH_REDIS"])
        return link.info("memory")["used_memory"] / (1 << 20)

    def start_steps(self) -> None:
        """Start the processes that make the calls."""
        raise NotImplementedError

    def stop_steps(self) -> None:
        """Stop the processes that make the calls."""
        raise NotImplementedError

    def preload(self, prefix: str, count: int) -> None:
        """Queue ``count`` calls with ids ``<prefix>-<number>`` while the workers are stopped."""
        model = self.post(self.target, {"parameters": {"id": MODEL}})["data"]["execution_id"]
        command = [sys.executable, str(BENCH / "preload.py"), model, prefix, str(count)]
        self.processes.run([*command, *self.preload_options], timeout=600)

    def post(self, url: str, content: object) -> dict:
        """One JSON POST to the product."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        try:
            with urlopen(Request(url, json.dumps(content).encode(), headers), timeout=30) as answer:
                return json.load(answer)
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            logs = self.processes.log_tails()
            raise BenchError(f"{self.name} answered {error.code} to {url}: {said}\n{logs}") from error

    def wait_for_web(self) -> None:
        """Wait until the product answers on its port."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.processes.check()
            try:
                urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5).close()
            except OSError:  # not up yet, slow, or 503
                time.sleep(0.1)
            else:
                return
        raise BenchError(f"{self.name} does not answer:\n{self.processes.log_tails()}")

    def wait_for_first(self) -> None:
        """Wait until one trigger has gone all the way."""
        self.sink.forget()
        self.post(self.target, {"parameters": {"id": "first"}})
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not self.sink.summary()["count"]:
            self.processes.check()
            time.sleep(0.05)
        if not self.sink.summary()["count"]:
            raise BenchError(f"{self.name}: the first trigger never arrived\n{self.processes.log_tails()}")


class RawCelery(Layout):
    """The floor: Flask under gunicorn, a Celery worker, Redis without persistence."""

    def __init__(self, sink: Sink, *, broker: str = "redis", threads: int = 0) -> None:
        super().__init__(sink, broker=broker, threads=threads)
        on_broker = " on RabbitMQ" if broker == "rabbitmq" else ""
        self.name = f"raw Celery{on_broker}" + (f", {threads} threads" if threads else "")

    def start(self) -> None:
        socket = start_redis(self.processes, durable=False)
        backend = f"redis+socket://{socket}?virtual_host=0"
        self.processes.environment |= {
            "RAW_BROKER": start_rabbitmq(self.processes) if self.broker == "rabbitmq" else backend,
            "RAW_BACKEND": backend,
            "RAW_SINK": self.sink.url,
            "RAW_TLS_SINK": self.sink.tls_url,
            "BENCH_REDIS": socket,
            "PYTHONPATH": str(BENCH),
        }
        web = ["-w", "2", "-k", "gthread", "--threads", "8", "-b", f"127.0.0.1:{self.port}", "rawweb:web"]
        self.processes.start("web", [sys.executable, "-m", "gunicorn", *web], cwd=BENCH)
        self.start_steps()
        self.wait_for_web()
        self.base = f"http://127.0.0.1:{self.port}"
        self.target = f"{self.base}/trigger"
        self.targets = {"sequence": f"{self.base}/sequence", "fan": f"{self.base}/fan"}

    def add_call(self, where: str) -> str:
        return f"{self.target}/{where}"

    def add_sequence(self, steps: int) -> str:
        name = f"sequence of {steps}"
        self.targets[name] = f"{self.base}/sequence/{steps}"
        return name

    def start_steps(self) -> None:
        pool = ["-P", "threads", "-c", str(self.threads)] if self.threads else ["-P", "prefork", "-c", "4"]
        options = [*pool, "--prefetch-multiplier", "4", "--without-gossip", "--without-mingle"]
        worker = [sys.executable, "-m", "celery", "-A", "rawcelery", "worker", "-l", "WARNING", *options]
        self.processes.start("worker", worker, cwd=BENCH)

    def stop_steps(self) -> None:
        self.processes.stop("worker", grace=3)


def versions() -> dict[str, str]:
    """The libraries both sides run on."""
    sys.path.insert(0, str(BENCH))
    from rawcelery import CLIENT

    names = ("celery", "kombu", "redis", "flask", "gunicorn")
    return {name: version(name) for name in names} | {"raw Celery's HTTP client": CLIENT}
