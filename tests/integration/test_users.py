"""Users, keys and their grants over the API: nobody hands on more than they have."""

import json

import pytest
import sqlalchemy as sa

from api.access import user_passwords
from config.errors import Busy
from config.settings import settings
from launcher import key as key_command
from launcher import user as user_command
from launcher.demo import start
from store import access, foreign_keys, renewal
from store.audit import audit
from store.callers import users
from store.engine import db
from tests.support.api import Door, assert_problem

pytestmark = pytest.mark.usefixtures("quick_passwords")

ALL = [{"tenants": ["*"]}]
WHOLE = [{part: ["*"] for part in ("tenants", "namespaces", "providers", "actions")}]
NEW = {"username": "kim", "password": "quiet-Ocelot-71", "role": "operator"}


@pytest.fixture
def either_door(database: str) -> Door:
    """The application on each kind of database."""
    return Door()


def test_a_user_is_made_changed_and_listed(either_door: Door) -> None:
    """Each answer is the user without the password; each change is in the trail."""
    door = either_door
    admin = door.key(grants=ALL)
    made = door.call("POST", "/api/users", key=admin, json={**NEW, "grants": [{"tenants": ["acme"]}]})
    assert (made.status_code, made.headers["Location"]) == (201, "/api/users/kim")
    shown = made.json["data"]
    assert set(shown) == {"username", "role", "grants", "created_at", "changed_at", "disabled_at"}
    everything = {"namespaces": ["*"], "providers": ["*"], "actions": ["*"]}
    assert (shown["role"], shown["grants"]) == ("operator", [{"tenants": ["acme"], **everything}])
    assert door.call("GET", "/api/users/kim", key=admin).json["data"] == shown
    assert_problem(door.call("POST", "/api/users", key=admin, json=NEW), 409)
    changed = door.call("PATCH", "/api/users/kim", key=admin, json={"role": "viewer", "grants": None}).json["data"]
    assert (changed["role"], changed["grants"]) == ("viewer", None)
    assert_problem(door.call("PATCH", "/api/users/kim", key=admin, json={}), 400)
    first = door.call("POST", "/api/users/kim/disable", key=admin).json["data"]["disabled_at"]
    assert door.call("POST", "/api/users/kim/disable", key=admin).json["data"]["disabled_at"] == first
    assert door.call("POST", "/api/users/kim/enable", key=admin).json["data"]["disabled_at"] is None
    door.call("POST", "/api/users", key=admin, json={**NEW, "username": "alex"})
    page = door.call("GET", "/api/users?limit=1", key=admin).json
    rest = door.call("GET", f"/api/users?limit=1&cursor={page['meta']['next_cursor']}", key=admin).json
    assert [one["username"] for one in page["data"] + rest["data"]] == ["alex", "kim"]
    with db.read() as connection:
        rows = connection.execute(sa.text("SELECT event, subject FROM audit WHERE event LIKE 'user.%' ORDER BY id"))
        events = [row.event for row in rows.fetchall() if row.subject == "kim"]
    assert events == ["user.created", "user.changed", "user.disabled", "user.enabled"]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("username", "Kim"),
        ("username", "-kim"),
        ("username", "k" * 65),
        ("username", "kim\n"),
        ("username", "kim:x"),
        ("password", "short"),
        ("password", None),
        ("password", "x" * 1025),
        ("role", "root"),
        ("grants", []),
        ("grants", [{}]),
        ("grants", [{"tenants": []}]),
        ("grants", [{"tenants": ["acme*"]}]),
        ("grants", [{"tenants": ["acme."]}]),
        ("grants", [{"tenants": ["acme"], "tenant": ["x"]}]),
        ("grants", [{"tenants": "acme"}]),
        ("grants", [{"tenants": ["acme"]}] * 51),
        ("workspace", "other"),
    ],
)
def test_an_odd_user_is_refused(door: Door, member: str, value: object) -> None:
    """A 400 that names the member."""
    answer = assert_problem(door.call("POST", "/api/users", json={**NEW, member: value}), 400)
    assert any(fault["pointer"].startswith(f"/{member}") for fault in answer["errors"])


def test_the_name_is_no_password(door: Door) -> None:
    """Neither when the user is made nor later, in any case of letters."""
    named = {**NEW, "username": "administrator", "password": "Administrator"}
    answer = assert_problem(door.call("POST", "/api/users", json=named), 400)
    assert answer["errors"][0]["pointer"] == "/password"
    name = door.user(username="administrator")
    assert_problem(door.call("PATCH", f"/api/users/{name}", json={"password": "Administrator"}), 400)


@pytest.mark.parametrize("where", ["/api/keys", "/api/users"])
def test_nobody_hands_on_more_than_they_have(door: Door, where: str) -> None:
    """Grants within the caller's own are given, any others refused with the number of the grant."""
    body = {**NEW, "role": "viewer"} if where == "/api/users" else {"name": "k", "role": "viewer"}
    limited = [{"tenants": ["acme"], "providers": ["mail"]}, {"tenants": ["beta"]}]
    mine = door.key(workspace="beta", grants=limited)
    for number, (given, status) in enumerate(
        [
            ([{"tenants": ["acme.eu"], "providers": ["mail.eu"]}], 201),
            ([{"tenants": ["beta"], "namespaces": ["x"]}], 201),
            (None, 201),
            ([{"tenants": ["acme"]}], 403),
            ([{"tenants": ["beta"]}, {"tenants": ["acme", "beta"], "providers": ["mail"]}], 403),
            ([{"tenants": ["acme-corp"], "providers": ["mail"]}], 403),
            (ALL, 403),
        ]
    ):
        name = {"username": f"kim-{number}"} if where == "/api/users" else {}
        answer = door.call("POST", where, key=mine, json={**body, **name, "grants": given})
        assert answer.status_code == status, (given, answer.text)
    assert_problem(door.call("POST", where, json={**body, "grants": [{"tenants": ["default"]}]}), 403)  # its children
    foreign = door.key(grants=[{"tenants": ["acme"]}])
    assert_problem(door.call("POST", where, key=foreign, json=body), 403)  # no grant over the own workspace to hand on


def test_who_may_do_less_changes_no_user_who_may_do_more(door: Door) -> None:
    """A new password for somebody with more grants or a higher role would be a way to their rights."""
    scoped = door.key(scopes=("manage:users",))
    mighty, admin, viewer = door.user("viewer", grants=ALL), door.user("admin"), door.user("viewer")
    for name, key in ((mighty, door.admin), (admin, scoped)):
        for path, body in (("", {"password": "another-Word-99"}), ("", {"role": "viewer"}), ("/disable", None)):
            method = "POST" if path else "PATCH"
            assert_problem(door.call(method, f"/api/users/{name}{path}", key=key, json=body), 403)
    assert_problem(door.call("PATCH", f"/api/users/{viewer}", key=scoped, json={"role": "admin"}), 403)
    assert (
        door.call("PATCH", f"/api/users/{mighty}", key=door.key(grants=ALL), json={"grants": None}).status_code == 200
    )
    assert door.call("PATCH", f"/api/users/{mighty}", json={"role": "operator"}).status_code == 200


def test_users_of_another_workspace_are_not_there(door: Door) -> None:
    """Whatever is asked of them; that a name is taken is all that shows."""
    theirs = door.user(workspace="other")
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"role": "viewer"}),
        ("PATCH", "", {"password": "another-Word-99"}),
        ("POST", "/disable", None),
        ("POST", "/enable", None),
    ):
        assert_problem(door.call(method, f"/api/users/{theirs}{path}", json=body), 404)
    assert door.call("GET", "/api/users").json["data"] == []
    assert_problem(door.call("POST", "/api/users", json={**NEW, "username": theirs}), 409)


def test_a_key_shows_its_grants(door: Door) -> None:
    """As they were given, with the parts that were not; null is the own workspace."""
    mine = door.key(grants=ALL)
    made = door.call("POST", "/api/keys", key=mine, json={"name": "k", "grants": ALL}).json["data"]
    assert made["grants"] == WHOLE
    assert door.call("GET", f"/api/keys/{made['id']}").json["data"]["grants"] == WHOLE
    assert door.call("POST", "/api/keys", json={"name": "k"}).json["data"]["grants"] is None


def test_grants_in_the_table_are_not_believed(door: Door) -> None:
    """A key whose grants somebody else has written opens nothing."""
    key = door.key()
    assert door.call("GET", "/api/actions", key=key).status_code == 200
    other = door.key()
    with db.write() as connection:
        mine = access.api_keys.c.id == other.split("_")[1]
        connection.execute(sa.update(access.api_keys).where(mine).values(grants='[{"tenants": ["*"]}]'))
    assert_problem(door.call("GET", "/api/actions", key=other), 401)


def test_the_first_user_is_all_that_is_printed(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script can take standard output; a second time is refused, unless a new password is asked for."""
    assert user_command.main(["kim", "--workspace", "blue", "--tenants", "acme, beta"]) == 0
    name, _, password = capsys.readouterr().out.strip().partition(":")
    door = Door()
    token = door.sign_in(name, password).json["token"]
    assert door.call("GET", "/api/users", key=token).json["data"][0]["grants"][0]["tenants"] == ["acme", "beta"]
    assert user_command.main(["kim", "--workspace", "blue"]) == 1
    assert "--reset" in capsys.readouterr().err
    door.call("POST", "/api/users/kim/disable", key=door.key(workspace="blue", grants=ALL))
    assert user_command.main(["kim", "--workspace", "blue", "--reset"]) == 0
    again = capsys.readouterr().out.strip().partition(":")[2]
    assert again != password
    assert door.sign_in("kim", password).status_code == 401
    assert door.sign_in("kim", again).status_code == 200
    assert user_command.main(["kim", "--workspace", "red", "--reset"]) == 1


def test_a_reset_says_what_it_has_changed(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The trail names the password alone where the rest is as it was, and nobody is enabled who was not disabled."""
    wanted = ["kim", "--workspace", "blue", "--tenants", "acme"]
    assert user_command.main(wanted) == 0
    assert user_command.main([*wanted, "--reset"]) == 0
    assert user_command.main([*wanted, "--reset", "--role", "viewer"]) == 0
    with db.read() as connection:
        query = sa.select(audit.c.event, audit.c.details).where(audit.c.subject == "kim").order_by(audit.c.id)
        rows = connection.execute(query).all()
    changed = [json.loads(row.details)["changed"] for row in rows if row.event == "user.changed"]
    assert changed == [["password_hash"], ["password_hash", "role"]]
    assert {row.event for row in rows} == {"user.created", "user.changed"}
    capsys.readouterr()


@pytest.mark.parametrize("given", [["Kim"], ["kim", "--tenants", "acme*"], ["kim", "--role", "root"], []])
def test_a_wrong_call_of_the_command_makes_nobody(sqlite_database: str, given: list[str]) -> None:
    """It ends with what is wrong and how it is written."""
    with pytest.raises(SystemExit):
        user_command.main(given)
    with db.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM users").fetchall() == []


def test_a_key_of_the_command_line_covers_tenants(sqlite_database: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--tenants '*'`` is the grant over all of them."""
    assert key_command.main(["--tenants", "*"]) == 0
    with db.read() as connection:
        caller, _ = access.authenticate(connection, capsys.readouterr().out.strip())
    assert caller.grants == start.ALL_TENANTS


def test_the_user_of_the_demo_is_made_once(sqlite_database: str, tmp_path) -> None:
    """What var/demo.user says is good for signing in as long as it works, and renewed when it does not."""
    path = tmp_path / "demo.user"
    start.demo_user(path, start.ALL_TENANTS)
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.count("\n") == 1
    start.demo_user(path, start.ALL_TENANTS)
    assert path.read_text() == first
    door = Door()
    name, _, password = first.strip().partition(":")
    assert door.sign_in(name, password).status_code == 200
    path.unlink()
    start.demo_user(path, start.ALL_TENANTS)
    assert path.read_text() != first
    assert door.sign_in(*path.read_text().strip().split(":")).status_code == 200


def test_users_follow_a_change_of_the_root_key(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their MACs are made again under the new key; what the process could not vouch for is told before."""
    old, new = settings().secret_key, "0123456789abcdefghijklmnopqrstuvwxyzABCD"
    door = Door()
    good, altered = door.user(), door.user()
    with db.write() as connection:
        connection.execute(sa.update(users.users).where(users.users.c.username == altered).values(role="viewer"))
    monkeypatch.delenv("TOCSIN_SECRET_KEY", raising=False)
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", new)
    settings.cache_clear()
    with db.read() as connection:
        assert foreign_keys.look(connection).numbers["users"] == 2
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", f"{new},{old}")
    settings.cache_clear()
    bite = renewal.USERS.bite("")
    assert (bite.done, bite.broken) == (1, (altered,))
    monkeypatch.setenv("TOCSIN_SECRET_KEYS", new)
    settings.cache_clear()
    with db.read() as connection:
        assert users.is_vouched_for(users.get(connection, good))
        assert not users.is_vouched_for(users.get(connection, altered))


def test_who_sets_a_password_while_many_do_is_told_what_it_waits_for(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords are hashed by the helpers that look into large definitions, and are none."""

    def full(*_: object) -> None:
        raise Busy

    monkeypatch.setattr(user_passwords.pool, "run", full)
    given = {"username": "robin-busy", "password": "correct-horse-battery", "role": "viewer"}
    refused = assert_problem(door.call("POST", "/api/users", json=given), 503)
    assert (refused["code"], refused["retryable"]) == ("busy", True)
    assert "password" in refused["detail"]
