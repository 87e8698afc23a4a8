"""``action.completed``: playbooks that go on where a triggered action has ended well.

In order of time: when an execution is about to end, ``mark`` says whether any playbook of the workspace listens (looked
up at most every two seconds, so that nobody else pays for it); if so, the end is committed with a mark and a worker
asked to carry out ``tocsin.announce``. That starts the playbooks and takes the mark off in one transaction; until then
tick keeps asking.

Only what was triggered by itself is announced, and only when it was done in earnest. The steps of runs are not: a
playbook goes on by its own links, and so no playbook can start itself, or a ring of others, over and over.
"""

import time
from typing import Any

from config import logs
from config.errors import Unavailable
from playbooks.definitions.triggers import names
from store import audit
from store.definitions import playbooks
from store.engine import db
from store.engine.db import Connection, Row
from store.executions import completions, recovery, transitions
from tasks.app import app
from tasks.definitions import revisions
from tasks.intake import events
from tasks.intake.events import Occurrence
from tasks.messages import publisher
from tasks.messages.canvas import Ring

EVENT = "action.completed"

#: for how long it is remembered whether anybody listens, seconds
FRESH = 2.0

#: workspace → until when this holds, and whether anybody listens
_remembered: dict[str, tuple[float, bool]] = {}

log = logs.logger(__name__)


def mark(row: Any, status: str) -> dict[str, Any]:
    """Further columns of a triggered action's execution that ends in ``status``: none unless somebody listens."""
    announced = status == "completed" and row.mode == "live" and _awaited(row.workspace_id)
    return completions.mark() if announced else {}


def _awaited(workspace_id: str) -> bool:
    asked, (until, known) = time.monotonic(), _remembered.get(workspace_id, (0.0, False))
    if asked < until:
        return known
    try:
        with db.read() as connection:
            known = playbooks.is_awaited(connection, workspace_id, names(EVENT))
    except Unavailable:
        return True  # a mark too many does no harm
    _remembered[workspace_id] = asked + FRESH, known
    return known


def ring(execution_id: str, action_id: str) -> Ring:
    """The task that announces the end of an execution."""
    return Ring(task="tocsin.announce", execution_id=execution_id, label=action_id, queue="steps")


def attend(connection: Connection, row: Row) -> Ring:
    """What tick does for an end that nobody has announced yet."""
    recovery.postpone(connection, row.id, at=db.now_ms() + 2 * completions.PATIENCE)
    return ring(row.id, row.action_id)


@app.task(name="tocsin.announce", ignore_result=True)
def announce(execution_id: str) -> str:
    """Start the playbooks that listen to the end of an execution; returns a word about how this message ended."""
    try:
        with db.read() as connection:
            row = completions.read(connection, execution_id)
            if row is None:
                return "stale"
            this = _occurrence(row)
            found = list(events.candidates(connection, this))
        with db.write() as connection:
            if not completions.take(connection, execution_id):
                return "stale"
            outcome = events.admit(connection, this, found)
            for playbook_id, refusal in outcome.not_started.items():
                note_not_fired(connection, this.workspace_id, playbook_id, refusal, execution=execution_id)
    except Unavailable:
        log.warning("cannot announce: the database is away; tick will ask again", execution_id=execution_id)
        return "unavailable"
    publisher.ring(*outcome.chains)
    return "announced"


def note_not_fired(
    connection: Connection, workspace_id: str, playbook_id: str, refusal: events.Refusal, **more: Any
) -> None:
    """Tell the audit trail of a playbook that should have been started and was not, where no caller is told."""
    noted = {"code": refusal.code, "reason": refusal.reason, **more}
    audit.record(connection, workspace_id, audit.SYSTEM, "playbook.not_fired", playbook_id, **noted)


def _occurrence(row: Row) -> Occurrence:
    definition = revisions.action(row.revision_id).definition
    data = {
        "action": {"id": row.action_id, "name": definition["name"], "type": definition["type"]},
        "execution": {"id": row.id, "status": row.status, "target": row.target},
        "output": transitions.load(row.output),
    }
    return Occurrence(
        workspace_id=row.workspace_id,
        actor=audit.SYSTEM,
        event=EVENT,
        id=row.id,
        data=data,
        target=row.target,
        request_id=row.request_id,
        hops=1,
    )
