"""The bench's clients of the sink and the load generator."""

import json
import subprocess
import sys
import tempfile
from http.client import HTTPConnection
from pathlib import Path
from typing import Self

import certificates
from processes import BENCH, BenchError, cpu_of


class Sink:
    """The sink's process; a context manager. ``tls`` adds a TLS address, ``tls_url``."""

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        #: what a product needs in its environment to trust ``tls_url``
        self.trust: dict[str, str] = {}
        self.tls_url = ""

    def __enter__(self) -> Self:
        command = [sys.executable, str(BENCH / "sink.py")]
        self.directory = tempfile.TemporaryDirectory(prefix="bench-sink-")
        if self.tls:
            trusted, server = certificates.make(Path(self.directory.name))
            self.trust = {"SSL_CERT_FILE": str(trusted), "REQUESTS_CA_BUNDLE": str(trusted)}
            command.append(str(server))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        port, *tls_port = map(int, self.process.stdout.readline().split())
        self.url = f"http://127.0.0.1:{port}"
        if tls_port:
            self.tls_url = f"https://127.0.0.1:{tls_port[0]}"
        self.link = HTTPConnection("127.0.0.1", port, timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.directory.cleanup()

    def ask(self, path: str) -> dict:
        self.link.request("GET", path)
        return json.loads(self.link.getresponse().read())

    def forget(self) -> None:
        """Empty the record of arrivals."""
        self.ask("/forget")

    def summary(self) -> dict[str, int]:
        """The numbers of arrived ids, repeated calls and wrong bodies."""
        return self.ask("/count")

    def arrivals(self) -> dict[str, float]:
        """When each id arrived first."""
        return self.ask("/arrivals")["arrivals"]

    def totals(self) -> dict[str, int]:
        """``calls`` and ``tls_connections`` since the sink was started."""
        return self.ask("/totals")

    def cpu_seconds(self) -> float:
        """CPU time of the sink so far."""
        return cpu_of(self.process.pid)


def load(kind: str, **options: object) -> dict:
    """Run the load generator to its end and return what it reports."""
    command = [sys.executable, str(BENCH / "load.py"), kind]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = process.communicate()
    finally:
        process.kill()
        process.wait()
    if process.returncode:
        raise BenchError(f"the load generator ended with {process.returncode}")
    return json.loads(output)
