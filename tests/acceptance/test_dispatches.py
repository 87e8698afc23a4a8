"""Dispatches on the running product: answered across processes, and kept whichever process dies."""

import contextlib
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually

PROVIDERS = """\
providers:
  sink: {{kind: http, url: "{url}/echo"}}
  slow: {{kind: http, url: "{url}/slow?seconds=2"}}
  drill: {{kind: mock}}
"""
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def ready(first_stack: Stack) -> Stack:
    """The product with providers that lead to the sink."""
    stack = first_stack
    folder = stack.directory / "var" / "config"
    providers, text = folder / "providers.yaml", PROVIDERS.format(url=stack.sink.url)
    if not providers.exists() or providers.read_text() != text:  # an earlier test of this product has done it
        folder.mkdir(parents=True, exist_ok=True)
        providers.write_text(text)
        stack.restart("web")  # it loads the folder
        stack.wait_ready("web")
    return stack


def body(provider: str, **more: Any) -> dict[str, Any]:
    """A dispatch."""
    key = {"namespace": "tests", "tenant": "default", "provider": provider, "action_type": "tell"}
    return {**key, "payload": {"n": 1}, **more}


def insist(stack: Stack, given: dict[str, Any], seconds: float = 60) -> httpx.Response:
    """Send a dispatch until it is answered."""

    def send() -> httpx.Response | None:
        try:
            answer = stack.api.http.post("/v1/dispatch", json=given)
        except httpx.TransportError:
            return None
        return answer if answer.status_code in (200, 202) else None

    return eventually(send, seconds, "the dispatch is answered", every=0.1)


def records(stack: Stack, given_id: str) -> list[str]:
    """The outcomes recorded under an id, which the audit API and the database tell alike."""
    query = "SELECT outcome FROM audit WHERE given_id = :id AND outcome IS NOT NULL"
    found = [row["outcome"] for row in stack.rows(query, id=given_id)]
    answer = stack.api.http.get(f"/v1/audit/{given_id}", params={"all": "true"})
    assert [record["outcome"] for record in answer.json()["records"]] == found
    listed = stack.api.http.get("/v1/audit", params={"limit": 1_000, "tenant": "default"}).json()["records"]
    assert [record["outcome"] for record in listed if record["action_id"] == given_id] == found
    return found


def test_the_answer_comes_with_the_end(ready: Stack) -> None:
    """The receiver gets payload and trace; the answer has what it answered, without waiting for a look."""
    answer = ready.api.http.post("/v1/dispatch", json=body("sink"), headers={"traceparent": TRACE})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["outcome"] == "executed", told
    heard = {name.lower(): value for name, value in told["response"]["body"]["headers"].items()}
    assert heard["traceparent"].startswith(TRACE[:36])
    assert heard["traceparent"] != TRACE
    began = time.monotonic()
    for _ in range(10):
        assert ready.api.http.post("/v1/dispatch", json=body("drill")).json()["outcome"] == "executed"
    took = time.monotonic() - began
    assert took < 10 * (0.25 + 3 * ready.api.pace()), took
    assert TRACE[3:35] in ready.log("worker")


def test_a_dispatch_outlives_its_worker(ready: Stack) -> None:
    """A worker is killed while it is carried out: another attempt ends it, and there is one record."""
    name = uuid.uuid4().hex
    answer = ready.api.http.post("/v1/dispatch", json=body("slow", id=name), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    execution_id = answer.json()["execution_id"]
    eventually(lambda: ready.row(execution_id)["status"] == "running", 30, "it runs")
    ready.kill("worker")
    ready.heal()
    ready.wait_ended([execution_id], 90)
    told = ready.api.http.get(answer.headers["Location"]).json()
    assert (told["outcome"], told["action_id"]) == ("executed", name)
    assert records(ready, name) == ["executed"]


def test_a_dispatch_outlives_the_api(ready: Stack) -> None:
    """The API is killed between accept and end: sent again under its id it is answered, and was done once."""
    name = uuid.uuid4().hex
    given = body("slow", id=name)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(insist, ready, given, 90)
        eventually(
            lambda: ready.rows("SELECT execution_id FROM idempotency_keys WHERE key LIKE :k", k=f"%{name}"), 30, "taken"
        )
        ready.kill("web")
        ready.heal()
        told = lost.result()
    again = insist(ready, given)
    (row,) = ready.rows("SELECT execution_id FROM idempotency_keys WHERE key LIKE :k", k=f"%{name}")
    ready.wait_ended([row["execution_id"]], 60)
    assert told.json()["action_id"] == name
    assert again.json()["outcome"] == "executed"
    assert again.headers["Idempotency-Replayed"] == "true"
    assert records(ready, name) == ["executed"]
    assert ready.sink.keys("/slow")[row["execution_id"]] == 1


@pytest.mark.parametrize("after", [0.06, *(pytest.param(after, marks=pytest.mark.gate) for after in (0.0, 0.02, 0.15))])
def test_a_batch_is_whole_or_absent(ready: Stack, after: float) -> None:
    """The API is killed at some moment while it accepts: all of its dispatches are there, or none."""
    name = uuid.uuid4().hex
    items = [body("drill", payload={"batch": name, "n": number}) for number in range(300)]
    sent = threading.Event()

    def send() -> None:
        sent.set()
        with contextlib.suppress(httpx.TransportError):
            ready.api.http.post("/v1/dispatch/batch", json={"actions": items}, headers={"Prefer": "respond-async"})

    thread = threading.Thread(target=send)
    thread.start()
    sent.wait()
    time.sleep(after)
    ready.kill("web")
    thread.join(40)
    ready.heal()
    found = ready.rows("SELECT id, input FROM executions WHERE kind = 'dispatch' AND input LIKE :b", b=f"%{name}%")
    assert len(found) in (0, len(items))
    if found:
        ready.wait_ended([row["id"] for row in found], 120)
