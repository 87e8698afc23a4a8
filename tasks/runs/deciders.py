"""Deciders: the callers who may decide on an approval.

The API checks the permission ``decide:approvals`` first. Then, in this order: if the approval names ``approvers``, only
they decide; and if ``not_by_starter`` holds, the caller who has started the execution may not decide on it. Unless the
definition says otherwise, ``not_by_starter`` holds wherever harm is contained or repaired: in a playbook that uses such
an action, or that starts another playbook.

A refusal is written to the audit trail, like a decision.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from config.errors import Forbidden
from playbooks.plan import every_step
from playbooks.states import Kind
from store import access, audit
from store.access import Caller
from store.engine import db
from store.engine.db import Row
from store.executions import runs
from tasks.definitions import revisions

#: types of action that contain or repair harm
GRAVE = frozenset({"containment", "remediation"})
#: the prefix of an approver that is a role and not a key
_ROLE = "role:"


class NotYours(Forbidden):
    """The caller has the permission, but this decision is another's."""


def question(step: Mapping[str, Any], message: Any) -> dict[str, Any]:
    """The question of an approval step, as its output shows it."""
    return {"message": message, "approvers": step.get("approvers", []), "audience": step.get("audience", [])}


def check(caller: Caller, row: Row) -> None:
    """Refuse a caller who may not decide on this execution.

    Nothing that it reads changes while an execution waits, so it is asked before the transaction that decides.

    Raises:
        NotYours: the decision is another's.
    """
    run = db.read_one(runs.get, row.workspace_id, row.run_id) if row.kind == Kind.STEP else None
    rules = _rules(row, run)
    approvers: list[str] = rules.get("approvers", [])
    if approvers and not _named(caller, approvers):
        raise NotYours(
            f"Only these may decide: {', '.join(approvers)}. A key of that id or name, or of that role, does it.",
            code="not_an_approver",
        )
    apart: bool = rules.get("not_by_starter", run is not None and _grave(run))
    if apart and (run or row).created_by == caller.key_id:
        raise NotYours(
            "Who has started this may not decide about it: another key has to "
            "(or the definition says not_by_starter: false).",
            code="not_by_starter",
        )


def note_refusal(caller: Caller, execution_id: str, refusal: NotYours) -> None:
    """Write an attempt to decide without permission to the audit trail."""
    with db.write() as connection:
        audit.record(
            connection, caller.workspace_id, caller.key_id, "approval.refused", execution_id, reason=refusal.code
        )


def _rules(row: Row, run: Row | None) -> Mapping[str, Any]:
    """The definition of an approval: a step, or an action's config."""
    if run is not None and row.type == "approval":
        step: Mapping[str, Any] = revisions.playbook(run.revision_id)[1].nodes[row.step_id].step
        return step
    config: Mapping[str, Any] = revisions.action(row.revision_id).definition["config"]
    return config


def _grave(run: Row) -> bool:
    """Whether a playbook contains or repairs harm, or starts one that may."""
    steps = every_step(revisions.playbook(run.revision_id)[0].definition["steps"])
    if any(step["type"] == "playbook" for step in steps):
        return True
    pinned: dict[str, str] = json.loads(run.context)["pins"]
    return any(revisions.action(revision_id).definition["type"] in GRAVE for revision_id in pinned.values())


def _named(caller: Caller, approvers: Collection[str]) -> bool:
    """Whether the caller is an approver by role, id or key name."""
    if caller.key_id in approvers or f"{_ROLE}{caller.role}" in approvers:
        return True
    key = db.read_one(access.get_key, caller.workspace_id, caller.key_id)
    return key is not None and key.name in approvers
