"""What silences keep back, written down in the transaction that decides it.

A silence that drops, or sums up, keeps an execution back for good; one that releases holds it, at most a thousand in a
period, each with its place in the order in which they go out. What exceeds is kept back for good. The alert that an
execution is about is noted, so that the news of its end is kept back with it.
"""

from typing import NamedTuple

from gateway.verdicts import Quiet, RequireApproval, Silenced, Verdict
from store.engine.db import Connection
from store.gateway import silences


class Kept(NamedTuple):
    """What a silence keeps back: until ``at`` (ms), or for good."""

    quiet: Quiet
    at: int | None = None


def kept(connection: Connection, verdict: Verdict, tenant: str, execution_id: str) -> Kept | None:
    """What becomes of an execution that a silence concerns; None where it goes its way.

    What a person is asked about waits for the answer, and goes out when it is approved.
    """
    quiet = verdict.quiet
    if quiet is None or isinstance(verdict.effect, RequireApproval):
        return None
    if quiet.alert is not None:
        silences.note_alert(connection, tenant, quiet.alert, quiet.id)
    if isinstance(verdict.effect, Silenced):
        return Kept(quiet)
    return Kept(quiet, silences.hold(connection, quiet.id, execution_id, quiet.until))
