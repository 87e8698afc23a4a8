"""A server that stops in good order first finishes the work next to its requests."""

import pytest

from store import access
from store.engine import db
from tasks.app import app
from tests.support.api import Door, at_rest
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer


@pytest.mark.usefixtures("database")
def test_what_was_accepted_is_on_its_queue(redis_server: RedisServer) -> None:
    """After the drain every accepted execution has its message, however fast they came."""
    ready_to_publish()  # what an earlier test of this process had rung is delivered, and then forgotten
    redis_server.client().delete("steps")
    door = Door()
    action = door.create(type="script", executor="webhook")["id"]
    accepted = {door.trigger(action) for _ in range(20)}
    assert at_rest(20)
    with app.connection_for_read() as connection, connection.SimpleQueue("steps") as queue:
        messages = [queue.get(timeout=5).payload for _ in range(queue.qsize())]
    redis_server.client().delete("steps", "unacked", "unacked_index")
    assert sorted(published for ids, *_ in messages for published in ids) == sorted(accepted)


@pytest.mark.usefixtures("database")
def test_the_use_of_a_key_is_noted() -> None:
    """After the drain the database knows that the key was used, although the request did not wait for that."""
    door = Door()
    used = door.key()
    door.call("GET", "/api/actions", key=used)
    assert at_rest(20)
    with db.read() as connection:
        row = access.get_key(connection, "default", used.split("_")[1])
    assert row is not None
    assert row.last_used_at is not None
