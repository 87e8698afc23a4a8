"""Above what can be done soon the API refuses early, and never what is urgent."""

import threading
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from api.http import load
from api.http.load import HERE, Load
from config.errors import Overloaded
from store.engine import group_commit
from tasks.fairness import fair_queue
from tasks.messages.publisher import BATCH, Publisher
from tasks.queue_order import BULK
from tests.support.api import Door
from tests.support.waiting import eventually


@pytest.fixture
def overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more under way than the process has ever been able to do."""
    monkeypatch.setattr(HERE, "under_way", 100_000)


def playbook(door: Door, name: str, kind: str, **more: Any) -> str:
    """A playbook that begins with an action of this type."""
    action = door.create(name=f"Act {name}", type=kind)["id"]
    steps = [{"id": "act", "type": "action", "action_ref": action}]
    return door.create_playbook(name=name, steps=steps, **more)["id"]


def test_what_is_not_urgent_is_refused_early(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, nothing is recorded; what was accepted before is still answered under its key."""
    action = door.create()["id"]
    run = playbook(door, "Webhook", "webhook")
    again = {"json": {"parameters": {}}, "headers": {"Idempotency-Key": "once"}}
    first = door.call("POST", f"/api/actions/{action}/trigger", **again)
    monkeypatch.setattr(HERE, "under_way", 100_000)
    for path in (f"/api/actions/{action}/trigger", f"/api/playbooks/{run}/run"):
        refused = door.call("POST", path, json={"parameters": {}})
        problem = assert_overloaded(refused)
        assert (problem["code"], problem["retryable"]) == ("overloaded", True)
    assert door.call("GET", "/api/actions/executions").json["meta"]["total"] == 1
    repeated = door.call("POST", f"/api/actions/{action}/trigger", **again)
    assert (repeated.status_code, repeated.json) == (202, first.json)


def assert_overloaded(answer: Any) -> dict[str, Any]:
    """A 503 that says when to come back; returns its body."""
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    return answer.json


@pytest.mark.usefixtures("overloaded")
@pytest.mark.parametrize("within", [True, False], ids=["little", "much"])
def test_what_is_urgent_is_never_refused(door: Door, monkeypatch: pytest.MonkeyPatch, within: bool) -> None:
    """Containment, a playbook that begins with it, an event that starts one, little or much of it; and looking."""
    monkeypatch.setattr(fair_queue, "queue", lambda queue, *_: queue if within else BULK)
    contain = door.create(name="Contain", type="containment")["id"]
    assert door.call("POST", f"/api/actions/{contain}/trigger", json={"parameters": {}}).status_code == 202
    run = playbook(door, "Contain", "containment", trigger={"event": "finding.critical"})
    assert door.call("POST", f"/api/playbooks/{run}/run", json={}).status_code == 202
    playbook(door, "Tell", "notification", trigger={"event": "finding.*"})
    whole = door.call("POST", "/api/events", json={"event": "finding.critical"})
    assert (whole.status_code, len(whole.json["data"]["started"])) == (202, 2)
    assert_overloaded(door.call("POST", "/api/events", json={"event": "finding.low"}))
    assert door.call("POST", "/api/events", json={"event": "nobody.waits"}).status_code == 202
    assert door.call("GET", "/health").status_code == 200
    assert door.call("GET", "/api/actions").status_code == 200


class Clock(SimpleNamespace):
    """A monotonic clock that the test moves."""

    now = 1000.0

    def monotonic(self) -> float:
        """The present."""
        return self.now


def refuses(one: Load) -> bool:
    """Whether one more would be refused."""
    try:
        one.refuse()
    except Overloaded:
        return True
    return False


@pytest.mark.parametrize(("each", "most"), [(0.001, 800), (0.004, 200), (0.04, 128)])
def test_the_bound_follows_the_pace(monkeypatch: pytest.MonkeyPatch, each: float, most: int) -> None:
    """As many may be under way as are done within 0.8 s at the measured pace, and never fewer than a burst brings."""
    clock = Clock()
    monkeypatch.setattr(load, "time", clock)
    one = Load()
    for _ in range(64):
        one.begin()
    for _ in range(2000):
        one.begin()
        clock.now += each
        one.end()
    found = next(number for number in range(64, 3000) if one.begin() or refuses(one))
    assert found == pytest.approx(most, rel=0.05)


def test_a_machine_that_stood_still_is_not_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One long pause in a fast series does not lower the bound below a burst of callers."""
    clock = Clock()
    monkeypatch.setattr(load, "time", clock)
    one = Load()
    for _ in range(256):
        one.begin()
    for number in range(1000):
        one.begin()
        clock.now += 30 if number == 990 else 0.001
        one.end()
    assert not refuses(one)


def test_readers_that_wait_are_no_work() -> None:
    """A request that waits for news or for its client's body does not count."""
    one = Load()
    with ExitStack() as waiting:
        for _ in range(5000):
            one.begin()
            waiting.enter_context(one.aside())
        assert one.under_way == 0
        assert not refuses(one)
    assert one.under_way == 5000
    assert refuses(one)


@pytest.mark.usefixtures("sqlite_database")
def test_what_waits_for_its_commit_has_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a transaction takes long, what it holds up grows old, and then more is refused; afterwards nothing is."""
    go_on = threading.Event()
    holds = threading.Thread(target=group_commit.commit, args=(lambda _connection: go_on.wait(60),))
    holds.start()
    one = Load()
    for _ in range(load.FEW + 1):
        one.begin()
    eventually(lambda: group_commit.oldest() > load.OLDEST, 60, "it has waited")
    assert refuses(one)
    go_on.set()
    holds.join()
    assert group_commit.oldest() == 0
    assert not refuses(one)


def test_what_waits_for_its_message_has_an_age(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a broker takes long and more than one batch waits, the messages on their way grow old."""
    go_on = threading.Event()
    monkeypatch.setattr(Publisher, "_deliver", lambda _self, _items: go_on.wait(60))
    own = Publisher()
    own.put("exec-1")
    eventually(lambda: own._since is not None, 60, "it is being published")
    assert own.oldest() == 0
    own.put(*["exec-2"] * (BATCH + 1))
    assert eventually(own.oldest, 60, "it has waited") > 0
    go_on.set()
    assert own.drain(60)
    eventually(lambda: own.oldest() == 0, 60, "all is published")
