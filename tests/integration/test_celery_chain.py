"""What ``tasks.runs.handoff`` leans on: Celery publishes what a task leaves of ``request.chain``, nothing else."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, clean_environment
from tests.support.services import Missing, RedisServer, missing
from tests.support.waiting import eventually

QUEUE, SEEN = "links", "told"


class Chains:
    """A worker, and the chains that it is sent."""

    def __init__(self, directory: Path, server: RedisServer, pool: str) -> None:
        self.client, self._socket = server.client(), str(server.socket)
        settings = {"TOCSIN_ENV": "development", "TOCSIN_VAR_DIR": str(directory / "var")}
        command = [sys.executable, "-m", "celery", "-A", "tests.support.chain_app", "worker", "-P", pool, "-c", "2"]
        self.worker = Process(
            [*command, "-Q", QUEUE, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            directory / "worker.log",
            env=clean_environment(CHAIN_SOCKET=self._socket, **settings),
        )

    def send(self, root: str, *words: str) -> None:
        """A chain of links s0, s1, ..., each with what it does, published as ``tasks.messages.canvas`` does."""
        from celery import Celery

        app = Celery("sender", broker=f"redis+socket://{self._socket}", set_as_current=False)
        links = [
            app.signature(
                "link",
                args=(f"s{number}", word),
                immutable=True,
                options={"task_id": f"{root}.s{number}", "queue": QUEUE, "root_id": root, "ignore_result": True},
            )
            for number, word in enumerate(words)
        ]
        first, *others = links
        first.apply_async(chain=[dict(link) for link in reversed(others)])
        app.close()

    def seen(self) -> list[dict[str, Any]]:
        """What the tasks saw, in the order in which they ran."""
        return [json.loads(line) for line in self.client.lrange(SEEN, 0, -1)]


@pytest.fixture(params=["threads", "prefork"])
def chains(request: pytest.FixtureRequest) -> Iterator[Chains]:
    """A real worker of each pool on a Redis of its own."""
    directory = Path(tempfile.mkdtemp(prefix="tcn-"))
    try:
        server = RedisServer(directory)
    except Missing as reason:
        missing(reason)
    server.start()
    running = Chains(directory, server, request.param)
    yield running
    running.worker.kill()
    server.kill()
    shutil.rmtree(directory, ignore_errors=True)


def test_celery_publishes_what_is_left_of_the_chain(chains: Chains) -> None:
    """A link taken off is not published, one left is, a chain that was cut ends; all keep the root's id."""
    chains.send("first", "left", "taken", "never", "left", "cut", "never")
    ids = ["first.s0", "first.s1", "first.s3", "first.s4"]
    eventually(lambda: len(chains.seen()) >= len(ids), 30, "four links were carried out")
    chains.send("second", "left", "left")  # behind the first: had it published more, that would be recorded before
    eventually(lambda: {"second.s0", "second.s1"} <= {one["id"] for one in chains.seen()}, 30, "the second chain ended")
    seen = chains.seen()
    assert [one["id"] for one in seen] == [*ids, "second.s0", "second.s1"]
    assert {one["root"] for one in seen[:4]} == {"first"}
    assert seen[0]["links"] == [f"first.s{number}" for number in range(1, 6)]
    assert seen[2]["links"] == ["first.s4", "first.s5"], "the link that was taken off is gone from what comes after"
