"""The bodies that show actions and executions."""

from collections.abc import Mapping, Sequence
from typing import Any

from api.http.times import milliseconds, seconds, stamp, waits_until
from gateway import gate_column
from gateway.facts import PROVIDER_PREFIX
from gateway.redacted import redacted
from playbooks.states import Kind, Mode, WaitingFor
from store.definitions.actions import Action, Revision
from store.engine.db import Row
from store.executions import transitions
from store.executions.lists import listing

#: what has a step, and a dispatch, carried out
_TRIGGER_OF_KIND = {Kind.STEP: "playbook", Kind.DISPATCH: "dispatch"}
_FIELDS = (
    "name",
    "type",
    "description",
    "version",
    "executor",
    "parameters",
    "config",
    "tags",
    "timeout_seconds",
    "retry",
    "idempotent",
    "conditions",
    "input_mapping",
    "output_mapping",
)


def action(this: Action) -> dict[str, Any]:
    """An action as it is now."""
    return {
        "id": this.id,
        **_definition(this.revision.definition),
        "enabled": this.enabled,
        "created_at": stamp(this.created_at),
        "updated_at": stamp(this.updated_at),
    }


def version(action_id: str, row: Row) -> dict[str, Any]:
    """An action as it was at one version."""
    definition = transitions.load(row.definition)
    return {
        "id": action_id,
        **_definition(definition),
        "enabled": definition["enabled"],
    }


def _definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    return {name: definition[name] for name in _FIELDS if name in definition}


def execution_items(rows: Sequence[Row], versions: Mapping[str, str]) -> list[dict[str, Any]]:
    """Executions for a list, from rows of ``store.executions.lists.listing``.

    Values that are too large for a list are left out. ``versions`` are those of the revisions.
    """
    items = [_item(row, versions[row.revision_id]) for row in rows]
    for row, item in zip(rows, items, strict=True):
        if row.input is None:
            item["parameters_omitted"] = True
        if row.output is None and row.has_output:
            item["output_omitted"] = True
    return items


def execution(row: Row, revision: Revision) -> dict[str, Any]:
    """An execution in full; ``revision`` is the one it runs."""
    until = stamp(waits_until(row.status, row.waiting_for, row.due_at))
    shown = {
        **_item(row, revision.version),
        "action_name": revision.definition["name"],
        "logs": transitions.load(row.logs, []),
        "attempt": row.attempt,
        "waiting_for": row.waiting_for if until else None,
        "waiting_until": until,
        "retry": {
            "failures": row.failures,
            "max_attempts": revision.definition["retry"]["max_attempts"],
            "next_attempt_at": until if row.waiting_for == WaitingFor.RETRY else None,
        },
    }
    if row.mode == Mode.SANDBOX:
        shown["sandbox_report"] = _carried(row, row.report)
    return shown


def _carried(row: Row, text: str | None) -> Any:
    """What is stored; of what goes out by a provider without what is named like a secret.

    Its payload declares no secrets.
    """
    value = transitions.load(text)
    return redacted(value) if row.action_id.startswith(PROVIDER_PREFIX) else value


def _item(row: Row, of_version: str) -> dict[str, Any]:
    return {
        "execution_id": row.id,
        "id": row.id,
        "action_id": row.action_id,
        "version": of_version,
        "status": row.status,
        "target": row.target,
        "parameters": _carried(row, row.input),
        "output": transitions.load(row.output),
        "error": transitions.load(row.error),
        "created_at": stamp(row.created_at),
        "started_at": stamp(row.started_at),
        "completed_at": stamp(row.completed_at),
        "duration_seconds": seconds(row.started_at, row.completed_at),
        "duration_ms": milliseconds(row.started_at, row.completed_at),
        "trigger": _TRIGGER_OF_KIND.get(row.kind) or row.cause or listing.API,
        "sandbox": row.mode == Mode.SANDBOX,
        "dry_run": row.mode == Mode.DRY_RUN,
        "run_id": row.run_id,
        "step_id": row.step_id,
        **gate_column.shown(row.gate),
    }
