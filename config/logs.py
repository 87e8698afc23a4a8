"""Logs: one line per event, with the ids it belongs to.

A line is JSON for machines or plain for a terminal. ``bind(request_id=..., execution_id=...)`` ties ids to everything
this thread or greenlet logs until ``unbind``. Lines of libraries go through the same formatter. Parameters, outputs and
secrets are never logged.
"""

import functools
import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

from config.settings import settings

# structlog loads rich, if it is there, to colour tracebacks; nothing here does, and it is five MiB of every process
_unwanted = {"rich": None} if "rich" not in sys.modules else {}
sys.modules.update(_unwanted)  # type: ignore[arg-type]
import structlog  # noqa: E402

for _name in _unwanted:
    del sys.modules[_name]

_NONE: Mapping[str, Any] = MappingProxyType({})
#: the ids that are bound here; the library's own way looks at every variable of the context at the end of each request
_bound: ContextVar[Mapping[str, Any]] = ContextVar("bound", default=_NONE)


def _with_ids(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    return {**_bound.get(), **event}


_SHARED: list[Any] = [
    _with_ids,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

#: libraries that write several lines for every message or request, which our own lines repeat
_CHATTY = ("celery.app.trace", "celery.worker.strategy", "celery.beat", "alembic", "tornado.access")


def configure(worker: str = "") -> None:
    """Send this process's log lines to standard error as configured.

    ``worker`` stands in each line: the workers of one machine share a log.
    """
    plain = settings().log_format == "console"
    renderer: Any = structlog.dev.ConsoleRenderer(colors=False) if plain else structlog.processors.JSONRenderer()
    naming = [_naming(worker)] if worker else []
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *naming,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    _write_own_lines(handler, naming, renderer)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings().log_level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    # a revoked task is no record of ours: without a result backend Celery warns about each
    logging.getLogger("celery.worker.control").setLevel(logging.ERROR)
    # nor is a batch that the database refused: its members are tried one by one (store.engine.group_commit)
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def _write_own_lines(handler: "logging.StreamHandler[Any]", naming: list[Any], renderer: Any) -> None:
    """Write our own lines like those of libraries, without log records.

    That is a third of the cost.
    """
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            *naming,
            structlog.processors.format_exc_info,
            renderer,
        ],
        logger_factory=functools.partial(_Lines, handler),
        wrapper_class=structlog.make_filtering_bound_logger(settings().log_level),
        cache_logger_on_first_use=True,
    )


class _Lines:
    """Writes finished lines where the handler writes, one at a time."""

    def __init__(self, handler: "logging.StreamHandler[Any]", name: str = "") -> None:
        self.name = name
        self._handler = handler

    def msg(self, line: str) -> None:
        """Write one line; a log that cannot be written stops nothing."""
        self._handler.acquire()
        try:
            self._handler.stream.write(line + "\n")
            self._handler.flush()
        except (OSError, ValueError):
            pass
        finally:
            self._handler.release()

    debug = info = warning = error = critical = msg


def _naming(worker: str) -> Any:
    def name(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        return event | {"worker": worker}

    return name


def logger(name: str) -> Any:
    """A structured logger: ``log.info("what happened", key=value)``."""
    return structlog.stdlib.get_logger(name)


def bind(**ids: Any) -> None:
    """Tie ids to what this thread or greenlet logs from now on."""
    _bound.set({**_bound.get(), **ids})


def unbind(*names: str) -> None:
    """Tie these ids no longer."""
    _bound.set({name: one for name, one in _bound.get().items() if name not in names})


def clear() -> None:
    """Tie no ids."""
    _bound.set(_NONE)
