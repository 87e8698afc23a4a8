"""Streams of the running product: nothing is lost or repeated, whatever is killed; a client harms no other."""

import contextlib
import itertools
import os
import re
import signal
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.test_dispatches import body, insist
from tests.support.following import Following, check_whole, dispatched, ended_runs
from tests.support.processes import descendants
from tests.support.sse import Source
from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none
from tests.support.weighing import bystander

PROVIDERS = "providers:\n  drill: {kind: mock}\n"


def _prepared(stack: Stack, **settings: str) -> Iterator[Stack]:
    folder = stack.directory / "var" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text(PROVIDERS)
    stack.restart("web", **settings)
    stack.wait_ready("web")
    yield stack
    stack.forget_configuration()


@pytest.fixture
def ready(sqlite_stack: Stack) -> Iterator[Stack]:
    """The product with a provider that calls nothing."""
    yield from _prepared(sqlite_stack)


@pytest.fixture
def on_both(stack: Stack) -> Iterator[Stack]:
    """The same on each kind of database."""
    yield from _prepared(stack)


@pytest.fixture
def roomy(sqlite_stack: Stack) -> Iterator[Stack]:
    """The same with room for many streams."""
    yield from _prepared(sqlite_stack, TOCSIN_STREAMS="400")


def sent(stack: Stack, number: int) -> list[str]:
    """Dispatch so many, one after the other; their ids."""
    names = [uuid.uuid4().hex for _ in range(number)]
    for name in names:
        assert insist(stack, body("drill", id=name)).json()["outcome"] == "executed"
    return names


def test_a_stream_lives_and_ends_with_its_connection(ready: Stack) -> None:
    """Events come soon; a place is free within two seconds; a stop ends the stream at once, and it goes on later."""
    stack, source = ready, Source(ready.url, ready.api.key)
    held = [source.open() for _ in range(10)]
    assert stack.api.http.get("/v1/stream").status_code == 429
    names = sent(stack, 3)
    assert dispatched(held[0].wait(3)) == names
    for stream in held[1:]:
        stream.end()
    eventually(lambda: _takes_places(source, 9), 2.5 + 5 * stack.api.pace(), "places are free", every=0.2)
    web = stack.running["web"]
    began = time.monotonic()
    web.popen.terminate()
    assert held[0].is_over.wait(5)
    web.popen.wait(timeout=5)
    assert time.monotonic() - began < 5  # ten seconds are the server's patience for what is under way
    stack.restart("web")
    stack.wait_ready("web")
    more = sent(stack, 2)
    with source.open(last_id=held[0].last_id) as again:
        assert dispatched(again.wait(2)) == more
    source.close()


def _takes_places(source: Source, number: int) -> bool:
    with contextlib.ExitStack() as opened:
        try:
            for _ in range(number):
                opened.enter_context(source.open())
        except AssertionError:
            return False
    return True


# kills


def _write(stack: Stack, number: int, playbook: str, over: threading.Event) -> None:
    for count in itertools.count():
        if over.is_set():
            return
        with contextlib.suppress(httpx.HTTPError):
            if count % 5:
                given = body("drill", id=f"{number}-{count}-{uuid.uuid4().hex}")
                stack.api.http.post("/v1/dispatch", json=given, headers={"Prefer": "respond-async"})
            else:
                stack.api.http.post(f"/api/playbooks/{playbook}/run", json={})
        over.wait(0.2)


def _harm(stack: Stack) -> list[Callable[[], Any]]:
    def killed(name: str) -> Callable[[], Any]:
        settings = {"TOCSIN_STREAMS": "100"} if name == "web" else {}
        return lambda: (stack.kill(name), stack.restart(name, **settings))

    return [killed("worker"), killed("web"), lambda: stack.redis.restart(empty=True), killed("beat")]


#: of ten clients
WATCHED = (
    *("/v1/stream",) * 5,
    *("/compat/v1/stream?event_type=action_dispatched",) * 3,
    *("/v1/stream?event_type=action_dispatched,run_changed",) * 2,
)


@pytest.mark.gate
@pytest.mark.timeout(900)
def test_ten_clients_that_are_cut_off_again_and_again_have_every_event_once(on_both: Stack) -> None:
    """Dispatches and runs, and kills of worker, API and Redis: compared with the trail, nothing is lost or repeated."""
    stack, over, since = on_both, threading.Event(), int(time.time() * 1000)
    stack.restart("web", TOCSIN_STREAMS="100")
    stack.wait_ready("web")
    sends = {"type": "action", "action_ref": "provider:drill", "parameters": {"action_type": "look", "payload": {}}}
    playbook = stack.api.create_playbook(steps=[{"id": one, **sends} for one in ("one", "two")])
    clients = [Following(stack, path) for path in WATCHED]
    eventually(lambda: all(client.last_id for client in clients), 60, "the first places are known")
    begun = stack.rows("SELECT max(id) AS id FROM audit")[0]["id"] or 0
    writers = [threading.Thread(target=_write, args=(stack, number, playbook, over)) for number in range(20)]
    for writer in writers:
        writer.start()
    for harm in _harm(stack) * 2:
        time.sleep(2)
        harm()
    eventually(lambda: all(client.cuts >= 20 for client in clients), 180, "they were cut off often enough")
    over.set()
    for client in clients:
        client.calm = True
    for writer in writers:
        writer.join(60)
    stack.heal()
    open_ones = "SELECT id, status FROM executions WHERE created_at >= :since AND completed_at IS NULL LIMIT 5"
    eventually_none(lambda: stack.rows(open_ones, since=since), 240, "everything has ended")
    query = "SELECT subject, given_id FROM audit WHERE outcome IS NOT NULL AND id > :begun"
    names = {row["given_id"] or row["subject"] for row in stack.rows(query, begun=begun)}
    query = "SELECT subject FROM audit WHERE event = 'execution.completed' AND subject LIKE 'pexec-%' AND id > :begun"
    ended = {row["subject"] for row in stack.rows(query, begun=begun) if "." not in row["subject"]}
    assert len(names) > 100
    assert len(ended) > 10
    with contextlib.suppress(AssertionError):
        every = names | ended
        eventually(lambda: every <= {*dispatched(clients[0].events), *ended_runs(clients[-1].events)}, 240, "all came")
        eventually(
            lambda: all(names <= {*dispatched(client.events)} for client in clients), 120, "all have come to all"
        )
    for client in clients:
        client.end()
    order = [event.last_id for event in clients[0].events if event.type != "lagged"]
    for client in clients:
        check_whole(client, names, order)
    skipped = sum(event.json["skipped"] for event in clients[-1].events if event.type == "lagged")
    assert len(ended - ended_runs(clients[-1].events)) <= skipped


# many, and one that never reads


def _deaf(stack: Stack) -> socket.socket:
    """A client that asks for the stream and reads nothing."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", stack.port))
    one.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.api.key}\r\n\r\n".encode())
    return one


def _memory(stack: Stack) -> int:
    """Of the web processes, KiB."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in descendants([stack.running["web"].pid])]
    return sum(int(found[1]) for text in statuses if (found := re.search(r"VmRSS:\s+(\d+)", text)))


@pytest.mark.gate
def test_a_client_that_never_reads_harms_no_other(roomy: Stack) -> None:
    """The others have every event; the memory stays; the process stops at once all the same."""
    stack, source = roomy, Source(roomy.url, roomy.api.key)
    deaf = [_deaf(stack) for _ in range(20)]
    with source.open() as stream:
        sent(stack, 20)
        before = _memory(stack)
        batches = [[body("drill", id=f"b{turn}-{each}") for each in range(200)] for turn in range(10)]
        for batch in batches:
            answer = stack.api.http.post("/v1/dispatch/batch", json={"actions": batch}, timeout=120)
            assert answer.status_code == 200, answer.text
        names = {one["id"] for batch in batches for one in batch}
        eventually(lambda: names <= set(dispatched(list(stream.events))), 60, "every event has come")
        assert stream.of("lagged") == []
        assert _memory(stack) - before < 40_000
        with bystander() as slow:
            began = time.monotonic()
            os.kill(stack.running["web"].pid, signal.SIGTERM)
            stack.running["web"].popen.wait(timeout=60)
            took = time.monotonic() - began
        assert took < 8 * slow[0]
    for one in deaf:
        one.close()
    source.close()


def _median(stack: Stack) -> float:
    took = []
    for _ in range(40):
        began = time.monotonic()
        assert stack.api.health().status_code == 200
        took.append(time.monotonic() - began)
    return statistics.median(took)


@pytest.mark.gate
def test_three_hundred_streams_and_one_plain_request(roomy: Stack) -> None:
    """A request is answered as without them, each of them has the event, and closed ones leave nothing behind."""
    stack = roomy
    alone = _median(stack)
    head = f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {stack.api.key}\r\n\r\n".encode()
    held = []
    while len(held) < 300:
        begun = []
        for _ in range(300 - len(held)):
            one = socket.create_connection(("127.0.0.1", stack.port))
            one.sendall(head)
            begun.append(one)
        for one in begun:
            text = _read_until(one, b"id: ", or_end=True)
            if text.startswith(b"HTTP/1.1 503 "):  # so many at once may be more than a slow machine takes
                one.close()
                continue
            assert text.startswith(b"HTTP/1.1 200 "), text
            held.append(one)
        time.sleep(0.2)
    meanwhile = _median(stack)
    assert meanwhile < max(0.1, 5 * alone), f"{meanwhile} s, and {alone} s without streams"
    [name] = sent(stack, 1)
    for one in held:
        assert name.encode() in _read_until(one, name.encode())
        one.close()
    source = Source(stack.url, stack.api.key)
    eventually(lambda: _takes_places(source, 10), 5, "there is room again")
    source.close()


def _read_until(one: socket.socket, what: bytes, *, or_end: bool = False) -> bytes:
    one.settimeout(30)
    read = b""
    while what not in read:
        piece = one.recv(65536)
        if or_end and not piece:
            break
        assert piece, read
        read += piece
    return read
