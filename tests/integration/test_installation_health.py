"""``/health`` for admins: a secret key that is not the one, and Python functions that cannot be loaded."""

import secrets
from pathlib import Path
from typing import Any

import pytest

from api import installation
from api.health import Gauge
from config.settings import settings
from providers.handlers import library, snapshot
from store import foreign_keys, worker_processes
from store.engine import db
from store.sealing import subkeys
from tests.support.api import Door

SECRET = {"url": "https://hooks.example.com/", "headers": {"Authorization": "Bearer s3cr3t-s3cr3t-s3cr3t"}}


@pytest.fixture
def door(database: str, redis_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The application on each kind of database, with Redis, a worker and a folder of functions: all is well."""
    (tmp_path / "functions").mkdir()
    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(tmp_path / "functions"))
    monkeypatch.setattr(snapshot, "SETTLES", 0.0)
    settings.cache_clear()
    with db.write() as connection:
        now = db.now_ms()
        worker_processes.beat(
            connection, "steps@test", queues="urgent", pid=1, started_at=now, consumed_at=now, running=0
        )
    return Door()


def health(door: Door, key: str | None = "") -> dict[str, Any]:
    """A fresh reading."""
    door.app.extensions["tocsin.gauge"] = Gauge()
    library.library()._look_at = 0.0
    answer = door.call("GET", "/health", key=key)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json
    return found


def use(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    """Have this process use these root keys."""
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", ",".join(keys))
    settings.cache_clear()


def test_admins_alone_see_the_installation(door: Door) -> None:
    """A key that may read gets what it always got; without a key there is the status alone."""
    whole = health(door)
    assert whole["secret_key"] == {
        "status": "ok",
        "key": subkeys.key_id(subkeys.newest()),
        "missing_keys": [],
        "unreadable": {},
    }
    assert whole["function_files"]["faults"] == []
    assert whole["configuration"] | {"folder": "", "applied": ""} == {
        "folder": "",
        "generation": 0,
        "applied": "",
        "stopped": [],
        "faults": [],
    }
    own = {"secret_key", "function_files", "configuration"}
    assert health(door, door.key("viewer")).keys() == whole.keys() - own
    assert health(door, None) == {"status": "ok"}


def test_a_key_that_opens_nothing_of_what_is_stored_is_named(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Degraded for everybody, and admins see which key is missing for what; the right key next to it mends it."""
    right, wrong = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    use(monkeypatch, right)
    with db.write() as connection:
        connection.exec_driver_sql("DELETE FROM api_keys")
    door.admin = door.key()
    door.create(name="Hook", config=SECRET)
    assert health(door)["status"] == "ok"
    use(monkeypatch, wrong)
    assert health(door, None) == {"status": "degraded"}
    assert "tocsin_ok 0.0" in door.call("GET", "/metrics/prometheus", key=None).text
    fresh = door.key()  # as launcher.key makes one with the wrong key: the others are refused now
    found = health(door, fresh)["secret_key"]
    assert found == {
        "status": "unreadable",
        "key": subkeys.key_id(wrong),
        "missing_keys": [subkeys.key_id(right)],
        "unreadable": {"api_keys": 1, "actions": 1},
    }
    use(monkeypatch, wrong, right)
    assert health(door, fresh)["secret_key"]["status"] == "ok"
    assert health(door)["status"] == "ok"


def test_a_revoked_key_of_another_root_key_does_not_count(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Revoking what a lost root key had made is enough to be well again."""
    use(monkeypatch, secrets.token_urlsafe(32))
    fresh = door.key()
    assert health(door, fresh)["secret_key"]["unreadable"] == {"api_keys": 1}
    assert door.call("DELETE", f"/api/keys/{door.admin.split('_')[1]}", key=fresh).status_code == 204
    assert health(door, fresh)["status"] == "ok"


def test_what_is_stored_is_looked_at_once_a_minute(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often health is read; while something does not open, more often."""
    looks: list[int] = []
    clock = [1000.0]
    answer = foreign_keys.ForeignValues()
    monkeypatch.setattr(installation.foreign_keys, "look", lambda _connection: looks.append(1) or answer)
    monkeypatch.setattr(installation.time, "monotonic", lambda: clock[0])
    inspector = installation.Inspector()
    with db.read() as connection:
        for _ in range(50):
            inspector.look(connection)
        assert len(looks) == 1
        clock[0] += installation.LASTS + 1
        answer = foreign_keys.ForeignValues({"actions": 1}, frozenset({"0badc0de"}))
        assert not inspector.look(connection).sound
        clock[0] += installation.LASTS_OPEN_TO_MENDING + 1
        answer = foreign_keys.ForeignValues()
        assert inspector.look(connection).sound
    assert len(looks) == 3


def test_a_broken_function_file_is_named(door: Door, tmp_path: Path) -> None:
    """With its line and the reason, until it is mended; the functions of the others can be used."""
    head = "from providers.functions import action\n"
    (tmp_path / "functions" / "good.py").write_text(head + "@action()\ndef good(): ...\n")
    broken = tmp_path / "functions" / "broken.py"
    broken.write_text(head + "@action()\ndef broken():\n  return (\n")
    found = health(door)
    (fault,) = found["function_files"]["faults"]
    assert (found["status"], fault["file"], fault["line"]) == ("degraded", str(broken), 4)
    assert fault["message"].startswith("SyntaxError: ")
    assert health(door, None) == {"status": "degraded"}
    wanted = {"name": "Good", "type": "remediation", "executor": "local", "config": {"handler": "good"}}
    assert door.call("POST", "/api/actions", json=wanted).status_code == 201
    broken.write_text(head + "@action()\ndef broken(): ...\n")
    assert health(door)["status"] == "ok"


def test_the_look_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees the first values of each table by the order of an index, however many there are."""
    use(monkeypatch, secrets.token_urlsafe(32))
    with db.write() as connection:
        connection.exec_driver_sql("DELETE FROM api_keys")
    for _ in range(foreign_keys.MOST + 5):
        door.key()
    use(monkeypatch, secrets.token_urlsafe(32))
    with db.read() as connection:
        assert foreign_keys.look(connection).numbers == {"api_keys": foreign_keys.MOST}
