"""The running product follows the configuration: web, workers and the processes of their pools."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually

RULE = "rules:\n  - {{name: {name}, condition: {{field: action.provider, eq: x}}, action: {{type: suppress}}}}\n"


@pytest.fixture
def rules(sqlite_stack: Stack) -> Iterator[Path]:
    """The folder of rules of a running product, whose key covers all tenants."""
    config = sqlite_stack.directory / "var/config"
    (config / "rules").mkdir(parents=True, exist_ok=True)
    yield config / "rules"
    sqlite_stack.forget_configuration()
    sqlite_stack.thaw("slow")
    sqlite_stack.api.http.delete("/admin/stop")  # which a test that fails half-way leaves behind


def living(stack: Stack) -> dict[str, str]:
    """Each process that has checked in lately, by its number and kind, with the edition that it has."""
    said = stack.redis.client().hgetall("tocsin:applied")
    now = time.time() * 1000
    return {
        name: text.partition(" ")[0]
        for name, text in said.items()
        if name and now - int(text.partition(" ")[2]) < 2_000
    }


def all_in(stack: Stack) -> bool:
    """Whether every process that decides has checked in; those for scripts have where a test before gave them work."""
    kinds = sorted(name.partition("@")[0] for name in living(stack))
    return [kind for kind in kinds if kind != "scripts"] == ["control", "slow", "steps", "web"]


def test_every_process_of_the_product_has_it_when_the_answer_comes(sqlite_stack: Stack, rules: Path) -> None:
    """One file is loaded, then another, a frozen worker in between; a worker that is killed comes back with it."""
    stack, http = sqlite_stack, sqlite_stack.api.http
    eventually(lambda: all_in(stack), 30, "every process has checked in")
    (rules / "a.yaml").write_text(RULE.format(name="one"))
    number = len(living(stack))
    answer = http.post("/v1/rules/reload").json()
    assert (answer["loaded"], answer["errors"]) == (1, [])
    assert answer["applied"] == f"{number} of {number}", living(stack)
    assert len(set(living(stack).values())) == 1
    stack.freeze("slow")
    stopped = http.post("/admin/stop", json={"reason": "a drill"}).json()
    assert stopped["applied"] in (f"{number - 1} of {number}", f"{number - 1} of {number - 1}")
    stack.thaw("slow")
    eventually(lambda: all_in(stack) and len(set(living(stack).values())) == 1, 20, "the worker that woke has it")
    assert http.delete("/admin/stop").json()["applied"] == f"{number} of {number}"
    stack.kill("worker")
    (rules / "a.yaml").write_text(RULE.format(name="two"))
    assert http.post("/v1/rules/reload").json()["generation"] == answer["generation"] + 1
    stack.start("worker")
    eventually(lambda: all_in(stack) and len(set(living(stack).values())) == 1, 30, "the new worker has it")


@pytest.mark.gate
def test_the_web_process_loads_at_its_start_what_has_changed(sqlite_stack: Stack, rules: Path) -> None:
    """A new file is in force after a restart; a broken one leaves the last generation and shows in /health."""
    stack, http = sqlite_stack, sqlite_stack.api.http

    def names() -> list[str]:
        return [rule["name"] for rule in http.get("/v1/rules").json()["rules"]]

    (rules / "a.yaml").write_text(RULE.format(name="at-start"))
    stack.restart("web")
    stack.wait_ready("web")
    assert names() == ["at-start"]
    (rules / "a.yaml").write_text("rules: [{name: broken}]")
    stack.restart("web")
    stack.wait_ready("web")
    assert names() == ["at-start"]
    shown = http.get("/health").json()
    assert shown["status"] == "degraded"
    assert any("rules/a.yaml:1" in fault for fault in shown["configuration"]["faults"])
    (rules / "a.yaml").write_text(RULE.format(name="mended"))
    assert http.post("/v1/rules/reload").json()["errors"] == []
    assert names() == ["mended"]
    assert stack.rows("SELECT faults FROM configuration_in_force") == [{"faults": None}]  # /health lags behind
