"""Groups on the running product: what is due goes out once, whatever dies and however long the clock stood still."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import NAMES, Stack
from tests.support.waiting import eventually

PROVIDERS = 'providers:\n  sink: {{kind: http, url: "{url}/echo"}}\n  chat: {{kind: http, url: "{url}/chat"}}\n'
RULES = """\
rules:
  - name: gather
    condition: {field: action.action_type, eq: alert}
    action:
      type: group
      group_by: [payload.cluster]
      group_wait_seconds: 1
      group_interval_seconds: 1
      notify_provider: chat
"""
BODY: dict[str, Any] = {"namespace": "tests", "tenant": "default", "provider": "sink", "action_type": "alert"}


@pytest.fixture
def ready(first_stack: Stack) -> Iterator[Stack]:
    """The product with a rule that gathers, which the tests of other files do not find."""
    stack = first_stack
    folder = stack.directory / "var" / "config"
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    (folder / "providers.yaml").write_text(PROVIDERS.format(url=stack.sink.url))
    (folder / "rules" / "all.yaml").write_text(RULES)
    stack.restart("web")
    stack.wait_ready("web")
    yield stack
    stack.forget_configuration()


def gather(stack: Stack, cluster: int) -> str:
    """Dispatch something that is gathered; its group."""
    answer = stack.api.http.post("/v1/dispatch", json={**BODY, "payload": {"cluster": cluster}})
    assert answer.json()["outcome"] == "grouped", answer.text
    return str(answer.json()["group_id"])


def arrived(stack: Stack) -> list[tuple[str, int]]:
    """The groups of the summaries that have arrived, and how many members each tells of."""
    bodies = [json.loads(one.body) for one in stack.sink.arrivals("/chat")]
    return [(body["group_id"], body["event_count"]) for body in bodies]


@pytest.mark.gate
def test_what_is_due_goes_out_once_after_the_clock_stood_still(ready: Stack) -> None:
    """Everything is killed while groups gather; what has become due meanwhile goes out when the clock is back."""
    ready.kill("beat")
    sizes = Counter(gather(ready, number % 5) for number in range(20))
    for name in set(NAMES) - {"beat"}:
        ready.kill(name)
    ready.redis.restart(empty=True)
    time.sleep(2)
    for name in set(NAMES) - {"beat"}:
        ready.restart(name)
    ready.wait_ready("web")
    assert ready.api.http.get("/v1/groups").json()["total"] == 5
    assert arrived(ready) == []
    ready.restart("beat")
    for name in NAMES:
        ready.wait_ready(name)
    eventually(lambda: len(arrived(ready)) >= 5, 60, "the summaries arrive")
    time.sleep(3)
    assert sorted(arrived(ready)) == sorted(sizes.items())
    assert ready.api.http.get("/v1/groups").json()["total"] == 0
