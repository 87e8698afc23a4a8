"""An installation that has run for a while: executions and audit rows, written by SQL in seconds.

``fill`` adds units of seven executions (a triggered action, a run, its five steps) over ``DAYS`` days: nine in ten in
one workspace, the others in twenty small ones, with every status, cause, mode and target that lists filter by, two
audit rows for each and an idempotency key for each action. The newest units have not ended. A further fill must end an
hour before the first one begins. The bench and the tests of plans use it. Definitions are the caller's, so that every
view can show the rows.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_suffix(".sql")
HOUR, DAY = 3_600_000, 86_400_000
DAYS = 60
#: units in one transaction: a product that runs can write in between
BITE = 20_000
#: executions in a unit, and the newest units that are live, however long the history is
UNIT, LIVE = 7, 50
SMALL = 20


@dataclass(frozen=True)
class Definition:
    """An action or a playbook, by its id and current revision; of a playbook also the ids of its steps."""

    id: str
    revision: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """What is written: how many executions, of which definitions, until when (ms)."""

    executions: int
    actions: Sequence[Definition]
    playbooks: Sequence[Definition]
    until: int
    workspace: str = "default"
    #: the newest units that have not ended
    live: int = LIVE


def fill(connection: Any, history: History) -> int:
    """Write it over a connection of the driver's own; returns the number of executions."""
    is_sqlite = isinstance(connection, sqlite3.Connection)
    units = max(history.live + 1, history.executions // UNIT)
    hexed = "printf('%012x', {})" if is_sqlite else "lpad(to_hex({}), 12, '0')"
    steps = history.playbooks[0].steps
    since, gap = history.until - DAYS * DAY, DAYS * DAY // units
    values = {
        **_VALUES,
        "due": _VALUES["due"].format(until=history.until),
        "until": history.until,
        "time": hexed.format("u.at"),
        "number": hexed.format("u.i"),
        "workspace": f"CASE WHEN u.i % 10 < 9 THEN '{history.workspace}' ELSE 'w-' || ((u.i / 10) % {SMALL}) END",
        "action": _one_of("u.i", [each.id for each in history.actions]),
        "action_revision": _one_of("u.i", [each.revision for each in history.actions]),
        "playbook": _one_of("u.i", [each.id for each in history.playbooks]),
        "playbook_revision": _one_of("u.i", [each.revision for each in history.playbooks]),
        "step": _one_of("u.n", steps),
        "steps": len(steps),
    }
    if not is_sqlite:
        connection.execute("SET statement_timeout = 0")
    for first in range(0, units, BITE):
        end = min(units, first + BITE)
        these = {"first": first, "end": end, "live": units - history.live, "since": since, "gap": gap}
        values |= {"u": _U.format(**these), "from_": since + first * gap, "to": since + end * gap}
        for statement in SCRIPT.read_text().split("\n\n")[1:]:
            connection.execute(statement.format(**values))
        if is_sqlite and connection.in_transaction:
            connection.execute("COMMIT")
    return units * (2 + len(steps))


def settle(connection: Any) -> None:
    """Let PostgreSQL learn what its tables hold, as its own maintenance does (SQLite keeps no statistics here)."""
    if not isinstance(connection, sqlite3.Connection):
        connection.execute("VACUUM (ANALYZE)")


def _one_of(number: str, values: Sequence[str]) -> str:
    """One of the values by a number: the first of them for half of the numbers."""
    last = len(values) - 1
    cases = " ".join(f"WHEN {place + 1} THEN '{value}'" for place, value in enumerate(values[1:]))
    return f"CASE ({number}) % {2 * last} {cases} ELSE '{values[0]}' END" if last else f"'{values[0]}'"


#: unit i of n: when it came, and what became of it
_U = """n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end}),
u AS (SELECT i, {since} + CAST(i AS bigint) * {gap} AS at, i < {live} AS ended,
    CASE WHEN i >= {live} THEN CASE i % 5 WHEN 0 THEN 'pending' ELSE 'running' END
        WHEN i % 20 = 4 THEN 'failed' WHEN i % 100 = 8 THEN 'cancelled' ELSE 'completed' END AS status FROM n)"""
_VALUES = {
    "due": "CASE WHEN NOT u.ended THEN {until} + 3600000 END",
    "target": "CASE WHEN u.i % 2 = 0 THEN 'a-' || ((u.i / 2) % 500) END",
    "input": """'{"ip_address":"192.0.2.' || (u.i % 256) || '","reason":"seen in the logs of the edge"}'""",
    "output": """CASE WHEN u.ended THEN '{"status":200,"body":{"id":"' || u.i || '","ok":true,"value":"it is"}}' END""",
    "error": """CASE WHEN u.status = 'failed' THEN '{"code":"http_error","message":"502"}' END""",
    "logs": """'[{"timestamp":"2026-04-28T12:00:03.000Z","level":"INFO","message":"Action completed."}]'""",
}
