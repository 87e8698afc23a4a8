"""Handles: waiting by ETag, results, and events over cuts."""

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_server import KEY, Reply, problem
from tocsin import AsyncClient, Client, errors

SSE = {"Content-Type": "text/event-stream"}
WHERE = "/api/playbooks/executions/pexec-1"


def run(status, etag="", **more):
    """The answer with a run."""
    return Reply(200, {"data": {"execution_id": "pexec-1", "status": status, **more}}, {"ETag": etag} if etag else {})


def asked(request):
    """What a request says of waiting: the seconds, and the state that is known."""
    query = parse_qs(urlsplit(request.path).query)
    return float(query.get("wait", ["0"])[0]), request.headers.get("if-none-match")


@pytest.fixture
def handle(client):
    """The handle of a run."""
    return client.runs.handle("pexec-1")


def test_waiting_says_which_state_is_known(server, handle, pauses):
    """Each request after the first names the state that the client has, so that no change is told late."""
    server.replies = [run("pending", '"1"'), Reply(304), run("running", '"2"'), run("completed", '"3"')]
    assert handle.wait(timeout=60) is handle
    assert handle.status == "completed"
    assert handle.ended
    waits, known = zip(*map(asked, server.requests))
    assert known == (None, '"1"', '"1"', '"2"')
    assert all(20 < wait <= 25 for wait in waits)


def test_a_server_without_etags_is_asked_more_often(server, handle, pauses):
    """Where the server does not say what it waits from, a change is told two seconds late at most."""
    server.replies = [run("pending"), run("running"), run("completed")]
    handle.wait()
    assert [asked(one)[0] for one in server.requests[1:]] == [2.0, 2.0]


def test_waiting_for_a_status_looks_first(server, client, handle, pauses):
    """Who waits for a status that is there gets it from the first answer, which waits for nothing."""
    server.replies = [run("paused", '"1"')]
    assert handle.wait(until="paused").status == "paused"
    assert [asked(one) for one in server.requests] == [(0.0, None)]
    server.replies = [run("running", '"2"'), run("cancelled", '"3"')]
    other = client.runs.handle("pexec-1")
    assert other.wait(until=("paused", "waiting")).status == "cancelled", "it can no longer get there"


def test_when_the_time_is_over_it_goes_on(server, handle):
    """``StillRunning`` has what was last known, and nothing was cancelled."""
    server.replies = [run("running", '"1"'), Reply(304)]
    with pytest.raises(errors.StillRunning, match="pexec-1 is still running") as raised:
        handle.wait(timeout=0.3)
    assert raised.value.state.status == "running"
    assert {one.method for one in server.requests} == {"GET"}


def test_a_result_is_the_output_or_why_there_is_none(server, client, handle):
    """``result`` is the output; a failure has code, message, step, and whether its outcome is unknown."""
    server.replies = [run("completed", output={"a": 1})]
    assert handle.result() == {"a": 1}
    error = {"code": "http_status", "message": "500", "outcome_unknown": True, "step_id": "block"}
    server.replies = [run("failed", error=error)]
    with pytest.raises(errors.ExecutionFailed) as raised:
        client.runs.handle("pexec-1").result()
    failed = raised.value
    assert (failed.code, failed.message, failed.outcome_unknown, failed.step_id) == (
        "http_status",
        "500",
        True,
        "block",
    )
    assert str(failed) == (
        "pexec-1 ended failed at step block (http_status): 500 (whether it had its effect is unknown)"
    )
    server.replies = [run("cancelled")]
    with pytest.raises(errors.ExecutionFailed, match="ended cancelled"):
        client.runs.handle("pexec-1").result()


def test_an_outage_during_a_wait_goes_unnoticed(server, handle, pauses):
    """While it waits, a client bears more failures than a single call does."""
    server.replies = [run("running", '"1"'), *[problem(503, "unavailable")] * 12, run("completed", '"2"')]
    assert handle.wait(timeout=60).status == "completed"


def test_a_server_that_never_answered_is_not_waited_for(pauses):
    """A wait at an address where nothing listens ends as a call there does."""
    with Client("http://127.0.0.1:9", KEY) as client, pytest.raises(errors.ConnectionFailed):
        client.runs.handle("pexec-1").wait(timeout=60)


def test_many_who_wait_do_not_hammer(server, handle, pauses):
    """A server at which too many wait answers at once; the client pauses by itself."""
    server.replies = [run("running", '"1"'), run("running", '"1"'), run("running", '"1"'), run("completed", '"2"')]
    handle.wait()
    assert len([one for one in pauses if 0.1 <= one <= 0.5]) == 2


def block(number, **data):
    """A block of a stream."""
    return f"event: {data['type']}\nid: id-{number}\ndata: {json.dumps({'id': f'id-{number}', **data})}\n\n"


def test_events_go_on_behind_the_last_one(server, handle, pauses):
    """After a cut the stream is opened behind the last id, blocks without data included; 204 ends it."""
    first = "retry: 3000\nid: id-0\n\n" + block(1, type="step_changed", step="a", status="running")
    second = block(2, type="step_changed", step="a", status="completed") + ": all is well\nid: id-3\n\n"
    server.replies = [
        Reply(200, first, SSE),
        Reply(200, second + block(9, type="never"), {**SSE, "Content-Length": "9999"}, cut=len(second)),
        Reply(503, ""),
        Reply(200, block(4, type="run_changed", execution_id="pexec-1", status="completed"), SSE),
        Reply(204),
    ]
    told = [(one.type, one.id, one.status) for one in handle.events()]
    assert told == [
        ("step_changed", "id-1", "running"),
        ("step_changed", "id-2", "completed"),
        ("run_changed", "id-4", "completed"),
    ]
    assert [one.headers.get("last-event-id") for one in server.requests] == [None, "id-1", "id-3", "id-3", "id-4"]
    assert {one.path for one in server.requests} == {f"{WHERE}/events"}


def test_what_was_left_out_is_reported(server, handle, pauses):
    """``lagged`` comes through, with how much is missing."""
    server.replies = [Reply(200, 'event: lagged\ndata: {"skipped": 12}\n\n', SSE), Reply(204)]
    assert [(one.type, one.skipped, one.id) for one in handle.events()] == [("lagged", 12, None)]


@pytest.mark.parametrize("refusal", [problem(429, "too_many_streams"), problem(503, "stream_off")])
def test_without_a_stream_changes_are_found_by_asking(server, handle, pauses, refusal):
    """Where there is no stream to be had, the same messages come from the states of the run."""
    steps = [{"step_id": "a", "status": "pending"}]
    server.replies = [
        refusal,
        run("running", '"1"', steps=steps),
        run("running", '"2"', steps=[{"step_id": "a", "status": "completed"}]),
        run("completed", '"3"', steps=[{"step_id": "a", "status": "completed"}]),
    ]
    assert [(one.type, one.step, one.status) for one in handle.events()] == [
        ("run_changed", None, "running"),
        ("step_changed", "a", "completed"),
        ("run_changed", None, "completed"),
    ]


def test_a_stream_that_is_refused_for_good_is_an_error(server, handle):
    """A run that is not there has no events, and a page of a proxy is no stream."""
    server.replies = [problem(404, "not_found")]
    with pytest.raises(errors.NotFound):
        list(handle.events())
    server.replies = [Reply(200, "<html></html>", {"Content-Type": "text/html"})]
    with pytest.raises(errors.UnexpectedAnswer, match="text/html where a stream is expected"):
        list(handle.events())


def test_steps_are_decided_and_runs_tried_again(server, handle):
    """Decisions name run, step and iteration; a retry is a new run with a handle of its own."""
    server.replies = [Reply(200, {"data": {"step_id": "ask", "status": "completed"}})]
    assert handle.step("ask").approve("told", iteration="2").status == "completed"
    assert server.requests[-1].path == f"{WHERE}/steps/ask/approve"
    assert json.loads(server.requests[-1].body) == {"note": "told", "iteration": "2"}
    server.replies = [Reply(202, {"data": {"execution_id": "pexec-2", "status": "pending"}})]
    again = handle.retry(begin="failed")
    assert (again.id, again.status) == ("pexec-2", "pending")
    assert json.loads(server.requests[-1].body) == {"from": "failed"}


def test_the_asynchronous_handle_waits_and_follows(server):
    """``AsyncClient`` waits, and its events are iterated with ``async for``."""

    async def story():
        async with AsyncClient(server.url, KEY) as client:
            server.replies = [Reply(202, {"data": {"execution_id": "pexec-1", "status": "pending"}})]
            run_ = await client.playbooks.run("pb-a", target="web-01")
            server.replies = [run("running", '"1"'), run("completed", '"2"', output=[1])]
            assert await run_.result(timeout=30) == [1]
            server.replies = [Reply(200, block(1, type="run_changed", status="completed"), SSE), Reply(204)]
            assert [one.id async for one in run_.events()] == ["id-1"]

    asyncio.run(story())
    assert json.loads(server.requests[0].body) == {"parameters": {}, "target_asset_id": "web-01"}
