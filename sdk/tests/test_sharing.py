"""One client for many: threads, event loops, processes; and waits that do not wait for each other."""

import asyncio
import gc
import pickle
import threading
import time

import httpx
import pytest
from scripted_server import KEY, Reply
from tocsin import AsyncClient, Client, errors, models
from tocsin.webhooks import SignatureInvalid

FOUND = Reply(200, {"data": {"id": "act-a", "name": "A"}})


def test_threads_that_begin_together_share_the_connections(server, client, monkeypatch):
    """Of threads that make the first call together one opens the pool of connections, and none is left behind."""
    made = []
    initialize = httpx.Client.__init__
    monkeypatch.setattr(
        httpx.Client, "__init__", lambda self, **more: made.append(self) or time.sleep(0.05) or initialize(self, **more)
    )
    server.replies = [FOUND]
    together = threading.Barrier(12)
    found = []

    def call():
        together.wait()
        found.append(client.actions.get("act-a").id)

    threads = [threading.Thread(target=call) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == ["act-a"] * 12
    assert len(made) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:unclosed:ResourceWarning")
def test_one_client_serves_several_event_loops(server):
    """A client made once is used by one ``asyncio.run`` after the other; connections of an ended loop are forgotten."""
    server.replies = [FOUND]
    client = AsyncClient(server.url, KEY)

    async def story():
        try:
            return (await client.actions.get("act-a")).id
        finally:
            if close:
                await client.aclose()

    close = False
    assert asyncio.run(story()) == "act-a"
    close = True
    assert [asyncio.run(story()) for _ in range(2)] == ["act-a", "act-a"]
    assert client._transport._http._things == {}
    gc.collect()


def test_a_wait_ends_in_time_where_others_hold_all_connections(server):
    """Who waits two seconds is told so in two seconds, though a hundred others occupy every connection for longer."""
    server.replies = [lambda _: time.sleep(4) or Reply(200, {"data": {"execution_id": "pexec-1", "status": "running"}})]

    async def story():
        async with AsyncClient(server.url, KEY, tries=1) as client:
            others = [asyncio.ensure_future(client.actions.get("act-a")) for _ in range(100)]
            await asyncio.sleep(0.5)
            outcome = asyncio.ensure_future(client.runs.handle("pexec-1").wait(timeout=0.5))
            done, _ = await asyncio.wait([outcome, *others], return_when=asyncio.FIRST_COMPLETED)
            first = done == {outcome}
            found = await asyncio.gather(outcome, *others, return_exceptions=True)
            return first, found[0]

    first, outcome = asyncio.run(story())
    assert first, "the wait is over before those who hold the connections"
    assert isinstance(outcome, errors.TocsinError)


def test_errors_travel_between_processes():
    """What a pool of processes raises arrives as it was raised, with all that it says."""
    refused = errors.NotFound(404, "not_found", "gone", errors=[errors.Fault("/a", "b")], request_id="r-1")
    failed = errors.ExecutionFailed("exec-1", "failed", {"code": "http_status", "message": "500", "step_id": "block"})
    running = errors.StillRunning("pexec-1", models.Run({"status": "running"}), 1.5)
    for error in (refused, failed, running, SignatureInvalid("too_old"), errors.TimedOut("no answer")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert (str(again), again.__dict__) == (str(error), error.__dict__)


def test_a_task_that_is_cancelled_leaves_the_client_usable(server):
    """Cancelling waits and streams in the middle raises ``CancelledError`` there, and later calls go through."""

    async def story():
        async with AsyncClient(server.url, KEY) as client:
            server.replies = [lambda _: time.sleep(0.3) or Reply(200, {"data": {"status": "running"}})]
            tasks = [asyncio.ensure_future(client.runs.handle("pexec-1").wait()) for _ in range(20)]
            await asyncio.sleep(0.1)
            for one in tasks:
                one.cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(one, asyncio.CancelledError) for one in found)
            server.replies = [FOUND]
            return (await client.actions.get("act-a")).id

    assert asyncio.run(story()) == "act-a"


def test_a_client_is_closed_and_used_again(server):
    """``close`` ends the connections; the next call opens others."""
    server.replies = [FOUND]
    client = Client(server.url, KEY)
    client.actions.get("act-a")
    first = client._transport.http
    client.close()
    assert first.is_closed
    assert client.actions.get("act-a").id == "act-a"
    client.close()
