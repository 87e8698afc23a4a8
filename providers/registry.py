"""Executor name → its module: the one list of executors."""

import functools
import importlib
from typing import Any, cast

from providers.base import Executor

#: imported on first use: a web process needs no SMTP, a worker of HTTP steps no sandbox
_MODULES = {
    "webhook": "providers.webhook",
    "remote": "providers.remote",
    "notification": "providers.notification",
    "local": "providers.local",
    "approval": "providers.approval",
    "opservant": "providers.opservant",
    "log": "providers.inner.log",
    "mock": "providers.inner.mock",
    "apprise": "providers.inner.apprise",
}
#: executors of upper layers, which start what lies above this one
_added: dict[str, Executor] = {}


@functools.cache
def executor(name: str) -> Executor:
    """The executor of that name.

    Raises:
        KeyError: there is none.
    """
    return _added[name] if name in _added else cast("Executor", importlib.import_module(_MODULES[name]))


def add(name: str, module: Any) -> None:
    """Add the executor of an upper layer."""
    _added[name] = module


def load_all() -> None:
    """Import every executor now."""
    for name in _MODULES:
        executor(name)
