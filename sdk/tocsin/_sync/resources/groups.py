# Made by sdk/tools/sync.py from tocsin/_async/resources/groups.py; do not edit.
"""Groups: what is gathered for one summary."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tocsin import models
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._operation import operation


class Groups(Resource):
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
    ) -> Pages[models.Group]:
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
    def get(
        self, group_key: str, *, limit: Optional[int] = None, cursor: Optional[str] = None
    ) -> models.GroupWithMembers:
        """One group with the first of its members; ``next_cursor`` reads on."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor}
        return self._one("getGroup", models.GroupWithMembers, {"group_key": group_key}, query)

    @operation("flushGroup")
    def flush(self, group_key: str) -> models.Flushed:
        """Send its summary now."""
        return self._one("flushGroup", models.Flushed, {"group_key": group_key})
