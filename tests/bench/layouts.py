"""A product as it is started, and the floor: raw Celery. Tocsin is in ``product``.

A layout is used as a context manager: entering starts everything and waits until a first trigger has
arrived at the sink; leaving ends it all. ``stop_steps`` and ``start_steps`` take away and bring back the
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

from preload import MODEL
from processes import BENCH, BenchError, Processes, environment, free_port
from services import start_redis
from sinkclient import Sink

PATIENCE = 60.0  # seconds in which a product has to come up


class Layout:
    """What raw Celery and Tocsin have in common."""

    name = ""
    key = ""
    preload_options: tuple[str, ...] = ()

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.port = free_port()
        self.target = ""
        #: where runs of several calls are started: workload -> URL
        self.targets: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))  # short: a Unix socket's path has 107 bytes
        self.processes = Processes(
            self.directory, environment(HOME=str(self.directory))
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

    def recorded(self, work: str) -> dict[str, int] | None:
        """What the product has on record of a workload: "<kind> <status>" -> rows; None when it keeps no record."""
        return None

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
    """Flask under gunicorn, a prefork worker, Redis without persistence: the floor."""

    name = "raw Celery"

    def start(self) -> None:
        socket = start_redis(self.processes, durable=False)
        self.processes.environment |= {
            "RAW_BROKER": f"redis+socket://{socket}?virtual_host=0",
            "RAW_SINK": self.sink.url,
            "BENCH_REDIS": socket,
            "PYTHONPATH": str(BENCH),
        }
        web = ["-w", "2", "-k", "gthread", "--threads", "8", "-b", f"127.0.0.1:{self.port}", "rawweb:web"]
        self.processes.start("web", [sys.executable, "-m", "gunicorn", *web], cwd=BENCH)
        self.start_steps()
        self.wait_for_web()
        base = f"http://127.0.0.1:{self.port}"
        self.target = f"{base}/trigger"
        self.targets = {"sequence": f"{base}/sequence", "fan": f"{base}/fan"}

    def start_steps(self) -> None:
        options = [
            "-P",
            "prefork",
            "-c",
            "4",
            "--prefetch-multiplier",
            "4",
            "--without-gossip",
            "--without-mingle",
        ]
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
