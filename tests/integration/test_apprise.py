"""Providers of kind ``apprise``: real messages, to a service that listens here."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from providers.inner import apprise as executor
from store.engine import db
from store.executions import transitions
from tasks.generations import changes
from tests.support import dispatching
from tests.support.api import Door
from tests.support.dispatching import body, send
from tests.support.sink import Sink

SECRET = "hunter2-and-more"


@pytest.fixture
def door(sqlite_database: str) -> Iterator[Door]:
    """The application, whose configuration is forgotten afterwards."""
    yield Door()
    dispatching.forget()


def providers(sink: Sink, path: str, **more: Any) -> str:
    """The file of providers; the address holds a password."""
    address = f"{sink.url.replace('http://', f'json://user:{SECRET}@')}{path}"
    return json.dumps({"providers": {"chat": {"kind": "apprise", "url": address, **more}}})


@pytest.mark.wide
def test_a_message_arrives(door: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Title, text and type are filled in; the address is in no answer and in no row."""
    dispatching.put_in_force(monkeypatch, tmp_path / "config", providers=providers(sink, "/ok"))
    given = body(provider="chat", payload={"subject": "Disk", "body": "full on web-1", "type": "warning"})
    with dispatching.working():
        told = send(door, given).json
    assert (told["outcome"], told["response"]["body"]) == ("executed", {"sent": True})
    (arrival,) = sink.arrivals("/ok")
    assert arrival.path.startswith("/ok")
    with db.read() as connection:
        rows = [[str(value) for value in row] for row in connection.execute(transitions.executions.select())]
    assert SECRET not in json.dumps(rows)


@pytest.mark.wide
def test_a_service_that_refuses_is_a_failure_in_doubt(
    door: Door, sink: Sink, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is not repeated unless the provider is said to be idempotent, and says why without the password."""
    dispatching.put_in_force(monkeypatch, tmp_path / "config", providers=providers(sink, "/status/500"))
    with dispatching.working():
        told = send(door, body(provider="chat")).json
    assert (told["outcome"], told["error"]["code"], told["error"]["attempts"]) == ("failed", "apprise_failed", 1)
    assert SECRET not in json.dumps(told)


@pytest.mark.wide
def test_an_address_that_nobody_knows_is_a_fault(
    door: Door, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sink: Sink
) -> None:
    """The reload names the member."""
    dispatching.put_in_force(monkeypatch, tmp_path / "config", providers=providers(sink, "/ok"))
    (tmp_path / "config/providers.yaml").write_text(
        json.dumps({"providers": {"chat": {"kind": "apprise", "url": "nonsense"}}})
    )
    (fault,) = changes.load(changes.Author()).errors
    assert "/providers/chat/url" in str(fault)
    assert "no address that Apprise knows" in str(fault)


def test_without_the_extra_the_reload_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an import error."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    (problem,) = executor.check({"url": "json://localhost"}, set())
    assert "pip install 'tocsin[apprise]'" in problem.detail
