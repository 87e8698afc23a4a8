"""Executions of actions: follow, cancel and decide them."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tocsin import models
from tocsin._async.handles import AsyncExecutionHandle
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import Many, When


class AsyncExecutions(AsyncResource):
    """Executions of single actions: triggered ones, and steps of runs."""

    @operation("listExecutions")
    def list(
        self,
        *,
        status: Optional[Many[models.ExecutionStatus]] = None,
        action_id: Optional[str] = None,
        target: Optional[str] = None,
        standalone: Optional[bool] = None,
        trigger: Optional[str] = None,
        run_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> AsyncPages[models.ExecutionItem]:
        """The executions, the newest first; ``since`` is a moment or, as a ``timedelta``, so long ago."""
        query: Dict[str, Any] = {"status": status, "action_id": action_id, "target": target, "from": since, "to": until}
        query.update(limit=limit, cursor=cursor, page=page, per_page=per_page)
        query.update(standalone=standalone, trigger=trigger, run_id=run_id)
        return self._list("listExecutions", models.ExecutionItem, query=query)

    @operation("getExecution")
    async def get(self, execution_id: str, *, wait: Optional[float] = None) -> models.Execution:
        """One execution; with ``wait`` as soon as its state is another, at the latest after that time."""
        return await self._one(
            "getExecution",
            models.Execution,
            {"execution_id": execution_id},
            {"wait": wait},
        )

    def handle(self, execution_id: str) -> AsyncExecutionHandle:
        """The handle of an execution, to wait for it and to steer it; nothing is asked."""
        return AsyncExecutionHandle(self._transport, execution_id)

    @operation("listExecutionLogs")
    def logs(
        self,
        execution_id: str,
        *,
        since: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.LogLine]:
        """Its log lines, in order of time."""
        query = {"since": since, "limit": limit, "cursor": cursor}
        return self._list("listExecutionLogs", models.LogLine, {"execution_id": execution_id}, query)

    @operation("cancelExecution")
    async def cancel(self, execution_id: str) -> models.Execution:
        """Cancel it; 409 where it has ended."""
        return await self._one("cancelExecution", models.Execution, {"execution_id": execution_id})

    @operation("approveExecution")
    async def approve(self, execution_id: str, note: str = "") -> models.Execution:
        """Approve what it waits for; the first decision counts."""
        return await self._one(
            "approveExecution", models.Execution, {"execution_id": execution_id}, body={"note": note}
        )

    @operation("rejectExecution")
    async def reject(self, execution_id: str, note: str = "") -> models.Execution:
        """Reject what it waits for; the first decision counts."""
        return await self._one("rejectExecution", models.Execution, {"execution_id": execution_id}, body={"note": note})
