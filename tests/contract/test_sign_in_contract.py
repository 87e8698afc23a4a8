"""The document's sign-in and sign-out, request by request."""

from collections.abc import Iterator

import pytest

from tasks.offload import pool
from tests.support.api import PASSWORD, Door, assert_problem


@pytest.fixture(scope="module", autouse=True)
def _helpers() -> Iterator[None]:
    """The processes that compare passwords end with the tests that needed them."""
    yield
    pool.end()


@pytest.mark.documented("POST /v1/auth/login", 200, "username password")
@pytest.mark.documented("POST /v1/auth/logout", 200, "Authorization:")
def test_sign_in_and_out(door: Door) -> None:
    """A token and its seconds; the token opens what its user may do, until it is revoked."""
    door.user(username="admin")
    answer = door.call("POST", "/v1/auth/login", None, json={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    assert answer.json == {"token": answer.json["token"], "expires_in": 3600}
    token = answer.json["token"]
    assert token.startswith("eyJ")
    assert door.call("GET", "/v1/rules", token).status_code == 200
    assert door.call("POST", "/v1/auth/logout", token).status_code == 200
    for method, path in (("GET", "/v1/rules"), ("POST", "/v1/auth/logout")):
        assert_problem(door.call(method, path, token), 401)


def test_a_wrong_password_opens_nothing(door: Door) -> None:
    """401, and the same for a user that there is not."""
    door.user(username="admin")
    for name in ("admin", "nobody-here"):
        given = {"username": name, "password": "wrong"}
        assert_problem(door.call("POST", "/v1/auth/login", None, json=given), 401)
