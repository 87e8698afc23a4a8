"""The gateway inside the test's process: a folder put in force, and a worker that carries out what is published."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import current
from gateway.configuration.generation import EMPTY
from gateway.configuration.providers import definition
from gateway.current import InForce
from store.engine import db
from store.executions import transitions
from store.gateway import providers
from store.ids import new_id
from tasks.attempts import action
from tasks.generations import changes
from tasks.generations.changes import Author
from tasks.policy import checks
from tests.support.api import Door

#: a folder whose rules start a chain, or one inside another, in place of a dispatch by ``drill``
CHAINED = {
    "providers": """\
providers:
  drill: {kind: mock, behaviour: answer, answer: {seen: true}}
""",
    "chains": """\
chains:
  - name: one
    steps: [{name: look, provider: drill, action_type: look}]
  - name: outer
    steps: [{name: inner, sub_chain: one}]
""",
    "rules": """\
rules:
  - {name: instead, condition: {field: action.payload.chain, eq: true}, action: {type: chain, chain_name: one}}
  - {name: nested, condition: {field: action.payload.chain, eq: nested}, action: {type: chain, chain_name: outer}}
""",
}


#: where no worker brings an outcome, a sender waits for none
AT_ONCE = {"Prefer": "respond-async"}


def put_in_force(monkeypatch: pytest.MonkeyPatch, folder: Path, *, followed: bool = False, **texts: str) -> None:
    """Load a folder with these files: ``providers``, ``chains`` and ``rules``.

    Unless other processes follow the configuration, no change waits for one: each would take its whole second.
    """
    from config.settings import settings

    if not followed:
        monkeypatch.setattr(current, "FRESH", 0)
    monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(folder))
    settings.cache_clear()
    (folder / "rules").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / ("rules/all.yaml" if name == "rules" else f"{name}.yaml")).write_text(text)
    loading = changes.load(Author())
    assert not loading.errors, loading.errors


def mock_in_force(name: str = "drill") -> None:
    """Put a provider that is always well in force, without a folder."""
    revision_id = new_id("rev")
    with db.write() as connection:
        made = definition(name, {"kind": "mock"})
        providers.add_revision(connection, name, revision_id, made, None, "test")
    current.put(InForce(current.held().number + 1, EMPTY, revisions={name: revision_id}))


def forget() -> None:
    """No configuration is in force any more."""
    current.forget()
    checks.forget()


def body(**more: Any) -> dict[str, Any]:
    """A dispatch; ``more`` replaces and adds."""
    return {
        "namespace": "notifications",
        "tenant": "default",
        "provider": "drill",
        "action_type": "send_email",
        "payload": {"to": "user@example.com", "subject": "Hello!"},
        **more,
    }


def send(door: Door, given: Any = None, path: str = "/v1/dispatch", **options: Any) -> Any:
    """Send a dispatch; its answer."""
    return door.call("POST", path, json=body() if given is None else given, **options)


@contextlib.contextmanager
def working(every: float = 0.01) -> Iterator[None]:
    """A worker carries out dispatches as soon as they are there."""
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            for execution_id in _ready():
                action.attempt(execution_id)
            time.sleep(every)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)


def _ready() -> list[str]:
    table = transitions.executions.c
    with db.read() as connection:
        rows = connection.execute(
            transitions.executions.select().where(table.kind == "dispatch", table.status == "pending")
        )
        return [row.id for row in rows]
