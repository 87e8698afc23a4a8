"""A private RabbitMQ for tests, on the loopback interface."""

import contextlib
import random
import shutil
import socket
from pathlib import Path

from tests.support.processes import Process, clean_environment
from tests.support.services import Missing
from tests.support.waiting import eventually

#: where Debian keeps the server itself; what it puts on the PATH runs it as a user of its own, in its own folders
_DEBIAN = Path("/usr/lib/rabbitmq/bin")
_LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"


def _port() -> int:
    """A free port outside the range of outgoing connections."""
    while True:
        number = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", number))
            return number


class RabbitServer:
    """RabbitMQ that can be killed and restarted with its data.

    Raises:
        Missing: it is not installed.
    """

    def __init__(self, directory: Path) -> None:
        server = shutil.which("rabbitmq-server", path=f"{_DEBIAN}") or shutil.which("rabbitmq-server")
        epmd = shutil.which("epmd")
        if server is None or epmd is None:
            raise Missing("no rabbitmq-server")
        self._server, self._epmd = server, epmd
        self._directory = directory / "rabbitmq"
        self._directory.mkdir()
        self._port, names, peers = _port(), _port(), _port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self._environment = clean_environment(
            HOME=str(self._directory),  # where Erlang keeps its cookie
            ERL_EPMD_PORT=str(names),
            ERL_EPMD_ADDRESS="127.0.0.1",
            RABBITMQ_NODENAME=f"tocsin-tests-{self._port}@localhost",
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self._port),
            RABBITMQ_DIST_PORT=str(peers),
            RABBITMQ_MNESIA_BASE=str(self._directory / "mnesia"),
            RABBITMQ_LOG_BASE=str(self._directory / "log"),
            RABBITMQ_PID_FILE=str(self._directory / "pid"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self._directory / "plugins"),
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=_LOOPBACK,
        )
        self._names = self._process("epmd", "-address", "127.0.0.1", "-port", str(names))
        self._node: Process | None = None
        eventually(lambda: _listens(names), 30, "the names of nodes are kept")

    def _process(self, name: str, *arguments: str) -> Process:
        command = {"epmd": self._epmd, "node": self._server}[name]
        return Process([command, *arguments], self._directory / f"{name}.log", env=self._environment)

    def start(self) -> None:
        """Start it on what it has kept."""
        node = self._node = self._process("node")
        try:
            eventually(lambda: self.alive() or not node.alive(), 240, "RabbitMQ answers", every=0.2)
            assert node.alive()
        except AssertionError:
            print(node.log.read_text(errors="replace")[-3000:])
            raise

    def alive(self) -> bool:
        """Whether it speaks AMQP."""
        try:
            with socket.create_connection(("127.0.0.1", self._port), timeout=1) as line:
                line.sendall(b"AMQP\x00\x00\x09\x01")
                line.settimeout(5)
                return line.recv(1) == b"\x01"
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._node is not None:
            self._node.kill()

    def remove(self) -> None:
        """End it and its name server, and delete its data."""
        for process in (self._node, self._names):
            if process is not None:
                with contextlib.suppress(OSError):
                    process.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
