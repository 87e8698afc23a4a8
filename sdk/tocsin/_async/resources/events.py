"""Events: report those of other systems; see the lasting ones, and move them."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import Many, body_of


class AsyncEvents(AsyncResource):
    """What happened elsewhere."""

    @operation("sendEvent", own=("dry_run",))
    async def send(
        self,
        event: str,
        data: Optional[Mapping[str, Any]] = None,
        *,
        id: Optional[str] = None,  # noqa: A002 - the member's name
        idempotency_key: Optional[str] = None,
    ) -> models.EventOutcome:
        """Report an event such as ``finding.new``; the answer says which playbooks it has started."""
        body = body_of({"event": event, "data": None if data is None else dict(data), "id": id})
        return await self._one("sendEvent", models.EventOutcome, body=body, key=idempotency_key)

    async def forecast(
        self,
        event: str,
        data: Optional[Mapping[str, Any]] = None,
        *,
        id: Optional[str] = None,  # noqa: A002 - the member's name
    ) -> models.EventForecast:
        """Which playbooks an event would start and which not, condition by condition; nothing is stored."""
        body = body_of({"event": event, "data": None if data is None else dict(data), "id": id})
        return await self._one("sendEvent", models.EventForecast, query={"dry_run": True}, body=body)

    @operation("listEvents")
    def list(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        status: Optional[str] = None,
        labels: Optional[Many[str]] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> AsyncPages[models.EventState]:
        """The events that last, with the state of each; ``labels`` are written ``name=value``."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "status": status, "labels": labels}
        query.update(limit=limit, cursor=cursor)
        return self._list("listEvents", models.EventState, query=query)

    @operation("getEvent")
    async def get(
        self,
        fingerprint: str,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        before: Optional[int] = None,
    ) -> models.EventHistory:
        """One event with its history, the last moves first; ``before`` reads on."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "before": before}
        return await self._one("getEvent", models.EventHistory, {"fingerprint": fingerprint}, query)

    @operation("transitionEvent", own=("to",))
    async def transition(
        self, fingerprint: str, to_state: str, *, namespace: Optional[str] = None, tenant: Optional[str] = None
    ) -> models.EventTransitioned:
        """Move an event to another state, if its state machine allows it."""
        body = body_of({"to_state": to_state, "namespace": namespace, "tenant": tenant})
        return await self._one("transitionEvent", models.EventTransitioned, {"fingerprint": fingerprint}, body=body)
