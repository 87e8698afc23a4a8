"""The web server: ``gunicorn -c config/gunicorn.py "api:create_app()"``.

One process unless ``WEB_CONCURRENCY`` says otherwise (gunicorn's own setting; on PostgreSQL give it one per two cores);
each serves many requests at once on greenlets. On SIGTERM no new request is taken, streams end, readers that wait for
news are answered, and what is under way has ten seconds to finish; then the last accepted executions are published
before the process ends. Errors that the server answers itself have the same body as all others.
"""

import gc
import json
import resource
import signal
import sys
from http import HTTPStatus
from typing import Any

from gunicorn import glogging, util

from config import logs, spans
from config.error_codes.table import page
from config.server.connections import LEAVING, MOST
from config.settings import settings

#: open files of a process other than its connections: databases, logs, libraries
_OTHER_FILES = 500


def _connections() -> int:
    """The connections that a process may have.

    Raises the limit on open files as far as they need.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + LEAVING + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < wanted:
            sys.stderr.write(f"web: only {soft} open files are allowed (ulimit -Hn), {wanted} would be good\n")
            return max(LEAVING + 100, soft - _OTHER_FILES)
    return MOST + LEAVING


bind = f"{settings().host}:{settings().port}"
worker_class = "config.server.worker.Worker"
worker_connections = _connections()
timeout = 30
graceful_timeout = 10
keepalive = 5  # seconds: for the next request to begin and for its headers to come, in all
preload_app = False  # greenlets need the libraries patched before the application is loaded
control_socket_disable = True
accesslog = None
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
#: no header of a request says where the application is mounted, and only declared proxies say how they were asked
forwarder_headers = ""
forwarded_allow_ips = ",".join(str(network) for network in settings().proxies)

#: time for each background part to finish when the process ends, seconds
_DRAIN = 3.0
_CODES = {414: "uri_too_long", 431: "headers_too_large", 500: "internal_error", 503: "unavailable"}


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log lines in the common form."""

    def setup(self, cfg: Any) -> None:
        """Leave the lines to the root logger."""
        super().setup(cfg)
        logs.configure()
        for log in (self.error_log, self.access_log):
            log.handlers = []
            log.propagate = True


logger_class = Logger


def problem(sock: Any, status: int, reason: str, message: str) -> None:
    """Answer a request that gunicorn itself refuses.

    Replaces ``gunicorn.util.write_error``, which answers in HTML.
    """
    if status == HTTPStatus.NOT_IMPLEMENTED:  # an unknown Transfer-Encoding is the client's fault, not ours
        status = HTTPStatus.BAD_REQUEST
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = reason
    code = _CODES.get(status, "invalid_request")
    members = {
        "type": page(code),
        "title": title,
        "status": status,
        "detail": message or title,
        "code": code,
        "error": message or title,
        "message": message or title,
        "retryable": status == HTTPStatus.SERVICE_UNAVAILABLE,
        "errors": [],
        "request_id": None,
    }
    body = json.dumps(members).encode()
    again = "Retry-After: 1\r\n" if members["retryable"] else ""
    head = (
        f"HTTP/1.1 {status:d} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n{again}\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)


util.write_error = problem


def pre_fork(_server: Any, _worker: Any) -> None:
    """Freeze the garbage collector's objects before a fork.

    The collector of the child would copy the shared memory by touching it.
    """
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Connect worker and application.

    SIGTERM releases the readers that wait, before the server waits for them. The application knows the keys, by which
    requests take turns, and what is being accepted, to which reads give way.
    """
    watchers = [worker.wsgi.extensions[name] for name in ("tocsin.watcher", "tocsin.ends", "tocsin.streams")]
    worker.knows = worker.wsgi.extensions["tocsin.knows"]
    worker.gives_way = worker.wsgi.extensions["tocsin.gives_way"]
    worker.wsgi.extensions["tocsin.started"]()

    def stop(number: int, frame: Any) -> None:
        for watcher in watchers:
            watcher.draining = True
        worker.handle_exit(number, frame)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def worker_exit(_server: Any, worker: Any) -> None:
    """Publish what was accepted last, and export its spans.

    Called in the process that ends, and later in the one that reaps it.
    """
    drain = getattr(getattr(worker, "wsgi", None), "extensions", {}).get("tocsin.drain")
    if drain is not None:
        drain(_DRAIN)
    spans.close()
