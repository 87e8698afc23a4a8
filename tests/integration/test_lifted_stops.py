"""What waits for a stop goes on soon after the stop is lifted, however long it would have waited."""

import json
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import current
from playbooks.states import Status, WaitingFor
from store import access
from store.engine import db
from store.executions import recovery, transitions
from tasks.attempts import action as attempts
from tasks.clock import sweep
from tasks.clock.duty import TimeSlice
from tasks.generations import changes, lifted
from tasks.generations.changes import Author
from tests.support.api import Door
from tests.support.executions import new_execution

ME = Author("test", "default")
#: how long an attempt that was stopped often waits at most, ms
MINUTE = lifted.LATEST * 1_000


@pytest.fixture
def door(database: str, monkeypatch: pytest.MonkeyPatch) -> Door:
    """The application on each kind of database; no other process decides."""
    monkeypatch.setattr(current, "FRESH", 0.05)
    return Door()


def row_of(execution_id: str) -> Any:
    """The whole row of an execution."""
    with db.read() as connection:
        return connection.execute(
            transitions.executions.select().where(transitions.executions.c.id == execution_id)
        ).one()


def waiting(tenant: str, code: str | None = lifted.CODE, **more: Any) -> str:
    """An execution of a tenant that has waited for most of a minute, and waits as long again."""
    error = None if code is None else json.dumps({"code": code, "message": "m"})
    values = {"status": Status.WAITING, "waiting_for": WaitingFor.DELAY, "due_at": db.now_ms() + MINUTE - 5_000}
    values |= {"error": error, **more}
    row = new_execution(workspace_id=tenant)
    with db.write() as connection:
        access.ensure_workspace(connection, tenant, tenant)
        transitions.accept(connection, row, publish_again_at=db.now_ms())
        mine = transitions.executions.c.id == row["id"]
        connection.execute(sa.update(transitions.executions).where(mine).values(**values))
    return str(row["id"])


def test_a_stopped_attempt_goes_on_when_the_stop_is_lifted(door: Door) -> None:
    """The next tick publishes it."""
    door.create(id="block")
    changes.stop("default", "incident 7", ME)
    answer = door.call("POST", "/api/actions/block/trigger", json={"parameters": {}})
    execution_id = answer.json["data"]["execution_id"]
    assert attempts.attempt(execution_id).status == "waiting"
    assert row_of(execution_id).due_at > db.now_ms() + 3_000
    changes.lift("default", ME)
    assert row_of(execution_id).due_at <= db.now_ms()
    sweep.handle_due(TimeSlice())
    assert row_of(execution_id).status == "pending"


def test_only_what_waits_for_a_lifted_stop_goes_on(door: Door) -> None:
    """What another stop holds, what waits for its time, and what waits for anything else stay."""
    changes.stop("*", "all", ME)
    changes.stop("acme", "incident 8", ME)
    goes_on = [waiting("default"), waiting("other")]
    stays = [
        waiting("acme"),
        waiting("acme.eu"),
        waiting("default", None),
        waiting("default", "http_status"),
        waiting("default", waiting_for=WaitingFor.RETRY),
        waiting("default", due_at=db.now_ms() + 10 * MINUTE),
    ]
    changes.lift("*", ME)
    now = db.now_ms()
    assert [row_of(one).due_at <= now for one in goes_on] == [True] * len(goes_on)
    assert [row_of(one).due_at > now for one in stays] == [True] * len(stays)


def test_many_go_on_in_bites(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than a bite none is passed over, also where many are due in the same millisecond."""
    monkeypatch.setattr(lifted, "BITE", 3)
    due_at = db.now_ms() + MINUTE
    them = [waiting("default", due_at=due_at + number // 8) for number in range(17)]
    them += [waiting("default", None, due_at=due_at) for _ in range(5)]
    assert lifted.go_on() == 17
    assert sum(row_of(one).due_at <= db.now_ms() for one in them) == 17


def test_what_waits_is_found_by_its_index(door: Door) -> None:
    """However many executions there are, only those that are due within a minute are looked at."""
    said: list[str] = []
    with db.write() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # an empty table is read as a whole

        def explained(text: str, values: Any) -> None:
            found = connection.exec_driver_sql(
                ("EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN ") + text, values
            )
            said.extend(str(tuple(row)) for row in found)

        class Asking:
            """A connection that explains what it is asked."""

            def execute(self, query: Any) -> list[Any]:
                compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
                explained(str(compiled).replace("%", "%%"), ())
                return []

        recovery.due_within(Asking(), 1_000, 60_000, after=("exec-1", 2_000), limit=10)  # type: ignore[arg-type]
    assert any("ix_executions_due_at" in line and ("due_at>" in line or "Index" in line) for line in said), said
