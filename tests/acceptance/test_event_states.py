"""Events on the running product: told, moved by time within two seconds, and once after nothing ran for an hour."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import NAMES, Stack
from tests.support.waiting import eventually

PROVIDERS = 'providers:\n  sink: {{kind: http, url: "{url}/events"}}\n'
MACHINES = """\
state_machines:
  - name: alert
    initial_state: open
    states: [open, firing, stale, resolved]
    transitions:
      - {from: open, to: firing, notify: true}
      - {from: [firing, stale], to: resolved, notify: true}
    timeouts:
      - {state: firing, after_seconds: 1, transition_to: stale, notify: true}
"""
RULES = """\
rules:
  - name: move
    condition: {field: action.action_type, eq: alert}
    action: {type: state_machine, state_machine: alert}
"""
BODY: dict[str, Any] = {"namespace": "tests", "tenant": "default", "provider": "sink", "action_type": "alert"}


@pytest.fixture
def ready(first_stack: Stack) -> Iterator[Stack]:
    """The product with a state machine, which the tests of other files do not find."""
    stack = first_stack
    folder = stack.directory / "var" / "config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text(PROVIDERS.format(url=stack.sink.url))
    (folder / "state_machines.yaml").write_text(MACHINES)
    (folder / "rules" / "all.yaml").write_text(RULES)
    assert stack.api.http.post("/v1/rules/reload").json()["errors"] == []
    yield stack
    stack.forget_configuration()


def send(stack: Stack, fingerprint: str, status: str = "firing") -> dict[str, Any]:
    given = {**BODY, "payload": {}, "fingerprint": fingerprint, "status": status}
    answer = stack.api.http.post("/v1/dispatch", json=given)
    assert answer.json()["outcome"] == "state_changed", answer.text
    found: dict[str, Any] = answer.json()
    return found


def show(stack: Stack, fingerprint: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.api.http.get(f"/v1/events/{fingerprint}").json()
    return found


def told(stack: Stack) -> Counter[tuple[str, str]]:
    """(fingerprint, new state) → how many notices of it have arrived; one that is sent again has the same key."""
    bodies = {one.key: json.loads(one.body) for one in stack.sink.arrivals("/events")}
    return Counter((one["fingerprint"], one["new_state"]) for one in bodies.values())


def test_an_event_is_told_and_moved_on_in_time(ready: Stack) -> None:
    """The notice goes out by a worker; the stay ends, and that is told too."""
    assert send(ready, "one")["notify"]
    eventually(lambda: show(ready, "one")["state"] == "stale", 30, "its stay ends")
    assert show(ready, "one")["history"][0]["event"] == "event.timeout"
    eventually(lambda: told(ready)["one", "stale"] == 1, 30, "that is told")
    assert send(ready, "one", "resolved")["previous_state"] == "stale"
    eventually(lambda: told(ready)["one", "resolved"] == 1, 30, "the end is told")


@pytest.mark.gate
def test_what_became_due_while_nothing_ran_happens_once(ready: Stack) -> None:
    """All processes are killed, Redis is emptied, an hour goes by: each stay ends once, each end is told once."""
    names = [f"late-{number}" for number in range(120)]
    ready.kill("beat")
    for name in names:
        send(ready, name)
    for name in set(NAMES) - {"beat"}:
        ready.kill(name)
    ready.redis.restart(empty=True)
    hour = "UPDATE events SET timeout_at = timeout_at - 3600000, entered_at = entered_at - 3600000"
    ready.change(f"{hour} WHERE fingerprint LIKE 'late-%'")
    for name in NAMES:
        ready.restart(name)
    for name in NAMES:
        ready.wait_ready(name)
    eventually(lambda: told(ready)[names[-1], "stale"] == 1, 90, "time goes on")
    wanted = {(name, state): 1 for name in names for state in ("firing", "stale")}

    def all_told() -> bool:
        found = told(ready)
        return all(found[one] for one in wanted)

    eventually(all_told, 120, "all are told")
    assert {one: number for one, number in told(ready).items() if one[0].startswith("late-")} == wanted
    for name in names:
        assert [one["event"] for one in show(ready, name)["history"]] == [
            "event.timeout",
            "event.moved",
            "event.opened",
        ]
