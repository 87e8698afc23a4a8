"""Executor ``log``: a line in the worker's log, and in that of the execution.

``config``: ``level`` (info unless given) and ``message``, a template. Without a message the line names the action type:
a payload may hold what belongs in no log.
"""

from collections.abc import Mapping
from typing import Any

from config import logs
from config.errors import Problem
from config.types import Json
from expressions import templates
from playbooks.states import Mode
from providers import http
from providers.base import Call

SECRETS: tuple[str, ...] = ()
ON_LOOP = True
DEFAULT_MESSAGE = "{{ action_type }}"

log = logs.logger(__name__)


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of the config."""
    return http.check_texts(config, ("message",), names)


def plan(call: Call) -> Json:
    """The line as it would be written."""
    return {"level": _level(call), "message": _message(call)}


def perform(call: Call) -> Any:
    """Write the line.

    Raises:
        ProviderError: ``template_error``.
    """
    level, message = _level(call), _message(call)
    if call.mode == Mode.LIVE:
        call.checkpoint()
        getattr(log, level)("logged by a provider", message=call.shown(message))
    call.log(level.upper(), message)
    return {"logged": message}


def _level(call: Call) -> str:
    return str(call.config.get("level") or "info")


def _message(call: Call) -> str:
    with http.rendering():
        return templates.render_text(str(call.config.get("message") or DEFAULT_MESSAGE), call.context)
