"""What silences keep back, written down in the transaction that decides it.

A silence that drops, or sums up, keeps an execution back for good; one that releases holds it, at most a thousand in a
period, each with its place in the order in which they go out. What exceeds is kept back for good. The alert that an
execution is about is noted, so that the news of its end is kept back with it. A firing that passes clears that: what is
held of its alert would be stale by its release, and its end must go out.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gateway import gate_column
from gateway.verdicts import Quiet, RequireApproval, Silenced, Verdict
from playbooks.states import Status
from store.engine.db import Connection
from store.executions import transitions
from store.gateway import silences
from store.records import held
from tasks.attempts.failure import failure
from tasks.policy import kept_alerts

#: the code of what is not let go because a newer firing of its alert has gone out
SUPERSEDED = "superseded"


class Kept(NamedTuple):
    """What a silence keeps back: until ``at`` (ms), or for good."""

    quiet: Quiet
    at: int | None = None


def begin(connection: Connection, verdicts: Iterable[tuple[str, Verdict]]) -> None:
    """Take what silences lock of executions with these tenants and verdicts, before what the checks of rules lock.

    So no two transactions that lock several wait for each other in a circle.
    """
    quiet = [(tenant, verdict, verdict.quiet) for tenant, verdict in verdicts if verdict.quiet is not None]
    if ids := {one.id for _, _, one in quiet if one.holds}:
        silences.lock(connection, sorted(ids))
    alerts = {(tenant, one.alert, one.id): one for tenant, verdict, one in quiet if one.alert and not _late(verdict)}
    for (tenant, alert, _), one in sorted(alerts.items(), key=lambda item: item[0]):
        _note(connection, tenant, str(alert), one)


def _note(connection: Connection, tenant: str, alert: str, quiet: Quiet) -> None:
    kept_alerts.noted(tenant)
    silences.note_alert(connection, tenant, alert, quiet.id, quiet.until if quiet.window else None)


def _late(verdict: Verdict) -> bool:
    """Whether it is known only after the checks, or an answer, that a silence keeps it back."""
    return bool(verdict.checks) or isinstance(verdict.effect, RequireApproval)


def kept(
    connection: Connection, verdict: Verdict, tenant: str, execution_id: str, provider: str | None = None
) -> Kept | None:
    """What becomes of an execution that a silence concerns; None where it goes its way. ``begin`` has been called.

    What a person is asked about waits for the answer, and goes out when it is approved.
    """
    quiet = verdict.quiet
    passed(connection, verdict, tenant, provider)
    if quiet is None or isinstance(verdict.effect, RequireApproval):
        return None
    if quiet.alert is not None and _late(verdict):
        _note(connection, tenant, quiet.alert, quiet)
    if isinstance(verdict.effect, Silenced):
        return Kept(quiet)
    return Kept(quiet, silences.hold(connection, quiet.id, execution_id, quiet.until, quiet.alert))


def passed(connection: Connection, verdict: Verdict, tenant: str, provider: str | None) -> None:
    """Note that an execution passes: a firing takes the place of those of its alert held for the same provider."""
    if verdict.clears is not None:
        _clear(connection, tenant, verdict.clears, provider)


def _clear(connection: Connection, tenant: str, alert: str, provider: str | None) -> None:
    """Let a firing take the place of those of its alert that are held to go out by the same provider."""
    found = held.of_alert(connection, tenant, alert)
    stale = [row.id for row in found if (gate := gate_column.read(row.gate)) is not None and gate.provider == provider]
    error = transitions.dump(failure(SUPERSEDED, "A newer firing of the same alert has gone out."))
    for execution_id in stale:
        transitions.transition(connection, execution_id, Status.CANCELLED, error=error)
    if len(stale) == len(found):
        silences.forget_alert(connection, tenant, alert)
