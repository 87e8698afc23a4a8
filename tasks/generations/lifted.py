"""What waits for a stop goes on when it is lifted.

An attempt that a stop holds back waits for up to a minute and asks again. When the stop is lifted its time is moved to
now, and the next tick publishes it. What waits is found by the index of due rows: it is due within that minute.
"""

import json
import time
from typing import Any

from gateway import current
from playbooks.states import Status, WaitingFor
from store.engine import db, rest
from store.executions import recovery

#: how long a stopped attempt waits before it asks again, seconds: the first time, and at most
SOONEST, LATEST = 5, 60
#: of the error that such an attempt shows
CODE = "stopped"
#: due rows that are looked through, and changed, in one statement
BITE = 1_000
#: for how long the answer to a lift waits for them, seconds; what is left asks for itself
AT_ONCE = 2.0
#: until a process that was just writing down that an attempt is stopped has done so, seconds
WRITTEN = 0.2


def go_on() -> int:
    """Make due what waits for a stop that is in force no more; returns how many rows.

    Raises:
        Unavailable: the database is away; they go on within a minute.
    """
    give_up = time.monotonic() + AT_ONCE
    found = _pass(give_up)
    time.sleep(WRITTEN)
    return found + _pass(give_up)


def _pass(give_up: float) -> int:
    began, after, moved = db.now_ms(), ("", 0), 0
    until = began + (LATEST + SOONEST) * 1_000
    while time.monotonic() < give_up:
        bite = time.monotonic()
        rows = db.read_one(recovery.due_within, began, until, after=after, limit=BITE)
        if ids := [row.id for row in rows if _waits(row)]:
            moved += db.change(lambda connection: recovery.hasten(connection, ids, at=began))
        if len(rows) < BITE:
            break
        after = rows[-1].id, rows[-1].due_at
        rest.after_bite(bite)
    return moved


def _waits(row: Any) -> bool:
    """Whether a row waits for a stop, and none of its tenant is in force."""
    if row.status != Status.WAITING or row.waiting_for != WaitingFor.DELAY or row.error is None:
        return False
    return json.loads(row.error).get("code") == CODE and current.held().stopped(row.workspace_id) is None
