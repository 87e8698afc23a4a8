"""A run under way, as a worker knows it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playbooks.definitions.triggers import subject
from playbooks.plan import Plan
from playbooks.states import Mode
from playbooks.widths import MOST_LIVE, Widths
from store.engine import db
from store.engine.db import Connection, Row
from tasks.definitions import listeners, revisions
from tasks.secrets.redact import texts
from tasks.secrets.sealing import HANDED_ON, opened_parameters


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run under way; its secrets are in clear here."""

    id: str
    workspace_id: str
    playbook_id: str
    revision_id: str
    plan: Plan
    definition: Mapping[str, Any]
    mode: Mode
    target: str | None
    parameters: Mapping[str, Any]
    #: the secret ones among the parameters, and every text to mask
    hidden: Mapping[str, Any]
    secrets: tuple[str, ...]
    context: Mapping[str, Any]
    deadline: int
    created_by: str
    request_id: str | None
    parent_id: str | None
    started_at: int

    @property
    def root(self) -> str:
        """The first run of those that started each other."""
        return self.context["root"] or self.id

    @property
    def led_by(self) -> str | None:
        """The event that has led to it, if one has."""
        return listeners.source(self.context)

    @property
    def widths(self) -> Widths:
        """The number of its steps that may be under way at once."""
        return revisions.widths(self.revision_id, self.context.get("width", MOST_LIVE))


def ends_announced(run: Run) -> frozenset[str]:
    """The ends of a run that playbooks listen for."""
    return listeners.ends(run.workspace_id, run.mode, run.parent_id, run.led_by)


def ends_of_row(row: Row | None, connection: Connection | None = None) -> frozenset[str]:
    """The same for the whole row of a run; in a transaction, over its ``connection``."""
    if row is None:
        return frozenset()
    led_by = listeners.source(json.loads(row.context))
    return listeners.ends(row.workspace_id, row.mode, row.parent_id, led_by, connection)


def loaded(row: Row) -> Run:
    """The run of a row, with its secrets opened.

    Raises:
        SealBroken: its secrets cannot be opened.
    """
    revision, plan = revisions.playbook(row.revision_id)
    hidden = opened_parameters(row)
    handed_on = hidden.pop(HANDED_ON, [])
    context = json.loads(row.context)
    context["subject"] = subject(context["event"]) if context["event"] else {}
    return Run(
        id=row.id,
        workspace_id=row.workspace_id,
        playbook_id=row.action_id,
        revision_id=row.revision_id,
        plan=plan,
        definition=revision.definition,
        mode=row.mode,
        target=row.target,
        parameters={**json.loads(row.input), **hidden},
        hidden=hidden,
        secrets=(*texts(hidden), *handed_on),
        context=context,
        deadline=row.expires_at,
        created_by=row.created_by,
        request_id=row.request_id,
        parent_id=row.parent_id,
        started_at=row.started_at or db.now_ms(),
    )
