"""Logs: one line per event, JSON for machines or plain for a terminal, each with the ids it belongs to.

``bind(request_id=..., execution_id=...)`` ties ids to everything this thread or greenlet logs until ``unbind``.
Lines of libraries go through the same formatter. Parameters, outputs and secrets are never logged.
"""

import logging
import sys
from typing import Any

import structlog

from config.settings import settings

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

#: libraries that write several lines for every message or request; what they say is in our own line
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "celery.beat", "alembic", "tornado.access")


def configure() -> None:
    """Send every log line of this process to standard error in the configured form."""
    plain = settings().log_format == "console"
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if plain else structlog.processors.JSONRenderer()
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings().log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    # a revoked task is no record of ours: without a result backend Celery warns about each
    logging.getLogger("celery.worker.control").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Any:
    """A structured logger: ``log.info("what happened", key=value)``."""
    return structlog.stdlib.get_logger(name)


bind = structlog.contextvars.bind_contextvars
unbind = structlog.contextvars.unbind_contextvars
clear = structlog.contextvars.clear_contextvars
