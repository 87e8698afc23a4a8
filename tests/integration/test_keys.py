"""API keys: made, shown once, narrowed, expiring, revoked."""

import contextlib
import threading
from datetime import UTC, datetime, timedelta

import pytest

from config.errors import Conflict
from config.settings import settings
from store import access
from store.engine import db
from store.paging import Part
from tests.support.api import Door, assert_problem
from tests.support.waiting import eventually


def test_a_key_is_shown_once(door: Door) -> None:
    """The answer to its making holds the key; no later answer does, and the database only a hash."""
    made = door.call("POST", "/api/keys", json={"name": "SIEM"})
    assert made.status_code == 201
    fresh = made.json["data"]
    assert set(fresh) == {
        "id",
        "name",
        "key",
        "role",
        "scopes",
        "grants",
        "created_at",
        "expires_at",
        "last_used",
        "previous_until",
        "revoked_at",
    }
    assert (fresh["role"], fresh["scopes"], fresh["expires_at"], fresh["last_used"]) == ("operator", [], None, None)
    assert fresh["key"].startswith(f"tcn_{fresh['id']}_")
    assert door.call("GET", "/api/actions", key=fresh["key"]).status_code == 200
    shown = door.call("GET", made.headers["Location"]).json["data"]
    assert "key" not in shown
    listed = door.call("GET", "/api/keys")
    assert fresh["id"] in [item["id"] for item in listed.json["data"]]
    secret = fresh["key"].removeprefix(f"tcn_{fresh['id']}_")
    assert secret not in listed.text
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_keys").fetchall()
    assert secret not in str(rows)


def test_both_headers_carry_a_key(door: Door) -> None:
    """``Authorization: Bearer`` and ``X-API-Key`` are the same; the scheme's case does not matter."""
    for headers in (
        {"X-API-Key": door.admin},
        {"Authorization": f"Bearer {door.admin}"},
        {"Authorization": f"bearer {door.admin}"},
    ):
        assert door.call("GET", "/api/actions", key=None, headers=headers).status_code == 200


def test_a_revoked_key_opens_nothing(door: Door) -> None:
    """Revoking takes effect with the next request, and cannot be done twice."""
    fresh = door.call("POST", "/api/keys", json={"name": "x"}).json["data"]
    assert door.call("DELETE", f"/api/keys/{fresh['id']}").status_code == 204
    assert_problem(door.call("GET", "/api/actions", key=fresh["key"]), 401)
    assert_problem(door.call("DELETE", f"/api/keys/{fresh['id']}"), 404)


def test_an_expired_key_opens_nothing(door: Door) -> None:
    """A key is good until its time and not after."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    fresh = door.call("POST", "/api/keys", json={"name": "x", "expires_at": soon.isoformat()}).json["data"]
    assert fresh["expires_at"] == soon.strftime("%Y-%m-%dT%H:%M:%S.") + f"{soon.microsecond // 1000:03d}Z"
    assert door.call("GET", "/api/actions", key=fresh["key"]).status_code == 200
    assert_problem(door.call("GET", "/api/actions", key=door.key(expires_at=db.now_ms() - 1)), 401)


def test_scopes_narrow_a_role(door: Door) -> None:
    """A key with scopes does no more than they say; both spellings mean the same; writing includes triggering."""
    action = door.create()["id"]
    body = {"name": "trigger only", "scopes": ["actions:execute"]}
    trigger_only = door.call("POST", "/api/keys", json=body).json["data"]["key"]
    assert_problem(door.call("GET", "/api/actions", key=trigger_only), 403)
    path = f"/api/actions/{action}/trigger"
    assert door.call("POST", path, key=trigger_only, json={"parameters": {}}).status_code == 202
    writer = door.call("POST", "/api/keys", json={"name": "w", "scopes": ["write:actions"]}).json["data"]["key"]
    assert door.call("POST", path, key=writer, json={"parameters": {}}).status_code == 202


def test_a_wrong_secret_is_no_key(door: Door) -> None:
    """The id of a key alone, or with another secret, opens nothing."""
    key_id = door.admin.split("_")[1]
    for key in (f"tcn_{key_id}_", f"tcn_{key_id}_wrong", f"tcn_{key_id}", door.admin[:-1], door.admin + "x"):
        assert_problem(door.call("GET", "/api/actions", key=key), 401)


def test_the_use_of_a_key_is_noted(door: Door) -> None:
    """``last_used`` shows when a key was used, soon after it was."""
    fresh = door.call("POST", "/api/keys", json={"name": "x"}).json["data"]
    before = db.now_ms()
    door.call("GET", "/api/actions", key=fresh["key"])
    path = f"/api/keys/{fresh['id']}"
    last = eventually(lambda: door.call("GET", path).json["data"]["last_used"], 5, "the use is noted")
    assert datetime.fromisoformat(last).timestamp() * 1000 >= before


def test_making_and_revoking_are_audited(door: Door) -> None:
    """The trail says who made and who revoked a key."""
    fresh = door.call("POST", "/api/keys", json={"name": "x"}).json["data"]
    door.call("DELETE", f"/api/keys/{fresh['id']}")
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT event, actor, subject FROM audit ORDER BY id").fetchall()
    me = door.admin.split("_")[1]
    assert [("key.created", me, fresh["id"]), ("key.revoked", me, fresh["id"])] == [tuple(row) for row in rows][-2:]


def test_no_key_outlives_what_the_operator_allows(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a longest life a key that says nothing gets it, and one that asks for more is refused."""
    monkeypatch.setenv("TOCSIN_MAX_KEY_DAYS", "30")
    settings.cache_clear()
    before = datetime.now(UTC)
    fresh = door.call("POST", "/api/keys", json={"name": "x"}).json["data"]
    assert before < datetime.fromisoformat(fresh["expires_at"]) <= datetime.now(UTC) + timedelta(days=30)
    late = (before + timedelta(days=31)).isoformat()
    answer = assert_problem(door.call("POST", "/api/keys", json={"name": "x", "expires_at": late}), 400)
    assert answer["errors"][0]["pointer"] == "/expires_at"


@pytest.fixture
def either_door(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def test_a_revoked_key_stays_readable_for_the_trail(either_door: Door) -> None:
    """Its id still leads to its name and role; it is listed only on request, and never again a key."""
    door = either_door
    fresh = door.call("POST", "/api/keys", json={"name": "SIEM", "role": "viewer"}).json["data"]
    before = db.now_ms()
    assert door.call("DELETE", f"/api/keys/{fresh['id']}").status_code == 204
    shown = door.call("GET", f"/api/keys/{fresh['id']}").json["data"]
    assert (shown["name"], shown["role"]) == ("SIEM", "viewer")
    assert datetime.fromisoformat(shown["revoked_at"]).timestamp() * 1000 >= before - 1
    assert [one["id"] for one in door.call("GET", "/api/keys?revoked=true").json["data"]] == [fresh["id"]]
    listed = door.call("GET", "/api/keys").json
    assert (fresh["id"] in str(listed), listed["meta"]["total"]) == (False, 1)
    other = door.key(workspace="other")
    assert_problem(door.call("GET", f"/api/keys/{fresh['id']}", key=other), 404)
    assert door.call("GET", "/api/keys?revoked=true", key=other).json["data"] == []
    with db.write() as connection:  # an attacker who can write to the database makes it no key again
        connection.exec_driver_sql("UPDATE api_keys SET revoked_at = NULL")
    assert_problem(door.call("GET", "/api/actions", key=fresh["key"]), 401)


def test_the_last_admin_key_is_revoked_only_by_force(either_door: Door) -> None:
    """409 says what would happen; keys that expire, are narrowed or of other workspaces do not count."""
    door = either_door
    mine = door.admin.split("_")[1]
    door.key(expires_at=db.now_ms() - 1)
    door.key(scopes=("read:actions",))
    door.key(role="operator")
    door.key(workspace="other")
    refused = assert_problem(door.call("DELETE", f"/api/keys/{mine}"), 409)
    assert refused["code"] == "last_admin_key"
    assert "?force=true" in refused["detail"]
    second = door.key()
    assert door.call("DELETE", f"/api/keys/{second.split('_')[1]}").status_code == 204
    assert door.call("DELETE", f"/api/keys/{mine}?force=true").status_code == 204
    assert_problem(door.call("GET", "/api/keys"), 401)


def test_of_two_admins_who_revoke_each_other_one_stays(database: str) -> None:
    """Of two at the same moment, one is told that it would be the last."""
    for _ in range(5):
        with db.write() as connection:
            connection.exec_driver_sql("DELETE FROM api_keys")
        Door().key()  # next to the one that each has
        keys = [row.id for row in _admins()]
        assert len(keys) == 2
        both, results = threading.Barrier(2), []

        def revoke(key_id: str, both=both, results=results) -> None:
            both.wait()
            with contextlib.suppress(Conflict), db.write() as connection:
                results.append(access.revoke_key(connection, "default", key_id, "x"))

        threads = [threading.Thread(target=revoke, args=(key_id,)) for key_id in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [True]
        assert len(_admins()) == 1


def _admins() -> list:
    with db.read() as connection:
        return access.list_keys(connection, "default", Part(10)).rows
