"""What actions and playbooks share: definitions that are written, and applied whether they exist or not."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, Generic, Mapping, Optional, Type, TypeVar

from tocsin._async.resource import AsyncResource
from tocsin._errors import Conflict, NotFound, PreconditionFailed
from tocsin._model import Model
from tocsin._values import Definition, definition, names_of, parsed

Written = TypeVar("Written", bound=Model)
Some = TypeVar("Some", bound=Model)
_LOOKS = 3


class AsyncDefinitions(AsyncResource, Generic[Written]):
    """A resource of definitions with versions."""

    _operations: ClassVar[Mapping[str, str]]
    _named: str
    _into: Type[Written]
    #: whether the server reads YAML where definitions are written
    _yaml: bool

    async def apply(
        self,
        given: Definition,
        *,
        id: Optional[str] = None,  # noqa: A002
        force: Optional[bool] = None,
    ) -> Written:
        """Create what the definition describes, or replace it where it exists.

        Which one that is says ``id``, else the ``id`` in the definition, else its name. ``force`` replaces an action
        also where playbooks use it otherwise.
        """
        wanted, name = (id, None) if id else names_of(given)
        wanted = wanted or await self._named_so(name)
        for look in range(_LOOKS):
            try:
                if wanted is not None:
                    return await self._put(given, wanted, None, force)
            except NotFound:
                if look == _LOOKS - 1:
                    raise
            try:
                if wanted is not None:
                    return await self._put(given, wanted, "*")
                return await self._write(self._operations["create"], self._into, given)
            except (Conflict, PreconditionFailed):  # another caller has created it meanwhile
                wanted = wanted or await self._named_so(name)
                if wanted is None or look == _LOOKS - 1:
                    raise
        raise AssertionError

    async def _put(
        self,
        given: Definition,
        id: str,  # noqa: A002
        if_none_match: Optional[str],
        force: Optional[bool] = None,
    ) -> Written:
        """Replace what has the id; with ``*`` create it, and only that."""
        path, query = {self._named: id}, {"force": force}
        name = self._operations["replace"]
        return await self._write(name, self._into, given, path, query, if_none_match=if_none_match)

    async def _named_so(self, name: Optional[str]) -> Optional[str]:
        """The id of the definition with a name; None where there is none."""
        if name:
            async for one in self._list(self._operations["list"], self._into, query={"search": name[:200]}):
                if one["name"] == name:
                    found: str = one["id"]
                    return found
        return None

    async def _write(
        self,
        name: str,
        into: Type[Some],
        given: Definition,
        path: Optional[Mapping[str, str]] = None,
        query: Optional[Mapping[str, Any]] = None,
        if_match: Optional[str] = None,
        *,
        if_none_match: Optional[str] = None,
        key: Optional[str] = None,
    ) -> Some:
        """Send a definition."""
        body, kind = definition(given)
        if isinstance(body, str) and not self._yaml:
            body, kind = parsed(given), "application/json"
        headers: Dict[str, Optional[str]] = {"If-Match": if_match, "If-None-Match": if_none_match}
        return await self._one(name, into, path, query, body=body, kind=kind, headers=headers, key=key)
