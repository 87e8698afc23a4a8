"""Dry run and sandbox, executor by executor: everything is shown and nothing leaves the machine.

A real listener stands where each action would call; it must stay untouched. The same action in live mode does
reach it, which shows that the listener would have noticed.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import settings
from providers import registry
from providers.base import Call, ProviderError
from tasks.dry_run.steps import _OUTWARD
from tests.support.waiting import eventually

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
#: configs whose protocol is not HTTP: the listener's answer may make them fail
_NO_HTTP = {"email"}


class Listener:
    """Counts connections; answers each with an empty JSON object."""

    def __init__(self) -> None:
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):  # an SMTP client gives up on this answer
                connection.settimeout(2)
                connection.sendall(_ANSWER if connection.recv(65536) else b"")

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Where the actions would call, on loopback, which is allowed here."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(Path(__file__).parents[2] / "examples/actions"))
    _forget()
    listening = Listener()
    yield listening
    listening.close()
    _forget()


def _forget() -> None:
    """Settings and functions are read once; another test may have read others."""
    settings.cache_clear()


def _configs(port: int) -> dict[str, tuple[str, dict]]:
    url = f"http://127.0.0.1:{port}/hook"
    mail = {"kind": "email", "host": "127.0.0.1", "port": port, "tls": "none", "from": "a@example.com"}
    script = "import json, socket\nprint(json.dumps({'reached': socket.socket().connect_ex(('127.0.0.1', %d)) == 0}))"
    return {
        "webhook": ("webhook", {"url": url, "body_template": '{"ip": "{{ ip }}"}'}),
        "remote": ("remote", {"target": url, "secret": "a-secret-of-enough-length"}),
        "slack": ("notification", {"kind": "slack", "url": url, "text": "{{ ip }}"}),
        "pagerduty": (
            "notification",
            {"kind": "pagerduty", "url": url, "routing_key": "R" * 32, "summary": "{{ ip }}"},
        ),
        "generic": ("notification", {"kind": "webhook", "url": url, "body": {"ip": "{{ ip }}"}}),
        "email": ("notification", {**mail, "to": "b@example.com", "subject": "{{ ip }}", "body": "x"}),
        "script": ("local", {"interpreter": "python", "script": script % port}),
        "function": ("local", {"handler": "block_ip"}),
        "approval": ("approval", {"message": "block {{ ip }}?"}),
    }


def _call(config: dict, mode: str) -> Call:
    values = {"ip": "203.0.113.50"}
    context = {**values, "parameters": values, "target": None, "execution": {"id": "exec-1"}, "action": {"id": "act-1"}}
    return Call(
        execution_id="exec-1", idempotency_key="exec-1", config=config, parameters=values, context=context, mode=mode
    )


@pytest.mark.parametrize("name", list(_configs(1)))
def test_a_dry_run_and_a_sandbox_reach_no_server(listener: Listener, name: str) -> None:
    """Neither makes a single connection; the dry run describes, the sandbox runs and reports."""
    executor, config = _configs(listener.port)[name]
    module = registry.executor(executor)
    assert module.check(config, {"ip"}) == []
    assert module.plan(_call(config, "dry_run"))
    sandboxed = _call(config, "sandbox")
    output = module.perform(sandboxed)
    assert output is not None
    calls = len(sandboxed.report.intercepted_calls)
    assert calls == (executor in _OUTWARD), f"{executor} reports {calls} calls: see _OUTWARD in tasks/dry_run/steps.py"
    if executor == "local":
        assert len(sandboxed.report.commands_executed) == 1
    if name == "script":
        assert output == {"reached": False}
    assert listener.connections == 0


@pytest.mark.parametrize("name", [name for name, (executor, _) in _configs(1).items() if executor in _OUTWARD])
def test_the_same_action_for_real_is_noticed(listener: Listener, name: str) -> None:
    """In live mode the listener is reached, so its silence in the test above means something."""
    executor, config = _configs(listener.port)[name]
    try:
        registry.executor(executor).perform(_call(config, "live"))
    except ProviderError:
        assert name in _NO_HTTP
    assert eventually(lambda: listener.connections, 5, "a connection")
