"""The web application inside the test's process: client, keys, a stand-in worker."""

import functools
import json
import secrets
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from api import create_app
from api.gateway.dispatch.waiting import Ends
from api.health import Gauge
from api.http.rate_limits import Limiter
from api.prometheus import Numbers
from api.stream.follow import Reader
from api.stream.places import Places
from store import access
from store.callers import users
from store.engine import db
from store.executions import transitions
from store.gateway import replies
from tasks.messages import publisher
from tests.support import answers, cheap_passwords

#: of every user that ``Door.user`` makes
PASSWORD = "quiet-Ocelot-71"

#: the members of every error body
PROBLEM = {
    "type",
    "title",
    "status",
    "detail",
    "code",
    "error",
    "message",
    "retryable",
    "errors",
    "request_id",
}


#: code → the members that only this error has
_MORE = {
    "in_use": {"used_by"},
    "already_running": {"running_execution_id"},
    "already_created": {"created_id"},
    "not_waiting": {"decided_by", "decided_by_actor", "decided_at"},
    "already_ended": {"decided_by", "decided_by_actor", "decided_at"},
    "transition_not_allowed": {"state", "allowed"},
    "invalid_bundle": {"faults"},
}


@functools.cache
def _application() -> Flask:
    """The application, made once for all tests, with caches reset for each."""
    return create_app()


def at_rest(seconds: float) -> bool:
    """Whether background work ends, each part within ``seconds``; waits, and prints where threads stand if not."""
    made = _application.cache_info().currsize
    if made:
        _wake(_application().extensions["tocsin.ends"])
    if publisher.drain(seconds) and (not made or _application().extensions["tocsin.drain"](seconds)):
        return True
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        print(names.get(ident), "".join(traceback.format_stack(frame)[-6:]), sep="\n")
    return False


def _wake(ends: Ends) -> None:
    """Have the thread that hears of ends see at once that it is over: it looks up at news, or each half second."""
    ends.draining = True
    if ends._thread is not None:  # without one nobody hears; and Redis may be frozen
        replies.tell(ends.process, "")


@functools.cache
def _cheap_hash() -> str:
    """Of ``PASSWORD``."""
    return cheap_passwords.hashed(PASSWORD)


class Door:
    """The application, and the ways in."""

    def __init__(self) -> None:
        self.app = _application()
        self.app.extensions["tocsin.limiter"] = Limiter()
        self.app.extensions["tocsin.ends"] = Ends()
        self.app.extensions["tocsin.streams"] = Reader()
        self.app.extensions["tocsin.places"] = Places()
        self.app.extensions["tocsin.gauge"] = Gauge()
        self.app.extensions["tocsin.numbers"] = Numbers()
        self.client = self.app.test_client()
        answers.watch(self.client, self.app.extensions["tocsin.openapi"])
        self.client.environ_base["REMOTE_ADDR"] = f"fd00:{secrets.token_hex(2)}::1"  # counted apart from other tests
        self.admin = self.key()

    def key(
        self,
        role: str = "admin",
        workspace: str = "default",
        scopes: tuple[str, ...] = (),
        expires_at: Any = None,
        grants: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """A new key."""
        with db.write() as connection:
            access.ensure_workspace(connection, workspace, workspace)
            _, key = access.create_key(
                connection,
                workspace_id=workspace,
                name="a test",
                role=role,
                scopes=list(scopes),
                expires_at=expires_at,
                actor="test",
                grants=None if grants is None else json.dumps(grants),
            )
        return key

    def user(
        self,
        role: str = "admin",
        workspace: str = "default",
        grants: Sequence[Mapping[str, Any]] | None = None,
        username: str = "",
        password_hash: str = "",
    ) -> str:
        """A new user, with ``PASSWORD``; returns the name."""
        username = username or f"user-{secrets.token_hex(4)}"
        with db.write() as connection:
            access.ensure_workspace(connection, workspace, workspace)
            users.create(
                connection,
                username=username,
                workspace_id=workspace,
                role=role,
                grants=None if grants is None else json.dumps(grants),
                password_hash=password_hash or _cheap_hash(),
                actor="test",
            )
        return username

    def sign_in(self, username: str, password: str = "") -> TestResponse:
        """Send what a user signs in with."""
        given = {"username": username, "password": password or PASSWORD}
        return self.call("POST", "/v1/auth/login", key=None, json=given)

    def token(self, role: str = "admin", workspace: str = "default", **more: Any) -> str:
        """The token of a new user."""
        answer = self.sign_in(self.user(role, workspace, **more))
        assert answer.status_code == 200, answer.text
        return answer.json["token"]

    def call(self, method: str, path: str, key: str | None = "", **options: Any) -> TestResponse:
        """Send a request as the administrator, with another key, or without one."""
        headers = dict(options.pop("headers", {}))
        key = self.admin if key == "" else key
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        return self.client.open(path, method=method, headers=headers, **options)

    def create(self, **definition: Any) -> dict[str, Any]:
        """Add an action and return it."""
        whole = {
            "name": "Tell the sink",
            "type": "webhook",
            "executor": "webhook",
            "config": {"url": "http://127.0.0.1:9/", "method": "POST"},
            **definition,
        }
        answer = self.call("POST", "/api/actions", json=whole)
        assert answer.status_code == 201, answer.text
        return answer.json["data"]

    def create_playbook(self, **definition: Any) -> dict[str, Any]:
        """Add a playbook and return it; by default it waits a second."""
        whole = {"name": "Wait", "steps": [{"id": "wait", "type": "delay", "seconds": 1}], **definition}
        answer = self.call("POST", "/api/playbooks", json=whole)
        assert answer.status_code == 201, answer.text
        return answer.json["data"]

    def trigger(self, action_id: str, **body: Any) -> str:
        """Trigger an action and return the execution's id."""
        answer = self.call("POST", f"/api/actions/{action_id}/trigger", json={"parameters": {}, **body})
        assert answer.status_code == 202, answer.text
        return answer.json["data"]["execution_id"]


def carry_out(execution_id: str, to: str = "completed", **record: Any) -> None:
    """Write a row as a worker does; ``record``: output, error, logs, report."""
    changes = {name: record.pop(name) for name in ("waiting_for", "due_at") if name in record}
    with db.write() as connection:
        row = transitions.claim(connection, execution_id, "steps@test", 30_000)
        assert row is not None
        if to != "running":
            assert transitions.finish(
                connection, execution_id, to, owner="steps@test", attempt=row.attempt, record=record, **changes
            )


def assert_problem(answer: TestResponse, status: int | None = None) -> dict[str, Any]:
    """Assert the error body of a 4xx (or of ``status``); returns it."""
    expected = f"{answer.request.method} {answer.request.path}: {answer.status_code} {answer.text[:300]}"
    assert 400 <= answer.status_code < 500 if status is None else answer.status_code == status, expected
    assert answer.content_type == "application/problem+json", expected
    body = answer.json
    assert set(body) - _MORE.get(body.get("code"), set()) == PROBLEM, expected
    assert body["status"] == answer.status_code
    assert body["error"] == body["message"] == body["detail"] != ""
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body
