"""The sink and the load generator as the bench uses them: started, asked, stopped."""

import json
import subprocess
import sys
from http.client import HTTPConnection
from typing import Self

from processes import BENCH, BenchError, cpu_of


class Sink:
    """The sink's process; a context manager."""

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, str(BENCH / "sink.py")],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.link = HTTPConnection("127.0.0.1", self.port, timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, path: str) -> dict:
        self.link.request("GET", path)
        return json.loads(self.link.getresponse().read())

    def forget(self) -> None:
        """Empty the record of arrivals."""
        self.ask("/forget")

    def summary(self) -> dict[str, int]:
        """How many ids arrived, how many calls were repeats, how many bodies were wrong."""
        return self.ask("/count")

    def arrivals(self) -> dict[str, float]:
        """When each id arrived first."""
        return self.ask("/arrivals")["arrivals"]

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
