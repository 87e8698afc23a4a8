"""Cancelling and deciding: an answer at once, and nothing new after it."""

import random
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.stack import Stack
from tests.support.waiting import eventually, eventually_none

#: a cancel is answered within this time, and what it interrupts, which takes a minute, is let go of within that, s
ANSWERED, LET_GO = 1.0, 30.0


def make_actions(stack: Stack) -> list[str]:
    """Make actions for every state: queued, calling, in scripts, waiting, backing off."""
    create, url = stack.api.create_action, stack.sink.url
    sleepy = {"interpreter": "bash", "script": "sleep 60"}
    retry = {"max_attempts": 5, "backoff_seconds": 0.3}
    return [
        create(config={"url": f"{url}/slow?seconds=60"}, idempotent=False),
        create(config={"url": f"{url}/ok?quick"}, idempotent=False),
        create(config={"url": f"{url}/status/503"}, retry=retry),
        create(type="script", executor="local", config=sleepy),
        create(type="approval", executor="approval", config={"message": "May we?"}),
    ]


def cancel_at_random(stack: Stack, number: int, seed: int) -> Counter[int]:
    """Cancel ``number`` executions at random moments and check every promise."""
    actions, rng = make_actions(stack), random.Random(seed)
    moments = [rng.choice([0, 0.01, 0.05, rng.uniform(0, 0.3), rng.uniform(0, 3)]) for _ in range(number)]

    def one(index: int) -> tuple[str, int, float, float]:
        execution = stack.api.trigger(actions[index % len(actions)])
        time.sleep(moments[index])
        asked = time.monotonic()
        status = stack.api.cancel(execution).status_code
        answered = time.monotonic()
        return execution, status, answered - asked - stack.api.pace(), answered

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(number)))
    rows = stack.wait_ended([execution for execution, *_ in answers], 60)
    eventually_none(lambda: _held(stack, rows), LET_GO, "every worker has let go")
    arrivals = stack.sink.arrivals()
    times = sorted(took for _, _, took, _ in answers)
    # the machine may be slow for a moment, the product may not: it would be every time, or for as long as a call takes
    assert times[number // 2] <= ANSWERED, times
    assert times[-1] <= LET_GO, times
    for execution, status, _, answered in answers:
        late = [call for call in arrivals if call.key == execution and call.at > answered]
        if status == 200:
            assert rows[execution]["status"] == "cancelled"
            assert not late, f"{execution}: an effect started {late[0].at - answered:.3f} s after the cancel's answer"
        else:
            assert status == 409
            assert rows[execution]["status"] in ("completed", "failed"), "409 is for what has ended by itself"
    return Counter(status for _, status, *_ in answers)


def _held(stack: Stack, ids: Collection[str]) -> list[dict]:
    held = stack.rows("SELECT id, owner, attempt FROM executions WHERE status = 'cancelled' AND owner IS NOT NULL")
    return [row for row in held if row["id"] in ids]


@pytest.mark.gate
def test_nothing_starts_after_a_cancel_was_answered(stack: Stack) -> None:
    """60 cancels at random moments: prompt, without later effects, running calls abandoned."""
    assert cancel_at_random(stack, 60, seed=3)[200] >= 30, "enough were cancelled for this to tell anything"


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_nothing_starts_after_a_cancel_was_answered_at_length(stack: Stack) -> None:
    """The same with 200."""
    assert cancel_at_random(stack, 200, seed=4)[200] >= 100, "enough were cancelled for this to tell anything"


def test_a_cancelled_call_is_abandoned(sqlite_stack: Stack) -> None:
    """A running call, script or function is abandoned; cancelling again is 409."""
    create, url = sqlite_stack.api.create_action, sqlite_stack.sink.url
    definitions = [
        {"config": {"url": f"{url}/slow?seconds=200"}},
        {"type": "script", "executor": "local", "config": {"interpreter": "bash", "script": "sleep 200"}},
        {"type": "script", "executor": "local", "config": {"handler": "spin"}},
    ]
    executions = [sqlite_stack.api.trigger(create(**one)) for one in definitions]
    for execution in executions:
        sqlite_stack.api.in_status(execution, "running")
    for execution in executions:
        answer = sqlite_stack.api.cancel(execution)
        assert answer.status_code == 200, answer.text
        assert answer.json()["data"]["status"] == "cancelled"
        eventually(lambda e=execution: sqlite_stack.row(e)["owner"] is None, LET_GO, f"{execution} is let go of")
        again = sqlite_stack.api.cancel(execution)
        assert again.status_code == 409
        assert again.json()["code"] == "already_ended"


def test_exactly_one_decision_wins(first_stack: Stack) -> None:
    """Of 16 concurrent decisions one gets 200 and stands, the others 409."""
    stack = first_stack
    execution = stack.api.trigger(stack.api.create_action(type="approval", executor="approval", config={}))
    stack.api.in_status(execution, "waiting")
    words = ["approve", "reject"] * 8
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda word: stack.api.decide(execution, word, note="decided").status_code, words))
    assert Counter(answers) == {200: 1, 409: 15}
    winner = words[answers.index(200)]
    ended = stack.api.ended(execution)
    assert ended["status"] == ("completed" if winner == "approve" else "failed")
    assert ended["output"]["decision"] == ("approved" if winner == "approve" else "rejected")
    assert stack.api.decide(execution, "approve").status_code == 409


def test_an_approval_expires(sqlite_stack: Stack) -> None:
    """An undecided approval ends as a timeout; a late decision gets 409."""
    config = {"expires_in_seconds": 1}
    execution = sqlite_stack.api.trigger(
        sqlite_stack.api.create_action(type="approval", executor="approval", config=config)
    )
    ended = sqlite_stack.api.ended(execution)
    assert ended["status"] == "timeout"
    assert ended["error"]["code"] == "approval_expired"
    assert sqlite_stack.api.decide(execution, "approve").status_code == 409
