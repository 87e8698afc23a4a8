"""The API serves other callers while one caller holds many connections."""

import socket
import statistics
import time
from contextlib import suppress

import pytest

from tests.support.client import Api
from tests.support.holding import HeldConnections
from tests.support.stack import Stack

_KEY = """
from store import access
from store.engine import db
with db.write() as connection:
    made = access.create_key(connection, workspace_id="tests", name="a viewer", role="viewer", scopes=[],
                             expires_at=None, actor="tests")
print(made[1])
"""


def viewer(stack: Stack) -> str:
    """A key that may read."""
    return stack.run_once("viewer", ["python", "-c", _KEY]).strip().splitlines()[-1]


def slow_body(key: str) -> bytes:
    """The head of a request whose body is to follow."""
    head = f"POST /api/playbooks/validate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n".encode()


def kinds(key: str, execution: str) -> dict[str, tuple[bytes, bytes]]:
    """Kind of connection → its first bytes, and those now and then."""
    waiting = (
        f"GET /api/actions/executions/{execution}?wait=30 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    return {
        "idle": (b"", b""),
        "slow headers": (b"GET /health HTTP/1.1\r\nHost: x\r\n", b"X-More: to come\r\n"),
        "slow bodies": (slow_body(key), b" "),
        "held waits": (waiting.encode(), b""),
    }


def pace(stack: Stack, action: str) -> float:
    """How long /health and a trigger take, seconds: the median of twenty."""
    took = []
    for _ in range(10):
        begun = time.monotonic()
        assert stack.api.health().status_code == 200
        answered = time.monotonic()
        assert stack.api.post_trigger(action).status_code == 202
        took += [answered - begun, time.monotonic() - answered]
    return statistics.median(took)


@pytest.mark.parametrize("number", [1100, pytest.param(4000, marks=pytest.mark.wide)])
@pytest.mark.gate
def test_held_connections_stop_no_other_caller(sqlite_stack: Stack, number: int) -> None:
    """Meanwhile /health answers and containment from another address is accepted, each time."""
    stack = sqlite_stack
    action = stack.api.create_action(type="containment", config={"url": stack.sink.url, "method": "POST"})
    for name in ("worker", "slow"):  # no worker ends what the waits wait for
        stack.kill(name)
    held = kinds(viewer(stack), stack.api.trigger(action))
    assert held.keys() == {"idle", "slow headers", "slow bodies", "held waits"}
    for kind, (first, piece) in held.items():
        alone = pace(stack, action)
        with HeldConnections(stack.port, number, first, piece):
            meanwhile = pace(stack, action)
        assert meanwhile < max(1, 20 * alone), f"{kind}: {meanwhile} s, and {alone} s without held connections"


def test_connections_of_one_address_leave_room_for_each_other(sqlite_stack: Stack) -> None:
    """Callers of one address are served too: the longest waiters are closed."""
    stack = sqlite_stack
    with HeldConnections(stack.port, 1500, b"", source="127.0.0.1") as held:
        statuses = {stack.api.health().status_code for _ in range(10)}
        opened = held.opened
    assert statuses == {200}
    assert opened >= 1500


@pytest.mark.wide
def test_a_body_that_comes_too_slowly_is_answered(sqlite_stack: Stack) -> None:
    """A byte now and then keeps no request open: 408, connection closed."""
    stack = sqlite_stack
    with socket.create_connection(("127.0.0.1", stack.port)) as one:
        one.sendall(slow_body(viewer(stack)))
        one.settimeout(0.5)
        answer, begun = b"", time.monotonic()
        while not answer and time.monotonic() - begun < 60:
            try:
                answer = one.recv(65536)
            except TimeoutError:
                one.sendall(b" ")
        one.settimeout(30)
        with suppress(ConnectionResetError):  # the server reads nothing after it has decided its answer
            while more := one.recv(65536):
                answer += more
    assert answer.startswith(b"HTTP/1.1 408 "), answer[:200]
    assert b"Connection: close" in answer
    assert b'"code": "request_timeout"' in answer


def test_a_key_that_holds_many_readers_is_answered_at_once(sqlite_stack: Stack) -> None:
    """Beyond a key's limit a long poll is answered at once."""
    stack = sqlite_stack
    stack.kill("worker")
    execution = stack.api.trigger(stack.api.create_action(config={"url": stack.sink.url, "method": "POST"}))
    key = viewer(stack)
    with HeldConnections(stack.port, 64, kinds(key, execution)["held waits"][0]):
        other = Api(stack.url, key)
        time.sleep(1)  # those that are held have been read
        begun = time.monotonic()
        shown = other.http.get(f"/api/actions/executions/{execution}", params={"wait": 20})
        took = time.monotonic() - begun
        other.close()
    assert shown.json()["data"]["status"] == "pending"
    assert took < 15
