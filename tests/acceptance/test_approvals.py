"""Approvals on the running product: they wait whatever dies, and are decided by links that outlive it."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.stack import NAMES, Stack
from tests.support.waiting import eventually

PROVIDERS = 'providers:\n  sink: {{kind: http, url: "{url}/echo"}}\n  mail: {{kind: http, url: "{url}/mail"}}\n'
RULES = """\
rules:
  - name: ask
    condition: {field: action.action_type, eq: tell}
    action: {type: require_approval, notify: mail, requester_may_approve: true, message: "Tell {{ action.payload.n }}?"}
  - name: ask-steps
    origins: [step]
    condition: {field: action.metadata.step, eq: held}
    action: {type: require_approval}
"""
FIRST, SECOND = "kT3q8Zr1Vb6Nw0Xs5Yd9Lg2Hj7Pf4McA", "Qw8eR2tY6uI0oP4aS9dF3gH7jK1lZ5xB"
BODY: dict[str, Any] = {"namespace": "tests", "tenant": "default", "provider": "sink", "action_type": "tell"}


@pytest.fixture
def ready(first_stack: Stack) -> Iterator[Stack]:
    """The product with rules that ask, which the tests of other files do not find."""
    stack = first_stack
    folder = stack.directory / "var" / "config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text(PROVIDERS.format(url=stack.sink.url))
    (folder / "rules" / "all.yaml").write_text(RULES)
    stack.restart("web", TOCSIN_APPROVAL_KEYS=FIRST)
    stack.wait_ready("web")
    yield stack
    stack.forget_configuration()


def ask(stack: Stack, number: int = 1) -> dict[str, Any]:
    """Dispatch something that waits; the outcome."""
    answer = stack.api.http.post("/v1/dispatch", json={**BODY, "payload": {"n": number}})
    assert answer.json()["outcome"] == "pending_approval", answer.text
    found: dict[str, Any] = answer.json()
    return found


def follow(stack: Stack, url: str) -> httpx.Response:
    """Post to a link, without a key."""
    parts = urlsplit(url)
    return httpx.post(f"{stack.url}{parts.path}?{parts.query}", timeout=60)


def waiting(stack: Stack) -> dict[str, dict[str, Any]]:
    """What waits, by who asks and the action type."""
    listed = stack.api.http.get("/v1/approvals").json()["approvals"]
    return {f"{one['origin']} {one['action_type']}": one for one in listed}


def test_a_link_is_answered_with_the_outcome(ready: Stack) -> None:
    """The worker carries out what was approved, and the answer to the link has what the receiver answered."""
    asked = ask(ready, 7)
    answer = follow(ready, asked["approve_url"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"]["outcome"] == "executed"
    assert follow(ready, asked["approve_url"]).status_code == 410
    eventually(lambda: bool(ready.sink.arrivals("/mail")), 30, "the notice goes out")
    logs = "".join(ready.log(name) for name in NAMES)
    assert "sig=" not in logs.replace("sig=********", "")


@pytest.mark.gate
def test_a_step_and_an_action_are_decided_by_the_links_of_their_notices(ready: Stack) -> None:
    """The receiver of the notices needs no key; a playbook hears of each approval once, of its own ones of none."""
    asking: dict[str, Any] = {"message": "Go on?", "notify": "mail"}
    held = ready.api.create_action(config={"url": f"{ready.sink.url}/echo", "method": "POST"})
    steps = [{"id": "held", "type": "action", "action_ref": held}]
    listening = ready.api.create_playbook(trigger="approval.requested", steps=steps)
    begun = len(ready.sink.arrivals("/mail"))
    action = ready.api.create_action(type="approval", executor="approval", config=asking)
    execution = ready.api.trigger(action)
    step = {"id": "ask", "type": "approval", "timeout_seconds": 600, **asking}
    run = ready.api.run(ready.api.create_playbook(steps=[step]))
    eventually(lambda: len(ready.sink.arrivals("/mail")) >= begun + 2, 60, "both notices arrive")
    ready.kill("worker")
    ready.restart("worker")
    ready.wait_ready("worker")
    arrived = " ".join(arrival.body for arrival in ready.sink.arrivals("/mail")[begun:])
    links = set(re.findall(r'http[^"\s\\]+/approve\?[^"\s\\]+', arrived))  # one that is sent again has the same
    assert len(links) == 2, arrived
    for link in links:
        answer = follow(ready, link)
        assert (answer.status_code, answer.json()["status"]) == (200, "approved"), answer.text
    assert ready.api.ended(execution)["status"] == "completed"
    assert ready.api.run_ended(run)["status"] == "completed"
    eventually(lambda: any(one.startswith("rule ") for one in waiting(ready)), 60, "the listener is held back")
    path = f"/api/playbooks/executions?playbook_id={listening}"
    eventually(lambda: len(ready.api.http.get(path).json()["data"]) == 2, 60, "each is announced once")
    for one in ready.api.http.get(path).json()["data"]:
        ready.api.http.post(f"/api/playbooks/executions/{one['execution_id']}/cancel")
    assert ready.api.http.delete(f"/api/playbooks/{listening}").status_code == 204
    assert "sig=" not in "".join(ready.log(name) for name in NAMES).replace("sig=********", "")


@pytest.mark.gate
def test_approvals_of_all_kinds_outlive_everything(ready: Stack) -> None:
    """A kill of every process, an emptied Redis and a rotation of keys: each is decided once, and goes on."""
    asked = ask(ready)
    ask_action = ready.api.create_action(type="approval", executor="approval", config={"message": "Shall we?"})
    execution = ready.api.trigger(ask_action)
    told = ready.api.create_action(config={"url": f"{ready.sink.url}/echo", "method": "POST"})
    steps: list[dict[str, Any]] = [
        {"id": "held", "type": "action", "action_ref": told},
        {"id": "ask", "type": "approval", "message": "Go on?", "not_by_starter": False},
    ]
    run = ready.api.run(ready.api.create_playbook(steps=steps))
    eventually(lambda: len(waiting(ready)) == 3, 60, "three wait")
    before = waiting(ready)
    for name in NAMES:
        ready.kill(name)
    ready.redis.restart(empty=True)
    ready.restart("web", TOCSIN_APPROVAL_KEYS=f"{SECOND},{FIRST}")
    for name in set(NAMES) - {"web"}:
        ready.restart(name)
    for name in NAMES:
        ready.wait_ready(name)
    assert {one["id"] for one in waiting(ready).values()} == {one["id"] for one in before.values()}
    answer = follow(ready, asked["approve_url"])
    assert (answer.status_code, answer.json()["outcome"]["outcome"]) == (200, "executed"), answer.text
    assert follow(ready, asked["approve_url"]).status_code == 410
    made = ready.api.http.post("/api/keys", json={"name": "second", "role": "operator"}).json()
    other = {"Authorization": f"Bearer {made['data']['key']}"}
    for one in before.values():
        if one["id"] == asked["approval_id"]:
            continue
        answer = ready.api.http.post(f"/api/approvals/{one['id']}/approve", json={}, headers=other)
        assert answer.status_code == 200, answer.text
    assert ready.api.ended(execution)["status"] == "completed"
    eventually(lambda: "step ask" in str(list(waiting(ready))), 60, "the step asks")
    answer = ready.api.http.post(f"/api/approvals/{waiting(ready)['step ask']['id']}/approve", json={}, headers=other)
    assert answer.status_code == 200, answer.text
    assert ready.api.run_ended(run)["status"] == "completed"
