# Made by sdk/tools/sync.py from tocsin/_async/resources/rules.py; do not edit.
"""The gateway's rules: list, load, switch, try and roll them back; compare texts by meaning, as rules do."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from tocsin import models
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._operation import operation
from tocsin._values import When, body_of


class Rules(Resource):
    """The rules that decide what goes out."""

    @operation("listRules")
    def list(self) -> Pages[models.Rule]:
        """The rules in force, in the order in which they are asked."""
        return self._list("listRules", models.Rule)

    @operation("reloadRules")
    def reload(self) -> models.Loading:
        """Load the configuration folder; what has faults changes nothing."""
        return self._one("reloadRules", models.Loading)

    @operation("enableRule", own=("enabled",))
    def enable(self, rule_name: str) -> models.Switched:
        """Switch a rule on."""
        return self._one("enableRule", models.Switched, {"rule_name": rule_name}, body={"enabled": True})

    def disable(self, rule_name: str) -> models.Switched:
        """Switch a rule off."""
        return self._one("enableRule", models.Switched, {"rule_name": rule_name}, body={"enabled": False})

    @operation("listGenerations")
    def history(
        self,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.Generation]:
        """The configurations that were in force, the newest first."""
        query: Dict[str, Any] = {"limit": limit, "cursor": cursor, "page": page, "per_page": per_page}
        return self._list("listGenerations", models.Generation, query=query)

    @operation("rollBackRules")
    def roll_back(self, generation: int) -> models.Loading:
        """Put an earlier configuration in force again."""
        return self._one("rollBackRules", models.Loading, body={"generation": generation})

    @operation("evaluateRules")
    def evaluate(
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
        return self._one("evaluateRules", models.Trace, body=body_of({**members, "mock_events": mock_events}))

    @operation("simulateRules")
    def simulate(
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
        return self._one(
            "simulateRules", models.Simulation, body=body_of({**body, "namespace": namespace, "tenant": tenant})
        )

    @operation("getCoverage")
    def coverage(
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
        return self._one("getCoverage", models.Coverage, query=query)


class Embeddings(Resource):
    """Texts compared by meaning."""

    @operation("compareTexts")
    def similarity(self, text: str, topic: str) -> models.Similarity:
        """How near a text is to a topic, from 0 to 1."""
        return self._one("compareTexts", models.Similarity, body={"text": text, "topic": topic})
