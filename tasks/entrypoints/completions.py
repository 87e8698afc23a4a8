"""``action.completed``: start playbooks at the end of a triggered action.

In order of time: when an execution is about to end, ``tasks.attempts.completion.mark`` says whether any playbook of the
workspace listens (looked up at most every two seconds, so that other workspaces pay nothing). If so, the end is
committed with a mark, and ``tocsin.announce`` is published. It starts the playbooks and clears the mark in one
transaction; until then tick keeps publishing it.

Only an action triggered by itself is announced, and only when it ran live. The steps of runs are not announced: so no
playbook can start itself, or a circle of playbooks, over and over.
"""

from config import logs
from config.errors import Unavailable
from store import audit
from store.engine import db
from store.engine.db import Row
from store.executions import completions, transitions
from tasks.app import app
from tasks.attempts.completion import EVENT
from tasks.definitions import revisions
from tasks.intake import events
from tasks.intake.events import TriggerEvent, note_not_fired
from tasks.messages import publisher

log = logs.logger(__name__)


@app.task(name="tocsin.announce", ignore_result=True)
def announce(execution_id: str) -> str:
    """Start the playbooks that listen for the end of an execution.

    Returns the message's result.
    """
    try:
        with db.read() as connection:
            row = completions.read(connection, execution_id)
            if row is None:
                return "stale"
            this = _trigger_event(row)
            found = list(events.candidates(connection, this))
        with db.write() as connection:
            if not completions.take(connection, execution_id):
                return "stale"
            result = events.admit(connection, this, found)
            for playbook_id, refusal in result.not_started.items():
                note_not_fired(connection, this.workspace_id, playbook_id, refusal, execution=execution_id)
    except Unavailable:
        log.warning(
            "action.completed not announced: database unavailable; tick will announce it", execution_id=execution_id
        )
        return "unavailable"
    publisher.publish_after_commit(*result.chains)
    return "announced"


def _trigger_event(row: Row) -> TriggerEvent:
    definition = revisions.action(row.revision_id).definition
    data = {
        "action": {"id": row.action_id, "name": definition["name"], "type": definition["type"]},
        "execution": {"id": row.id, "status": row.status, "target": row.target},
        "output": transitions.load(row.output),
    }
    return TriggerEvent(
        workspace_id=row.workspace_id,
        actor=audit.SYSTEM,
        event=EVENT,
        id=row.id,
        data=data,
        target=row.target,
        request_id=row.request_id,
        hops=1,
    )
