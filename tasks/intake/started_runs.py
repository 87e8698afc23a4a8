"""Executor ``playbook``: a provider that starts a run of a playbook of the tenant.

The payload of a dispatch becomes the parameters of the run. An attempt that is made again finds the run that an earlier
one has started: the execution's id is the run's idempotency key. A run that a step starts belongs to those that the
step's run has started, so that playbooks that start each other like this come to an end.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any

from config.errors import CallerError, Problem, Unavailable
from config.types import Json
from gateway import gate_column
from playbooks.definitions.events import APPROVAL_NOTICE
from playbooks.states import Mode
from providers import registry
from providers.base import Call, ProviderError
from store.engine import db
from store.engine.db import Row
from store.executions import transitions
from tasks.definitions import listeners
from tasks.intake import run_start
from tasks.intake.run_start import RunRequest

SECRETS: tuple[str, ...] = ()
#: what lets the reader of a notice decide: sealed and masked, whatever the playbook declares
_LINKS = frozenset({"text", "approve_url", "reject_url"})


def check(config: Mapping[str, Any], names: set[str]) -> list[Problem]:  # noqa: ARG001 - the protocol's shape
    """Returns no faults: the tenants' playbooks are not known here."""
    return []


def plan(call: Call) -> Json:
    """The run that it would start."""
    return {"playbook_id": call.config["playbook"], "parameters": _payload(call)}


def perform(call: Call) -> Any:
    """Start the run; the output names it.

    Raises:
        ProviderError: it cannot be started, with the code that a caller of the API would get.
    """
    if call.mode != Mode.LIVE:
        call.report.intercepted_calls.append({"run": plan(call)})
        return {"playbook_id": call.config["playbook"], "execution_id": None}
    call.checkpoint()
    try:
        started = run_start.start(
            RunRequest(
                workspace_id=call.workspace_id,
                playbook_id=str(call.config["playbook"]),
                parameters=_payload(call),
                idempotency_key=f"dispatch/{call.execution_id}",
                trigger="dispatch",
                **_origin(call),
            )
        )
    except Unavailable as away:
        raise ProviderError(
            "unavailable", "The run could not be started: the database is away.", retryable=True
        ) from away
    except CallerError as refusal:
        details = "; ".join(f"{one.pointer}: {one.detail}" for one in refusal.problems[:5])
        raise ProviderError(refusal.code, f"{refusal}{f' ({details})' if details else ''}") from refusal
    return {"playbook_id": call.config["playbook"], "execution_id": started.run_id}


def _origin(call: Call) -> dict[str, Any]:
    """Who starts a run; of one that a step starts also how deep it is, and below which first run.

    Raises:
        Unavailable: the database is away.
    """
    run_id, _, step = call.execution_id.partition(".")
    row = db.read_one(transitions.get, call.workspace_id, run_id)
    if not step:
        led_by = _led_by(row)
        links = _LINKS if led_by == APPROVAL_NOTICE else frozenset()
        return {"actor": row.created_by, "led_by": led_by, "secret_names": links}
    context = json.loads(row.context)
    above = {"depth": context["depth"] + 1, "hops": context["hops"], "root": context["root"] or run_id}
    return {"actor": row.created_by, "led_by": listeners.source(context), **above}


def _led_by(row: Row) -> str | None:
    """What has led to a dispatch, if it is the notice of an approval."""
    gate = gate_column.read(row.gate)
    return APPROVAL_NOTICE if gate is not None and gate.origin == "approval" else None


def _payload(call: Call) -> dict[str, Any]:
    payload = call.parameters.get("payload")
    return dict(payload) if isinstance(payload, dict) else {}


def install() -> None:
    """Make the executor known to this process."""
    registry.add("playbook", sys.modules[__name__])
