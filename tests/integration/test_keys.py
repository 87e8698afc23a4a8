"""API keys: made, shown once, narrowed, expiring, revoked."""

from datetime import UTC, datetime, timedelta

import pytest

from config.settings import settings
from store.engine import db
from tests.support.api import Door, assert_problem
from tests.support.waiting import eventually


def test_a_key_is_shown_once(door: Door) -> None:
    """The answer to its making holds the key; no later answer does, and the database only a hash."""
    made = door.call("POST", "/api/keys", json={"name": "SIEM"})
    assert made.status_code == 201
    fresh = made.json["data"]
    assert set(fresh) == {"id", "name", "key", "role", "scopes", "created_at", "expires_at", "last_used"}
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
