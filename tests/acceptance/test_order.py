"""What contains harm goes before what only tells about it, however much is queued."""

from collections.abc import Sequence

from tests.support.stack import Stack
from tests.support.waiting import eventually


def test_a_busy_worker_takes_containment_before_notifications(sqlite_stack: Stack) -> None:
    """Asked in the worst order while the one worker is away, urgent calls still come first and notices last."""
    stack, url = sqlite_stack, sqlite_stack.sink.url
    kinds = {"notification": "notices", "webhook": "steps", "containment": "urgent"}
    actions = {kind: stack.api.create_action(type=kind, config={"url": f"{url}/ok?order={kind}"}) for kind in kinds}
    stack.kill("worker")
    executions = [stack.api.trigger(actions[kind]) for kind in kinds for _ in range(6)]
    for queue in kinds.values():
        eventually(lambda queue=queue: stack.queued(queue) >= 6, 10, f"all of {queue} are queued")
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="1")
    rows = stack.wait_ended(executions, 40)
    assert {row["status"] for row in rows.values()} == {"completed"}
    order = [call.path.rpartition("=")[2] for call in stack.sink.arrivals("/ok?order=")]
    assert len(order) == len(executions)
    assert order == in_order(order, ["containment", "webhook", "notification"])


def in_order(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What was found, sorted as wanted."""
    return sorted(found, key=wanted.index)
