"""What silences keep back, written down in the transaction that decides it.

A silence that drops, or sums up, keeps an execution back for good; one that releases holds it, at most a thousand in a
period, each with its place in the order in which they go out. What exceeds is kept back for good. The alert that an
execution is about is noted, so that the news of its end is kept back with it.
"""

from collections.abc import Iterable
from typing import NamedTuple

from gateway.verdicts import Quiet, RequireApproval, Silenced, Verdict
from store.engine.db import Connection
from store.gateway import silences


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
    silences.note_alert(connection, tenant, alert, quiet.id, quiet.until if quiet.window else None)


def _late(verdict: Verdict) -> bool:
    """Whether it is known only after the checks, or an answer, that a silence keeps it back."""
    return bool(verdict.checks) or isinstance(verdict.effect, RequireApproval)


def kept(connection: Connection, verdict: Verdict, tenant: str, execution_id: str) -> Kept | None:
    """What becomes of an execution that a silence concerns; None where it goes its way. ``begin`` has been called.

    What a person is asked about waits for the answer, and goes out when it is approved.
    """
    quiet = verdict.quiet
    if quiet is None or isinstance(verdict.effect, RequireApproval):
        return None
    if quiet.alert is not None and _late(verdict):
        _note(connection, tenant, quiet.alert, quiet)
    if isinstance(verdict.effect, Silenced):
        return Kept(quiet)
    return Kept(quiet, silences.hold(connection, quiet.id, execution_id, quiet.until))
