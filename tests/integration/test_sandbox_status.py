"""What bounds the memory of scripts is found out by a worker, kept in Redis and shown by /health."""

from pathlib import Path

import pytest

from api import health
from config.settings import settings
from providers.sandbox import cgroup, sandbox, status
from store import sandbox_kinds, worker_processes
from store.engine import db
from tests.support.api import Door
from tests.support.services import RedisServer
from tests.support.waiting import eventually
from worker.sandbox_notice import Notice


def beat(name: str) -> None:
    """A living worker of this name."""
    now = db.now_ms()
    with db.write() as connection:
        worker_processes.beat(connection, name, queues="scripts", pid=1, started_at=now, consumed_at=now, running=0)


def test_health_shows_the_weakest_of_all_living_workers(door: Door, redis_server: RedisServer) -> None:
    """Where one machine has control groups and another has none, scripts are bounded as on the second."""
    redis_server.client().flushall()
    for name in ("scripts@status-a", "scripts@status-b"):
        beat(name)
    assert shown(door) is None
    sandbox_kinds.keep("scripts@status-a", "cgroup")
    assert shown(door) == "cgroup"
    sandbox_kinds.keep("scripts@status-b", "filter")
    sandbox_kinds.keep("scripts@status-gone", "none")
    assert shown(door) == "filter"
    assert 0 < redis_server.client().ttl("tocsin:sandbox:scripts@status-a") <= sandbox_kinds.GOOD_FOR
    redis_server.client().flushall()


def shown(door: Door) -> object:
    """What /health says about it now."""
    door.app.extensions["tocsin.gauge"] = health.Gauge()
    answer = door.call("GET", "/health")
    assert answer.json is not None
    return answer.json["sandbox"]


def test_a_worker_finds_out_in_a_process_of_its_own(
    redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reports the isolation that holds for its scripts, or none with the reason."""
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    settings.cache_clear()
    notice = Notice("scripts@status-c")
    notice.start()
    try:
        eventually(lambda: sandbox_kinds.weakest(["scripts@status-c"]), 60, "the worker has reported")
    finally:
        notice.stop()
    held = "filter" if cgroup.place() is None else "cgroup"
    assert sandbox_kinds.weakest(["scripts@status-c"]) == (held if sandbox.probe() is None else "none")
    monkeypatch.setenv("TOCSIN_BWRAP", "/does/not/exist")
    kind, reason = status.ask()
    assert kind == "none"
    assert "/does/not/exist" in reason
    settings.cache_clear()
    redis_server.client().delete("tocsin:sandbox:scripts@status-c")
