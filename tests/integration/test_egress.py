"""The one way out, against real servers on this machine."""

import contextlib
import datetime as dt
import functools
import gzip
import http.server
import itertools
import json
import os
import socket
import ssl
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from config.settings import settings
from event_loop import loop
from event_loop.waiting import MustNotWaitError
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.egress import client, curl, transfers
from providers.egress.client import Request, send


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path; remembers each request and the connection it came on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one_request(self):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            super().handle_one_request()

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, self.headers, body, self.client_address[1]))
        getattr(self, "at_" + self.path.strip("/").partition("?")[0].replace("/", "_"), self.at_plain)()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - http.server's names

    def reply(self, body=b'{"ok": true}', status=200, **headers):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    def at_plain(self):
        self.reply(Content_Type="application/json", X_Twice="a")

    def at_redirect(self):
        self.reply(b"", 302, Location="/plain")

    def at_bomb(self):
        self.reply(gzip.compress(bytes(50 << 20)), Content_Encoding="gzip")

    def at_zipped(self):
        self.reply(gzip.compress(b"small"), Content_Encoding="gzip")

    def at_packed(self):
        coding, packed, status = self.path.partition("?")[2].split("/")
        self.reply(bytes.fromhex(packed), int(status), Content_Encoding=coding, Content_Type="application/json")

    def at_announced(self):
        self.reply(bytes((1 << 20) + 1))

    def at_exact(self):
        self.reply(bytes(1 << 20))

    def at_endless(self):
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(bytes(65536))

    def at_headers(self):
        self.send_response(200)
        with contextlib.suppress(ConnectionError):
            for number in range(2000):
                self.send_header(f"X-{number}", "x" * 60)
            self.end_headers()

    def at_silent(self):
        self.server.release.wait(20)
        self.close_connection = True

    def at_drop(self):
        self.close_connection = True

    def at_hang_up(self):
        self.reply()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
        self.server.hung_up.set()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context=None, place=("127.0.0.1", 0)):
        super().__init__(place, Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen, self.release, self.hung_up = [], threading.Event(), threading.Event()
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass


@contextlib.contextmanager
def running(server):
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True, params=["thread", "event loop"])
def environment(request, monkeypatch, tmp_path):
    """A fresh pool, and settings that allow this machine; the test may change both.

    Every request is made by a thread, and by a greenlet of the event loop as in a worker.
    """
    if request.param == "event loop":
        on_loop = lambda *given: loop.call(functools.partial(client.send, *given))  # noqa: E731
        monkeypatch.setattr(sys.modules[__name__], "send", on_loop)
        monkeypatch.setattr(transfers, "_here", None)
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path))
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8,::1/128")
    settings.cache_clear()
    yield monkeypatch
    curl.POOL.close()
    curl._authorities.cache_clear()
    settings.cache_clear()


@pytest.fixture
def server():
    with running(Server()) as server:
        yield server


def call(**changes):
    given = {"execution_id": "exec-1", "idempotency_key": "key-1", "config": {}, "parameters": {}, "context": {}}
    return Call(**(given | changes))


def fails(request, a_call=None, kind=ProviderError):
    with pytest.raises(kind) as caught:
        send(request, a_call or call())
    return caught.value


def test_loopback_is_refused_unless_allowed(environment, server):
    """Without the operator's word nothing inside is called, not even connected to."""
    environment.setenv("TOCSIN_EGRESS_ALLOW", "")
    settings.cache_clear()
    for url in (server.url, f"http://localhost:{server.server_port}/", f"http://[::1]:{server.server_port}/"):
        error = fails(Request("GET", url))
        assert (error.code, error.retryable) == ("egress_refused", False)
        assert "TOCSIN_EGRESS_ALLOW" in error.message
    assert server.seen == []


def test_request_and_answer_arrive_as_they_are(server):
    """Method, path, headers and a binary body arrive unchanged; status, headers and body come back."""
    request = Request("POST", f"{server.url}/plain?a=%20b", {"X-One": " caf\xe9 ", "X-Empty": ""}, b"\x00\xff body")
    response = send(request, call())
    method, path, headers, body, _ = server.seen[0]
    assert (method, path, body) == ("POST", "/plain?a=%20b", b"\x00\xff body")
    assert (headers["X-One"], headers["X-Empty"]) == ("caf\xe9", "")
    assert headers["User-Agent"].startswith("Tocsin/")
    assert (headers["Accept-Encoding"], headers["Expect"]) == ("identity", None)
    assert headers["Content-Type"] is None
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert json.loads(response.body) == {"ok": True}
    assert 0 <= response.duration_ms < 30_000


@pytest.mark.parametrize("method", client.METHODS)
def test_every_method_with_and_without_body_on_one_connection(server, method):
    """Handles are used again by other methods, and nothing of the request before clings to them."""
    bodies = [None] if method == "HEAD" else [b"one", None]
    for body in [*bodies, *bodies]:
        send(Request("PUT", f"{server.url}/plain", {"X-Before": "1"}, b"before"), call())
        response = send(Request(method, f"{server.url}/plain", {}, body), call())
        seen_method, _, headers, seen_body, _ = server.seen[-1]
        assert (seen_method, seen_body) == (method, body or b"")
        assert headers["X-Before"] is None
        assert bool(response.body) == (method != "HEAD")
    assert len({port for *_, port in server.seen}) == 1


def test_connections_are_kept_alive_per_place(server):
    """Calls one after another use one connection; another host name of the same address uses its own."""
    for _ in range(3):
        send(Request("GET", f"{server.url}/plain"), call())
    assert len({port for *_, port in server.seen}) == 1
    send(Request("GET", f"http://localhost:{server.server_port}/plain"), call())
    assert len({port for *_, port in server.seen}) == 2


def test_idle_connections_are_bounded(server):
    """Beyond its bound the pool closes the connection that was idle longest."""
    pool = curl.LinePool(most=2)
    keys = [curl.ConnectionKey("127.0.0.1", f"host{number}.example", server.server_port, False) for number in range(3)]
    lines = [pool.take(key) for key in keys]
    for line in lines:
        pool.give(line)
    assert [pool.has(key) for key in keys] == [False, True, True]
    assert pool.take(keys[2]) is lines[2]
    pool.close()
    lines[2].close()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_child_process_does_not_share_connections(server):
    """A forked worker opens connections of its own, and its parent's still work afterwards."""
    send(Request("GET", f"{server.url}/parent"), call())
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(Exception):
            send(Request("GET", f"{server.url}/child"), call())
            code = 0
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    send(Request("GET", f"{server.url}/parent"), call())
    ports = {path: set() for _, path, *_ in server.seen}
    for _, path, *_, port in server.seen:
        ports[path].add(port)
    assert len(ports["/parent"]) == 1
    assert ports["/parent"].isdisjoint(ports["/child"])


def test_redirects_are_not_followed(server):
    """A redirect is an answer like any other; the place it names is not called."""
    response = send(Request("GET", f"{server.url}/redirect"), call())
    assert (response.status, response.headers["location"]) == (302, "/plain")
    assert [path for _, path, *_ in server.seen] == ["/redirect"]


def test_proxies_of_the_environment_are_ignored(environment, server):
    """A proxy in the environment would connect wherever it likes, so it is not asked."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"):
        environment.setenv(name, "http://127.0.0.1:9")
    assert send(Request("GET", f"{server.url}/plain"), call()).status == 200


@pytest.mark.parametrize("path", ["bomb", "announced", "endless", "headers"])
def test_oversized_answers_are_cut_off(server, path):
    """More than 1 MiB (packed or not, announced or not) or absurd headers end the call."""
    error = fails(Request("GET", f"{server.url}/{path}"))
    assert (error.code, error.retryable, error.unknown) == ("response_too_large", False, True)


def test_answers_of_the_permitted_size_pass(server):
    """Exactly 1 MiB is taken, and an answer that is packed although we asked for none is unpacked."""
    assert len(send(Request("GET", f"{server.url}/exact"), call()).body) == 1 << 20
    assert send(Request("GET", f"{server.url}/zipped"), call()).body == b"small"


WHOLE = gzip.compress(b'{"id": "' + b"x" * 5000 + b'"}')
UNREADABLE = {
    "brotli": ("br", b"\x01\x02\x03\x04"),
    "unknown": ("snappy", b"\x01\x02\x03\x04"),
    "not gzip": ("gzip", b"\x01\x02\x03\x04"),
    "not deflate": ("deflate", b"\x01\x02\x03\x04"),
    "half of gzip": ("gzip", WHOLE[: len(WHOLE) // 2]),
    "half of deflate": ("deflate", zlib.compress(bytes(5000))[:-3]),
    "gzip and more": ("gzip", WHOLE + b"more"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_answer_that_cannot_be_unpacked_is_a_failure(server, case):
    """Nonsense and halves are no empty answer; the request may have been carried out. A refusal stays a refusal."""
    coding, packed = UNREADABLE[case]
    error = fails(Request("GET", f"{server.url}/packed?{coding}/{packed.hex()}/200"))
    assert (error.code, error.retryable, error.unknown) == ("response_unreadable", False, True)
    assert "cannot be unpacked" in error.message
    refused = send(Request("GET", f"{server.url}/packed?{coding}/{packed.hex()}/500"), call())
    assert (refused.status, refused.body) == (500, packed)


@pytest.mark.parametrize("framed", [True, False])
def test_what_is_packed_as_web_servers_do_is_unpacked(server, framed):
    """Gzip in one or several pieces, deflate with and without its frame; a HEAD's answer has nothing to unpack."""
    raw = zlib.compressobj(wbits=zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)
    packed = {"gzip": WHOLE * 2 if framed else WHOLE, "deflate": raw.compress(b"small") + raw.flush()}
    for coding, body in (("gzip", gzip.decompress(packed["gzip"])), ("deflate", b"small")):
        path = f"{server.url}/packed?{coding}/{packed[coding].hex()}/200"
        assert send(Request("GET", path), call()).body == body
        assert send(Request("HEAD", path), call()).body == b""


def test_slow_server_uses_up_the_time_of_the_action(server):
    """When the action's own time ends first, that is a timeout of the action."""
    error = fails(Request("POST", f"{server.url}/silent", body=b"x"), call(expires_at=time.monotonic() + 2), TimedOut)
    assert (error.code, error.unknown) == ("timeout", True)
    fails(Request("GET", server.url), call(expires_at=time.monotonic() - 1), TimedOut)


def test_slow_server_hits_the_limit_of_one_call(environment, server):
    """When the limit for one call ends first, trying again may help."""
    environment.setattr(client, "TOTAL_SECONDS", 2)
    error = fails(Request("POST", f"{server.url}/silent", body=b"x"))
    assert (error.code, error.retryable, error.unknown) == ("http_timeout", True, True)


@contextlib.contextmanager
def never_accepting():
    """The URL of a place where connections neither come about nor are refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _ in range(3):  # fills the queue of connections, so that further ones hang
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/"


def test_connecting_has_a_limit_of_its_own(environment):
    """A place that never accepts fails within the limit for connecting, and nothing was sent."""
    environment.setattr(client, "CONNECT_SECONDS", 0.3)
    with never_accepting() as url:
        error = fails(Request("GET", url))
    assert (error.code, error.retryable, error.unknown) == ("http_timeout", True, False)


def test_a_process_that_did_not_run_connects_again(environment):
    """Its time to connect says nothing of the target, so it tries until the call's own time is over."""
    environment.setattr(client, "CONNECT_SECONDS", 0.3)
    environment.setattr(client, "TOTAL_SECONDS", 2)
    environment.setattr(curl, "_SELDOM", 0)  # seconds that the process may take between two looks: all come late
    environment.setattr(curl, "LOOK_SECONDS", 0)
    taken, take = [], curl.POOL.take
    environment.setattr(curl.POOL, "take", lambda key: taken.append(key) or take(key))
    with never_accepting() as url:
        error = fails(Request("GET", url))
    assert (error.code, error.retryable, error.unknown) == ("http_timeout", True, False)
    assert len(taken) > 2


def test_cancelling_ends_a_stalled_transfer(server):
    """A call whose execution is no longer ours is given up about a second later."""
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    began = time.monotonic()
    fails(Request("GET", f"{server.url}/silent"), call(aborted=cancelled.is_set), Abandoned)
    assert time.monotonic() - began < 15
    assert cancelled.is_set()


def test_checkpoint_stops_the_call_before_anything_is_sent(server):
    """The last question before sending is whether the execution is still ours."""

    def taken_over():
        raise Abandoned

    fails(Request("POST", f"{server.url}/plain", body=b"x"), call(checkpoint=taken_over), Abandoned)
    assert server.seen == []


def test_a_check_that_cannot_be_made_in_time_sends_nothing(environment, server):
    """A process that is stopped until its last check is old, time and again, may try again later."""
    environment.setattr(client, "CONNECT_SECONDS", 0.2)
    environment.setattr(client, "TOTAL_SECONDS", 1)

    def must_wait():
        time.sleep(0.3)
        raise MustNotWaitError

    error = fails(Request("POST", f"{server.url}/plain", body=b"x"), call(checkpoint=must_wait))
    assert (error.code, error.retryable, error.unknown) == ("http_timeout", True, False)
    assert server.seen == []


def test_refused_connection_is_retryable_and_certainly_without_effect():
    """No server listens: nothing was sent, so another attempt is safe."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = fails(Request("POST", f"http://127.0.0.1:{port}/?token=hunter2", body=b"x"))
    assert (error.code, error.retryable, error.unknown) == ("connection_failed", True, False)
    assert "hunter2" not in error.message


def test_a_connection_that_the_server_has_ended_is_not_used(server):
    """A server that answers and hangs up costs no request that changes something: the next one has a new connection."""
    for _ in range(5):
        assert send(Request("POST", f"{server.url}/hang_up", body=b"x"), call()).status == 200
        assert server.hung_up.wait(20)
        server.hung_up.clear()
    assert len({port for *_, port in server.seen}) == len(server.seen) == 5


def test_lost_answer_is_reported_as_unknown_and_not_sent_twice(server):
    """A kept connection that ends without an answer may have delivered the request: it is not sent again."""
    send(Request("POST", f"{server.url}/plain", body=b"x"), call())
    error = fails(Request("POST", f"{server.url}/drop", body=b"x"))
    assert (error.code, error.retryable, error.unknown) == ("connection_failed", True, True)
    assert [path for _, path, *_ in server.seen] == ["/plain", "/drop"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "a\r\nX-B: b"},
        {"X-A": "a\nb"},
        {"X-A": "a\rb"},
        {"X-A": "a\x00b"},
        {"X-A": "a\x1bb"},
        {"X-A": "a\x85b"},
        {"X-A": "\u010d\u010a"},
        {"X-A\r\nX-B": "b"},
        {"X-A: b": "c"},
        {"X A": "b"},
        {"": "b"},
        {"@/etc/passwd": ""},
        {"Host": "inside"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
        {"Connection": "upgrade"},
        {"TE": "trailers"},
        {"X-A": "a", "x-a": "b"},
        {"X-A": "a" * 70_000},
    ],
)
def test_headers_cannot_be_smuggled(server, headers):
    """Header text that would end a line, or that decides how the message is framed, is refused."""
    assert fails(Request("GET", f"{server.url}/plain", headers)).code == "invalid_header"
    assert server.seen == []


def answers(*rounds):
    """A resolver that gives other addresses each time it is asked; the last ones for ever."""
    left = list(rounds)

    def getaddrinfo(host, port, *args, **kwargs):
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return getaddrinfo


def test_rebinding_name_leads_to_the_checked_address(environment, server):
    """A name that changes its answer after the check is not asked again: the checked address is called."""
    environment.setattr(socket, "getaddrinfo", answers(["127.0.0.1"], ["169.254.169.254"]))
    url = f"http://rebind.example:{server.server_port}/plain"
    assert send(Request("GET", url), call()).status == 200
    assert server.seen[0][2]["Host"] == f"rebind.example:{server.server_port}"
    assert fails(Request("GET", url)).code == "egress_refused"
    assert len(server.seen) == 1


def test_kept_connection_is_useless_once_the_name_moves(environment, server):
    """A connection to an address is used again only while the name still leads to that address."""
    environment.setattr(socket, "getaddrinfo", answers(["127.0.0.1"], ["127.0.0.2"]))
    url = f"http://moving.example:{server.server_port}/plain"
    send(Request("GET", url), call())
    assert fails(Request("GET", url)).code == "connection_failed"  # no server listens on 127.0.0.2


def test_a_connection_serves_one_name_at_one_address(environment):
    """Calls under several names that share addresses, side by side: none goes over a connection made for another."""
    places = ["127.0.0.1", "127.0.0.2"]
    with contextlib.ExitStack() as held:
        first = held.enter_context(running(Server()))
        second = held.enter_context(running(Server(place=(places[1], first.server_port))))
        turns = itertools.count()
        environment.setattr(
            socket,
            "getaddrinfo",
            lambda host, port, *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (places[next(turns) % 2], port))],
        )

        def ask(number):
            name = f"name{number % 3}.example"
            return send(Request("POST", f"http://{name}:{first.server_port}/plain", body=b"x"), call()).status

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(ask, range(96))) == {200}
    for server in (first, second):
        assert len(server.seen) == 48
        named = {(port, headers["Host"]) for _, _, headers, _, port in server.seen}
        assert len({port for port, _ in named}) == len(named)  # one name for each connection
        assert len(named) < 48  # and they were used again


def test_a_plain_connection_is_no_safe_one(server):
    """A kept connection without TLS is not taken for https to the same name and port, nor for another name there."""
    send(Request("GET", f"http://localhost:{server.server_port}/plain"), call())
    error = fails(Request("POST", f"https://localhost:{server.server_port}/plain", body=b"secret"))
    assert (error.code, error.unknown) == ("connection_failed", False)
    assert len(server.seen) == 1


def test_mixed_name_is_refused_as_a_whole(environment, server):
    """One public and one inside address: refused, whichever would be tried first."""
    environment.setattr(socket, "getaddrinfo", answers(["127.0.0.1", "10.0.0.1"]))
    assert fails(Request("GET", f"http://mixed.example:{server.server_port}/")).code == "egress_refused"


def test_next_address_is_tried_when_the_first_does_not_answer(environment, server):
    """A name with several addresses works as long as one of them does."""
    environment.setattr(socket, "getaddrinfo", answers(["127.0.0.9", "127.0.0.1"]))
    url = f"http://several.example:{server.server_port}/plain"
    for _ in range(2):
        assert send(Request("POST", url, body=b"x"), call()).status == 200
    assert len({port for *_, port in server.seen}) == 1


def test_slow_resolver_does_not_hold_a_cancelled_call(environment, server):
    """The system's resolver may hang; the call is given up all the same."""
    hang = threading.Event()

    def getaddrinfo(*args, **kwargs):
        hang.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "late")

    environment.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        fails(Request("GET", "http://slow.example/"), call(aborted=lambda: True), Abandoned)
        environment.setattr(client, "CONNECT_SECONDS", 0.1)
        assert fails(Request("GET", "http://slow.example/")).code == "http_timeout"
    finally:
        hang.set()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for localhost: (path of both, path of the certificate alone)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = built.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(private + pem)
    (folder / "ca.pem").write_bytes(pem)
    return folder / "both.pem", folder / "ca.pem"


@pytest.fixture
def secure_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0])
    with running(Server(context)) as server:
        yield server


def test_https_to_a_port_without_tls_says_so(server):
    """The error names the likely mistake in place of the words of the TLS library."""
    error = fails(Request("GET", f"https://localhost:{server.server_port}/plain"))
    assert (error.code, error.retryable, error.unknown) == ("connection_failed", True, False)
    assert error.message.endswith("failed: no TLS on this port: use http://, or another port?")
    assert server.seen == []


def test_unknown_certificates_are_not_trusted(secure_server):
    """A self-signed certificate ends the call before anything is sent."""
    error = fails(Request("POST", f"https://localhost:{secure_server.server_port}/plain", body=b"secret"))
    assert (error.code, error.retryable, error.unknown) == ("tls_verification_failed", False, False)
    assert secure_server.seen == []


def test_cancelling_during_a_slow_connect_sends_nothing(environment, certificate):
    """The last look is taken when the connection stands: a cancel that came while it was made stops the request."""
    environment.setenv("SSL_CERT_FILE", str(certificate[1]))
    curl._authorities.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[0])
    cancelled, got = threading.Event(), []

    def look():
        if cancelled.is_set():
            raise Abandoned

    def accept_late(listener):
        bare, _ = listener.accept()
        cancelled.set()
        with context.wrap_socket(bare, server_side=True, suppress_ragged_eofs=True) as secured:
            got.append(secured.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept_late, args=(listener,), daemon=True)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        fails(Request("POST", url, body=b"x"), call(checkpoint=look), Abandoned)
        thread.join()
    assert got == [b""]


def test_certificate_must_carry_the_name(environment, certificate, secure_server):
    """With the authority known the call succeeds under the certificate's name and fails under any other."""
    environment.setenv("SSL_CERT_FILE", str(certificate[1]))
    curl._authorities.cache_clear()
    for _ in range(2):
        assert send(Request("GET", f"https://localhost:{secure_server.server_port}/plain"), call()).status == 200
    assert len({port for *_, port in secure_server.seen}) == 1
    assert fails(Request("GET", f"{secure_server.url}/plain")).code == "tls_verification_failed"
    environment.setattr(socket, "getaddrinfo", answers(["127.0.0.1"]))
    url = f"https://other.example:{secure_server.server_port}/plain"
    assert fails(Request("GET", url)).code == "tls_verification_failed"


def test_line_refuses_to_talk_to_an_unchecked_address(environment, server):
    """Should libcurl ever reach another address than the checked one, nothing is sent to it."""
    line = curl.Line(curl.ConnectionKey("127.0.0.1", "a.example", server.server_port, False))
    line.key = line.key._replace(address="127.0.0.77")
    environment.setattr(curl.POOL, "take", lambda key: line)
    assert fails(Request("GET", f"{server.url}/plain")).code == "egress_refused"
    assert server.seen == []


def test_sandbox_records_and_touches_nothing(environment):
    """In the sandbox the request is checked and recorded, credentials hidden, and no name is looked up."""
    environment.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("a name was looked up"))
    sandboxed = call(mode="sandbox", checkpoint=lambda: pytest.fail("nothing is about to be sent"))
    headers = {"Authorization": "Bearer hunter2", "X-A": "b"}
    response = send(Request("POST", "https://Firewall.example/rules", headers, b'{"ip": "203.0.113.50"}'), sandboxed)
    assert json.loads(response.body) == {"simulated": True}
    send(Request("GET", "http://127.0.0.1/"), sandboxed)
    send(Request("PUT", "http://127.0.0.1/", {}, b"\xff"), sandboxed)
    assert sandboxed.report.intercepted_calls[0] == {
        "type": "http",
        "method": "POST",
        "url": "https://firewall.example/rules",
        "headers": {"Authorization": "********", "X-A": "b"},
        "body": {"ip": "203.0.113.50"},
    }
    assert [one["body"] for one in sandboxed.report.intercepted_calls[1:]] == [
        None,
        {"body": "/w==", "encoding": "base64"},
    ]
    assert fails(Request("GET", "http://user@example.com/"), sandboxed).code == "egress_refused"
    assert fails(Request("GET", "http://example.com/", {"Host": "x"}), sandboxed).code == "invalid_header"


def test_dry_run_never_sends(server):
    """A call in a dry run is a fault of the program, not of the user."""
    fails(Request("GET", server.url), call(mode="dry_run"), RuntimeError)
    for mode in ("dry_run", "sandbox"):
        with pytest.raises(RuntimeError):
            client.connect("127.0.0.1", server.server_port, call(mode=mode))
    assert server.seen == []


def test_bare_connections_follow_the_same_rules(environment, server):
    """Other protocols get a socket to a checked address, after the checkpoint, or nothing."""
    asked = []
    with client.connect("localhost", server.server_port, call(still_ours=lambda: asked.append(1))) as connection:
        assert connection.getpeername() == ("127.0.0.1", server.server_port)
    assert asked == [1]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ProviderError) as refused:
        client.connect("127.0.0.1", port, call())
    assert (refused.value.code, refused.value.retryable) == ("connection_failed", True)
    environment.setenv("TOCSIN_EGRESS_ALLOW", "")
    settings.cache_clear()
    for host in ("127.0.0.1", "localhost", "0x7f.1", "::1", "::ffff:127.0.0.1"):
        with pytest.raises(ProviderError) as caught:
            client.connect(host, server.server_port, call())
        assert caught.value.code == "egress_refused"
