# Made by sdk/tools/sync.py from tocsin/_async/resources/dispatch.py; do not edit.
"""Dispatches: send something by a provider, as the rules decide."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from tocsin import models
from tocsin._sync.resource import Resource
from tocsin._model import decode
from tocsin._operation import operation
from tocsin._values import When, body_of


class Dispatch(Resource):
    """One request to perform something now."""

    @operation("dispatch")
    def send(
        self,
        namespace: str,
        tenant: str,
        provider: str,
        action_type: str,
        payload: Mapping[str, Any],
        *,
        metadata: Optional[Mapping[str, Any]] = None,
        dedup_key: Optional[str] = None,
        fingerprint: Optional[str] = None,
        status: Optional[str] = None,
        id: Optional[str] = None,  # noqa: A002 - the member's name
        starts_at: Optional[When] = None,
        ends_at: Optional[When] = None,
        created_at: Optional[When] = None,
        dry_run: Optional[bool] = None,
        wait: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> models.Outcome:
        """Dispatch, and answer with the outcome if there is one within ``wait`` seconds.

        Without ``wait`` the server decides how long it waits.
        """
        members: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "provider": provider}
        members.update(action_type=action_type, payload=dict(payload), metadata=metadata, dedup_key=dedup_key)
        members.update(fingerprint=fingerprint, status=status, id=id, starts_at=starts_at, ends_at=ends_at)
        body = body_of({**members, "created_at": created_at})
        return self._one(
            "dispatch",
            models.Outcome,
            query={"dry_run": dry_run},
            body=body,
            headers=preferring(wait),
            key=idempotency_key,
        )

    @operation("dispatchBatch")
    def batch(
        self,
        dispatches: Sequence[Mapping[str, Any]],
        *,
        dry_run: Optional[bool] = None,
        wait: Optional[int] = None,
        idempotency_key: Optional[str] = None,
    ) -> List[models.BatchItem]:
        """Dispatch up to 1,000 at once; each item of the answer has the ``outcome`` or the ``error`` of one."""
        answer = self._transport.call(
            "dispatchBatch",
            query={"dry_run": dry_run},
            body=[dict(one) for one in dispatches],
            headers=preferring(wait),
            key=idempotency_key,
        )
        return [decode(models.BatchItem, one) for one in answer.body]

    @operation("getDispatch")
    def get(self, dispatch_id: str, *, wait: Optional[float] = None) -> models.Outcome:
        """What became of a dispatch; with ``wait`` as soon as that is known, at the latest after that time."""
        return self._one("getDispatch", models.Outcome, {"dispatch_id": dispatch_id}, {"wait": wait})


def preferring(wait: Optional[int]) -> Dict[str, Optional[str]]:
    """The header by which a sender says how long it waits."""
    return {"Prefer": None if wait is None else f"wait={wait}"}
