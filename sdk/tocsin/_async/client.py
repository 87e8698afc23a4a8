"""The client: the resources of one server."""

from __future__ import annotations

import importlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Mapping, Optional, Type

from tocsin._async.transport import AsyncTransport, Call, Options
from tocsin._settings import Key, settings
from tocsin._values import JSON, encoded, query_of

if TYPE_CHECKING:
    from tocsin._async.resources.access import AsyncKeys, AsyncMe, AsyncUsers
    from tocsin._async.resources.actions import AsyncActions
    from tocsin._async.resources.approvals import AsyncApprovals
    from tocsin._async.resources.audit import AsyncAudit
    from tocsin._async.resources.bundles import AsyncBundles
    from tocsin._async.resources.dispatch import AsyncDispatch
    from tocsin._async.resources.events import AsyncEvents
    from tocsin._async.resources.executions import AsyncExecutions
    from tocsin._async.resources.groups import AsyncGroups
    from tocsin._async.resources.playbooks import AsyncPlaybooks
    from tocsin._async.resources.providers import AsyncBreakers, AsyncProviders, AsyncStop
    from tocsin._async.resources.recurring import AsyncRecurring
    from tocsin._async.resources.rules import AsyncEmbeddings, AsyncRules
    from tocsin._async.resources.runs import AsyncRuns
    from tocsin._async.resources.server import AsyncServer, AsyncStream
    from tocsin._async.resources.silences import AsyncSilences, AsyncTimeIntervals

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


class AsyncClient:
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

    actions: AsyncActions
    approvals: AsyncApprovals
    audit: AsyncAudit
    breakers: AsyncBreakers
    bundles: AsyncBundles
    dispatch: AsyncDispatch
    embeddings: AsyncEmbeddings
    events: AsyncEvents
    executions: AsyncExecutions
    groups: AsyncGroups
    keys: AsyncKeys
    me: AsyncMe
    playbooks: AsyncPlaybooks
    providers: AsyncProviders
    recurring: AsyncRecurring
    rules: AsyncRules
    runs: AsyncRuns
    server: AsyncServer
    silences: AsyncSilences
    stop: AsyncStop
    stream: AsyncStream
    time_intervals: AsyncTimeIntervals
    users: AsyncUsers

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
        self._transport = AsyncTransport(known, options)

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._transport.settings.url

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in AsyncClient.__annotations__:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        room = importlib.import_module(f"tocsin._async.resources.{_ROOMS.get(name, name)}")
        kind = getattr(room, "Async" + "".join(part.title() for part in name.split("_")))
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
    ) -> AsyncClient:
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

    async def request(
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
        return (await self._transport.send(call)).body

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()
