"""Connections: what each may take, and which of them goes where there are too many."""

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
import pytest
from gunicorn.arbiter import Arbiter

from config.errors import TooSlow
from config.networks import network
from config.server import connections, worker
from config.server.connections import Connection, Connections
from config.settings import SettingsError, settings


def asked(**headers: str) -> Any:
    """A request as gunicorn has read it."""
    written = [(name.replace("_", "-"), value) for name, value in headers.items()]
    request = SimpleNamespace(closed=False, headers=written)
    request.force_close = lambda: setattr(request, "closed", True)
    return request


@pytest.fixture
def pair() -> Iterator[tuple[Any, socket.socket]]:
    """Both ends of a connection: ours, and the client's."""
    ours, client = socket.socketpair()
    mine = gevent.socket.socket(ours.family, ours.type, fileno=ours.detach())
    yield mine, client
    mine.close()
    client.close()


def dribble(client: socket.socket, piece: bytes, every: float) -> None:
    """Send a piece every ``every`` seconds until the server stops reading."""

    def send() -> None:
        try:
            while True:
                client.sendall(piece)
                time.sleep(every)
        except OSError:
            return

    threading.Thread(target=send, daemon=True).start()


def test_a_body_has_so_much_time_in_all(monkeypatch: pytest.MonkeyPatch, pair: tuple[Any, socket.socket]) -> None:
    """Bytes that keep coming do not prolong it: after its time the body is too slow, and the connection is to close."""
    monkeypatch.setattr(connections, "BODY", 0.3)
    mine, client = pair
    request, one = asked(), Connection(mine, "fd00::1", Connections())
    one.begin(request)
    dribble(client, b" ", 0.01)
    with pytest.raises(TooSlow):
        for _ in range(10_000):
            assert one.recv(1024)
    assert request.closed


def test_a_body_that_is_long_has_longer(monkeypatch: pytest.MonkeyPatch, pair: tuple[Any, socket.socket]) -> None:
    """Each piece that has come gives the rest more time."""
    monkeypatch.setattr(connections, "BODY", 0.2)
    monkeypatch.setattr(connections, "PIECE", 10)
    mine, client = pair
    one = Connection(mine, "fd00::1", Connections())
    one.begin(asked())
    client.sendall(b"x" * 1000)
    assert len(one.recv(1000)) == 1000
    time.sleep(0.3)
    client.sendall(b"y")
    assert one.recv(1000) == b"y"


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """Ends the connections that a test has opened."""
    with ExitStack() as every:
        yield every


def opened(every: Connections, address: str, ends: ExitStack) -> Connection:
    """A connection of an address that waits for its client."""
    one = ends.enter_context(every.counted(SimpleNamespace(shutdown=lambda _how: None), (address, 1)))
    if not one.beyond:
        every.waiting[one] = None
    return one


def test_the_one_that_waits_longest_goes(ends: ExitStack) -> None:
    """Beyond the bound for all, or for one address, the oldest of them is closed."""
    every = Connections(most=5, most_of_one=3)
    first, *_ = [opened(every, "192.0.2.1", ends) for _ in range(2)]
    of_other = [opened(every, "192.0.2.2", ends) for _ in range(3)]
    assert not any(one.closed for one in of_other)
    opened(every, "192.0.2.2", ends)
    assert [one.closed for one in of_other] == [True, False, False]
    assert not first.closed
    opened(every, "192.0.2.3", ends)
    assert first.closed
    assert len(every.waiting) == 5


def test_where_none_waits_the_new_one_is_one_too_many(ends: ExitStack) -> None:
    """Requests under way are not cut off for others; when one of them has ended there is room again."""
    every, of_first = Connections(most=2, most_of_one=2), ExitStack()
    opened(every, "192.0.2.1", of_first)
    opened(every, "192.0.2.1", ends)
    every.waiting.clear()
    with ExitStack() as of_late:
        assert opened(every, "192.0.2.2", of_late).beyond
    of_first.close()
    assert not opened(every, "192.0.2.2", ends).beyond


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A proxy that the operator has declared."""
    monkeypatch.setenv("TOCSIN_PROXIES", "192.0.2.0/24")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("proxy")
def test_a_declared_proxy_is_bounded_by_the_whole_only(ends: ExitStack) -> None:
    """Any number may come from it, as long as there is room."""
    every = Connections(most=5, most_of_one=2)
    assert not any(opened(every, "192.0.2.7", ends).closed for _ in range(5))


@pytest.mark.usefixtures("proxy")
@pytest.mark.parametrize(
    ("peer", "said", "believed"),
    [
        ("192.0.2.7", "198.51.100.1, 203.0.113.5", "203.0.113.5"),
        ("192.0.2.7", "203.0.113.5, 192.0.2.8", "203.0.113.5"),
        ("192.0.2.7", "203.0.113.5, nonsense", "192.0.2.7"),
        ("198.51.100.9", "203.0.113.5", "198.51.100.9"),
    ],
)
def test_only_a_declared_proxy_names_the_caller(peer: str, said: str, believed: str) -> None:
    """The last address in the header of a declared proxy counts; other peers are not believed."""
    assert connections.caller(asked(X_FORWARDED_FOR=said), (peer, 1))[0] == believed


def test_addresses_of_one_network_count_as_one() -> None:
    """IPv6 gives every network 2^64 addresses; IPv4 written as IPv6 is IPv4."""
    assert connections.source(("2001:db8::1", 1)) == connections.source(("2001:db8::ffff:2", 1))
    assert connections.source(("2001:db8::1", 1)) != connections.source(("2001:db8:1::1", 1))
    assert connections.source(("::ffff:192.0.2.1", 1)) == connections.source(("192.0.2.1", 1)) == "192.0.2.1"


def test_a_wrong_setting_ends_the_server_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The process ends with the status at which gunicorn starts no other, and with the line alone."""

    def refuse(_: object) -> None:
        raise SettingsError("TOCSIN_REDIS_URL: the server has known holes")

    monkeypatch.setattr(worker.GeventWorker, "load_wsgi", refuse)
    one = worker.Worker.__new__(worker.Worker)
    with pytest.raises(SystemExit) as ended:
        one.load_wsgi()
    assert ended.value.code == Arbiter.WORKER_BOOT_ERROR
    assert capsys.readouterr().err == "TOCSIN_REDIS_URL: the server has known holes\n"


def test_the_garbage_collector_leaves_alone_what_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is off while the application is loaded, and afterwards on, for what comes later."""
    seen, before = [], gc.get_freeze_count()
    monkeypatch.setattr(worker.GeventWorker, "load_wsgi", lambda _: seen.append(gc.isenabled()))
    worker.Worker.__new__(worker.Worker).load_wsgi()
    assert [*seen, gc.isenabled()] == [False, True]
    assert gc.get_freeze_count() > before


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_callers_are_counted_by_network(address: str, counted: str) -> None:
    """All addresses of an IPv6 network of 64 bits are one caller."""
    assert network(address) == counted


def test_an_answer_that_the_network_does_not_take_at_once_goes_on(pair: tuple[Any, socket.socket]) -> None:
    """What is left is sent as the client takes it, in order."""
    mine, client = pair
    one, whole = Connection(mine, "fd00::1", Connections()), bytes(range(256)) * 20_000
    one.setblocking(True)
    sending = gevent.spawn(one.sendall, whole)
    theirs, received = gevent.socket.socket(client.family, client.type, fileno=client.detach()), b""
    while len(received) < len(whole):
        received += theirs.recv(65536)
    sending.get(timeout=5)
    theirs.close()
    assert received == whole


def test_nothing_goes_past_tls() -> None:
    """A socket with TLS sends by itself: its inner one would send in clear."""
    sent: list[bytes] = []
    inner = SimpleNamespace(send=lambda _data: pytest.fail("sent in clear"))
    tls = SimpleNamespace(_sslobj=object(), _sock=inner, sendall=lambda data: sent.append(bytes(data)))
    Connection(tls, "192.0.2.1", Connections()).sendall(b"an answer")
    assert sent == [b"an answer"]
