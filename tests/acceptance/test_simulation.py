"""Simulations on the running product: the API serves others meanwhile."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually

RULES = """\
rules:
  - {name: hush, condition: {field: action.action_type, eq: quiet}, action: {type: suppress}}
"""
#: other tests leave records of the same day
NAMESPACE = "simulated"
BODY: dict[str, Any] = {"namespace": NAMESPACE, "tenant": "default", "provider": "drill", "action_type": "quiet"}
ADDED = [
    {
        "name": f"new-{number}",
        "priority": -1,
        "condition": {"field": "action.payload.number", "eq": number},
        "action": {"type": "deny"},
    }
    for number in range(300)
]


@pytest.fixture
def filled(sqlite_stack: Stack) -> Iterator[Stack]:
    """The product with 4,000 records."""
    stack = sqlite_stack
    folder = stack.directory / "var" / "config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text("providers: {drill: {kind: mock}}")
    (folder / "rules" / "all.yaml").write_text(RULES)
    stack.restart("web")
    stack.wait_ready("web")
    for first in range(0, 4_000, 1_000):
        some = [{**BODY, "payload": {"number": number}} for number in range(first, first + 1_000)]
        assert stack.api.http.post("/v1/dispatch/batch", json=some).status_code == 200
    yield stack
    stack.forget_configuration()


@pytest.mark.gate
def test_others_are_served_while_a_simulation_is_made(filled: Stack) -> None:
    """Dispatches are answered before it ends; and nothing that it has played is kept."""
    found: list[dict[str, Any]] = []

    def simulate() -> None:
        given = {"rules": {"add": ADDED}, "namespace": NAMESPACE, "limit": 20_000}
        found.append(filled.api.http.post("/v1/rules/simulate", json=given, timeout=60).json())

    eventually(lambda: filled.api.http.get("/health").status_code == 200, 20, "it serves")
    thread, served = threading.Thread(target=simulate), 0
    thread.start()
    while thread.is_alive():
        answer = filled.api.http.post("/v1/dispatch", json={**BODY, "payload": {"number": -1}})
        assert answer.json()["outcome"] == "suppressed", answer.text
        served += thread.is_alive()
    thread.join()
    assert served >= 10
    [simulated] = found
    assert simulated["records"] >= 4_000, simulated
    if not simulated["complete"]:  # the machine is too busy for all of it
        return
    changes = {(row["before"], row["after"]): row["count"] for row in simulated["changes"] if row["changed"]}
    assert changes == {("suppress", "deny"): 300}
