"""Users sign in and out; what is no token of theirs, or no longer one, opens nothing."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from limits import parse

from api.http import auth, rate_limits
from config.settings import settings
from store.access import api_keys
from store.callers import passwords
from store.callers.sessions import sessions
from store.callers.users import users
from store.engine import clock, db
from store.sealing import subkeys
from tasks.offload import pool
from tests.support import cheap_passwords
from tests.support.api import PASSWORD, Door, assert_problem
from tests.support.services import RedisServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("quick_passwords")

READ = "/api/actions"


@pytest.fixture
def either_door(database: str) -> Door:
    """The application on each kind of database."""
    auth._known.clear()
    return Door()


@pytest.fixture(scope="module", autouse=True)
def _helpers() -> Iterator[None]:
    """The helper processes end with the tests that needed them."""
    yield
    pool.end()


def opens(door: Door, token: str) -> bool:
    """Whether the token is taken, by a process that has not seen it before."""
    auth._known.clear()
    answer = door.call("GET", READ, key=token)
    if answer.status_code != 200:
        assert_problem(answer, 401)
    return answer.status_code == 200


def said(token: str) -> dict:
    """What a token says."""
    return jwt.decode(token, options={"verify_signature": False})


def key() -> bytes:
    """The key that tokens are signed with."""
    return subkeys.subkey(subkeys.newest(), "session token")


def test_a_user_signs_in_and_out(either_door: Door) -> None:
    """The answers are the documented ones; the token says nothing of role and grants; each step is in the trail."""
    door = either_door
    name = door.user("operator", username="kim")
    answer = door.sign_in("KIM")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert set(answer.json) == {"token", "expires_in"}
    assert answer.json["expires_in"] == 3600
    token = answer.json["token"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
    assert set(said(token)) == {"iss", "sub", "jti", "iat", "exp"}
    assert (said(token)["sub"], said(token)["exp"] - said(token)["iat"]) == (name, 3600)
    assert door.call("POST", "/api/keys", key=token, json={"name": "no"}).status_code == 403
    out = door.call("POST", "/v1/auth/logout", key=token)
    assert (out.status_code, out.json) == (200, {"status": "logged_out"})
    assert_problem(door.call("GET", READ, key=token), 401)
    assert not opens(door, token)
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT event, actor, subject FROM audit ORDER BY id").fetchall()
    events = [tuple(row) for row in rows if row.event.startswith("session")]
    assert events == [("session.opened", "user:kim", "kim"), ("session.closed", "user:kim", "kim")]


def test_a_user_acts_under_their_name(door: Door) -> None:
    """What a user makes is written down as theirs."""
    token = door.token("operator", username="kim")
    made = {"name": "Mine", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}}
    assert door.call("POST", READ, key=token, json=made).status_code == 201
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor FROM audit WHERE event = 'action.created'").fetchall()
    assert [row.actor for row in rows] == ["user:kim"]


def test_one_session_ends_without_the_others(either_door: Door) -> None:
    """Logging out is for the token that is shown, and can be done once."""
    door = either_door
    name = door.user()
    first, second = (door.sign_in(name).json["token"] for _ in range(2))
    assert door.call("POST", "/v1/auth/logout", key=first).status_code == 200
    assert_problem(door.call("POST", "/v1/auth/logout", key=first), 401)
    assert opens(door, second)


def test_a_key_cannot_log_out(door: Door) -> None:
    """It is told how it can be revoked."""
    answer = assert_problem(door.call("POST", "/v1/auth/logout"), 400)
    assert answer["code"] == "not_a_session"


def _unsigned(claims: dict) -> str:
    return jwt.encode(claims, None, "none")


def _unsigned_by_hand(claims: dict) -> str:
    """With a head that says HS256 and no signature at all."""
    parts = [json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


def _other_case(claims: dict) -> str:
    """With the algorithm none in other letters, and a right signature."""
    head = base64.urlsafe_b64encode(b'{"alg":"nOnE","typ":"JWT"}').rstrip(b"=").decode()
    return head + "." + jwt.encode(claims, key(), "HS256").split(".", 1)[1]


FORGERIES: dict[str, Callable[[dict], str]] = {
    "none": _unsigned,
    "no signature": _unsigned_by_hand,
    "nOnE": _other_case,
    "HS384 under the same key": lambda claims: jwt.encode(claims, key() * 2, "HS384"),
    "HS512 under the same key": lambda claims: jwt.encode(claims, key() * 2, "HS512"),
    "EdDSA": lambda claims: jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    "RS256": lambda claims: jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256"),
    "another key": lambda claims: jwt.encode(claims, b"x" * 32, "HS256"),
    "the root key": lambda claims: jwt.encode(claims, subkeys.newest(), "HS256"),
    "the key of another purpose": lambda claims: jwt.encode(
        claims, subkeys.subkey(subkeys.newest(), "api key"), "HS256"
    ),
    "a key that it brings along": lambda claims: jwt.encode(
        claims, b"x" * 32, "HS256", headers={"kid": "/dev/null", "jwk": {"kty": "oct", "k": "eHh4"}, "jku": "http://h/"}
    ),
    "another issuer": lambda claims: jwt.encode({**claims, "iss": "another"}, key(), "HS256"),
    "no session": lambda claims: jwt.encode({**claims, "jti": "none"}, key(), "HS256"),
    "the session of another": lambda claims: jwt.encode({**claims, "sub": "root"}, key(), "HS256"),
    "no time": lambda claims: jwt.encode({n: v for n, v in claims.items() if n != "exp"}, key(), "HS256"),
    "a time that is over": lambda claims: jwt.encode({**claims, "exp": claims["iat"] - 1}, key(), "HS256"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_opens_nothing(door: Door, forgery: str) -> None:
    """Whatever its head says and whoever signed it: only a token of ours, of a session that there is, is taken."""
    door.user(username="root")
    token = door.token("viewer")
    claims = said(token)
    assert not opens(door, FORGERIES[forgery](claims))
    assert opens(door, jwt.encode(claims, key(), "HS256"))  # that it is signed by the right key is what lets it in


@pytest.mark.parametrize("part", [0, 1, 2])
def test_an_altered_token_opens_nothing(door: Door, part: int) -> None:
    """One other letter in any part is enough; so is a part too many or too few."""
    token = door.token()
    parts = token.split(".")
    parts[part] = parts[part][:3] + ("A" if parts[part][3] != "A" else "B") + parts[part][4:]
    for forged in (".".join(parts), token + ".x", token.rsplit(".", 1)[0], token[:-2], "..", "a.b.c", "é.é.é"):
        assert not opens(door, forged.encode("utf-8").decode("latin-1"))


def test_a_token_expires(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is good until its time by the database's clock, and not after."""
    token = door.token()
    now = clock.now_ms
    monkeypatch.setattr("store.callers.known.now_ms", lambda: now() + 3_590_000)
    assert opens(door, token)
    monkeypatch.setattr("store.callers.known.now_ms", lambda: now() + 3_601_000)
    assert not opens(door, token)


def test_how_long_a_session_lasts_is_a_setting(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer and the token say it."""
    monkeypatch.setenv("TOCSIN_SESSION_SECONDS", "60")
    settings.cache_clear()
    answer = door.sign_in(door.user()).json
    assert (answer["expires_in"], said(answer["token"])["exp"] - said(answer["token"])["iat"]) == (60, 60)


def test_role_and_grants_are_never_frozen(either_door: Door) -> None:
    """A change counts for the tokens that there are: at once in this process, in others within a second."""
    door = either_door
    name = door.user("admin")
    token = door.sign_in(name).json["token"]
    assert door.call("GET", "/api/keys", key=token).status_code == 200
    changed = door.call("PATCH", f"/api/users/{name}", json={"role": "viewer"})
    assert (changed.status_code, changed.json["data"]["role"]) == (200, "viewer")
    assert_problem(door.call("GET", "/api/keys", key=token), 403)
    assert opens(door, token)


def test_another_process_hears_of_a_change_within_a_second(door: Door) -> None:
    """What is remembered of a token is looked up again after a second."""
    name = door.user()
    token = door.sign_in(name).json["token"]
    assert door.call("GET", READ, key=token).status_code == 200
    with db.write() as connection:  # as another process does
        connection.execute(sa.update(sessions).values(revoked_at=db.now_ms()))
    began = time.monotonic()
    eventually(lambda: door.call("GET", READ, key=token).status_code == 401, 5, "the token is refused")
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("change", ["disable", "password"])
def test_a_disabled_user_and_a_changed_password_end_sessions(either_door: Door, change: str) -> None:
    """The tokens of before open nothing, also when the user is enabled again."""
    door = either_door
    name = door.user()
    token = door.sign_in(name).json["token"]
    if change == "disable":
        assert door.call("POST", f"/api/users/{name}/disable").json["data"]["disabled_at"] is not None
        assert_problem(door.sign_in(name), 401)
        assert not opens(door, token)
        assert door.call("POST", f"/api/users/{name}/enable").json["data"]["disabled_at"] is None
    else:
        assert door.call("PATCH", f"/api/users/{name}", json={"password": "another-Word-99"}).status_code == 200
        assert_problem(door.sign_in(name), 401)
    assert not opens(door, token)
    assert door.sign_in(name, PASSWORD if change == "disable" else "another-Word-99").status_code == 200


@pytest.mark.parametrize("change", ["disable", "password"])
def test_a_change_during_the_check_of_a_password_counts(
    either_door: Door, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Who signs in with the password of before, while it is changed or the user disabled, gets no session."""
    door, run, asked = either_door, pool.run, []
    name = door.user()
    method, more = ("POST", "/disable") if change == "disable" else ("PATCH", "")

    def verified(function: Callable[..., object], *given: str) -> object:
        right = run(function, *given)
        if function is passwords.verify:
            json_ = {} if change == "disable" else {"json": {"password": "another-Word-99"}}
            asked.append(
                door.app.test_client().open(
                    f"/api/users/{name}{more}",
                    method=method,
                    headers={"Authorization": f"Bearer {door.admin}"},
                    **json_,
                )
            )
        return right

    monkeypatch.setattr(pool, "run", verified)
    assert_problem(door.sign_in(name), 401)
    assert [answer.status_code for answer in asked] == [200]
    with db.read() as connection:
        assert connection.execute(sa.select(sessions.c.jti)).all() == []


@pytest.mark.parametrize(
    "altered",
    [
        {"role": "admin"},
        {"workspace_id": "other"},
        {"grants": '[{"tenants": ["*"]}]'},
        {"password_hash": cheap_passwords.hashed("intruder-intruder")},
        {"mac": None},
    ],
)
def test_an_altered_user_opens_nothing(either_door: Door, altered: dict) -> None:
    """Who can write to the database promotes nobody: neither by a token nor by a password of theirs."""
    door = either_door
    door.key(workspace="other")
    name = door.user("viewer")
    token = door.sign_in(name).json["token"]
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.username == name).values(**altered))
    assert not opens(door, token)
    for password in (PASSWORD, "intruder-intruder"):
        assert_problem(door.sign_in(name, password), 401)
    assert_problem(door.call("PATCH", f"/api/users/{name}", json={"role": "viewer", "password": "z" * 12}), None)


def test_tokens_live_through_a_change_of_the_root_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new key signs, the old one still opens until it is taken away."""
    first, second = settings().secret_key, "0123456789abcdefghijklmnopqrstuvwxyzABCD"
    token = door.token()
    monkeypatch.delenv("TOCSIN_SECRET_KEY", raising=False)
    for keys, good in ((f"{second},{first}", True), (second, False)):
        monkeypatch.setenv("TOCSIN_SECRET_KEYS", keys)
        settings.cache_clear()
        assert opens(door, token) == good


def test_five_attempts_a_minute(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each user and address, right or wrong; others are not held up by it."""
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: 1_800_000_000.0)
    name, other = door.user(), door.user()
    statuses = [door.sign_in(name, "wrong").status_code for _ in range(5)]
    assert statuses == [401] * 5
    refused = door.sign_in(name)
    assert_problem(refused, 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert door.sign_in(name.upper()).status_code == 429
    assert door.sign_in(other).status_code == 200
    door.client.environ_base["REMOTE_ADDR"] += "2"
    assert door.sign_in(name).status_code == 429  # the same network
    door.client.environ_base["REMOTE_ADDR"] = "fd01" + door.client.environ_base["REMOTE_ADDR"][4:]
    assert door.sign_in(name).status_code == 200


def test_an_address_that_guesses_is_stopped(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong passwords for ever other users count together; wrong keys keep nobody from signing in."""
    monkeypatch.setattr(rate_limits, "FAILURES", parse("3/minute"))
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: 1_800_000_000.0)
    checked, run = [], pool.run
    monkeypatch.setattr(pool, "run", lambda function, *given: checked.append(given[0]) or run(function, *given))
    assert [door.call("GET", READ, key="wrong").status_code for _ in range(4)] == [401] * 3 + [429]
    sent, address = [], door.client.environ_base["REMOTE_ADDR"]
    for number in range(6):
        door.client.environ_base["REMOTE_ADDR"] = f"{address}{number}"
        sent.append(door.sign_in(f"nobody-{number}").status_code)
    assert sent == [401] * 3 + [429] * 3
    assert door.sign_in(door.user()).status_code == 429
    assert len(checked) == 3


def test_right_passwords_do_not_count_as_guesses(
    door: Door, monkeypatch: pytest.MonkeyPatch, redis_server: RedisServer
) -> None:
    """However many people of one address sign in."""
    monkeypatch.setattr(rate_limits, "FAILURES", parse("3/minute"))
    monkeypatch.setattr("api.http.rate_limits.time.time", lambda: 1_800_000_000.0)
    assert [door.sign_in(door.user()).status_code for _ in range(5)] == [200] * 5
    sent = [door.sign_in(f"nobody-{number}").status_code for number in range(4)]
    assert sent == [401] * 3 + [429]


def test_an_unknown_user_is_told_so_after_the_same_work(
    dear_passwords: None, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown, disabled, altered and wrong are one answer, after one check of a password of the same cost."""
    known, disabled, altered = (door.user(password_hash=passwords.hashed(PASSWORD)) for _ in range(3))
    door.call("POST", f"/api/users/{disabled}/disable")
    with db.write() as connection:
        connection.execute(sa.update(users).where(users.c.username == altered).values(role="viewer"))
    checked, run = [], pool.run
    monkeypatch.setattr(pool, "run", lambda function, *given: checked.append(given[0]) or run(function, *given))
    answers = []
    for name in (known, disabled, altered, "nobody"):
        answer = assert_problem(door.sign_in(name, "wrong-password"), 401)
        answers.append({member: value for member, value in answer.items() if member != "request_id"})
    assert all(answer == answers[0] for answer in answers)
    assert [hash_.split("$")[1:4] for hash_ in checked] == [["argon2id", "v=19", "m=65536,t=3,p=4"]] * 4
    seconds = {}
    for hash_ in (checked[0], passwords.NOBODY):
        began = time.process_time()
        assert not passwords.verify(hash_, "wrong-password")
        seconds[hash_] = time.process_time() - began
    least, most = sorted(seconds.values())
    assert most < 3 * least


def test_basic_is_no_way_in(door: Door) -> None:
    """A name and a password are taken by the login alone."""
    name = door.user()
    basic = base64.b64encode(f"{name}:{PASSWORD}".encode()).decode()
    assert_problem(door.call("GET", READ, key=None, headers={"Authorization": f"Basic {basic}"}), 401)
    answer = door.call("GET", READ, key=None, headers={"Authorization": f"Basic {door.admin}"})
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert_problem(answer, 401)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/username"),
        ({"username": "kim"}, "/password"),
        ({"username": "kim", "password": None}, "/password"),
        ({"username": ["kim"], "password": "x"}, "/username"),
        ({"username": "kim", "password": {"$ne": ""}}, "/password"),
        ({"username": "kim", "password": "x", "role": "admin"}, "/role"),
        ({"username": "k" * 129, "password": "x"}, "/username"),
        ({"username": "kim", "password": "x" * 1025}, "/password"),
    ],
)
def test_an_odd_login_is_refused(door: Door, body: dict, pointer: str) -> None:
    """A 400 that names the member and repeats no value."""
    answer = assert_problem(door.call("POST", "/v1/auth/login", key=None, json=body), 400)
    assert pointer in [fault["pointer"] for fault in answer["errors"]]
    assert "xxx" not in json.dumps(answer)


def test_no_secret_is_in_a_log_or_a_table(door: Door, capfd: pytest.CaptureFixture) -> None:
    """Neither password nor token is in a log line, an answer to others or a row."""
    secret = "Canary-of-a-password"
    made = door.call("POST", "/api/users", json={"username": "kim", "password": secret, "role": "viewer"})
    wrong = door.sign_in("kim", f"{secret}-wrong")
    unknown = door.sign_in(f"{secret}".lower(), secret)
    token = door.sign_in("kim", secret).json["token"]
    door.call("GET", READ, key=token + "x")
    door.call("POST", "/v1/auth/logout", key=token)
    logged = "".join(capfd.readouterr())
    shown = made.text + wrong.text + unknown.text + door.call("GET", "/api/users").text + logged
    with db.read() as connection:
        for table in (users, sessions, api_keys):
            shown += str(connection.execute(sa.select(table)).fetchall())
        shown += str(connection.exec_driver_sql("SELECT * FROM audit").fetchall())
    assert "sign-in refused" in logged
    assert secret.lower() not in shown.lower()
    assert token not in shown
    assert token.rsplit(".", 1)[1] not in shown


def test_sessions_that_are_over_are_forgotten(either_door: Door) -> None:
    """The next to sign in takes their rows away."""
    door = either_door
    name = door.user()
    for _ in range(2):
        assert door.sign_in(name).status_code == 200
    with db.write() as connection:
        connection.execute(sa.update(sessions).values(expires_at=db.now_ms() - 1))
    door.sign_in(name)
    with db.read() as connection:
        assert len(connection.execute(sa.select(sessions)).fetchall()) == 1


NEW = "another-Word-99"


def changed(door: Door, token: str, old: str = PASSWORD, new: str = NEW) -> Any:
    """The answer to a user who changes the own password."""
    return door.call("POST", "/v1/auth/password", token, json={"old": old, "new": new})


def test_users_change_their_own_password(either_door: Door) -> None:
    """The session that asks goes on, all others end; the trail names who did it."""
    door = either_door
    name = door.user("viewer", username="kim")
    mine, other = (door.sign_in(name).json["token"] for _ in range(2))
    answer = changed(door, mine)
    assert (answer.status_code, answer.json) == (200, {"status": "password_changed"})
    assert opens(door, mine)
    assert not opens(door, other)
    assert door.sign_in(name).status_code == 401
    assert door.sign_in(name, NEW).status_code == 200
    with db.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, subject FROM audit WHERE event = 'user.changed'").fetchall()
    assert [tuple(row) for row in rows] == [("user:kim", "kim")]


def test_a_password_is_changed_by_who_knows_it(door: Door) -> None:
    """Not by a key, not with a wrong old one, not to one that is easy to guess; attempts are those of signing in."""
    name = door.user(username="a-long-enough-name")
    token = door.sign_in(name).json["token"]
    assert assert_problem(changed(door, door.admin), 400)["code"] == "not_a_session"
    for new in ("short", name, PASSWORD):
        assert [one["pointer"] for one in assert_problem(changed(door, token, new=new), 400)["errors"]] == ["/new"]
    assert assert_problem(changed(door, token, "wrong"), 403)["code"] == "wrong_password"
    assert [changed(door, token, "wrong").status_code for _ in range(4)] == [403, 403, 429, 429]
    assert opens(door, token)


def test_a_change_that_another_overtakes_is_none(either_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator sets a password while the user changes the old one: the administrator's stays."""
    door, run = either_door, pool.run
    name = door.user()
    token = door.sign_in(name).json["token"]

    def overtaken(function: Callable[..., object], *given: str) -> object:
        made = run(function, *given)
        if function is passwords.hashed and given == (NEW,):
            path, headers = f"/api/users/{name}", {"Authorization": f"Bearer {door.admin}"}
            door.app.test_client().patch(path, headers=headers, json={"password": "an-admins-Word-99"})
        return made

    monkeypatch.setattr(pool, "run", overtaken)
    assert_problem(changed(door, token), 403)
    assert door.sign_in(name, "an-admins-Word-99").status_code == 200


def test_the_oldest_of_many_sessions_is_closed(either_door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that user's."""
    door = either_door
    monkeypatch.setattr("store.callers.sessions.MOST", 3)
    name, other = door.user(), door.token()
    tokens = []
    for _ in range(4):
        time.sleep(0.002)
        tokens.append(door.sign_in(name).json["token"])
    assert [opens(door, token) for token in [*tokens, other]] == [False, True, True, True, True]
