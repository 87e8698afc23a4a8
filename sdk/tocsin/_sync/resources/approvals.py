# Made by sdk/tools/sync.py from tocsin/_async/resources/approvals.py; do not edit.
"""Approvals: see what waits for a decision, and decide."""

from __future__ import annotations

from typing import Any, Dict, Optional

from tocsin import models
from tocsin._sync.pages import Pages
from tocsin._sync.resource import Resource
from tocsin._operation import operation
from tocsin._values import Many

_PAGES = {"Accept": "text/html"}


class Approvals(Resource):
    """What waits for a person: steps, actions, and what rules hold."""

    @operation("listPendingApprovals")
    def list(
        self,
        *,
        status: Optional[Many[models.ApprovalStatus]] = None,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        page: Optional[int] = None,
        per_page: Optional[int] = None,
    ) -> Pages[models.Approval]:
        """What waits for a decision; with ``status`` also what was decided."""
        query: Dict[str, Any] = {"status": status, "namespace": namespace, "tenant": tenant}
        query.update(limit=limit, cursor=cursor, page=page, per_page=per_page)
        return self._list("listPendingApprovals", models.Approval, query=query)

    @operation("listApprovals")
    def of_gateway(
        self,
        *,
        status: Optional[Many[models.ApprovalStatus]] = None,
        namespace: Optional[str] = None,
        tenant: Optional[str] = None,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
    ) -> Pages[models.Approval]:
        """The same list as the gateway answers it, below ``/v1``."""
        query: Dict[str, Any] = {
            "status": status,
            "namespace": namespace,
            "tenant": tenant,
            "limit": limit,
            "cursor": cursor,
        }
        return self._list("listApprovals", models.Approval, query=query)

    @operation("getApproval")
    def get(self, approval_id: str) -> models.Approval:
        """One approval, with the votes so far."""
        return self._one("getApproval", models.Approval, {"approval_id": approval_id})

    @operation("approveApproval")
    def approve(self, approval_id: str, note: str = "") -> models.DecidedApproval:
        """Approve it: what waits for it goes on, once enough have approved."""
        return self._one(
            "approveApproval", models.DecidedApproval, {"approval_id": approval_id}, body={"note": note}
        )

    @operation("rejectApproval")
    def reject(self, approval_id: str, note: str = "") -> models.DecidedApproval:
        """Reject it: what waits for it does not go out."""
        return self._one(
            "rejectApproval", models.DecidedApproval, {"approval_id": approval_id}, body={"note": note}
        )

    @operation("getApproveLink")
    @operation("getRejectLink")
    def link_page(
        self,
        decision: str,
        namespace: str,
        tenant: str,
        approval_id: str,
        *,
        sig: str,
        expires_at: str,
        kid: Optional[str] = None,
        recipient: Optional[str] = None,
    ) -> str:
        """The page behind a signed link, ``decision`` being approve or reject; it decides nothing."""
        name = {"approve": "getApproveLink", "reject": "getRejectLink"}[decision]
        path: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "approval_id": approval_id}
        query: Dict[str, Any] = {"sig": sig, "expires_at": expires_at, "kid": kid, "recipient": recipient}
        answer = self._transport.call(name, path, query, headers=_PAGES)
        return str(answer.body)

    @operation("approveByLink")
    def approve_by_link(
        self,
        namespace: str,
        tenant: str,
        approval_id: str,
        *,
        sig: str,
        expires_at: str,
        kid: Optional[str] = None,
        recipient: Optional[str] = None,
    ) -> models.DecidedApproval:
        """Approve by the members of a signed link, without a key."""
        query: Dict[str, Any] = {"sig": sig, "expires_at": expires_at, "kid": kid, "recipient": recipient}
        return self._by_link("approveByLink", namespace, tenant, approval_id, query)

    @operation("rejectByLink")
    def reject_by_link(
        self,
        namespace: str,
        tenant: str,
        approval_id: str,
        *,
        sig: str,
        expires_at: str,
        kid: Optional[str] = None,
        recipient: Optional[str] = None,
    ) -> models.DecidedApproval:
        """Reject by the members of a signed link, without a key."""
        query: Dict[str, Any] = {"sig": sig, "expires_at": expires_at, "kid": kid, "recipient": recipient}
        return self._by_link("rejectByLink", namespace, tenant, approval_id, query)

    def _by_link(
        self, name: str, namespace: str, tenant: str, approval_id: str, query: Any
    ) -> models.DecidedApproval:
        path: Dict[str, Any] = {"namespace": namespace, "tenant": tenant, "approval_id": approval_id}
        headers = {"Accept": "application/json"}
        return self._one(name, models.DecidedApproval, path, query, headers=headers)
