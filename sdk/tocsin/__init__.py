"""Tocsin from Python: trigger actions, run playbooks, and all else that the server can do.

    from tocsin import Client

    client = Client()
    run = client.playbooks.run("pb-first-response", target="web-01")
    run.result(timeout=60)

``AsyncClient`` has the same methods, awaited. Importing this package loads neither httpx nor asyncio; the first use of
a name loads what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tocsin import errors as errors
    from tocsin import models as models
    from tocsin import webhooks as webhooks
    from tocsin._async.client import AsyncClient as AsyncClient
    from tocsin._messages import Message as Message
    from tocsin._sync.client import Client as Client
    from tocsin.errors import ApiError as ApiError
    from tocsin.errors import ConnectionFailed as ConnectionFailed
    from tocsin.errors import ExecutionFailed as ExecutionFailed
    from tocsin.errors import StillRunning as StillRunning
    from tocsin.errors import TocsinError as TocsinError

#: name → the module that has it
_PLACES = {
    "ApiError": "tocsin.errors",
    "AsyncClient": "tocsin._async.client",
    "Client": "tocsin._sync.client",
    "ConnectionFailed": "tocsin.errors",
    "ExecutionFailed": "tocsin.errors",
    "Message": "tocsin._messages",
    "StillRunning": "tocsin.errors",
    "TocsinError": "tocsin.errors",
}
_MODULES = ("errors", "models", "webhooks")

__all__ = [*_PLACES, *_MODULES, "__version__"]  # noqa: PLE0604 - names


def __getattr__(name: str) -> object:
    import importlib

    if name == "__version__":
        from tocsin._version import VERSION

        return VERSION
    if name in _MODULES:
        return importlib.import_module(f"tocsin.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'tocsin' has no attribute {name!r}")
    found: object = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
