"""A database of the test's own process that looks as after two months of work (``tests.support.history``)."""

from store.definitions import actions, playbooks
from store.engine import db
from store.gateway import events
from tests.support.api import Door
from tests.support.history import Definition, History, fill, settle

#: a label that every fiftieth event has
LABEL = ("cluster", "c-1")
STEPS = tuple(f"s{number}" for number in range(1, 6))

#: an eighth of the actions was approved before; of those that are live some wait
_ASKED = """INSERT INTO approvals (id, workspace_id, namespace, provider, action_type, execution_id, origin, message,
digest, requested_by, quorum, reject_quorum, on_timeout, status, created_at, expires_at, notices, tries)
SELECT 'apr-' || id, workspace_id, 'actions', 'webhook', action_id, id, 'rule', 'May it?', '', 'key', 1, 1, 'fail',
CASE WHEN completed_at IS NULL THEN 'pending' WHEN id LIKE '%00' THEN 'rejected' ELSE 'approved' END, created_at,
created_at + 3600000, 0, 0
FROM executions WHERE kind = 'action' AND (id LIKE '%0' OR id LIKE '%8')"""


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


def fill_firings(number: int) -> None:
    """Add firings of the recurring actions ``rec-0`` to ``rec-9``, of which one in three has made an execution."""
    rows = f"""INSERT INTO recurring_firings (recurring_id, due_at, fired_at, outcome, execution_id)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})
        SELECT 'rec-' || (i % 10), 1700000000000 + i * CAST(60000 AS BIGINT),
        1700000000000 + i * CAST(60000 AS BIGINT), 'accepted', CASE i % 3 WHEN 0 THEN 'disp-' || i END FROM n"""
    with db.engine().connect() as connection:
        raw = db.raw(connection)
        raw.execute(rows)
        if db.engine().dialect.name == "sqlite" and raw.in_transaction:
            raw.execute("COMMIT")
        settle(raw)


def fill_events(number: int) -> None:
    """Add events ``e-1`` and on of the tenant ``default``, half of which are active, with two labels each."""
    is_sqlite = db.engine().dialect.name == "sqlite"
    hexed = "printf('%032x', i)" if is_sqlite else "lpad(to_hex(i), 32, '0')"
    count = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})"
    label, key = events.label_digest(*LABEL), events._active_key("alerts", "alert", *LABEL)
    rows = f"""INSERT INTO events (id, workspace_id, namespace, fingerprint, digest, machine, state, active,
        action_type, provider, labels, created_at, entered_at, updated_at, timeout_at, timeout_to, moves, version)
        {count} SELECT 'evt-' || {hexed}, 'default', CASE i % 10 WHEN 0 THEN 'other' ELSE 'alerts' END, 'e-' || i,
        CASE i WHEN 1 THEN '{events.digest("e-1")}' ELSE {hexed} END, 'alert',
        CASE i % 2 WHEN 0 THEN 'firing' ELSE 'resolved' END, 1 - i % 2, CASE i % 4 WHEN 0 THEN 'alert' ELSE 'host' END,
        'drill', '{{}}', 1000000000000 + i, 1000000000000, 1700000000000 + i,
        CASE i % 2 WHEN 0 THEN 9000000000000 + i END, 'resolved', 1, 0 FROM n"""
    labels = f"""INSERT INTO event_labels (id, label, workspace_id, created_at, active_key)
        {count} SELECT 'evt-' || {hexed}, CASE i % 50 WHEN 0 THEN '{label}' ELSE 'l-' || (i % 50) END, 'default',
        1000000000000 + i, CASE i % 50 WHEN 0 THEN '{key}' ELSE 'k-' || (i % 50) END FROM n"""
    soc = events.label_digest("team", "soc")
    team = f"""INSERT INTO event_labels (id, label, workspace_id, created_at, active_key)
        {count} SELECT 'evt-' || {hexed}, '{soc}', 'default', 1000000000000 + i, NULL FROM n"""
    with db.engine().connect() as connection:
        raw = db.raw(connection)
        for statement in (rows, labels, team):
            raw.execute(statement)
        if is_sqlite and raw.in_transaction:
            raw.execute("COMMIT")
        settle(raw)
