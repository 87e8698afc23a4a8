# Made by sdk/tools/sync.py from tocsin/_async/resources/audit.py; do not edit.
"""The audit: what became of each execution and dispatch, why, and the proof that the record is whole."""

from __future__ import annotations

import json
from typing import Any, Iterator, Dict, Mapping, Optional

from tocsin import models
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._sync.resources.dispatch import preferring
from tocsin._model import decode
from tocsin._operation import operation
from tocsin._values import When, body_of


class Audit(Resource):
    """The sealed records."""

    @operation("listRecords")
    def list(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        provider: Optional[str] = None,
        action_type: Optional[str] = None,
        outcome: Optional[models.RecordOutcome] = None,
        verdict: Optional[models.RecordVerdict] = None,
        matched_rule: Optional[str] = None,
        caller_id: Optional[str] = None,
        chain_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        offset: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> Pages[models.Record]:
        """The records that match all filters, the newest first."""
        query = _filters(namespace, tenant, provider, action_type, outcome, verdict)
        query.update({"matched_rule": matched_rule, "caller_id": caller_id, "chain_id": chain_id, "from": since})
        query.update(to=until, limit=limit, offset=offset, cursor=cursor)
        return self._list("listRecords", models.Record, query=query)

    @operation("exportRecords")
    def export(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        provider: Optional[str] = None,
        action_type: Optional[str] = None,
        outcome: Optional[models.RecordOutcome] = None,
        verdict: Optional[models.RecordVerdict] = None,
        matched_rule: Optional[str] = None,
        caller_id: Optional[str] = None,
        chain_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> Iterator[models.Record]:
        """The same records, exported in large parts; all of them, however many parts that takes."""
        query = _filters(namespace, tenant, provider, action_type, outcome, verdict)
        query.update({"matched_rule": matched_rule, "caller_id": caller_id, "chain_id": chain_id, "from": since})
        query.update(to=until, limit=limit, cursor=cursor)
        while True:
            answer = self._transport.call("exportRecords", query=query)
            for line in (answer.body or "").splitlines():
                yield decode(models.Record, json.loads(line))
            query["cursor"] = answer.headers.get("next-cursor")
            if query["cursor"] is None:
                return

    @operation("getRecord", own=("all",))
    def get(self, record_id: str) -> models.Record:
        """The record of an execution, by its own id or that of its dispatch; the newest where there are several."""
        return self._one("getRecord", models.Record, {"record_id": record_id})

    def get_all(self, record_id: str) -> models.AllRecords:
        """All records of an execution or a dispatch."""
        return self._one("getRecord", models.AllRecords, {"record_id": record_id}, {"all": True})

    @operation("explainRecord")
    def why(self, record_id: str) -> models.Why:
        """Why it went as it did, in sentences."""
        return self._one("explainRecord", models.Why, {"record_id": record_id})

    @operation("replayRecord")
    def replay(
        self, record_id: str, *, wait: Optional[int] = None, idempotency_key: Optional[str] = None
    ) -> models.Outcome:
        """Dispatch it once more."""
        return self._one(
            "replayRecord", models.Outcome, {"record_id": record_id}, headers=preferring(wait), key=idempotency_key
        )

    @operation("replayRecords")
    def replay_all(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        provider: Optional[str] = None,
        action_type: Optional[str] = None,
        outcome: Optional[models.RecordOutcome] = None,
        verdict: Optional[models.RecordVerdict] = None,
        matched_rule: Optional[str] = None,
        caller_id: Optional[str] = None,
        chain_id: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        limit: Optional[int] = None,
        preview: Optional[bool] = None,
        include_replays: Optional[bool] = None,
        cursor: Optional[str] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Replays:
        """Dispatch what matches once more; with ``preview`` only say what that would be."""
        body = _filters(namespace, tenant, provider, action_type, outcome, verdict)
        body.update({"matched_rule": matched_rule, "caller_id": caller_id, "chain_id": chain_id, "from": since})
        body.update(to=until, limit=limit, preview=preview, include_replays=include_replays, cursor=cursor)
        return self._one("replayRecords", models.Replays, body=body_of(body), key=idempotency_key)

    @operation("verifyRecords")
    def verify(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        anchor: Optional[str] = None,
        cursor: Optional[str] = None,
    ) -> models.Verified:
        """Check the seals of the records; ``complete`` says whether to read on with ``next_cursor``."""
        query: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "from": since, "to": until, "anchor": anchor}
        return self._one("verifyRecords", models.Verified, query={**query, "cursor": cursor})

    @operation("verifyTrail")
    def verify_trail(
        self,
        *,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        since: Optional[When] = None,
        until: Optional[When] = None,
        anchor: Optional[str] = None,
        cursor: Optional[str] = None,
    ) -> models.Verified:
        """The same, with what is wanted in a body."""
        body: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "from": since, "to": until, "anchor": anchor}
        return self._one("verifyTrail", models.Verified, body=body_of({**body, "cursor": cursor}))

    @operation("listSealKeys")
    def keys(self) -> Pages[models.SealKey]:
        """The public keys by which seals are checked."""
        return self._list("listSealKeys", models.SealKey)

    @operation("getProof")
    def proof(self, record_id: str) -> models.Proof:
        """What another party needs to check one record without this server."""
        return self._one("getProof", models.Proof, {"record_id": record_id})


def _filters(*values: Any) -> Dict[str, Any]:
    names = ("namespace", "tenant", "provider", "action_type", "outcome", "verdict")
    found: Mapping[str, Any] = dict(zip(names, values))
    return dict(found)
