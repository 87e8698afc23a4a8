"""Start the playbooks whose schedule is due, once for each time.

In order of time: tick looks up which schedules are due; the run of each is prepared; then, in one transaction for each
playbook, the schedule moves on to its next time and the run is accepted, unless a rule stops it
(``tasks.intake.firings``). The move is guarded by the time that was due:
of several ticks at once one moves it, and the others start nothing. Times missed while Tocsin did not run cause one
late run in all. If a playbook cannot be started, its schedule still moves on, and a failed run has the reason
(``tasks.intake.candidates``).
"""

from dataclasses import replace

from config import logs
from config.errors import CallerError, Unavailable
from playbooks.definitions.schedules import next_time
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from tasks.clock.duty import TimeSlice
from tasks.intake import candidates, firings
from tasks.intake.firings import Stopped
from tasks.intake.run_start import RunRequest
from tasks.messages import publisher
from tasks.messages.model import Canvas

#: schedules looked at in one tick
BATCH = 100

log = logs.logger(__name__)


def fire_due(time_slice: TimeSlice) -> int:
    """Start every playbook whose schedule is due; returns the number started.

    Raises:
        Unavailable: the database is away; the rest is left to the next tick.
    """
    fired = 0
    with db.read() as connection:
        due = playbooks.due_schedules(connection, db.now_ms(), BATCH)
    for playbook in due:
        fired += _fire(playbook)
        if time_slice.is_over():
            break
    return fired


def _fire(playbook: Playbook) -> bool:
    """Start a playbook whose schedule is due.

    False if it cannot be, or another tick did.
    """
    request = RunRequest(
        workspace_id=playbook.workspace_id,
        actor=audit.SYSTEM,
        playbook_id=playbook.id,
        revision_id=playbook.revision.id,
        trigger="schedule",
    )
    decision, request = firings.decided(playbook, request)
    candidate = candidates.prepared(playbook, request)
    try:
        chain = firings.chain_of(decision, request)
    except Unavailable:
        raise
    except CallerError as error:
        candidate, chain = replace(candidate, ready=None, refusal=candidates.refused(error)), None
    refusal, ended, begun, begins = candidate.refusal, None, None, list[Canvas]()
    with db.write() as connection:
        after = _next_time(playbook)
        moved = playbooks.set_fire_at(connection, playbook.workspace_id, playbook.id, after, playbook.fire_at)
        if not moved:
            return False
        if candidate.ready is not None:
            settled = firings.settled(connection, decision, candidate.ready[0], chain)
            if isinstance(settled, Stopped):
                ended, begun = candidates.stop(connection, candidate, settled), settled.run
            else:
                candidates.accept(connection, candidate, settled)
                begun = settled
            if begun is not None and begun["publishes"]:
                begins.append(candidate.ready[1] if chain is None else chain.messages)
        elif refusal is not None:
            ended = candidates.fail(connection, candidate, refusal)
    publisher.publish_after_commit(*begins)
    if begun is not None:
        return True
    if refusal is not None:
        log.warning("scheduled run failed", playbook_id=playbook.id, code=refusal.code, reason=refusal.reason)
    publisher.publish_after_commit(*candidates.told_of(ended))
    return False


def _next_time(playbook: Playbook) -> int | None:
    """When the schedule is due next; None if never."""
    trigger = playbook.revision.definition["trigger"]
    try:
        return next_time(trigger["cron"], trigger["timezone"], db.now_ms())
    except OverflowError:
        return None
