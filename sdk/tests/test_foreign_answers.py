"""What no Tocsin server answers: it is named, and never passes for the answer that was asked for."""

import pytest
from scripted_server import KEY, Reply
from tocsin import Client, errors

CALLS = {
    "one": lambda client: client.actions.get("act-a"),
    "accepted": lambda client: client.actions.trigger("act-a"),
    "list": lambda client: client.actions.list().all(),
    "wait": lambda client: client.runs.handle("pexec-1").wait(timeout=5),
    "events": lambda client: list(client.runs.handle("pexec-1").events()),
}
FOREIGN = {
    "nothing": Reply(200, None),
    "text": Reply(200, "OK", {"Content-Type": "text/plain"}),
    "array": Reply(200, [1]),
    "null": Reply(200, "null"),
    "object": Reply(200, {"status": "up"}),
    "deep": Reply(200, "[" * 200_000),
    "garbled": Reply(200, "no gzip", {"Content-Encoding": "gzip"}),
    "unchanged": Reply(304),
    "moved": Reply(302, None, {"Location": "https://login.example.com/"}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", FOREIGN)
def test_an_answer_of_another_program_is_named(server, client, pauses, call, answer):
    """A proxy, a page to log in, another program at this port: one error class for all, at once."""
    server.replies = [FOREIGN[answer]]
    with pytest.raises(errors.UnexpectedAnswer):
        CALLS[call](client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_client_goes_to_no_other_address(server, client, status):
    """A redirect is an error that names the other address without its query; nothing that was to be done is done."""
    server.replies = [Reply(status, None, {"Location": "https://evil.example.com/api?token=hidden"})]
    with pytest.raises(errors.UnexpectedAnswer, match=r"names https://evil.example.com/api: ") as raised:
        client.actions.delete("act-a")
    assert "hidden" not in str(raised.value)
    assert len(server.requests) == 1


def test_an_answer_that_names_no_execution_is_no_acceptance(server, client):
    """What was accepted has an id; without one there is nothing to wait for."""
    server.replies = [Reply(202, {"data": {"status": "pending"}})]
    with pytest.raises(errors.UnexpectedAnswer, match="names no execution"):
        client.actions.trigger("act-a")


@pytest.mark.parametrize("body", ["[" * 200_000, '{"code": "x", "errors": 5}', '{"errors": {"a": 1}}', "[1]", "null"])
def test_an_error_of_any_body_has_the_class_of_its_status(server, client, body):
    """However strange the body of an error is, its status counts."""
    server.replies = [Reply(422, body)]
    with pytest.raises(errors.InvalidValues):
        client.actions.get("act-a")


def test_a_block_that_is_not_json_is_named(server, client, pauses):
    """A stream whose blocks are not JSON comes from no Tocsin server."""
    server.replies = [Reply(200, "id: 1\ndata: {oops\n\n", {"Content-Type": "text/event-stream"})]
    with pytest.raises(errors.UnexpectedAnswer, match="not JSON"):
        list(client.runs.handle("pexec-1").events())


@pytest.mark.parametrize("value", ["two\nlines", "ключ", " spaces "])
def test_a_header_that_cannot_be_sent_is_said_at_once(server, client, pauses, value):
    """A key or entity tag that no header can hold is a mistake of the caller, not a failure to connect."""
    for call in (
        lambda: client.actions.trigger("act-a", idempotency_key=value),
        lambda: client.actions.change("act-a", {}, if_match=value),
        lambda: list(client.runs.handle("pexec-1").events(last_id=value)),
        lambda: Client(server.url, KEY, headers={"X-Mine": value}).actions.get("act-a"),
    ):
        with pytest.raises(ValueError, match="plain ASCII"):
            call()
    assert (server.requests, pauses) == ([], [])
