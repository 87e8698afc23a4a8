"""The numbers for Prometheus equal the database's, whatever becomes of the worker that counts."""

import shutil
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import numbers
from tests.support.processes import ROOT, Process, clean_environment, free_port
from tests.support.services import missing
from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none


def test_numbers_are_exact_though_the_worker_that_counts_is_killed(first_stack: Stack) -> None:
    """While actions and runs end, it dies by kill -9 three times; each end counts once, and no name is missing."""
    stack, api = first_stack, first_stack.api
    good = api.create_action(config={"url": f"{stack.sink.url}/ok?metrics"})
    bad = api.create_action(config={"url": f"{stack.sink.url}/status/400"}, retry={"max_attempts": 1})
    steps = [{"id": "one", "type": "action", "action_id": good}, {"id": "two", "type": "action", "action_id": good}]
    playbook = api.create_playbook(name=f"counted {time.time_ns()}", steps=steps)
    started: list[str] = []
    for _ in range(3):
        for _ in range(8):
            started += [api.trigger(good), api.trigger(bad), api.run(playbook)]
        time.sleep(0.7)
        stack.kill("beat")
        started += [api.trigger(good) for _ in range(8)]
        stack.restart("beat")
    stack.wait_ready("beat")
    stack.wait_ended(started, 60)
    eventually(lambda: not stack.rows("SELECT id FROM executions WHERE due_at IS NOT NULL"), 60, "all has ended")
    expected = numbers.counted(stack.rows, "tests")

    def shown() -> numbers.Samples:
        return numbers.samples(api.http.get("/metrics/prometheus").text)

    name = "tocsin_executions_ended_total"
    total = sum(expected[name].values())
    eventually(lambda: sum(numbers.of(shown(), name).values()) >= total, 30, "all is counted", every=0.2)
    numbers.assert_equal(shown(), expected)


@pytest.mark.wide
def test_prometheus_scrapes_a_running_product(sqlite_stack: Stack, tmp_path: Path) -> None:
    """A real one, with the configuration of ``deploy/``: it reads the numbers, and every rule can be evaluated."""
    program = shutil.which("prometheus") or missing("prometheus is not installed")
    stack, port = sqlite_stack, free_port()
    stack.wait_ended([stack.api.trigger(stack.api.create_action(config={"url": f"{stack.sink.url}/ok"}))], 30)
    given = (
        (ROOT / "deploy/prometheus/prometheus.yaml").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{stack.port}")
    )
    (tmp_path / "prometheus.yaml").write_text("global: {scrape_interval: 1s, evaluation_interval: 1s}\n" + given)
    (tmp_path / "tocsin.key").write_text(stack.api.key)
    shutil.copy(ROOT / "deploy/prometheus/rules.yaml", tmp_path)
    words = [program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
    running = Process(
        [*words, f"--web.listen-address=127.0.0.1:{port}"], tmp_path / "log", env=clean_environment(), cwd=tmp_path
    )

    def ask(path: str, **query: str) -> Any:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/v1/{path}", params=query).json()["data"]
        except (httpx.TransportError, ValueError):
            return None

    try:
        number = {"query": "sum(tocsin_executions_ended_total)"}
        eventually(lambda: (ask("query", **number) or {}).get("result"), 60, "it has scraped the numbers", every=0.3)
        rules = (ROOT / "deploy/prometheus/rules.yaml").read_text().count("- alert: ")
        eventually(lambda: _healths(ask("rules")) == ["ok"] * rules, 30, "every rule is evaluated")
        # other tests may just have killed half of the product
        eventually_none(lambda: _not_ok(stack), 60, "the product is well", every=0.5)
        since = f"tocsin_ok and timestamp(tocsin_ok) > {time.time():f}"
        found = eventually(lambda: ask("query", query=since)["result"], 30, "it has scraped the product since")
        assert [one["value"][1] for one in found] == ["1"]
    finally:
        running.end()


def _not_ok(stack: Stack) -> dict[str, Any]:
    """What ``/health`` says while it does not say ok."""
    said = stack.api.health().json()
    return {} if said["status"] == "ok" else said


def _healths(found: Any) -> list[str]:
    return [rule["health"] for group in found["groups"] for rule in group["rules"]]
