"""The numbers for Prometheus equal the database's, whatever becomes of the worker that counts."""

import time

from tests.support import numbers
from tests.support.stack import Stack
from tests.support.waiting import eventually


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
    expected = numbers.counted(stack.rows)

    def shown() -> numbers.Samples:
        return numbers.samples(api.http.get("/metrics/prometheus").text)

    name = "tocsin_executions_ended_total"
    total = sum(expected[name].values())
    eventually(lambda: sum(numbers.of(shown(), name).values()) >= total, 30, "all is counted", every=0.2)
    numbers.assert_equal(shown(), expected)
