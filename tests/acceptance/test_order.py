"""Containment comes before the notification that reports it, however long the queues."""

import statistics
from collections.abc import Sequence

from tests.support.playbooks import repeated
from tests.support.stack import Stack
from tests.support.waiting import eventually

WANTED = ("containment", "webhook", "notification")


def test_a_busy_worker_takes_containment_before_notifications(sqlite_stack: Stack) -> None:
    """Queued in the worst order, urgent calls come first and notifications last."""
    stack, url = sqlite_stack, sqlite_stack.sink.url
    kinds = {"notification": "notifications", "webhook": "steps", "containment": "urgent"}
    actions = {kind: stack.api.create_action(type=kind, config={"url": f"{url}/ok?order={kind}"}) for kind in kinds}
    stack.kill("worker")
    executions = [stack.api.trigger(actions[kind]) for kind in kinds for _ in range(6)]
    for queue in kinds.values():
        eventually(lambda queue=queue: stack.queued(queue) >= 6, 10, f"all of {queue} are queued")
    stack.restart("worker", TOCSIN_STEPS_CONCURRENCY="1")
    rows = stack.wait_ended(executions, 90)
    assert {row["status"] for row in rows.values()} == {"completed"}
    order = [call.path.rpartition("=")[2] for call in stack.sink.arrivals("/ok?order=")]
    assert not repeated(rows.values(), stack.sink.keys())
    # of a bundle in which a call takes long the rest goes back to the end of its queue: single calls may change places
    assert middles(order) == sorted(middles(order))


def middles(order: Sequence[str]) -> list[float]:
    """Where the middle call of each kind stands, in the order wanted."""
    places = [[at for at, kind in enumerate(order) if kind == one] for one in WANTED]
    return [statistics.median(mine) for mine in places]
