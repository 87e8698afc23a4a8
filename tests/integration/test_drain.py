"""A server that stops in good order first finishes the work next to its requests."""

import base64
import json

import pytest

from store import access
from store.engine import db
from tests.support.api import Door, at_rest
from tests.support.quiet import ready_to_publish
from tests.support.services import RedisServer


@pytest.mark.usefixtures("database")
def test_what_was_accepted_is_on_its_queue(redis_server: RedisServer) -> None:
    """After the drain every accepted execution has its message, however fast they came."""
    ready_to_publish()  # what an earlier test of this process had rung is delivered, and then forgotten
    queues = ("steps", "bulk")  # on a slow machine twenty may be more than a caller's share
    redis_server.client().delete(*queues)
    door = Door()
    action = door.create(type="script", executor="webhook")["id"]
    accepted = {door.trigger(action) for _ in range(20)}
    assert at_rest(20)
    texts = [text for name in queues for text in redis_server.client().lrange(name, 0, -1)]
    redis_server.client().delete(*queues)
    published = [each for text in texts for each in json.loads(base64.b64decode(json.loads(text)["body"]))[0]]
    assert sorted(published) == sorted(accepted)


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
