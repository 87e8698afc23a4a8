"""Who asks, and what the server offers; keys that are rotated and renamed."""

import threading
from datetime import UTC, datetime

import sqlalchemy as sa

from store import access
from store.engine import db
from tests.support.api import Door, assert_problem


def fresh(door: Door, **more: object) -> dict:
    """A new key."""
    made = door.call("POST", "/api/keys", json={"name": "SIEM", **more})
    assert made.status_code == 201
    return made.json["data"]


def me(door: Door, key: str) -> int:
    """The status of the answer to who a key is."""
    return door.call("GET", "/api/me", key=key).status_code


def rotated(door: Door, key_id: str, **more: object) -> dict:
    """The key after a rotation."""
    answer = door.call("POST", f"/api/keys/{key_id}/rotate", json=more)
    assert answer.status_code == 200, answer.text
    return answer.json["data"]


def test_a_key_tells_who_it_is(door: Door) -> None:
    """With its name, its workspace, and the permissions that its scopes leave of the role."""
    key = fresh(door, name="Sensor", role="operator", scopes=["playbooks:execute"], expires_at="2099-01-01T00:00:00Z")
    said = door.call("GET", "/api/me", key=key["key"]).json["data"]
    assert said == {
        "id": key["id"],
        "kind": "key",
        "name": "Sensor",
        "workspace_id": "default",
        "role": "operator",
        "permissions": ["execute:playbooks"],
        "grants": said["grants"],
        "expires_at": "2099-01-01T00:00:00.000Z",
    }
    assert said["grants"][0]["tenants"] == ["default"]
    assert_problem(door.call("GET", "/api/me", key=None), 401)


def test_a_user_who_is_signed_in_is_told_until_when(door: Door) -> None:
    """The session's end, not a key's."""
    given = {"username": "robin-me", "password": "correct-horse-battery", "role": "viewer"}
    assert door.call("POST", "/api/users", json=given).status_code == 201
    login = {"username": "robin-me", "password": "correct-horse-battery"}
    signed = door.call("POST", "/v1/auth/login", key=None, json=login).json
    said = door.call("GET", "/api/me", key=signed["token"]).json["data"]
    assert (said["kind"], said["name"], said["id"], said["role"]) == ("user", "robin-me", "user:robin-me", "viewer")
    left = datetime.fromisoformat(said["expires_at"]) - datetime.now(UTC)
    assert 0 < left.total_seconds() <= signed["expires_in"] + 1


def test_the_server_says_what_it_takes(door: Door) -> None:
    """Any caller may ask; the figures are those that requests meet."""
    viewer = fresh(door, role="viewer")
    said = door.call("GET", "/api/server", key=viewer["key"]).json["data"]
    assert (said["name"], said["features"]["stream"]) == ("Tocsin", True)
    assert abs((datetime.fromisoformat(said["time"]) - datetime.now(UTC)).total_seconds()) < 60
    beyond = said["limits"]["page_items"] + 1
    assert_problem(door.call("GET", f"/api/actions?limit={beyond}"), 400)
    assert door.call("GET", f"/api/actions?limit={beyond - 1}").status_code == 200
    assert said["version"] == door.call("GET", "/", key=None).json["version"]


def test_a_rotated_key_has_two_secrets_for_a_while(door: Door) -> None:
    """Both open the same key until the time of the old one is over; then the new one alone does."""
    key = fresh(door)
    again = rotated(door, key["id"], keep_hours=1)
    assert again["id"] == key["id"]
    assert again["key"] != key["key"]
    assert again["previous_until"] is not None
    assert (me(door, key["key"]), me(door, again["key"])) == (200, 200)
    with db.write() as connection:  # an hour later
        row = access.get_key(connection, "default", key["id"])
        past = {"previous_until": row.previous_until - 3_600_001}
        values = past | {"mac": access.mac({**row._asdict(), **past})}
        connection.execute(sa.update(access.api_keys).where(access.api_keys.c.id == key["id"]).values(values))
        assert access.authenticate(connection, key["key"]) is None
        assert access.authenticate(connection, again["key"]) is not None


def test_the_old_secret_ends_at_once_where_that_is_asked_for(door: Door) -> None:
    """``keep_hours: 0`` is for a key that has leaked."""
    key = fresh(door)
    assert me(door, key["key"]) == 200
    again = rotated(door, key["id"], keep_hours=0)
    assert again["previous_until"] is None
    assert (me(door, key["key"]), me(door, again["key"])) == (401, 200)


def test_a_second_rotation_does_not_end_the_secret_that_is_in_use(door: Door) -> None:
    """It is refused; with ``replace`` the newest secret, which nobody may have received, makes way instead."""
    key = fresh(door)
    lost = rotated(door, key["id"])
    problem = assert_problem(door.call("POST", f"/api/keys/{key['id']}/rotate", json={}), 409)
    assert problem["code"] == "key_rotating"
    newest = rotated(door, key["id"], replace=True)
    assert newest["previous_until"] == lost["previous_until"]
    assert [me(door, one["key"]) for one in (key, lost, newest)] == [200, 401, 200]


def test_a_secret_that_leaks_while_it_is_being_replaced_ends_at_once(door: Door) -> None:
    """With ``replace`` too, ``keep_hours: 0`` means it: neither secret of before opens anything more."""
    key = fresh(door)
    first = rotated(door, key["id"], keep_hours=720)
    newest = rotated(door, key["id"], replace=True, keep_hours=0)
    assert newest["previous_until"] is None
    assert [me(door, one["key"]) for one in (key, first, newest)] == [401, 401, 200]


def test_of_many_rotations_at_once_one_wins(door: Door) -> None:
    """The others are told so, and no answer shows a secret that opens nothing."""
    key, answers = fresh(door), []

    def rotate() -> None:
        answers.append(door.call("POST", f"/api/keys/{key['id']}/rotate", json={}))

    threads = [threading.Thread(target=rotate) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    won = [answer for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert {answer.status_code for answer in answers} == {200, 409}
    assert (me(door, key["key"]), me(door, won[0].json["data"]["key"])) == (200, 200)


def test_a_rotation_cannot_be_forged_in_the_database(door: Door) -> None:
    """A hash that is written into the row as the secret of before makes the row open nothing."""
    key = fresh(door)
    with db.write() as connection:
        forged = {"previous_hash": access.hashed("mine"), "previous_until": db.now_ms() + 3_600_000}
        connection.execute(sa.update(access.api_keys).where(access.api_keys.c.id == key["id"]).values(forged))
        assert access.authenticate(connection, access.written(key["id"], "mine")) is None


def test_revoking_ends_both_secrets(door: Door) -> None:
    """And neither a rotation nor a new name brings the key back."""
    key = fresh(door)
    again = rotated(door, key["id"])
    assert door.call("DELETE", f"/api/keys/{key['id']}").status_code == 204
    assert (me(door, key["key"]), me(door, again["key"])) == (401, 401)
    assert_problem(door.call("POST", f"/api/keys/{key['id']}/rotate", json={}), 404)
    assert_problem(door.call("PATCH", f"/api/keys/{key['id']}", json={"name": "again"}), 404)


def test_a_key_that_has_expired_needs_a_new_time(door: Door) -> None:
    """Rotating it alone would make a secret that opens nothing."""
    key = fresh(door)
    with db.write() as connection:
        row = access.get_key(connection, "default", key["id"])
        values = {"expires_at": db.now_ms() - 1000}
        values["mac"] = access.mac({**row._asdict(), **values})
        connection.execute(sa.update(access.api_keys).where(access.api_keys.c.id == key["id"]).values(values))
    problem = assert_problem(door.call("POST", f"/api/keys/{key['id']}/rotate", json={}), 409)
    assert problem["code"] == "key_expired"
    again = rotated(door, key["id"], expires_at="2099-01-01T00:00:00Z")
    assert me(door, again["key"]) == 200


def test_nobody_rotates_a_key_that_may_do_more(door: Door) -> None:
    """Its new secret would be a way to its rights."""
    with db.write() as connection:
        wide_id, wide = access.create_key(
            connection,
            workspace_id="default",
            name="wide",
            role="admin",
            scopes=[],
            expires_at=None,
            actor="test",
            grants='[{"tenants": ["*"]}]',
        )
    answer = door.call("POST", f"/api/keys/{wide_id}/rotate", json={})
    assert assert_problem(answer, 403)["code"] == "not_granted"
    assert me(door, wide) == 200


def test_a_key_is_renamed(door: Door) -> None:
    """The trail has both names; nothing else of it can be changed."""
    key = fresh(door, name="before")
    changed = door.call("PATCH", f"/api/keys/{key['id']}", json={"name": "after"})
    assert (changed.status_code, changed.json["data"]["name"]) == (200, "after")
    assert me(door, key["key"]) == 200
    assert_problem(door.call("PATCH", f"/api/keys/{key['id']}", json={"name": "x", "role": "admin"}), 400)
    with db.read() as connection:
        found = connection.exec_driver_sql(f"SELECT event, details FROM audit WHERE subject = '{key['id']}'").all()
    assert [row.event for row in found] == ["key.created", "key.renamed"]
    assert '"before"' in found[1].details
    assert '"after"' in found[1].details
