"""Deciders: those who may decide on what a step or an action asks.

The API checks the permission ``decide:approvals`` first. Then, in this order: if the approval names ``approvers``, only
they decide; and if ``not_by_starter`` holds, who has started the execution may not decide on it
(``tasks.control.voting``). Unless the definition says otherwise, ``not_by_starter`` holds wherever harm is contained or
repaired: in a playbook that uses such an action, or that starts another playbook.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from config.errors import Forbidden
from playbooks.plan import every_step
from playbooks.states import Kind
from store.engine import db
from store.engine.db import Row
from store.executions import runs
from tasks.definitions import revisions

#: types of action that contain or repair harm
GRAVE = frozenset({"containment", "remediation"})


class NotYours(Forbidden):
    """The caller has the permission, but this decision is another's."""


def question(step: Mapping[str, Any], message: Any) -> dict[str, Any]:
    """The question of an approval step, as its output shows it."""
    return {"message": message, "approvers": step.get("approvers", []), "audience": step.get("audience", [])}


class Deciding(NamedTuple):
    """Who may decide on an execution, as its definition says."""

    #: the only ones; none: every caller with the permission
    approvers: Sequence[str]
    #: who has started it, and may not decide; None where that one may
    apart: str | None


def of(row: Row) -> Deciding:
    """Who may decide on an execution.

    Nothing that it reads changes while an execution waits, so it is asked before the transaction that decides.
    """
    run = db.read_one(runs.get, row.workspace_id, row.run_id) if row.kind == Kind.STEP else None
    rules = _rules(row, run)
    apart: bool = rules.get("not_by_starter", run is not None and _grave(run))
    return Deciding(rules.get("approvers", []), (run or row).created_by if apart else None)


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
