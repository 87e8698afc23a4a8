"""The web server: ``gunicorn -c config/gunicorn.py "api:create_app()"``.

One process unless ``WEB_CONCURRENCY`` says otherwise (gunicorn's own setting; on PostgreSQL give it one per two
cores); each serves many requests at once on greenlets.
On SIGTERM no new request is taken, readers that wait for news are answered, and what is under way has ten
seconds to finish; then what was accepted last is put on its queue before the process ends. Errors that the server
answers itself have the same body as all others.
"""

import gc
import json
import signal
from http import HTTPStatus
from typing import Any

from gunicorn import glogging, util

from config import logs
from config.settings import settings

bind = f"{settings().host}:{settings().port}"
worker_class = "gevent"
worker_connections = 1000
timeout = 30
graceful_timeout = 10
keepalive = 5
preload_app = False  # greenlets need the libraries patched before the application is loaded
control_socket_disable = True
accesslog = None
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190

#: what each part that works beside the requests may still take when the process ends, seconds
_DRAIN = 3.0
_CODES = {414: "uri_too_long", 431: "headers_too_large", 500: "internal_error"}


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's log lines in the form of all others."""

    def setup(self, cfg: Any) -> None:
        """Leave the lines to the root logger."""
        super().setup(cfg)
        logs.configure()
        for log in (self.error_log, self.access_log):
            log.handlers = []
            log.propagate = True


logger_class = Logger


def problem(sock: Any, status: int, reason: str, message: str) -> None:
    """Answer a request that gunicorn itself refuses; in place of ``gunicorn.util.write_error``, which speaks HTML."""
    if status == HTTPStatus.NOT_IMPLEMENTED:  # an unknown Transfer-Encoding is the client's fault, not ours
        status = HTTPStatus.BAD_REQUEST
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = reason
    members = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": message or title,
        "code": _CODES.get(status, "invalid_request"),
        "error": message or title,
        "message": message or title,
        "retryable": False,
        "errors": [],
        "request_id": None,
    }
    body = json.dumps(members).encode()
    head = (
        f"HTTP/1.1 {status:d} {title}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + body)


util.write_error = problem


def pre_fork(_server: Any, _worker: Any) -> None:
    """Keep the garbage collector of the child off what it shares with its parent: touching it would copy it."""
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """Let SIGTERM release the readers that wait, before the server begins to wait for them."""
    watcher = worker.wsgi.extensions["tocsin.watcher"]

    def stop(number: int, frame: Any) -> None:
        watcher.draining = True
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, stop)


def worker_exit(_server: Any, worker: Any) -> None:
    """Publish what was accepted last; called in the process that ends, and later in the one that reaps it."""
    drain = getattr(getattr(worker, "wsgi", None), "extensions", {}).get("tocsin.drain")
    if drain is not None:
        drain(_DRAIN)
