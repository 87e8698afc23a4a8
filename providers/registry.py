"""Executor name → its module: the one list of executors."""

import functools
import importlib
from typing import cast

from providers.base import Executor

#: imported on first use: a web process needs no SMTP, a worker of HTTP steps no sandbox
_MODULES = {
    "webhook": "providers.webhook",
    "remote": "providers.remote",
    "notification": "providers.notification",
    "local": "providers.local",
    "approval": "providers.approval",
    "opservant": "providers.opservant",
}


@functools.cache
def executor(name: str) -> Executor:
    """The executor of that name.

    Raises:
        KeyError: there is none.
    """
    return cast("Executor", importlib.import_module(_MODULES[name]))


def load_all() -> None:
    """Import every executor now."""
    for name in _MODULES:
        executor(name)
