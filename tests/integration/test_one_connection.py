"""One connection to the database is enough for every request: none is held while another is waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import current
from store.engine import db
from store.engine.pool import ConnectionPool
from tasks import tenants
from tasks.definitions import pins, revisions
from tasks.generations import follow
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send

pytestmark = pytest.mark.on_both

PROVIDERS = """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {sent: true}}
  block: {kind: action, action: block}
"""
CHAINS = """\
chains:
  - {name: one, steps: [{name: look, provider: drill, action_type: look, payload_template: {}}]}
"""
RULES = """\
rules:
  - {name: seen, priority: 1, condition: {state_seen: {outcome: failed}, within_seconds: 60}, action: {type: deny}}
  - {name: instead, priority: 2, condition: {field: action.payload.chain, eq: true},
     action: {type: chain, chain_name: one}}
"""


@pytest.fixture
def narrow(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Door]:
    """The application of a process that knows nothing yet, cut off from Redis, with one connection."""
    made = Door()
    made.create(id="block", parameters=[{"name": "to"}, {"name": "subject"}])
    dispatching.put_in_force(monkeypatch, tmp_path, providers=PROVIDERS, chains=CHAINS, rules=RULES)
    one = follow.Follower("test", checks_in=False)
    current.follow(one.look)
    here = db._database()
    narrowed = ConnectionPool(here.engine.connect, most=1, patience=1)
    if here.writing is here.reading:
        monkeypatch.setattr(here, "writing", narrowed)
        monkeypatch.setattr(here, "hot", narrowed)
    monkeypatch.setattr(here, "reading", narrowed)
    forget_all()
    yield made
    current.forget()
    dispatching.forget()


def forget_all() -> None:
    """Let this process know as little as one that has just begun."""
    tenants._known.clear()
    for each in (revisions._lasting, revisions.playbook, revisions.widths, pins._used):
        each.cache_clear()


def test_one_connection_is_enough(narrow: Door) -> None:
    """Dispatches of each kind, a dry run and a trigger, each in a process that knows nothing yet."""
    ahead = {"headers": {"Prefer": "respond-async"}}
    for given, status in (
        (body(), 202),
        (body(id="mine"), 202),
        (body(provider="block"), 202),
        (body(payload={"chain": True}), 200),
    ):
        forget_all()
        answer = send(narrow, given, **ahead)
        assert answer.status_code == status, answer.text
    forget_all()
    assert send(narrow, path="/v1/dispatch?dry_run=true").json["outcome"] == "dry_run"
    forget_all()
    assert narrow.call("POST", "/api/actions/block/trigger", json={"parameters": {}}).status_code == 202
