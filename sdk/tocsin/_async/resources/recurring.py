"""Recurring actions: something goes out again and again, by a schedule."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import Many, When, body_of


class AsyncRecurring(AsyncResource):
    """What comes back by a schedule."""

    @operation("listRecurring")
    def list(
        self,
        namespace: str,
        tenant: str,
        *,
        enabled: Optional[bool] = None,
        status: Optional[Many[models.RecurringStatus]] = None,
        labels: Optional[Many[str]] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        offset: Optional[int] = None,
    ) -> AsyncPages[models.RecurringSummary]:
        """The recurring actions of a namespace and tenant; ``labels`` are written ``name=value``."""
        query: Dict[str, Any] = {
            "namespace": namespace,
            "tenant": tenant,
            "enabled": enabled,
            "status": status,
            "labels": labels,
        }
        query.update(limit=limit, cursor=cursor, offset=offset)
        return self._list("listRecurring", models.RecurringSummary, query=query)

    @operation("getRecurring")
    async def get(
        self, recurring_id: str, *, namespace: Optional[str] = None, tenant: Optional[str] = None
    ) -> models.Recurring:
        """One recurring action, with its next times."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant}
        return await self._one("getRecurring", models.Recurring, {"recurring_id": recurring_id}, query)

    @operation("createRecurring", own=("namespace", "tenant", "cron_expression", "end_date"))
    async def create(
        self,
        cron_expr: str,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        timezone: Optional[str] = None,
        provider: Optional[str] = None,
        action_type: Optional[str] = None,
        payload: Optional[Mapping[str, Any]] = None,
        target: Optional[Mapping[str, Any]] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        labels: Optional[Mapping[str, str]] = None,
        dedup_key: Optional[str] = None,
        name: Optional[str] = None,
        description: Optional[str] = None,
        enabled: Optional[bool] = None,
        ends_at: Optional[When] = None,
        max_executions: Optional[int] = None,
        catch_up: Optional[models.RecurringCatchUp] = None,
        overlap: Optional[models.RecurringOverlap] = None,
        jitter_seconds: Optional[int] = None,
        skip_during: Optional[Sequence[str]] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.RecurringCreated:
        """Have a dispatch, or the action or playbook ``target``, go out by a schedule."""
        body: Dict[str, Any] = {"cron_expr": cron_expr, "namespace": namespace, "tenant": tenant, "timezone": timezone}
        body.update(provider=provider, action_type=action_type, payload=payload, target=target, metadata=metadata)
        body.update(labels=labels, dedup_key=dedup_key, name=name, description=description, enabled=enabled)
        body.update(ends_at=ends_at, max_executions=max_executions, catch_up=catch_up, overlap=overlap)
        body.update(jitter_seconds=jitter_seconds, skip_during=skip_during)
        return await self._one("createRecurring", models.RecurringCreated, body=body_of(body), key=idempotency_key)

    @operation("changeRecurring", own=("cron_expression", "end_date"))
    async def update(
        self,
        recurring_id: str,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        cron_expr: Optional[str] = None,
        timezone: Optional[str] = None,
        provider: Optional[str] = None,
        action_type: Optional[str] = None,
        payload: Optional[Mapping[str, Any]] = None,
        target: Optional[Mapping[str, Any]] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        labels: Optional[Mapping[str, str]] = None,
        dedup_key: Optional[str] = None,
        name: Optional[str] = None,
        description: Optional[str] = None,
        enabled: Optional[bool] = None,
        ends_at: Optional[When] = None,
        max_executions: Optional[int] = None,
        catch_up: Optional[models.RecurringCatchUp] = None,
        overlap: Optional[models.RecurringOverlap] = None,
        jitter_seconds: Optional[int] = None,
        skip_during: Optional[Sequence[str]] = None,
    ) -> models.Recurring:
        """Change what is given of it."""
        body: Dict[str, Any] = {"cron_expr": cron_expr, "timezone": timezone, "provider": provider, "target": target}
        body.update(action_type=action_type, payload=payload, metadata=metadata, labels=labels, dedup_key=dedup_key)
        body.update(name=name, description=description, enabled=enabled, ends_at=ends_at, catch_up=catch_up)
        body.update(max_executions=max_executions, overlap=overlap, jitter_seconds=jitter_seconds)
        return await self._one(
            "changeRecurring",
            models.Recurring,
            {"recurring_id": recurring_id},
            {"namespace": namespace, "tenant": tenant},
            body=body_of({**body, "skip_during": skip_during}),
        )

    @operation("deleteRecurring")
    async def delete(self, recurring_id: str, *, namespace: Optional[str] = None, tenant: Optional[str] = None) -> None:
        """Delete it; what has gone out stays on record."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant}
        await self._nothing("deleteRecurring", {"recurring_id": recurring_id}, query)

    @operation("pauseRecurring")
    async def pause(
        self, recurring_id: str, *, namespace: Optional[str] = None, tenant: Optional[str] = None
    ) -> models.Recurring:
        """Let it rest."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant}
        return await self._one("pauseRecurring", models.Recurring, {"recurring_id": recurring_id}, query, body={})

    @operation("resumeRecurring")
    async def resume(
        self, recurring_id: str, *, namespace: Optional[str] = None, tenant: Optional[str] = None
    ) -> models.Recurring:
        """Let it go on."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant}
        return await self._one("resumeRecurring", models.Recurring, {"recurring_id": recurring_id}, query, body={})

    @operation("listFirings")
    def history(
        self,
        recurring_id: str,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.RecurringFiring]:
        """What became of each of its times, the newest first."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "limit": limit, "cursor": cursor}
        return self._list("listFirings", models.RecurringFiring, {"recurring_id": recurring_id}, query)

    @operation("backfillRecurring")
    async def backfill(
        self,
        recurring_id: str,
        start: When,
        end: When,
        *,
        limit: Optional[int] = None,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> models.RecurringBackfilled:
        """Make up for the times between ``start`` and ``end``; ``next_start`` reads on."""
        return await self._one(
            "backfillRecurring",
            models.RecurringBackfilled,
            {"recurring_id": recurring_id},
            {"namespace": namespace, "tenant": tenant},
            body=body_of({"start": start, "end": end, "limit": limit}),
        )
