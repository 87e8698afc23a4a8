"""Silences, and the named calendars in which rules let nothing out and schedules rest."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import Many, When, body_of

Matchers = Sequence[Mapping[str, str]]


class AsyncSilences(AsyncResource):
    """What is kept quiet, and how long."""

    @operation("listSilences")
    def list(
        self,
        *,
        status: Optional[Many[models.SilenceStatus]] = None,
        tenant: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.Silence]:
        """The silences that are active or pending; with ``status`` also those that have ended."""
        query: Dict[str, Any] = {"status": status, "tenant": tenant, "limit": limit, "cursor": cursor}
        return self._list("listSilences", models.Silence, query=query)

    @operation("getSilence")
    async def get(self, silence_id: str) -> models.Silence:
        """One silence."""
        return await self._one("getSilence", models.Silence, {"silence_id": silence_id})

    @operation("createSilence")
    async def create(
        self,
        matchers: Matchers,
        comment: str,
        *,
        tenant: Optional[str] = None,
        starts_at: Optional[When] = None,
        ends_at: Optional[When] = None,
        duration_seconds: Optional[int] = None,
        cron: Optional[str] = None,
        timezone: Optional[str] = None,
        duration_minutes: Optional[int] = None,
        after: Optional[models.SilenceAfter] = None,
        notify: Optional[str] = None,
        remind_before_minutes: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Silence:
        """Silence what matches; when the answer comes, every process obeys."""
        body: Dict[str, Any] = {
            "matchers": list(matchers),
            "comment": comment,
            "tenant": tenant,
            "starts_at": starts_at,
        }
        body.update(ends_at=ends_at, duration_seconds=duration_seconds, cron=cron, timezone=timezone, after=after)
        body.update(duration_minutes=duration_minutes, notify=notify, remind_before_minutes=remind_before_minutes)
        return await self._one("createSilence", models.Silence, body=body_of(body), key=idempotency_key)

    @operation("changeSilence")
    async def update(
        self,
        silence_id: str,
        matchers: Matchers,
        comment: str,
        *,
        tenant: Optional[str] = None,
        starts_at: Optional[When] = None,
        ends_at: Optional[When] = None,
        duration_seconds: Optional[int] = None,
        cron: Optional[str] = None,
        timezone: Optional[str] = None,
        duration_minutes: Optional[int] = None,
        after: Optional[models.SilenceAfter] = None,
        notify: Optional[str] = None,
        remind_before_minutes: Optional[int] = None,
    ) -> models.Silence:
        """Replace a silence."""
        body: Dict[str, Any] = {
            "matchers": list(matchers),
            "comment": comment,
            "tenant": tenant,
            "starts_at": starts_at,
        }
        body.update(ends_at=ends_at, duration_seconds=duration_seconds, cron=cron, timezone=timezone, after=after)
        body.update(duration_minutes=duration_minutes, notify=notify, remind_before_minutes=remind_before_minutes)
        return await self._one("changeSilence", models.Silence, {"silence_id": silence_id}, body=body_of(body))

    @operation("previewSilence")
    async def preview(
        self,
        matchers: Matchers,
        *,
        tenant: Optional[str] = None,
        cron: Optional[str] = None,
        timezone: Optional[str] = None,
        duration_minutes: Optional[int] = None,
    ) -> models.Previewed:
        """What a silence would have kept quiet lately."""
        body: Dict[str, Any] = {"matchers": list(matchers), "tenant": tenant, "cron": cron, "timezone": timezone}
        body["duration_minutes"] = duration_minutes
        return await self._one("previewSilence", models.Previewed, body=body_of(body))

    @operation("endSilence")
    async def delete(self, silence_id: str) -> models.Silence:
        """End a silence now."""
        return await self._one("endSilence", models.Silence, {"silence_id": silence_id})


class AsyncTimeIntervals(AsyncResource):
    """Spans of time that come back, by name."""

    @operation("listCalendars")
    def list(self) -> AsyncPages[models.Calendar]:
        """The calendars of the configuration and of requests."""
        return self._list("listCalendars", models.Calendar)

    @operation("getCalendar")
    async def get(self, name: str) -> models.Calendar:
        """One calendar."""
        return await self._one("getCalendar", models.Calendar, {"calendar_name": name})

    @operation("createCalendar")
    async def create(
        self,
        name: str,
        time_intervals: Sequence[Mapping[str, Any]],
        *,
        description: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Calendar:
        """Create a calendar."""
        body = body_of({"name": name, "time_intervals": list(time_intervals), "description": description})
        return await self._one("createCalendar", models.Calendar, body=body, key=idempotency_key)

    @operation("changeCalendar")
    async def update(
        self, name: str, time_intervals: Sequence[Mapping[str, Any]], *, description: Optional[str] = None
    ) -> models.Calendar:
        """Replace a calendar."""
        body = body_of({"time_intervals": list(time_intervals), "description": description})
        return await self._one("changeCalendar", models.Calendar, {"calendar_name": name}, body=body)

    @operation("deleteCalendar")
    async def delete(self, name: str) -> None:
        """Delete a calendar that nothing uses."""
        await self._nothing("deleteCalendar", {"calendar_name": name})
