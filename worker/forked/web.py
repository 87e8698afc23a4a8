"""The API as a child of the supervisor: gunicorn's worker without gunicorn's master.

In order of time: the supervisor listens, so that a port in use is known at once and a restart of the API loses no
connection; the child patches the standard library, reads ``config/gunicorn.py`` as the command ``gunicorn`` does, and
serves until TERM or HUP. It shows once a second that it lives (``Sign``): the supervisor ends one that has stood still
for ``STANDS_STILL`` seconds.
"""

import os
import socket
import sys
import time
from typing import Any

from config import logs
from config.settings import settings

#: what a command line gives ``gunicorn``
COMMAND = ("gunicorn", "-c", "config/gunicorn.py", "api:create_app()")
#: exit statuses of an API that cannot start, now or later: a setting is wrong, or the application cannot be imported
HOPELESS = (3, 4)
#: seconds without a sign of life after which the API is ended, and those that it may take to start
STANDS_STILL, STARTS_IN = 30.0, 120.0

_BACKLOG = 2048

log = logs.logger(__name__)


class Sign:
    """The sign of life of one process: the time of change of a file that has no name."""

    def __init__(self) -> None:
        self._file = os.memfd_create("sign")

    def begin(self) -> None:
        """Allow for the start of the next process."""
        self._show(STARTS_IN)

    def _show(self, ahead: float = 0.0) -> None:
        now = time.monotonic() + ahead
        os.utime(self._file, (now, now))

    def notify(self) -> None:
        """Show that this process lives."""
        self._show()

    def age(self) -> float:
        """Seconds since the last sign; below zero while the process starts."""
        return time.monotonic() - os.fstat(self._file).st_mtime

    def fileno(self) -> int:
        """The file's number."""
        return self._file

    def close(self) -> None:
        """Close the file in this process."""
        os.close(self._file)


def names() -> list[str]:
    """The names of the processes of the API: ``web``, and ``web2`` and so on where several are wanted."""
    number = int(os.environ.get("WEB_CONCURRENCY") or 1)  # noqa: TID251 - gunicorn's own setting, as it reads it
    return ["web", *(f"web{count}" for count in range(2, number + 1))]


def listen() -> socket.socket:
    """The socket on which the API will listen.

    Raises:
        OSError: the address is in use, or is none of this machine.
    """
    host, port = settings().host, settings().port
    if ":" not in host:
        return socket.create_server((host, port), backlog=_BACKLOG)
    both = socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=both)


def serve(listener: socket.socket, sign: Sign) -> int:
    """Serve the API in this process, a child whose library is patched; returns its exit status.

    Raises:
        RuntimeError: gevent has not patched this process.
    """
    from gevent import monkey

    if not monkey.is_module_patched("threading") or "flask" in sys.modules:
        raise RuntimeError("the API must patch the standard library before it imports anything")
    sys.argv = list(COMMAND)
    from gunicorn.app.wsgiapp import WSGIApplication
    from gunicorn.sock import create_sockets

    application = WSGIApplication(prog=COMMAND[0])
    cfg: Any = application.cfg
    its_log = cfg.logger_class(cfg)
    sockets = create_sockets(cfg, its_log, [listener.detach()])
    worker = cfg.worker_class(1, os.getppid(), sockets, application, STANDS_STILL / 2, cfg, its_log)
    worker.tmp.close()
    worker.tmp, worker.pid = sign, os.getpid()
    log.info("api started", addresses=[str(one) for one in sockets], pid=worker.pid)
    try:
        worker.init_process()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except Exception:
        log.exception("api failed")
        return 1
    finally:
        log.info("api ending", pid=worker.pid)
        cfg.worker_exit(None, worker)
    return 0
