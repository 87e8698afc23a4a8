"""Start the playbooks whose schedule is due, once for each time.

In order of time: tick looks up which schedules are due; the run of each is prepared; then, in one transaction for up to
fifty, the schedules move on to their next times and the runs are accepted, unless a rule stops them
(``tasks.intake.firings``). One about which a rule decides has a transaction of its own, because it locks what rules
remember. Each move is guarded by the time that was due: of several ticks at once one makes it, and the others start
nothing. Times missed while Tocsin did not run cause one late run in all. If a playbook cannot be started, its schedule
still moves on, and a failed run has the reason (``tasks.intake.candidates``). Where the transaction of several fails,
each is tried by itself: one that breaks keeps no other from starting, and the duty fails once all have been tried.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from config import logs
from config.errors import CallerError, Unavailable
from playbooks.definitions.schedules import next_time
from store import audit
from store.definitions import playbooks
from store.definitions.playbooks import Playbook
from store.engine import db
from store.engine.db import Connection
from store.engine.rest import Rests
from tasks.clock.duty import TimeSlice
from tasks.intake import candidates, firings
from tasks.intake.candidates import Candidate, Refusal
from tasks.intake.chain_starts import ChainStart
from tasks.intake.firings import Stopped
from tasks.intake.run_start import RunRequest
from tasks.messages import publisher
from tasks.messages.model import Canvas
from tasks.policy.judge import Decision

#: schedules looked at in one tick, and those that move on in one transaction
BATCH, TOGETHER = 200, 50

log = logs.logger(__name__)


def fire_due(time_slice: TimeSlice) -> int:
    """Start every playbook whose schedule is due; returns the number started.

    Raises:
        Unavailable: the database is away; the rest is left to the next tick.
    """
    fired, rests, faults = 0, Rests(), _Faults()
    with db.read() as connection:
        due = playbooks.due_schedules(connection, db.now_ms(), BATCH)
    for first in range(0, len(due), TOGETHER):
        fired += _fire(due[first : first + TOGETHER], rests, faults)
        if time_slice.is_over():
            break
    if faults.first is not None:
        raise faults.first
    return fired


class _Faults:
    """What has broken of single schedules, while the others go on."""

    def __init__(self) -> None:
        self.first: Exception | None = None

    def noted(self, error: Exception, playbook: Playbook) -> None:
        """Keep the first, which is raised in the end; each is logged."""
        log.error("schedule failed", playbook_id=playbook.id, reason=repr(error))
        self.first = self.first or error


@dataclass(frozen=True, kw_only=True)
class _Due:
    """A playbook whose schedule is due, with what the rules decide about its run."""

    playbook: Playbook
    candidate: Candidate
    decision: Decision | None
    chain: ChainStart | None


@dataclass
class _Done:
    """What a transaction has done, and what is published and logged after it."""

    fired: int = 0
    messages: list[Canvas] = field(default_factory=list)
    refusals: list[tuple[str, Refusal]] = field(default_factory=list)


def _fire(playbooks_due: Sequence[Playbook], rests: Rests, faults: _Faults) -> int:
    """Start playbooks whose schedule is due; how many runs have begun."""
    due = list[_Due]()
    for playbook in sorted(playbooks_due, key=lambda one: (one.workspace_id, one.id)):
        try:
            due.append(_prepared(playbook))
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - raised once the others have been tried
            faults.noted(error, playbook)
    together = [one for one in due if one.decision is None]
    parts = [together] if together else []
    parts += [[one] for one in due if one.decision is not None]
    return sum(_committed(part, rests, faults) for part in parts)


def _prepared(playbook: Playbook) -> _Due:
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
    return _Due(playbook=playbook, candidate=candidate, decision=decision, chain=chain)


def _committed(part: Sequence[_Due], rests: Rests, faults: _Faults) -> int:
    began = rests.before_bite()
    try:
        done: _Done = db.change(functools.partial(_written, part=part))
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - raised once the others have been tried
        if len(part) == 1:
            faults.noted(error, part[0].playbook)
            return 0
        log.warning("scheduled runs not accepted together; accepting them one by one", reason=repr(error))
        return sum(_committed([one], rests, faults) for one in part)
    rests.bitten(began)
    publisher.publish_after_commit(*done.messages)
    for playbook_id, refusal in done.refusals:
        log.warning("scheduled run failed", playbook_id=playbook_id, code=refusal.code, reason=refusal.reason)
    return done.fired


def _written(connection: Connection, *, part: Sequence[_Due]) -> _Done:
    """Move schedules on that are as they were read, and accept their runs."""
    done = _Done()
    for due in part:
        playbook = due.playbook
        if playbooks.set_fire_at(
            connection, playbook.workspace_id, playbook.id, _next_time(playbook), playbook.fire_at
        ):
            _accepted(connection, due, done)
    return done


def _accepted(connection: Connection, due: _Due, done: _Done) -> None:
    """Accept the run of a schedule that has moved on, or write how it ends."""
    candidate = due.candidate
    if candidate.ready is None:
        assert candidate.refusal is not None
        done.messages += candidates.told_of(candidates.fail(connection, candidate, candidate.refusal))
        done.refusals.append((due.playbook.id, candidate.refusal))
        return
    row, opening = candidate.ready
    settled = firings.settled(connection, due.decision, row, due.chain)
    if not isinstance(settled, Stopped):
        candidates.accept(connection, candidate, settled)
        begun = settled
    elif settled.run is None:
        done.messages += candidates.told_of(candidates.stop(connection, candidate, settled))
        return
    else:
        candidates.stop(connection, candidate, settled)
        begun = settled.run
    done.fired += 1
    if begun["publishes"]:
        done.messages.append(opening if due.chain is None else due.chain.messages)


def _next_time(playbook: Playbook) -> int | None:
    """When the schedule is due next; None if never."""
    trigger = playbook.revision.definition["trigger"]
    try:
        return next_time(trigger["cron"], trigger["timezone"], db.now_ms())
    except OverflowError:
        return None
