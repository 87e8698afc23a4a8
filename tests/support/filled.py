"""A database of the test's own process that looks as after two months of work (``tests.support.history``)."""

from store.definitions import actions, playbooks
from store.engine import db
from tests.support.api import Door
from tests.support.history import Definition, History, fill, settle

STEPS = tuple(f"s{number}" for number in range(1, 6))

#: every action was approved before, and those that are live have been asked about
_ASKED = """INSERT INTO approvals (id, workspace_id, namespace, provider, action_type, execution_id, origin, message,
digest, requested_by, quorum, reject_quorum, on_timeout, status, created_at, expires_at, notices, tries)
SELECT 'apr-' || id, workspace_id, 'actions', 'webhook', action_id, id, 'rule', 'May it?', '', 'key', 1, 1, 'fail',
CASE WHEN completed_at IS NULL THEN 'pending' ELSE 'approved' END, created_at, created_at + 3600000, 0, 0
FROM executions WHERE kind = 'action'"""


def fill_database(door: Door, executions: int, *, until: int | None = None) -> None:
    """Fill the present, empty database with executions of actions ``act-act-N`` and playbooks ``pb-play-N``."""
    acts = [door.create(name=f"Act {number}")["id"] for number in range(6)]
    steps = [{"id": step, "type": "action", "action_ref": acts[0]} for step in STEPS]
    plays = [door.create_playbook(name=f"Play {number}", steps=steps)["id"] for number in range(3)]
    with db.read() as connection:
        history = History(
            executions,
            [Definition(each, actions.get(connection, "default", each).revision.id) for each in acts],
            [Definition(each, playbooks.get(connection, "default", each).revision.id, STEPS) for each in plays],
            until or db.now_ms(),
        )
    with db.engine().connect() as connection:
        raw = db.raw(connection)
        fill(raw, history)
        raw.execute(_ASKED)
        settle(raw)
