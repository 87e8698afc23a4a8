# Made by sdk/tools/sync.py from tocsin/_async/client.py; do not edit.
"""The client: the resources of one server."""

from __future__ import annotations

import importlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Mapping, Optional, Type

from tocsin._sync.transport import Transport, Call, Options
from tocsin._settings import Key, settings
from tocsin._values import JSON, encoded, query_of

if TYPE_CHECKING:
    from tocsin._sync.resources.access import Keys, Me, Users
    from tocsin._sync.resources.actions import Actions
    from tocsin._sync.resources.approvals import Approvals
    from tocsin._sync.resources.audit import Audit
    from tocsin._sync.resources.bundles import Bundles
    from tocsin._sync.resources.dispatch import Dispatch
    from tocsin._sync.resources.events import Events
    from tocsin._sync.resources.executions import Executions
    from tocsin._sync.resources.groups import Groups
    from tocsin._sync.resources.playbooks import Playbooks
    from tocsin._sync.resources.providers import Breakers, Providers, Stop
    from tocsin._sync.resources.recurring import Recurring
    from tocsin._sync.resources.rules import Embeddings, Rules
    from tocsin._sync.resources.runs import Runs
    from tocsin._sync.resources.server import Server, Stream
    from tocsin._sync.resources.silences import Silences, TimeIntervals

#: resource → the module with its class, imported when it is first used
_ROOMS = {
    "breakers": "providers",
    "embeddings": "rules",
    "keys": "access",
    "me": "access",
    "stop": "providers",
    "stream": "server",
    "time_intervals": "silences",
    "users": "access",
}


class Client:
    """A client of one Tocsin server; one for all threads.

    Address and key come from the arguments, from ``TOCSIN_URL`` and ``TOCSIN_API_KEY``, from a profile
    (``TOCSIN_PROFILE``, ``~/.config/tocsin/config.toml``), or from a checkout that runs in this folder or above it.

    Args:
        url: the address of the server, such as ``https://tocsin.example.com``
        api_key: the key, or the token of a session
        profile: the name of a profile
        timeout: seconds that an answer may take, beyond what the server was asked to wait
        tries: how often a call is sent at most
        verify: what httpx takes as ``verify``: False, or an ``ssl.SSLContext`` that trusts a company's authority
        proxy: the address of a proxy; without it those of the environment are used
        headers: sent with each request
        insecure: allow ``http`` to other machines, over which the network on the way reads the key

    """

    actions: Actions
    approvals: Approvals
    audit: Audit
    breakers: Breakers
    bundles: Bundles
    dispatch: Dispatch
    embeddings: Embeddings
    events: Events
    executions: Executions
    groups: Groups
    keys: Keys
    me: Me
    playbooks: Playbooks
    providers: Providers
    recurring: Recurring
    rules: Rules
    runs: Runs
    server: Server
    silences: Silences
    stop: Stop
    stream: Stream
    time_intervals: TimeIntervals
    users: Users

    def __init__(
        self,
        url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        profile: Optional[str] = None,
        timeout: float = 30.0,
        tries: int = 5,
        verify: Any = True,
        proxy: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        insecure: bool = False,
    ) -> None:
        key = Key(api_key) if api_key else None
        del api_key  # a traceback with the values of variables masks it from here on
        known = settings(url, key, profile, insecure=insecure)
        options = Options(timeout=timeout, tries=tries, headers=dict(headers or {}), verify=verify, proxy=proxy)
        self._transport = Transport(known, options)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._transport.settings.url

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in Client.__annotations__:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        room = importlib.import_module(f"tocsin._sync.resources.{_ROOMS.get(name, name)}")
        kind = getattr(room, "" + "".join(part.title() for part in name.split("_")))
        self.__dict__[name] = kind(self._transport)
        return self.__dict__[name]

    def __repr__(self) -> str:
        if "_transport" not in self.__dict__:  # what is shown of a client that its settings did not allow to be made
            return f"{type(self).__name__}()"
        return f"{type(self).__name__}({self.url!r}, api_key={str(self._transport.settings.key or 'none')!r})"

    def with_options(
        self,
        *,
        timeout: Optional[float] = None,
        tries: Optional[int] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Client:
        """A client with other options over the same connections: ``client.with_options(timeout=5).runs.get(…)``."""
        old = self._transport.options
        options = old._replace(
            timeout=old.timeout if timeout is None else timeout,
            tries=old.tries if tries is None else tries,
            headers={**old.headers, **(headers or {})},
        )
        other = object.__new__(type(self))
        other._transport = self._transport.with_options(options)
        return other

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        """Call what has no method here; returns the JSON of the answer.

        It is sent again only where that is safe: a GET, PUT or DELETE, a POST with an ``Idempotency-Key``, a PATCH with
        ``If-Match``.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError("a path begins with one slash, such as /api/actions")
        sent = dict(headers or {})
        named = {name.lower() for name in sent}
        method = method.upper()
        if body is not None and "content-type" not in named:
            sent["Content-Type"] = JSON
        repeatable = {"POST": "idempotency-key" in named, "PATCH": "if-match" in named}.get(method, True)
        content = None if body is None else body.encode() if isinstance(body, str) else encoded(body)
        refusals = repeatable or method == "POST"
        query = query_of(query or {})
        call = Call(method, path, query, sent, content, repeatable, refusals, float(query.get("wait") or 0))
        return (self._transport.send(call)).body

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
