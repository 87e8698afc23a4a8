"""Executor ``apprise``: a message to any of the services that Apprise knows. Needs the extra ``apprise``.

``config``: ``url``, the address of a service as Apprise writes it (a credential), and the templates ``title``, ``body``
and ``type`` (info, success, warning, failure). Addresses are the operator's own: they are not checked against
``TOCSIN_EGRESS_ALLOW``. Apprise does not tell why a service refused a message, or whether it came before the time was
up: a message that was not confirmed may have arrived.
"""

import importlib.util
import logging
import time
from collections.abc import Mapping
from typing import Any

from config.errors import Problem
from config.types import Json
from expressions import templates
from playbooks.states import Mode
from providers import http
from providers.base import Call, ProviderError, TimedOut

SECRETS = ("url",)
TYPES = ("info", "success", "warning", "failure")
_MISSING = "needs the extra apprise: pip install 'tocsin[apprise]', for the API and the workers"


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """Every fault of the config."""
    if importlib.util.find_spec("apprise") is None:
        return [Problem("", f"a provider of kind apprise {_MISSING}")]
    problems = http.check_texts(config, ("title", "body", "type"), names)
    if not _services(str(config.get("url", ""))):
        problems.append(Problem("/url", "is no address that Apprise knows, as in mailto://user:password@example.org"))
    return problems


def plan(call: Call) -> Json:
    """The message as it would be sent."""
    with http.rendering():
        message = {name: templates.render_text(str(call.config[name]), call.context) for name in ("title", "body")}
        kind = templates.render_text(str(call.config["type"]), call.context)
    return {**message, "type": kind if kind in TYPES else "info"}


def perform(call: Call) -> Any:
    """Send the message.

    Raises:
        ProviderError: ``template_error``, ``not_installed``, ``invalid_config``, ``apprise_failed``. TimedOut.
    """
    message = plan(call)
    if call.mode != Mode.LIVE:
        call.report.intercepted_calls.append({"apprise": message})
        return {"sent": False}
    if importlib.util.find_spec("apprise") is None:
        raise ProviderError("not_installed", f"This worker {_MISSING}.")
    services = _services(str(call.config["url"]))
    if not services:
        raise ProviderError("invalid_config", "The provider's url is no address that Apprise knows.")
    call.checkpoint()
    return _send(services, message, call)


def _services(url: str) -> Any:
    import apprise

    found = apprise.Apprise()
    return found if url and found.add(url) else None


def _send(services: Any, message: Json, call: Call) -> Json:
    import apprise

    left = max(0.1, call.expires_at - time.monotonic())
    for service in services:
        service.socket_connect_timeout = service.socket_read_timeout = left
    capture: Any = apprise.LogCapture
    with capture(level=logging.WARNING, fmt="%(message)s") as said:
        sent = services.notify(body=message["body"], title=message["title"], notify_type=message["type"])
        reason = call.shown(" ".join(said.getvalue().split()))
    if sent:
        return {"sent": True}
    if time.monotonic() >= call.expires_at:
        raise TimedOut
    text = f"Apprise could not confirm the message{f': {reason}' if reason else ''}."
    raise ProviderError("apprise_failed", text, unknown=True, retryable=True)
