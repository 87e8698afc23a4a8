"""Groups: what is gathered for one summary."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation


class AsyncGroups(AsyncResource):
    """What rules gather."""

    @operation("listGroups")
    def list(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        rule: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.Group]:
        """The groups that still gather."""
        query: Dict[str, Any] = {
            "namespace": namespace,
            "tenant": tenant,
            "rule": rule,
            "limit": limit,
            "cursor": cursor,
        }
        return self._list("listGroups", models.Group, query=query)

    @operation("getGroup")
    async def get(
        self, group_key: str, *, limit: Optional[int] = None, cursor: Optional[str] = None
    ) -> models.GroupWithMembers:
        """One group with the first of its members; ``next_cursor`` reads on."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor}
        return await self._one("getGroup", models.GroupWithMembers, {"group_key": group_key}, query)

    @operation("flushGroup")
    async def flush(self, group_key: str) -> models.Flushed:
        """Send its summary now."""
        return await self._one("flushGroup", models.Flushed, {"group_key": group_key})
