"""Twenty concurrent, most expensive bodies from a viewer delay no other caller."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.support.heavy_bodies import FAMILIES, Family
from tests.support.stack import Stack
from tests.support.weighing import bystander

AT_ONCE = 20
#: seconds
MOST = 1.0
#: families with the size at which most of their work is still accepted
WORST = {
    "template_indexes": 140_000,
    "template_texts": 1_000_000,
    "condition_matches": 1_000_000,
    "steps_numbers": 1_000_000,
    "steps_empty_lists": 1_000_000,
    "parameters_texts": 400_000,
    "yaml_flow": 1_000_000,
    "cacao_steps": 900_000,
}


@contextmanager
def longest(look: Callable[[], object], every: float) -> Iterator[list[float]]:
    """The longest time ``look`` took while the block ran, after it."""
    done, found = threading.Event(), [0.0]

    def watch() -> None:
        while not done.is_set():
            began = time.monotonic()
            look()
            found[0] = max(found[0], time.monotonic() - began)
            done.wait(every)

    watching = threading.Thread(target=watch)
    watching.start()
    yield found
    done.set()
    watching.join()


def sent(stack: Stack, families: list[Family], key: str) -> Counter[int]:
    """How often which status was answered when all are sent at once."""
    bodies = [(family.make(WORST[family.name]), family.kind) for family in families]

    def send(one: tuple[bytes, str]) -> int:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": one[1]}
        path = f"{stack.url}/api/playbooks/validate"
        return httpx.post(path, content=one[0], headers=headers, timeout=120).status_code

    with ThreadPoolExecutor(len(bodies)) as threads:
        return Counter(threads.map(send, bodies))


@pytest.mark.wide
@pytest.mark.parametrize("name", [*WORST, "all"])
def test_twenty_of_the_worst_bodies_at_once_delay_no_other_caller(sqlite_stack: Stack, name: str) -> None:
    """/health answers within a second, every caller is answered, no process dies."""
    key = sqlite_stack.api.http.post("/api/keys", json={"name": "viewer", "role": "viewer"}).json()["data"]["key"]
    families = [family for family in FAMILIES if family.name in (WORST if name == "all" else [name])]
    # how long the machine itself stands still, and how slow it is, which no server could help
    with (
        bystander() as slow,
        longest(lambda: time.sleep(0.01), 0) as still,
        longest(sqlite_stack.api.health, 0.05) as waited,
    ):
        answers = sent(sqlite_stack, (families * AT_ONCE)[:AT_ONCE], key)
    machine = f"the machine stood still {still[0]:.3f} s, another process was {slow[0]:.1f} times as slow"
    print(f"{name}: {dict(answers)}, /health at most {waited[0]:.3f} s, {machine}")
    assert sum(answers.values()) == AT_ONCE
    assert set(answers) <= {200, 400, 503}
    assert waited[0] < MOST * slow[0] + 3 * still[0]
    assert "WORKER TIMEOUT" not in sqlite_stack.log("web")
