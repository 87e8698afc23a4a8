"""Comparing texts by meaning on the running product: many callers, several web processes, and a slow provider."""

import importlib.util
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.embeddings import Server
from tests.support.services import missing
from tests.support.stack import WORKERS, Stack
from tests.support.waiting import eventually

PATH = "/v1/embeddings/similarity"
PROVIDERS = "providers:\n  drill: {kind: mock}\n"
RULES = """\
rules:
  - name: no-phishing
    condition:
      all:
        - {field: action.action_type, eq: mail}
        - semantic_match: {topic: phishing mail, threshold: 0.6, text_field: payload.subject}
    action: {type: suppress}
  - name: no-steps-about-phishing
    origins: [step]
    condition: {semantic_match: phishing mail, threshold: 0.6, text_field: payload.subject}
    action: {type: suppress}
"""
#: a file of the local model, which is mapped where the model is loaded
WEIGHTS = "l2_supercat_256.safetensors"


@pytest.fixture
def server() -> Iterator[Server]:
    """A provider of embeddings outside of the product."""
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def folder(sqlite_stack: Stack) -> Iterator[Path]:
    """The configuration folder, with a rule that compares; it is emptied afterwards."""
    made = sqlite_stack.directory / "var" / "config"
    (made / "rules").mkdir(parents=True, exist_ok=True)
    files = {made / "providers.yaml": PROVIDERS, made / "rules" / "meaning.yaml": RULES}
    for path, text in files.items():
        path.write_text(text)
    yield made
    for path in files:
        path.unlink()


def begin(stack: Stack, **settings: str) -> None:
    """Start web with other settings."""
    stack.restart("web", **settings)
    stack.wait_ready("web")


def body(subject: str) -> dict[str, Any]:
    """A dispatch with a subject."""
    key = {"namespace": "tests", "tenant": "default", "provider": "drill", "action_type": "mail"}
    return {**key, "payload": {"subject": subject}}


def outcome(stack: Stack, subject: str) -> str:
    """What becomes of a dispatch with a subject, for which nobody waits."""
    answer = stack.api.http.post("/v1/dispatch", json=body(subject), headers={"Prefer": "respond-async"})
    assert answer.status_code in (200, 202), answer.text
    return str(answer.json()["outcome"])


@pytest.mark.gate
@pytest.mark.usefixtures("folder")
def test_the_api_goes_on_while_a_provider_is_slow(sqlite_stack: Stack, server: Server) -> None:
    """Dispatches wait for their texts, 64 with one text for one call; all other requests are served meanwhile."""
    stack = sqlite_stack
    begin(stack, **server.environment(), TOCSIN_EMBEDDINGS_TIMEOUT_MS="20000")
    assert outcome(stack, "a phishing mail came") == "suppressed"
    server.texts.clear()
    server.delay, served = 3.0, 0
    other = httpx.Client(base_url=stack.url, headers=stack.api.http.headers, timeout=30)  # of its own connections
    with other, ThreadPoolExecutor(64) as callers:
        waiting = [callers.submit(outcome, stack, "a phishing mail went") for _ in range(64)]
        eventually(lambda: server.texts, 30, "the provider is asked")
        while not any(one.done() for one in waiting):
            assert [other.get(path).status_code for path in ("/health", "/api/actions?per_page=1")] == [200, 200]
            served += 1
        assert Counter(one.result(60) for one in waiting) == {"suppressed": 64}
    assert server.texts == ["a phishing mail went"]
    assert served > 5, "requests were held up"
    assert "hunter2" not in stack.log("web")


def test_five_in_a_minute_over_all_processes(sqlite_stack: Stack, server: Server) -> None:
    """Of many comparisons that several processes get at once, exactly five are computed."""
    begin(sqlite_stack, **server.environment(), WEB_CONCURRENCY="2")

    def ask(number: int) -> int:
        headers = {"Authorization": f"Bearer {sqlite_stack.api.key}"}
        given = {"text": f"text {number}", "topic": "some topic"}
        return httpx.post(sqlite_stack.url + PATH, json=given, headers=headers, timeout=30).status_code

    with ThreadPoolExecutor(20) as callers:
        assert Counter(callers.map(ask, range(20))) == {200: 5, 429: 15}


@pytest.mark.gate
@pytest.mark.usefixtures("folder")
def test_a_worker_goes_on_while_a_provider_is_slow(sqlite_stack: Stack, server: Server) -> None:
    """Steps that wait for their text leave the worker to others; then the rule decides about each."""
    stack = sqlite_stack
    begin(stack)  # it loads the folder
    settings = {**server.environment(), "TOCSIN_EMBEDDINGS_TIMEOUT_MS": "20000"}
    stack.restart("worker", **settings)
    stack.wait_ready("worker")
    declared = [{"name": "subject"}]
    action = stack.api.create_action(config={"url": f"{stack.sink.url}/ok"}, parameters=declared)
    other = stack.api.create_action(config={"url": f"{stack.sink.url}/ok"})
    server.delay = 3.0
    about = {"subject": "a phishing mail came"}
    playbook = stack.api.create_playbook(
        steps=[{"id": "one", "type": "action", "action_ref": action, "parameters": about}]
    )
    runs = [stack.api.run(playbook) for _ in range(8)]  # fewer than go to another worker
    eventually(lambda: server.texts, 60, "the provider is asked")
    assert stack.api.ended(stack.api.trigger(other))["status"] == "completed"
    assert {stack.api.run_row(run)["status"] for run in runs} <= {"pending", "running"}
    for run in runs:
        assert stack.api.run_ended(run)["status"] == "completed"
        assert [step["status"] for step in stack.api.steps(run)] == ["skipped"]
    assert Counter(server.texts) == {"phishing mail": 1, "a phishing mail came": 1}
    assert "hunter2" not in stack.log("worker")


def mapped(pid: int) -> bool:
    """Whether a process has the weights of the local model."""
    return WEIGHTS in Path(f"/proc/{pid}/maps").read_text()


def family(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [child for one in found for child in family(one)]


@pytest.mark.wide
@pytest.mark.usefixtures("folder")
def test_the_local_model_is_loaded_where_something_asks(sqlite_stack: Stack) -> None:
    """By a web process with the first text, and by the parent of workers before it forks; elsewhere not at all."""
    if importlib.util.find_spec("wordllama") is None:
        missing("the extra embeddings is not installed")
    stack = sqlite_stack
    begin(stack, TOCSIN_EMBEDDINGS_PROVIDER="local")
    web = stack.running["web"].pid
    assert not any(map(mapped, [web, *family(web)]))
    asked = {"text": "the disk is full", "topic": "storage running out of space"}

    def compared() -> httpx.Response | None:
        """None while earlier tests of this product have had the five of this minute."""
        one = stack.api.http.post(PATH, json=asked)
        return None if one.status_code == 429 else one

    answer = eventually(compared, 90, "there is a place in this minute", every=2)
    assert answer.status_code == 200, answer.text
    assert any(map(mapped, [web, *family(web)]))
    for name in WORKERS:
        stack.kill(name)
    for provider, loaded in (("none", False), ("local", True)):
        stack.start("workers", TOCSIN_EMBEDDINGS_PROVIDER=provider)
        parent = stack.running["workers"].pid
        eventually(lambda: len(family(parent)) > 4, 60, "the workers are forked")  # noqa: B023 - called at once
        assert {mapped(one) for one in [parent, *family(parent)] if "worker.supervisor" in _command(one)} == {loaded}
        stack.end("workers")


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()
