"""What the rules decide about a scheduled run, which has the origin ``recurring``.

It is decided once, when its time has come. A run that is denied has failed; one that is suppressed or that a check
refuses is cancelled: either way a run shows verdict, rule and reason. One that has to wait is accepted and begins
later. One in whose place a rule starts a chain has completed, and its output names the chain's run.
"""

from dataclasses import dataclass, replace
from typing import Any

from config.types import Json
from gateway import facts, merge_patch
from gateway.facts import Cause, Facts
from gateway.gate_column import Gate
from gateway.verdicts import Chain, Reroute, Schedule
from playbooks.states import Status
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.db import Connection
from store.executions.rows import NewRow
from tasks.intake import chain_starts, holds, run_start
from tasks.intake.chain_starts import ChainStart
from tasks.intake.run_start import RunRequest
from tasks.policy import checks, words
from tasks.policy.checks import Refused
from tasks.policy.judge import Decision, judge

#: the provider of playbooks, as rules see it
PROVIDER = "playbook"
#: what has a playbook run that has its schedule in its own trigger
SCHEDULE = Cause(origin="recurring", namespace=facts.PLAYBOOKS)


@dataclass(frozen=True)
class Stopped:
    """A run that does not begin: its status, error and account, and the run that begins in its place."""

    status: Status
    error: Json | None
    gate: str
    output: Json | None = None
    run: NewRow | None = None


def decided(playbook: Playbook, request: RunRequest, cause: Cause = SCHEDULE) -> tuple[Decision | None, RunRequest]:
    """What the rules decide about a scheduled run, and the request with their changes.

    Raises:
        Unavailable: the database is away.
    """
    key = cause.origin, cause.namespace, request.workspace_id, PROVIDER, playbook.id

    def seen() -> Facts:
        definition = playbook.revision.definition
        metadata = {**cause.labels, "playbook": playbook.id, "tags": list(definition.get("tags", ()))}
        return Facts(*key, db.now_ms(), dict(request.parameters), metadata, caller=request.actor)

    decision = judge(key, seen)
    if decision is None or not decision.verdict.patches:
        return decision, request
    changed = merge_patch.all_patched(dict(request.parameters), decision.verdict.patches)
    return decision, replace(request, parameters=changed)


def chain_of(decision: Decision | None, request: RunRequest) -> ChainStart | None:
    """The run of the chain that a rule starts in place of a scheduled run; None if none does.

    Raises:
        Conflict: a provider of the chain cannot be used. Unavailable: the database is away.
    """
    if decision is None or not isinstance(decision.verdict.effect, Chain):
        return None
    name = decision.verdict.effect.chain_name
    if decision.verdict.patches:
        decision = decision._replace(facts=decision.facts._replace(payload=dict(request.parameters)))
    origin = chain_starts.origin_of(decision)
    return chain_starts.prepared(name, origin, workspace_id=request.workspace_id, actor=request.actor)


def settled(
    connection: Connection, decision: Decision | None, row: NewRow, chain: ChainStart | None = None
) -> NewRow | Stopped:
    """The run as it is accepted, or how it ends at once; makes the checks of the verdict."""
    if decision is None:
        return row
    ended = words.stopped(decision)
    if decision.verdict.kind == Reroute.kind:
        text = f"The rule {decision.verdict.rule!r} sends it to a provider; a scheduled run has no other way."
        return Stopped(Status.FAILED, _error("not_possible", text), words.account(decision).text())
    if ended is not None:
        status = Status.FAILED if ended.code == "denied" else Status.CANCELLED
        return Stopped(status, _error(ended.code, ended.message), ended.gate.text())
    holds.begin(connection, [(row["workspace_id"], decision.verdict)])
    made = checks.make(connection, row["workspace_id"], decision.verdict.checks, row["id"])
    if isinstance(made, Refused):
        ended = words.refused(decision, made)
        return Stopped(Status.CANCELLED, _error(ended.code, ended.message), ended.gate.text())
    gate, at, effect = words.account(decision), made.at, decision.verdict.effect
    held = row if chain is None else chain.row
    kept = holds.kept(connection, decision.verdict, row["workspace_id"], held["id"])
    if kept is not None and kept.at is None:
        ended = words.silenced(decision, kept.quiet)
        return Stopped(Status.CANCELLED, _error(ended.code, ended.message), ended.gate.text())
    if kept is not None and kept.at is not None:
        at = max(at or 0, kept.at)
    if chain is not None:
        begins = chain.row if at is None else run_start.later(chain.row, at)
        return Stopped(Status.COMPLETED, None, gate.text(), chain.output, begins)
    if isinstance(effect, Schedule):
        at = (at or db.now_ms()) + effect.delay_seconds * 1000
    return {**row, "gate": gate.text()} if at is None else _later(row, gate, at)


def _later(row: NewRow, gate: Gate, at: int) -> NewRow:
    return {**run_start.later(row, at), "gate": replace(gate, until=at).text()}


def _error(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
