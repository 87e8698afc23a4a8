"""What is sent again, when, and what never is."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
from scripted_server import KEY, Reply, Scripted, problem
from tocsin import AsyncClient, Client, errors
from tocsin._errors import BY_STATUS
from tocsin._retrying import Tries

FOUND = Reply(200, {"data": {"id": "act-a", "name": "A", "type": "webhook"}})
ACCEPTED = Reply(202, {"data": {"execution_id": "exec-1", "status": "pending"}})


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_passes_is_tried_again(server, client, pauses, status):
    """429, 502, 503 and 504 are tried again, with pauses drawn at random that may grow up to a bound."""
    server.replies = [problem(status, "x"), problem(status, "x"), problem(status, "x"), FOUND]
    assert client.actions.get("act-a").name == "A"
    assert len(server.requests) == 4
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, (0.25, 0.5, 1.0)))


def test_it_gives_up_after_five_tries(server, client, pauses):
    """The fifth failure is raised, with what the server says."""
    server.replies = [problem(503, "unavailable", retryable=True)]
    with pytest.raises(errors.ServiceUnavailable) as raised:
        client.actions.get("act-a")
    assert len(server.requests) == 5
    assert len(pauses) == 4
    assert raised.value.retryable
    assert str(raised.value) == "It is unavailable. (503 unavailable, request r-1)"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 422, 500])
def test_what_does_not_pass_is_raised_at_once(server, client, pauses, status):
    """Every other error is raised by the first answer, as the class of its status."""
    server.replies = [problem(status, "something_new")]
    with pytest.raises(errors.ApiError) as raised:
        client.actions.trigger("act-a")
    assert (len(server.requests), pauses) == (1, [])
    assert type(raised.value) is BY_STATUS[status]
    assert raised.value.code == "something_new"


def test_retry_after_wins_up_to_a_minute(server, client, pauses):
    """The server's own time takes the place of the drawn one, up to a minute; beyond that the error is raised."""
    server.replies = [problem(429, "rate_limited", headers={"Retry-After": "7"}), FOUND]
    client.actions.get("act-a")
    assert pauses == [7.0]
    server.replies = [problem(429, "rate_limited", headers={"Retry-After": "61"})]
    with pytest.raises(errors.TooManyRequests) as raised:
        client.actions.get("act-a")
    assert raised.value.retry_after == 61
    assert pauses == [7.0]


def test_a_creating_call_has_one_key_over_all_its_tries(server, client, pauses):
    """Each logical call has an idempotency key of its own, the same at each try; the caller's, if given."""
    server.replies = [problem(503, "x"), Reply(202, {"data": {}}, cut=3), ACCEPTED]
    client.actions.trigger("act-a")
    server.replies = [ACCEPTED]
    client.actions.trigger("act-a")
    client.actions.trigger("act-a", idempotency_key="mine")
    keys = [one.headers["idempotency-key"] for one in server.requests]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert keys[4] == "mine"
    assert len(set(keys)) == 3


def test_a_patch_is_repeated_only_with_if_match(server, client, pauses):
    """A change that may have been made is not made again, unless the state it belongs to is named."""
    server.replies = [problem(502, "x"), FOUND]
    with pytest.raises(errors.BadGateway):
        client.actions.change("act-a", {"description": "new"})
    assert len(server.requests) == 1
    server.replies = [problem(502, "x"), FOUND]
    client.actions.change("act-a", {"description": "new"}, if_match='"1"')
    assert [one.headers.get("if-match") for one in server.requests] == [None, '"1"', '"1"']


def test_the_same_request_under_way_is_waited_for(server, client, pauses):
    """``idempotency_in_flight`` is no failure: the call waits for the first copy, and that counts as no try."""
    server.replies = [*[problem(409, "idempotency_in_flight")] * 7, ACCEPTED]
    assert client.actions.trigger("act-a").id == "exec-1"
    assert len(server.requests) == 8


def test_a_cut_body_is_asked_for_again(server, client, pauses):
    """Half an answer is none."""
    server.replies = [Reply(200, FOUND.body, cut=10), FOUND]
    assert client.actions.get("act-a").id == "act-a"
    server.replies = [Reply(200, FOUND.body, cut=10)]
    with pytest.raises(errors.ConnectionFailed, match="each of 5 tries"):
        client.actions.get("act-a")


def test_a_slow_answer_ends_as_timed_out(server):
    """What takes longer than the client's time is given up, and said so."""
    server.replies = [lambda _: time.sleep(0.4) or FOUND]
    with Client(server.url, KEY, timeout=0.1, tries=2) as client, pytest.raises(errors.TimedOut, match="in time"):
        client.actions.get("act-a")
    assert len(server.requests) == 2


def test_a_page_of_a_proxy_is_named(server, client, pauses):
    """HTML where JSON is expected is no answer of this server; as an error it has no code, and its title is said."""
    page = {"Content-Type": "text/html"}
    server.replies = [Reply(502, "<html><title>502 Bad Gateway</title></html>", page)]
    with pytest.raises(errors.BadGateway, match="502 Bad Gateway") as raised:
        client.actions.get("act-a")
    assert (raised.value.code, len(server.requests)) == ("", 5)
    server.replies = [Reply(200, "<html><title>Log in</title></html>", page)]
    with pytest.raises(errors.UnexpectedAnswer, match="Log in"):
        client.actions.get("act-a")


def test_no_server_is_said_soon(pauses):
    """Where nothing listens and nothing ever answered, five tries are made."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        Client(f"http://127.0.0.1:{port}", KEY) as client,
        pytest.raises(errors.ConnectionFailed, match="no connection"),
    ):
        client.actions.get("act-a")
    assert len(pauses) == 4


def test_a_server_that_restarts_is_waited_for():
    """A server that has answered before and refuses connections is expected back, and these tries do not count."""
    first = Scripted()
    first.replies = [FOUND]
    with Client(first.url, KEY, tries=2) as client:
        client.actions.get("act-a")
        first.stop()
        back = threading.Timer(1.5, lambda: again.append(Scripted(first.port)) or setattr(again[0], "replies", [FOUND]))
        again: list = []
        back.start()
        assert client.actions.get("act-a").name == "A"
        back.join()
        again[0].stop()


def test_a_certificate_that_is_not_trusted_is_refused_at_once(tmp_path, pauses):
    """A wrong certificate is no failure that passes: nothing is sent, nothing is tried again."""
    certificate, public = tmp_path / "both.pem", tmp_path / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=tests -addext subjectAltName=IP:127.0.0.1"
    try:
        subprocess.run([*make.split(), "-keyout", certificate, "-out", public], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    certificate.write_text(certificate.read_text() + public.read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(connection, server_side=True)
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, KEY) as client, pytest.raises(errors.CertificateRefused, match="not trusted"):
        client.actions.get("act-a")
    thread.join()
    listener.close()
    assert pauses == []


def test_the_pauses_spread_over_their_whole_range():
    """Clients cut off together do not come back together: pauses are drawn from nothing up to the bound."""

    def third() -> float:
        tries = Tries(5, repeatable=True, refusals=True, expected=False)
        tries.refused(503, "", None)
        tries.refused(503, "", None)
        return tries.refused(503, "", None) or 0.0

    drawn = [third() for _ in range(400)]
    assert min(drawn) < 0.1
    assert 0.9 < max(drawn) <= 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_opens_its_own_connections(server, client):
    """A process that was forked shares no connection with its parent, even where a thread was opening one meanwhile."""
    server.replies = [FOUND]
    client.actions.get("act-a")
    owned, mine = client._transport._http, client._transport.http
    with owned._locks[os.getpid()]:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            os._exit(0 if client._transport.http is not mine and client.actions.get("act-a").id else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert client._transport.http is mine
    assert client.actions.get("act-a").id == "act-a"


def test_the_asynchronous_half_does_the_same(server):
    """Errors, tries and keys of ``AsyncClient`` are those of ``Client``."""

    async def story() -> None:
        async with AsyncClient(server.url, KEY) as client:
            server.replies = [problem(503, "x"), ACCEPTED]
            assert (await client.actions.trigger("act-a", {"n": 1})).id == "exec-1"
            server.replies = [problem(404, "not_found")]
            with pytest.raises(errors.NotFound):
                await client.actions.get("act-a")

    asyncio.run(story())
    assert server.requests[0].headers["idempotency-key"] == server.requests[1].headers["idempotency-key"]
    assert json.loads(server.requests[1].body) == {"parameters": {"n": 1}}
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_what_has_no_method_is_requested(server, client, pauses):
    """``request`` reaches every path, encodes bodies, and repeats only what may be repeated."""
    server.replies = [Reply(200, {"it": 1})]
    assert client.request("get", "/api/new", query={"some": ["a", "b"], "flag": True}) == {"it": 1}
    assert server.requests[0].path == "/api/new?some=a%2Cb&flag=true"
    server.replies = [problem(502, "x")]
    with pytest.raises(errors.BadGateway):
        client.request("POST", "/api/new", body={"a": 1})
    assert len(server.requests) == 2
    with pytest.raises(ValueError, match="slash"):
        client.request("GET", "//elsewhere.example/")
