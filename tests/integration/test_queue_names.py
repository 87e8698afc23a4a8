"""Queues that have new names: what rows, messages and command lines of the release before still say goes on."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from config import settings as settings_module
from store import access, migrate, worker_processes
from store import redis as redis_store
from store.engine import db
from store.executions import recovery, transitions
from tasks.entrypoints.tick import tick
from tasks.messages import canvas, queue_state
from tasks.messages.model import TaskMessage
from tasks.messages.routing import FORMER, present, with_former
from tests.support.executions import new_execution
from tests.support.services import RedisServer
from worker import health, roles, supervisor

pytestmark = pytest.mark.on_both

#: queues as the release before called them; the first three are called so still
_NAMES = ("steps", "scripts", "bulk", *FORMER)


def add(execution_id: str, queue: str, **more: Any) -> str:
    """Add an execution of this queue, due in a minute unless ``more`` says otherwise."""
    now = db.now_ms()
    row = new_execution(id=execution_id, workspace_id="default", queue=queue, created_at=now)
    with db.write() as connection:
        access.ensure_workspace(connection, "default", "Default")
        transitions.accept(connection, row, publish_again_at=now + 60_000)
        if more:
            mine = transitions.executions.c.id == execution_id
            connection.execute(sa.update(transitions.executions).where(mine).values(**more))
    return execution_id


def queues_of(pattern: str) -> dict[str, int]:
    """Queue → the number of its rows whose id is like ``pattern``."""
    table = transitions.executions.c
    query = sa.select(table.queue, sa.func.count().label("number")).where(table.id.like(pattern)).group_by(table.queue)
    with db.read() as connection:
        return {row.queue: row.number for row in connection.execute(query)}


def test_the_migration_renames_what_has_ended_and_its_way_back_all(empty_database: str) -> None:
    """Over several bites; a row that goes on keeps the name of the queue on which its message lies, until it ends."""
    migrate.upgrade()
    for state, more in (("ended", {"status": "completed", "due_at": None}), ("open", {})):
        for queue in _NAMES:
            add(f"exec-{state}-{queue}", queue, **more)
    table = transitions.executions
    with db.write() as connection:  # many more, so that one bite does not hold them all
        one = connection.execute(sa.select(table).where(table.c.id == "exec-ended-notices")).one()._mapping
        connection.execute(sa.insert(table), [{**one, "id": f"exec-many-{number:05}"} for number in range(4_500)])
    configuration = migrate.configuration()
    command.stamp(configuration, "0007")
    command.upgrade(configuration, "0009")
    assert queues_of("exec-many-%") == {"notifications": 4_500}
    assert queues_of("exec-ended-%") == dict.fromkeys(map(present, _NAMES), 1)
    assert queues_of("exec-open-%") == dict.fromkeys(_NAMES, 1)
    with db.write() as connection:
        connection.execute(sa.update(table).where(table.c.id == "exec-open-suspects").values(queue="quarantine"))
    command.downgrade(configuration, "0007")
    assert queues_of("exec-many-%") == {"notices": 4_500}
    assert queues_of("exec-ended-%") == queues_of("exec-open-%") == dict.fromkeys(_NAMES, 1)


def test_tick_publishes_a_row_under_the_queue_s_present_name(database: str, redis_server: RedisServer) -> None:
    """A row that the release before has written goes to the queue of today, with the limits of what can be killed."""
    redis = redis_server.client()
    redis.flushall()
    redis_store.set_mark()
    for queue in FORMER:
        add(f"exec-{queue}", queue, due_at=db.now_ms() - 1)
    assert tick() == {"recovery": len(FORMER)}
    assert [redis.llen(queue) for queue in FORMER] == [0] * len(FORMER)
    sent = {queue: [json.loads(text)["headers"] for text in redis.lrange(queue, 0, -1)] for queue in FORMER.values()}
    assert {queue: [headers["id"] for headers in found] for queue, found in sent.items()} == {
        name: [f"exec-{former}"] for former, name in FORMER.items()
    }
    limited = {queue: found[0]["timelimit"] != [None, None] for queue, found in sent.items()}
    assert limited == {"notifications": False, "slow": False, "quarantine": True}
    redis.flushall()


def test_several_executions_of_a_former_queue_share_a_message(redis_server: RedisServer) -> None:
    """Published together they go to the present queue together."""
    redis = redis_server.client()
    redis.flushall()
    messages = [
        TaskMessage(execution_id=f"exec-{number}", label="act", queue="notices", timeout_ms=1) for number in (1, 2)
    ]
    assert canvas.publish(messages) == []
    assert (redis.llen("notices"), redis.llen("notifications")) == (0, 1)
    redis.flushall()


def test_what_waits_under_a_former_name_counts_to_its_queue(database: str, redis_server: RedisServer) -> None:
    """``/health`` knows the present names alone, and hides nothing of what waits under the former ones."""
    redis = redis_server.client()
    redis.flushall()
    redis.lpush("notices", "message", "message")
    redis.lpush("notifications", "message")
    add("exec-1", "notices", created_at=db.now_ms() - 40_000)
    add("exec-2", "notifications", created_at=db.now_ms() - 1_000)
    with db.read() as connection:
        waiting = queue_state.queues(recovery.oldest_waiting(connection))
    assert not waiting.keys() & FORMER.keys()
    assert waiting["notifications"]["messages"] == 3
    assert queue_state.longest(waiting) == waiting["notifications"]["oldest_seconds"] >= 40
    redis.flushall()


def test_workers_consume_the_former_queues_right_after_the_present_ones() -> None:
    """What is left under a former name has the place of its queue: before what may wait longer."""
    consumed = {name: list(with_former(role.queues)) for name, role in roles.ROLES.items()}
    assert consumed == {
        "steps": ["urgent", "steps", "notifications", "notices", "bulk"],
        "slow": ["slow", "patient"],
        "scripts": ["quarantine", "suspects", "scripts"],
        "control": ["control"],
    }
    assert [present(queue) for queue in consumed["scripts"]] == ["quarantine", "quarantine", "scripts"]


def test_a_worker_is_known_by_its_former_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """A supervisor that is given ``patient`` runs ``slow``, and says so; both at once are one too many."""
    started: list[str] = []
    monkeypatch.setattr(roles, "run", lambda name: started.append(name) or 0)
    monkeypatch.setattr(supervisor.redis, "refuse_unsound", lambda: None)
    monkeypatch.setattr(supervisor.logs, "configure", lambda _worker: None)
    said: list[dict[str, str]] = []
    monkeypatch.setattr(
        supervisor, "log", type("Log", (), {"warning": lambda _self, _line, **more: said.append(more)})()
    )
    assert supervisor.main(["patient2"]) == 0
    assert started == ["slow2"]
    assert said == [{"former": "patient2", "name": "slow2"}]
    assert supervisor.main(["patient", "slow"]) == 2
    assert "usage" in capsys.readouterr().err


def test_a_liveness_probe_may_use_the_former_name(database: str, capsys: pytest.CaptureFixture) -> None:
    """A probe that still asks for ``patient`` is answered for the worker that runs in its place."""
    now = db.now_ms()
    with db.write() as connection:
        worker_processes.beat(connection, "slow@here", queues="slow", pid=1, started_at=now, consumed_at=now, running=0)
    assert health.main(["patient@here"]) == 0
    assert capsys.readouterr().out == "slow@here: consuming\n"


def test_a_setting_is_read_under_its_former_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The present name wins where both are set; settings note a used former one for the log."""
    assert settings_module.former_names() == {}
    monkeypatch.setenv("TOCSIN_PATIENT_CONCURRENCY", "7")
    assert settings_module.load().slow_concurrency == 7
    assert settings_module.former_names() == {"TOCSIN_PATIENT_CONCURRENCY": "TOCSIN_SLOW_CONCURRENCY"}
    monkeypatch.setenv("TOCSIN_SLOW_CONCURRENCY", "9")
    assert settings_module.load().slow_concurrency == 9
