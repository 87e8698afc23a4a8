"""The bodies that show approvals."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from api.http.times import stamp
from store.callers.actors import Actor
from store.engine.db import Row
from store.gateway import approvals


def approval(row: Row, who: Mapping[str, Actor], votes: Sequence[Row] | None = None) -> dict[str, Any]:
    """An approval, a row of ``store.records.approvals``; with its votes where they were read.

    ``who`` are those who have asked, decided and voted.

    Nothing of it lets its reader decide.
    """
    shown = {
        "id": row.id,
        "token": row.id,
        "status": row.shown_status,
        "origin": row.origin,
        "rule": row.rule,
        "message": row.message,
        "namespace": row.namespace,
        "tenant": row.workspace_id,
        "provider": row.provider,
        "action_type": row.action_type,
        "execution_id": row.execution_id,
        "requested_by": row.requested_by,
        "requested_by_actor": who.get(row.requested_by),
        "approvers": approvals.approvers_of(row),
        "quorum": row.quorum,
        "reject_quorum": row.reject_quorum,
        "requester_may_approve": None if row.requester_may_approve is None else bool(row.requester_may_approve),
        "created_at": stamp(row.created_at),
        "expires_at": stamp(row.expires_at),
        "decided_at": stamp(row.decided_at),
        "decided_by": row.decided_by,
        "decided_by_actor": who.get(row.decided_by),
        "note": row.note,
        "notify": row.notify,
        "notification_sent": row.notices > 0,
        "notices": row.notices,
        "notice_ids": json.loads(row.notice_ids) if row.notice_ids else [],
        "notice_error": row.notice_error,
    }
    if votes is not None:
        shown["votes"] = [_vote(vote, who) for vote in votes]
    return shown


def _vote(row: Row, who: Mapping[str, Actor]) -> dict[str, Any]:
    said = {"decision": row.decision, "note": row.note, "at": stamp(row.at), "via": row.via}
    return {"voter": row.voter, "voter_actor": who.get(row.voter), **said}
