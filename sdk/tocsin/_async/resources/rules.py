"""The gateway's rules: list, load, switch, try and roll them back; compare texts by meaning, as rules do."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from tocsin import models
from tocsin._async.pages import AsyncPages
from tocsin._async.resource import AsyncResource
from tocsin._operation import operation
from tocsin._values import When, body_of


class AsyncRules(AsyncResource):
    """The rules that decide what goes out."""

    @operation("listRules")
    def list(self) -> AsyncPages[models.Rule]:
        """The rules in force, in the order in which they are asked."""
        return self._list("listRules", models.Rule)

    @operation("reloadRules")
    async def reload(self) -> models.Loading:
        """Load the configuration folder; what has faults changes nothing."""
        return await self._one("reloadRules", models.Loading)

    @operation("enableRule", own=("enabled",))
    async def enable(self, rule_name: str) -> models.Switched:
        """Switch a rule on."""
        return await self._one("enableRule", models.Switched, {"rule_name": rule_name}, body={"enabled": True})

    async def disable(self, rule_name: str) -> models.Switched:
        """Switch a rule off."""
        return await self._one("enableRule", models.Switched, {"rule_name": rule_name}, body={"enabled": False})

    @operation("listGenerations")
    def history(
        self,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> AsyncPages[models.Generation]:
        """The configurations that were in force, the newest first."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor, "page": page, "per_page": per_page}
        return self._list("listGenerations", models.Generation, query=query)

    @operation("rollBackRules")
    async def roll_back(self, generation: int) -> models.Loading:
        """Put an earlier configuration in force again."""
        return await self._one("rollBackRules", models.Loading, body={"generation": generation})

    @operation("evaluateRules")
    async def evaluate(
        self,
        namespace: str,
        tenant: str,
        provider: str,
        action_type: str,
        *,
        origin: Optional[str] = None,
        payload: Optional[Mapping[str, Any]] = None,
        metadata: Optional[Mapping[str, Any]] = None,
        status: Optional[str] = None,
        fingerprint: Optional[str] = None,
        dedup_key: Optional[str] = None,
        include_disabled: Optional[bool] = None,
        evaluate_all: Optional[bool] = None,
        evaluate_at: Optional[When] = None,
        mock_state: Optional[Mapping[str, Any]] = None,
        mock_events: Optional[Mapping[str, Any]] = None,
    ) -> models.Trace:
        """What the rules would decide, rule by rule; nothing goes out."""
        members: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "provider": provider}
        members.update(action_type=action_type, origin=origin, payload=payload, metadata=metadata, status=status)
        members.update(fingerprint=fingerprint, dedup_key=dedup_key, include_disabled=include_disabled)
        members.update(evaluate_all=evaluate_all, evaluate_at=evaluate_at, mock_state=mock_state)
        return await self._one("evaluateRules", models.Trace, body=body_of({**members, "mock_events": mock_events}))

    @operation("simulateRules")
    async def simulate(
        self,
        rules: Any = None,
        *,
        hours: Optional[float] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> models.Simulation:
        """Decide what came once more, by other rules: a whole set, or changes of the one in force."""
        body: Dict[str, Any] = {"rules": rules, "hours": hours, "from": since, "to": until, "limit": limit}
        return await self._one(
            "simulateRules", models.Simulation, body=body_of({**body, "namespace": namespace, "tenant": tenant})
        )

    @operation("getCoverage")
    async def coverage(
        self,
        *,
        hours: Optional[float] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
    ) -> models.Coverage:
        """Which of what came the rules cover, and which rules nothing reaches."""
        query: Dict[str, Any] = {
            "hours": hours,
            "from": since,
            "to": until,
            "limit": limit,
            "namespace": namespace,
            "tenant": tenant,
        }
        return await self._one("getCoverage", models.Coverage, query=query)


class AsyncEmbeddings(AsyncResource):
    """Texts compared by meaning."""

    @operation("compareTexts")
    async def similarity(self, text: str, topic: str) -> models.Similarity:
        """How near a text is to a topic, from 0 to 1."""
        return await self._one("compareTexts", models.Similarity, body={"text": text, "topic": topic})
