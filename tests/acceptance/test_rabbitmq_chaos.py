"""RabbitMQ is killed and returns under load, and receives foreign messages."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import amqp
import pytest

from tests.support import messages
from tests.support.playbooks import Kit, delay
from tests.support.processes import born, descendants
from tests.support.rabbitmq import RabbitServer
from tests.support.services import Missing, missing
from tests.support.stack import WORKERS, Stack
from tests.support.waiting import eventually

pytestmark = pytest.mark.wide

#: what is due goes on within this time of the repair, seconds; a busy machine gets it twice
GOES_ON = 45
_CALLERS = 4


@pytest.fixture
def rabbit(tmp_path: Path) -> Iterator[RabbitServer]:
    """A RabbitMQ of our own."""
    try:
        server = RabbitServer(tmp_path)
    except Missing as reason:
        missing(reason)
    try:
        server.start()
        yield server
    finally:
        server.remove()


class Load:
    """Callers of actions, some of which must not be repeated."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        url = stack.sink.url
        self._actions = [
            stack.api.create_action(config={"url": f"{url}/ok"}),
            stack.api.create_action(type="containment", config={"url": f"{url}/ok?urgent"}),
            stack.api.create_action(config={"url": f"{url}/slow?seconds=0.3"}, idempotent=False),
        ]
        #: execution → whether it must not be repeated
        self.accepted: dict[str, bool] = {}
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Under this load."""
        with ThreadPoolExecutor(_CALLERS) as pool:
            callers = [pool.submit(self._call, number) for number in range(_CALLERS)]
            try:
                yield
            finally:
                self._over.set()
            for caller in callers:
                caller.result()

    def _call(self, caller: int) -> None:
        number = 0
        while not self._over.wait(0.15):
            kind = number % len(self._actions)
            key = f"load-{caller}-{number}"
            self.accepted[self._stack.api.insist(self._actions[kind], {}, key=key)] = kind == len(self._actions) - 1
            number += 1


def spent(pids: list[int]) -> float:
    """The processor time of these processes and of all below them, seconds."""
    total = 0
    for pid in descendants(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def test_a_broker_that_is_killed_stops_nothing(rabbit: RabbitServer) -> None:
    """A broker killed three times under load loses and repeats nothing.

    A delay that begins when the broker is back ends in time after each kill, which only tick does; no worker is
    restarted for it, and at the end none is busy.
    """
    with Stack("", broker_url=rabbit.url, lease_seconds=30) as stack:
        kit, load = Kit(stack), Load(stack)
        rests = kit.playbook(kit.act("first"), delay("rest", 3), kit.act("last"))
        pids = {name: stack.running[name].pid for name in WORKERS}
        with load.running():
            for number in range(3):
                time.sleep(3)
                rabbit.kill()
                meanwhile = stack.api.insist_on_run(rests, key=f"away-{number}")
                time.sleep(2)
                rabbit.start()
                afterwards = stack.api.insist_on_run(rests, key=f"back-{number}")
                runs = stack.wait_ended([meanwhile, afterwards], 2 * GOES_ON)
                assert {row["status"] for row in runs.values()} == {"completed"}
        rows = stack.wait_ended(list(load.accepted), 2 * GOES_ON)
        arrived = stack.sink.keys()
        assert {row["status"] for row in rows.values()} == {"completed"}
        assert all(arrived[execution] == 1 for execution in load.accepted)
        assert pids == {name: stack.running[name].pid for name in WORKERS}
        assert all(stack.running[name].alive() for name in WORKERS)
        assert "ticks hang" not in stack.log("beat")
        assert not [name for name in WORKERS if "a message was dropped" in stack.log(name)]
        before, began = spent(list(pids.values())), time.monotonic()
        time.sleep(10)
        assert spent(list(pids.values())) - before < 0.5 * (time.monotonic() - began)


def test_odd_messages_end_no_worker(rabbit: RabbitServer) -> None:
    """Foreign headers and bodies are rejected, not requeued; then an action completes."""
    with Stack("", broker_url=rabbit.url) as stack:
        before = {name: (process.pid, born(process.pid)) for name, process in stack.running.items()}
        action = stack.api.create_action(config={"url": f"{stack.sink.url}/ok"})
        assert stack.api.ended(stack.api.trigger(action))["status"] == "completed"
        with amqp.Connection(rabbit.url.split("@")[1].strip("/"), userid="guest", password="guest") as connection:
            channel = connection.channel()
            odd = [(each, messages.body()) for each in messages.odd_headers().values()]
            odd += [(messages.headers(), each) for each in messages.odd_bodies().values()]
            odd.append((messages.headers(compression="application/x-gzip"), messages.odd_bodies()["compressed"]))
            kinds = ("application/json", "application/x-python-serialize", f"application/{messages.CANARY}", None)
            for queue in ("steps", "scripts", "control"):
                for its_headers, its_body in odd:
                    # AMQP has no numbers of a hundred bits
                    fits = {key: value for key, value in its_headers.items() if value != 10**30}
                    for kind in kinds if its_headers is odd[0][0] else kinds[:1]:
                        message = amqp.Message(its_body, content_type=kind, application_headers=fits)
                        channel.basic_publish(message, routing_key=queue)
                eventually(lambda name=queue: channel.queue_declare(name, passive=True)[1] == 0, 30, "all are taken")
            for its_body in (b"garbage", b"[1]", b'{"method": "shutdown"}', b'{"method": ["ping"], "arguments": [1]}'):
                message = amqp.Message(its_body, content_type="application/json")
                channel.basic_publish(message, exchange="celery.pidbox")
        for _ in range(4):
            assert stack.api.ended(stack.api.trigger(action))["status"] == "completed"
        assert before == {name: (process.pid, born(process.pid)) for name, process in stack.running.items()}
        for name in WORKERS:
            assert messages.CANARY not in stack.log(name)
            assert "onnection to broker lost" not in stack.log(name)
            assert stack.running[name].alive()
