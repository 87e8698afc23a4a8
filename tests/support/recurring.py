"""Recurring actions in tests: made by requests, fired on demand, read as rows and as answers."""

from typing import Any

from store.engine import db
from store.executions import transitions
from store.recurring import firings
from tasks.clock.duty import TimeSlice
from tasks.clock.gateway import recurring
from tests.support.api import Door

#: when the clock of the tests stands still
BEGIN = "2026-11-22T10:30:00Z"
MINUTE, HOUR, DAY = 60, 3600, 86_400
HOURLY: dict[str, Any] = {
    "namespace": "soc",
    "tenant": "default",
    "cron_expr": "0 * * * *",
    "provider": "drill",
    "action_type": "report",
    "payload": {"to": "soc"},
}
#: without what a dispatch has
BARE = {name: HOURLY[name] for name in ("namespace", "tenant", "cron_expr")}


def create(door: Door, **more: Any) -> str:
    """The id of a new recurring action; ``more`` replaces and adds, None takes away."""
    given = {**(BARE if "target" in more else HOURLY), **more}
    answer = door.call("POST", "/v1/recurring", json={name: one for name, one in given.items() if one is not None})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def fire() -> int:
    """Fire what is due, however long it takes."""
    return recurring.fire_due(TimeSlice())


def made() -> list[Any]:
    """The rows of all executions and runs, in their order."""
    table = transitions.executions
    with db.read() as connection:
        return list(connection.execute(table.select().order_by(table.c.created_at, table.c.id)))


def written(recurring_id: str) -> list[dict[str, Any]]:
    """What became of each time, the newest first, as it is stored."""
    table = firings.firings
    with db.read() as connection:
        rows = connection.execute(table.select().order_by(table.c.due_at.desc()))
        return [dict(row._mapping) for row in rows if row.recurring_id == recurring_id]


def history(door: Door, recurring_id: str, **query: Any) -> list[dict[str, Any]]:
    """What became of each time, the newest first, as it is shown."""
    answer = door.call("GET", f"/v1/recurring/{recurring_id}/history", query_string=query)
    found: list[dict[str, Any]] = answer.json["firings"]
    return found


def detail(door: Door, recurring_id: str) -> dict[str, Any]:
    """A recurring action as it is shown."""
    found: dict[str, Any] = door.call("GET", f"/v1/recurring/{recurring_id}").json
    return found
