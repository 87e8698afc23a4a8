"""Every route against every kind of caller; a route without an entry here fails.

A new route needs a line in ENTRIES, and where it has them a body in _BODIES and its ids in _PLACES. A route
under /v1 that names tenants gets a line in _TENANTS too: it is then asked for covered and foreign tenants, by callers
whose grants come by key and by user, with every role.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from config.settings import settings
from config.times import stamp
from gateway import current
from store.callers import users
from store.engine import db
from store.gateway import configurations
from tasks.control import calendars
from tasks.generations import changes
from tasks.generations.changes import Author
from tests.support import bundles, dispatching, embeddings, runs, sealed
from tests.support.api import PASSWORD, Door, assert_problem, carry_out
from tests.support.embeddings import Server

_READ, _EXECUTE, _DECIDE, _WRITE, _ADMIN, _PUBLIC = "viewer", "execute", "decide", "operator", "admin", "public"
#: for users of any role and for no key
_USER = "user"

#: a link that decides
_LINK = "/v1/approvals/<path:namespace>/<path:tenant>/<path:approval_id>"

#: (method, path below the prefix) → the least role that may; "execute" and "decide" are scopes of an operator
ENTRIES = {
    ("GET", "/actions"): _READ,
    ("POST", "/actions"): _WRITE,
    ("POST", "/actions/validate"): _READ,
    ("GET", "/actions/schema"): _PUBLIC,
    ("GET", "/actions/<id:action_id>"): _READ,
    ("PUT", "/actions/<id:action_id>"): _WRITE,
    ("PATCH", "/actions/<id:action_id>"): _WRITE,
    ("DELETE", "/actions/<id:action_id>"): _WRITE,
    ("POST", "/actions/<id:action_id>/enable"): _WRITE,
    ("POST", "/actions/<id:action_id>/disable"): _WRITE,
    ("GET", "/actions/<id:action_id>/versions"): _READ,
    ("GET", "/actions/<id:action_id>/versions/diff"): _READ,
    ("GET", "/actions/<id:action_id>/versions/<version:version>"): _READ,
    ("POST", "/actions/<id:action_id>/versions/<version:version>/restore"): _WRITE,
    ("GET", "/actions/<id:action_id>/executions"): _READ,
    ("POST", "/actions/<id:action_id>/trigger"): _EXECUTE,
    ("GET", "/actions/executions"): _READ,
    ("GET", "/actions/executions/<id:execution_id>"): _READ,
    ("GET", "/actions/executions/<id:execution_id>/logs"): _READ,
    ("POST", "/actions/executions/<id:execution_id>/cancel"): _EXECUTE,
    ("POST", "/actions/executions/<id:execution_id>/approve"): _DECIDE,
    ("POST", "/actions/executions/<id:execution_id>/reject"): _DECIDE,
    ("GET", "/bundles"): _READ,
    ("POST", "/bundles"): _ADMIN,
    ("GET", "/bundles/<id:bundle_name>"): _READ,
    ("DELETE", "/bundles/<id:bundle_name>"): _ADMIN,
    ("POST", "/bundles/<id:bundle_name>/activate"): _ADMIN,
    ("GET", "/bundles/<id:bundle_name>/versions"): _READ,
    ("GET", "/bundles/<id:bundle_name>/versions/<id:bundle_version>"): _READ,
    ("DELETE", "/bundles/<id:bundle_name>/versions/<id:bundle_version>"): _ADMIN,
    ("PUT", "/bundles/<id:bundle_name>/secrets/<id:secret_name>"): _ADMIN,
    ("DELETE", "/bundles/<id:bundle_name>/secrets/<id:secret_name>"): _ADMIN,
    ("GET", "/playbooks"): _READ,
    ("POST", "/playbooks"): _WRITE,
    ("POST", "/playbooks/validate"): _READ,
    ("POST", "/playbooks/simulate"): _WRITE,
    ("GET", "/playbooks/schema"): _PUBLIC,
    ("POST", "/playbooks/import"): _WRITE,
    ("GET", "/playbooks/<id:playbook_id>/export"): _READ,
    ("GET", "/playbooks/<id:playbook_id>"): _READ,
    ("PUT", "/playbooks/<id:playbook_id>"): _WRITE,
    ("PATCH", "/playbooks/<id:playbook_id>"): _WRITE,
    ("DELETE", "/playbooks/<id:playbook_id>"): _WRITE,
    ("POST", "/playbooks/<id:playbook_id>/enable"): _WRITE,
    ("POST", "/playbooks/<id:playbook_id>/disable"): _WRITE,
    ("GET", "/playbooks/<id:playbook_id>/versions"): _READ,
    ("GET", "/playbooks/<id:playbook_id>/versions/diff"): _READ,
    ("GET", "/playbooks/<id:playbook_id>/versions/<version:version>"): _READ,
    ("POST", "/playbooks/<id:playbook_id>/versions/<version:version>/restore"): _WRITE,
    ("POST", "/playbooks/<id:playbook_id>/run"): _EXECUTE,
    ("GET", "/playbooks/<id:playbook_id>/executions"): _READ,
    ("GET", "/playbooks/executions"): _READ,
    ("GET", "/playbooks/executions/<id:run_id>"): _READ,
    ("GET", "/playbooks/executions/<id:run_id>/steps"): _READ,
    ("GET", "/playbooks/executions/<id:run_id>/logs"): _READ,
    ("GET", "/playbooks/executions/<id:run_id>/timeline"): _READ,
    ("GET", "/playbooks/executions/<id:run_id>/events"): _READ,
    ("POST", "/playbooks/executions/<id:run_id>/cancel"): _EXECUTE,
    ("POST", "/playbooks/executions/<id:run_id>/pause"): _EXECUTE,
    ("POST", "/playbooks/executions/<id:run_id>/resume"): _EXECUTE,
    ("POST", "/playbooks/executions/<id:run_id>/retry"): _EXECUTE,
    ("POST", "/playbooks/executions/<id:run_id>/steps/<step:step_id>/approve"): _DECIDE,
    ("POST", "/playbooks/executions/<id:run_id>/steps/<step:step_id>/reject"): _DECIDE,
    ("POST", "/events"): _EXECUTE,
    ("GET", "/playbooks/executions/<id:run_id>/diff"): _READ,
    ("GET", "/v1/audit"): _READ,
    ("GET", "/v1/audit/<slashed:record_id>"): _READ,
    ("GET", "/v1/audit/<slashed:record_id>/why"): _READ,
    ("POST", "/v1/audit/<slashed:record_id>/replay"): _WRITE,
    ("POST", "/v1/audit/replay"): _WRITE,
    ("GET", "/v1/stream"): _READ,
    ("GET", "/v1/silences"): _READ,
    ("POST", "/v1/silences"): _WRITE,
    ("POST", "/v1/silences/preview"): _READ,
    ("GET", "/v1/silences/<silence:silence_id>"): _READ,
    ("PUT", "/v1/silences/<silence:silence_id>"): _WRITE,
    ("DELETE", "/v1/silences/<silence:silence_id>"): _WRITE,
    ("GET", "/v1/recurring"): _READ,
    ("POST", "/v1/recurring"): _WRITE,
    ("GET", "/v1/recurring/<id:recurring_id>"): _READ,
    ("PUT", "/v1/recurring/<id:recurring_id>"): _WRITE,
    ("DELETE", "/v1/recurring/<id:recurring_id>"): _WRITE,
    ("POST", "/v1/recurring/<id:recurring_id>/pause"): _WRITE,
    ("POST", "/v1/recurring/<id:recurring_id>/resume"): _WRITE,
    ("POST", "/v1/recurring/<id:recurring_id>/backfill"): _WRITE,
    ("GET", "/v1/recurring/<id:recurring_id>/history"): _READ,
    ("GET", "/v1/time-intervals"): _READ,
    ("POST", "/v1/time-intervals"): _WRITE,
    ("GET", "/v1/time-intervals/<path:calendar_name>"): _READ,
    ("PUT", "/v1/time-intervals/<path:calendar_name>"): _WRITE,
    ("DELETE", "/v1/time-intervals/<path:calendar_name>"): _WRITE,
    ("GET", "/v1/audit/verify"): _READ,
    ("POST", "/v1/audit/verify"): _READ,
    ("GET", "/v1/audit/key"): _READ,
    ("GET", "/v1/audit/export"): _READ,
    ("GET", "/v1/audit/<slashed:record_id>/proof"): _READ,
    ("POST", "/v1/dispatch"): _WRITE,
    ("POST", "/v1/dispatch/batch"): _WRITE,
    ("POST", "/v1/embeddings/similarity"): _WRITE,
    ("GET", "/v1/dispatch/<dispatch:dispatch_id>"): _WRITE,
    ("GET", "/approvals"): _READ,
    ("POST", "/approvals/<id:approval_id>/approve"): _DECIDE,
    ("POST", "/approvals/<id:approval_id>/reject"): _DECIDE,
    ("GET", "/v1/approvals"): _READ,
    ("GET", "/v1/groups"): _READ,
    ("GET", "/v1/groups/<id:group_key>"): _READ,
    ("DELETE", "/v1/groups/<id:group_key>"): _WRITE,
    ("GET", "/v1/approvals/<id:approval_id>"): _READ,
    ("GET", f"{_LINK}/approve"): _PUBLIC,
    ("GET", f"{_LINK}/reject"): _PUBLIC,
    ("POST", f"{_LINK}/approve"): _PUBLIC,
    ("POST", f"{_LINK}/reject"): _PUBLIC,
    ("GET", "/v1/events"): _READ,
    ("GET", "/v1/events/<slashed:fingerprint>"): _READ,
    ("PUT", "/v1/events/<slashed:fingerprint>/transition"): _WRITE,
    ("GET", "/keys"): _ADMIN,
    ("POST", "/keys"): _ADMIN,
    ("GET", "/keys/<id:key_id>"): _ADMIN,
    ("PATCH", "/keys/<id:key_id>"): _ADMIN,
    ("POST", "/keys/<id:key_id>/rotate"): _ADMIN,
    ("DELETE", "/keys/<id:key_id>"): _ADMIN,
    ("GET", "/me"): _READ,
    ("GET", "/server"): _READ,
    ("GET", "/admin/circuit-breakers"): _WRITE,
    ("POST", "/admin/circuit-breakers/<path:provider>/trip"): _WRITE,
    ("POST", "/admin/circuit-breakers/<path:provider>/reset"): _WRITE,
    ("GET", "/v1/providers"): _READ,
    ("GET", "/v1/providers/health"): _READ,
    ("POST", "/v1/providers/<path:provider>/test"): _WRITE,
    ("GET", "/v1/rules"): _READ,
    ("GET", "/v1/rules/history"): _READ,
    ("POST", "/v1/rules/evaluate"): _READ,
    ("POST", "/v1/rules/simulate"): _READ,
    ("GET", "/v1/rules/coverage"): _READ,
    ("POST", "/v1/rules/reload"): _WRITE,
    ("POST", "/v1/rules/rollback"): _WRITE,
    ("PUT", "/v1/rules/<path:rule_name>/enabled"): _WRITE,
    ("POST", "/admin/stop"): _WRITE,
    ("DELETE", "/admin/stop"): _WRITE,
    ("GET", "/users"): _ADMIN,
    ("POST", "/users"): _ADMIN,
    ("GET", "/users/<id:username>"): _ADMIN,
    ("PATCH", "/users/<id:username>"): _ADMIN,
    ("POST", "/users/<id:username>/disable"): _ADMIN,
    ("POST", "/users/<id:username>/enable"): _ADMIN,
    ("POST", "/v1/auth/login"): _PUBLIC,
    ("POST", "/v1/auth/logout"): _USER,
    ("POST", "/v1/auth/password"): _USER,
    ("GET", "/"): _PUBLIC,
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/health"): _PUBLIC,
    ("GET", "/metrics"): _PUBLIC,
    ("GET", "/metrics/prometheus"): _PUBLIC,
    ("GET", "/docs/"): _PUBLIC,
    ("GET", "/docs/errors"): _PUBLIC,
    ("GET", "/docs/errors/<string:code>"): _PUBLIC,
    ("GET", "/docs/<path:path>"): _PUBLIC,
}
_RANK = {
    "viewer": {_READ},
    "execute": {_READ, _EXECUTE},
    "decide": {_READ, _DECIDE},
    "operator": {_READ, _EXECUTE, _DECIDE, _WRITE},
}
_SCOPES = {
    "execute": ("read:actions", "execute:actions", "read:playbooks", "execute:playbooks", "read:audit", "read:stream"),
    "decide": ("read:actions", "read:playbooks", "decide:approvals", "read:audit", "read:stream"),
}
_RANK["admin"] = {*_RANK["operator"], _ADMIN}


#: one that keeps nothing back that is sent here
_SILENCE = {"matchers": [{"name": "never", "value": "sent"}], "duration_seconds": 600, "comment": "seen"}


_RECURRING = {
    "namespace": "seen",
    "tenant": "default",
    "cron_expr": "0 9 * * *",
    "provider": "drill",
    "action_type": "seen",
    "payload": {},
}


class Named(NamedTuple):
    """How a route under /v1 is asked about one tenant."""

    #: the path with its query, and the body
    asked: Callable[[str], tuple[str, Any]]


#: (method, path) of a route under /v1 that names a tenant → how it is asked about one
_TENANTS = {
    ("GET", "/v1/audit"): Named(lambda tenant: (f"/v1/audit?tenant={tenant}", None)),
    ("GET", "/v1/audit/verify"): Named(lambda tenant: (f"/v1/audit/verify?tenant={tenant}", None)),
    ("POST", "/v1/audit/verify"): Named(lambda tenant: ("/v1/audit/verify", {"tenant": tenant})),
    ("POST", "/v1/audit/replay"): Named(lambda tenant: ("/v1/audit/replay", {"tenant": tenant})),
    ("GET", "/v1/audit/export"): Named(lambda tenant: (f"/v1/audit/export?tenant={tenant}", None)),
    ("GET", "/v1/stream"): Named(lambda tenant: (f"/v1/stream?tenant={tenant}", None)),
    ("GET", "/v1/approvals"): Named(lambda tenant: (f"/v1/approvals?tenant={tenant}", None)),
    ("GET", "/v1/silences"): Named(lambda tenant: (f"/v1/silences?tenant={tenant}", None)),
    ("POST", "/v1/silences"): Named(lambda tenant: ("/v1/silences", {**_SILENCE, "tenant": tenant})),
    ("POST", "/v1/silences/preview"): Named(
        lambda tenant: ("/v1/silences/preview", {"matchers": _SILENCE["matchers"], "tenant": tenant})
    ),
    ("GET", "/v1/recurring"): Named(lambda tenant: (f"/v1/recurring?namespace=seen&tenant={tenant}", None)),
    ("POST", "/v1/recurring"): Named(lambda tenant: ("/v1/recurring", {**_RECURRING, "tenant": tenant})),
    ("GET", "/v1/events"): Named(lambda tenant: (f"/v1/events?tenant={tenant}", None)),
    ("GET", "/v1/groups"): Named(lambda tenant: (f"/v1/groups?tenant={tenant}", None)),
    ("POST", "/v1/dispatch"): Named(lambda tenant: ("/v1/dispatch", dispatching.body(tenant=tenant))),
    ("POST", "/v1/rules/simulate"): Named(lambda tenant: ("/v1/rules/simulate", {"tenant": tenant})),
    ("GET", "/v1/rules/coverage"): Named(lambda tenant: (f"/v1/rules/coverage?tenant={tenant}", None)),
    ("POST", "/v1/rules/evaluate"): Named(
        lambda tenant: ("/v1/rules/evaluate", {**_BODIES["POST", "/v1/rules/evaluate"], "tenant": tenant})
    ),
}
#: routes under /v1 that name none, or answer for each item of a batch; those of one event have tests of their own
_WITHOUT_TENANT = {
    ("GET", "/v1/events/<slashed:fingerprint>"),
    ("PUT", "/v1/events/<slashed:fingerprint>/transition"),
    *((method, "/v1/groups/<id:group_key>") for method in ("GET", "DELETE")),
    ("GET", "/v1/approvals/<id:approval_id>"),
    *((method, f"{_LINK}/{decision}") for method in ("GET", "POST") for decision in ("approve", "reject")),
    ("POST", "/v1/auth/login"),
    ("POST", "/v1/auth/logout"),
    ("POST", "/v1/auth/password"),
    ("POST", "/v1/embeddings/similarity"),
    ("GET", "/v1/audit/<slashed:record_id>"),
    ("GET", "/v1/audit/<slashed:record_id>/why"),
    ("POST", "/v1/audit/<slashed:record_id>/replay"),
    *((method, "/v1/silences/<silence:silence_id>") for method in ("GET", "PUT", "DELETE")),
    ("GET", "/v1/time-intervals"),
    ("POST", "/v1/time-intervals"),
    *((method, "/v1/time-intervals/<path:calendar_name>") for method in ("GET", "PUT", "DELETE")),
    *((method, "/v1/recurring/<id:recurring_id>") for method in ("GET", "PUT", "DELETE")),
    ("POST", "/v1/recurring/<id:recurring_id>/pause"),
    ("POST", "/v1/recurring/<id:recurring_id>/resume"),
    ("POST", "/v1/recurring/<id:recurring_id>/backfill"),
    ("GET", "/v1/recurring/<id:recurring_id>/history"),
    ("GET", "/v1/audit/<slashed:record_id>/proof"),
    ("GET", "/v1/audit/key"),
    ("POST", "/v1/dispatch/batch"),
    ("GET", "/v1/dispatch/<dispatch:dispatch_id>"),
    ("GET", "/v1/providers"),
    ("GET", "/v1/providers/health"),
    ("POST", "/v1/providers/<path:provider>/test"),
    ("GET", "/v1/rules"),
    ("GET", "/v1/rules/history"),
    ("POST", "/v1/rules/reload"),
    ("POST", "/v1/rules/rollback"),
    ("PUT", "/v1/rules/<path:rule_name>/enabled"),
}
#: the configuration: a rule, and a provider with a circuit breaker
_FOLDER = {
    "rules/seen.yaml": "rules: [{name: seen, condition: {field: action.provider, eq: x}, action: {type: allow}},"
    "{name: ask, condition: {field: action.action_type, eq: asked},"
    " action: {type: require_approval, requester_may_approve: true}},"
    "{name: move, condition: {field: action.action_type, eq: moved},"
    " action: {type: state_machine, state_machine: alert}},"
    "{name: gather, condition: {field: action.action_type, eq: gathered},"
    " action: {type: group, group_by: [action.action_type]}}]",
    "state_machines.yaml": "state_machines: [{name: alert, initial_state: firing, states: [firing, seen],"
    " transitions: [{from: firing, to: seen}, {from: seen, to: firing}]}]",
    "providers.yaml": "{providers: {drill: {kind: mock}}, circuit_breakers: {drill: {failure_threshold: 5}}}",
}

_BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/actions"): {"name": "New", "type": "webhook", "executor": "webhook", "config": {"url": "http://h/"}},
    ("POST", "/actions/<id:action_id>/trigger"): {"parameters": {}},
    ("PATCH", "/actions/<id:action_id>"): {"description": "new"},
    ("POST", "/events"): {"event": "finding.new"},
    ("POST", "/playbooks/simulate"): {
        "definition": {"name": "D", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]}
    },
    ("POST", "/keys"): {"name": "new"},
    ("PATCH", "/keys/<id:key_id>"): {"name": "new"},
    ("POST", "/v1/rules/evaluate"): {"namespace": "n", "tenant": "default", "provider": "p", "action_type": "t"},
    ("POST", "/v1/rules/rollback"): {"generation": 1},
    ("PUT", "/v1/rules/<path:rule_name>/enabled"): {"enabled": False},
    ("POST", "/admin/stop"): {"reason": "seen"},
}
_BODIES["POST", "/v1/silences"] = _BODIES["PUT", "/v1/silences/<silence:silence_id>"] = _SILENCE
_BODIES["POST", "/v1/audit/replay"] = {"outcome": "failed", "preview": True}
_BODIES["POST", "/v1/silences/preview"] = {"matchers": _SILENCE["matchers"]}
_BODIES["PUT", "/v1/events/<slashed:fingerprint>/transition"] = {"to_state": "seen"}
_BODIES["POST", "/v1/time-intervals"] = {"name": "new", "time_intervals": [{"weekdays": ["sunday"]}]}
_BODIES["PUT", "/v1/time-intervals/<path:calendar_name>"] = {"time_intervals": [{"weekdays": ["sunday"]}]}
_BODIES["POST", "/v1/recurring"] = _RECURRING
_BODIES["PUT", "/v1/recurring/<id:recurring_id>"] = {"description": "seen"}
_BODIES["POST", "/v1/recurring/<id:recurring_id>/backfill"] = {
    "start": stamp(int(time.time() - 2 * 86_400) * 1000),
    "end": stamp(int(time.time() - 86_400) * 1000),
}
_BODIES["POST", "/users"] = {"username": "new", "password": PASSWORD, "role": "viewer"}
_BODIES["POST", "/bundles/<id:bundle_name>/activate"] = {"version": "1.0.0"}
_BODIES["PUT", "/bundles/<id:bundle_name>/secrets/<id:secret_name>"] = {"value": "v"}
_BODIES["PATCH", "/users/<id:username>"] = {"role": "viewer"}
_BODIES["POST", "/v1/auth/password"] = {"old": PASSWORD, "new": f"{PASSWORD}-new"}
_BODIES["POST", "/v1/auth/login"] = {"username": "seen", "password": PASSWORD}
_BODIES["POST", "/v1/dispatch"] = dispatching.body()
_BODIES["POST", "/v1/embeddings/similarity"] = {"text": "one", "topic": "one"}
_BODIES["POST", "/v1/dispatch/batch"] = [dispatching.body()]
_BODIES["POST", "/playbooks"] = {"name": "New", "steps": [{"id": "wait", "type": "delay", "seconds": 1}]}
_BODIES["POST", "/playbooks/validate"] = _BODIES["PUT", "/playbooks/<id:playbook_id>"] = _BODIES["POST", "/playbooks"]
_BODIES["POST", "/playbooks/import"] = {**_BODIES["POST", "/playbooks"], "name": "Another"}
_BODIES["PATCH", "/playbooks/<id:playbook_id>"] = {"description": "new"}
_BODIES["POST", "/actions/validate"] = _BODIES["PUT", "/actions/<id:action_id>"] = _BODIES["POST", "/actions"]


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No other process decides here: a change waits for none. All generations of a test are kept.

    No worker ends what is dispatched.
    """
    monkeypatch.setattr(current, "FRESH", 0)
    monkeypatch.setattr(configurations, "KEPT", 100_000)
    monkeypatch.setenv("TOCSIN_DISPATCH_WAIT", "0")
    monkeypatch.setenv("TOCSIN_CONFIG_DIR", str(tmp_path))
    for name, text in _FOLDER.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    settings.cache_clear()
    yield
    dispatching.forget()


def below(rule: str) -> str:
    """The path of a rule below its prefix; what existing clients use has the permissions of the document's form."""
    for prefix in ("/api/v1", "/api"):
        if rule.startswith(f"{prefix}/"):
            return rule.removeprefix(prefix)
    return rule.removeprefix("/compat")


def routes(door: Door) -> list[tuple[str, str, str]]:
    """Every (method, rule, path below the prefix) that the application serves."""
    return [
        (method, rule.rule, below(rule.rule))
        for rule in door.app.url_map.iter_rules()
        if "<parts:" not in rule.rule  # which answers what is no link as a wrong one is answered
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]


#: part of a rule → the thing that it names
_PLACES = {
    "<id:action_id>": "action",
    "<id:execution_id>": "execution",
    "<id:approval_id>": "approval",
    "<silence:silence_id>": "silence",
    "<id:group_key>": "group",
    "<id:recurring_id>": "recurring",
    "<path:calendar_name>": "calendar",
    "<dispatch:dispatch_id>": "dispatch",
    "<id:playbook_id>": "playbook",
    "<id:bundle_name>": "bundle",
    "<id:run_id>": "run",
    "<id:key_id>": "key",
    "<id:username>": "user",
    "<slashed:record_id>": "record",
    "<slashed:fingerprint>": "event",
}


def _sent(method: str, path: str) -> dict[str, Any]:
    """What a request sends: JSON, or an archive."""
    if (method, path) == ("POST", "/bundles"):
        return {"data": bundles.bundle(), "headers": {"Content-Type": "application/zip"}}
    return {"json": _BODIES.get((method, path))}


class Things:
    """What the rules of one workspace's routes name, each made when it is asked for; the path of a rule."""

    def __init__(self, door: Door) -> None:
        self.door = door
        assert changes.load(Author()).errors == []
        with db.write() as connection:
            configurations.stop(connection, "*", "seen", "test")

    @cached_property
    def action(self) -> str:
        """An action."""
        return str(self.door.create(name="Seen")["id"])

    @cached_property
    def execution(self) -> str:
        """An execution that waits to be carried out."""
        return str(self.door.trigger(self.action))

    @cached_property
    def approval(self) -> str:
        """An approval that waits."""
        return str(self.ask()["approval_id"])

    @cached_property
    def silence(self) -> str:
        """A silence."""
        return str(self.door.call("POST", "/v1/silences", json=_SILENCE).json["id"])

    @cached_property
    def calendar(self) -> str:
        """A calendar."""
        body = {"name": f"seen-{secrets.token_hex(4)}", "time_intervals": [{"weekdays": ["sunday"]}]}
        calendars.create(body, Author(), lambda *_: None)
        return body["name"]

    @cached_property
    def recurring(self) -> str:
        """A recurring action."""
        return str(self.door.call("POST", "/v1/recurring", json=_RECURRING).json["id"])

    @cached_property
    def group(self) -> str:
        """A group that gathers."""
        return str(dispatching.send(self.door, dispatching.body(action_type="gathered")).json["group_id"])

    @cached_property
    def dispatch(self) -> str:
        """A dispatch that waits to be carried out."""
        return str(dispatching.send(self.door).json["execution_id"])

    @cached_property
    def event(self) -> str:
        """An event in its first state."""
        moved = dispatching.body(action_type="moved", fingerprint="evt/seen", status="firing")
        assert dispatching.send(self.door, moved).json["new_state"] == "firing"
        return "evt/seen"

    @cached_property
    def playbook(self) -> str:
        """A playbook."""
        steps = [{"id": "ask", "type": "approval"}]
        return str(self.door.create_playbook(name="Seen", steps=steps)["id"])

    @cached_property
    def bundle(self) -> str:
        """A bundle with a version that is not active, and a secret."""
        name = f"seen-{secrets.token_hex(4)}"
        bundles.stored(name)
        return name

    @cached_property
    def run(self) -> str:
        """A run that waits for an approval."""
        run = self.door.call("POST", f"/api/playbooks/{self.playbook}/run", json={}).json["execution_id"]
        runs.begin(run)
        runs.enter(run, "ask", "waiting", type="approval", waiting_for="approval")
        return str(run)

    @cached_property
    def key(self) -> str:
        """The id of a key."""
        return str(self.door.key().split("_")[1])

    @cached_property
    def record(self) -> str:
        """What has a sealed record."""
        record = self.door.trigger(self.action)
        carry_out(record)
        sealed.seal_all()
        return str(record)

    @cached_property
    def user(self) -> str:
        """A user."""
        with db.read() as connection:
            missing = users.get(connection, "seen") is None
        return str(self.door.user(username="seen")) if missing else "seen"

    def ask(self) -> dict[str, Any]:
        """Something that waits for an approval, as it is answered."""
        found: dict[str, Any] = dispatching.send(self.door, dispatching.body(action_type="asked")).json
        return found

    def path(self, rule: str) -> str:
        """The rule with the ids filled in, and what a query cannot do without; a link is one of its own."""
        if _LINK in rule:
            url = urlsplit(self.ask()[f"{rule.rpartition('/')[2]}_url"])
            return f"{rule.partition('/v1/')[0]}{url.path}?{url.query}"
        if rule.endswith("/recurring"):
            rule = f"{rule}?namespace=seen&tenant=default"
        if "<id:run_id>/diff" in rule:
            rule = f"{rule}?against={self.run}"
        for place, name in _PLACES.items():
            if place in rule:
                rule = rule.replace(place, getattr(self, name))
        return (
            rule.replace("/versions/diff", "/versions/diff?from=1.0.0")
            .replace("<version:version>", "1.0.0")
            .replace("<id:bundle_version>", "1.0.0")
            .replace("<id:secret_name>", "KEY")
            .replace("<step:step_id>", "ask")
            .replace("<path:path>", "swagger-ui.css")
            .replace("<path:rule_name>", "seen")
            .replace("<string:code>", "in_use")
            .replace("<path:provider>", "drill")
        )


def test_every_route_has_an_entry_and_says_its_permission(door: Door) -> None:
    """A new route must be added here, and each handler either names its permission or is openly public."""
    assert {(method, path) for method, _, path in routes(door)} == set(ENTRIES)
    for rule in door.app.url_map.iter_rules():
        if "<parts:" in rule.rule:
            continue
        view = door.app.view_functions[rule.endpoint]
        public = ENTRIES[next(iter((rule.methods or set()) - {"HEAD", "OPTIONS"})), below(rule.rule)] == _PUBLIC
        assert public != hasattr(view, "permission"), rule


def test_without_a_key_only_public_routes_answer(door: Door) -> None:
    """No key is 401 everywhere else, before anything is looked at."""
    things = Things(door)
    for method, rule, path in routes(door):
        answer = door.call(method, things.path(rule), key=None, **_sent(method, path))
        if ENTRIES[method, path] == _PUBLIC:
            assert answer.status_code == 200, rule
        else:
            assert assert_problem(answer)["status"] in (401, 429), rule
        answer.close()


@pytest.mark.parametrize("who", ["viewer", "execute", "decide", "operator", "admin"])
def test_each_role_does_what_it_may_and_no_more(door: Door, who: str, meanings: Server) -> None:
    """A role that lacks the permission gets 403; one that has it never does."""
    key = door.key("operator" if who in _SCOPES else who, scopes=_SCOPES.get(who, ()), grants=[{"tenants": ["*"]}])
    things = Things(door)
    for method, rule, path in routes(door):
        if ENTRIES[method, path] == _PUBLIC:
            continue
        answer = door.call(method, things.path(rule), key=key, **_sent(method, path))
        if ENTRIES[method, path] in _RANK[who]:
            assert answer.status_code in (200, 201, 202, 204, 409), f"{method} {rule}: {answer.text}"
        elif ENTRIES[method, path] == _USER:
            assert assert_problem(answer, 400)["code"] == "not_a_session"
        else:
            assert_problem(answer, 403)
            continue
        if method != "GET":  # what the call has changed is not what the next one expects
            _remove(door)
            things = Things(door)


@pytest.fixture
def meanings() -> Iterator[Server]:
    """A provider of embeddings: without one there is nothing to compare texts with."""
    with pytest.MonkeyPatch.context() as patch, embeddings.serving(patch) as server:
        yield server


@pytest.mark.parametrize("who", ["viewer", "operator", "admin"])
@pytest.mark.gate
def test_a_user_does_what_a_key_of_the_role_may(door: Door, who: str) -> None:
    """The permissions of a session are those of the role: every reading route, and the user's own."""
    token, things = door.token(who), Things(door)
    for method, rule, path in routes(door):
        if ENTRIES[method, path] in (_PUBLIC, _USER) or method != "GET":
            continue
        answer = door.call(method, things.path(rule), key=token)
        if ENTRIES[method, path] in _RANK[who]:
            assert answer.status_code == 200, f"{method} {rule}: {answer.text}"
        else:
            assert_problem(answer, 403)
    assert door.call("POST", "/v1/auth/logout", key=token).status_code == 200


def test_every_gateway_route_says_whether_it_names_a_tenant(door: Door) -> None:
    """So that none is left out of the test below."""
    gateway = {(method, path) for method, _, path in routes(door) if path.startswith("/v1/")}
    assert gateway == set(_TENANTS) | _WITHOUT_TENANT


@pytest.mark.parametrize("kind", ["key", "user"])
@pytest.mark.parametrize("who", ["viewer", "operator", "admin"])
def test_a_tenant_is_open_to_those_whose_grants_cover_it(door: Door, who: str, kind: str) -> None:
    """403 for a foreign tenant that is named, whether there is one or not; a parent covers what is below it."""
    door.key(workspace="acme-corp")
    assert changes.load(Author()).errors == []
    make = door.key if kind == "key" else door.token
    callers = {None: ["default"], "acme": ["acme", "acme.eu"], "*": ["acme", "acme-corp", "default"]}
    for pattern, covered in callers.items():
        key = make(who, grants=[{"tenants": [pattern]}] if pattern else None)
        for (method, path), named in _TENANTS.items():
            for tenant in ("acme", "acme.eu", "acme-corp", "default", "nowhere"):
                asked, body = named.asked(tenant)
                answer = door.call(method, asked, key=key, json=body)
                if ENTRIES[method, path] not in _RANK[who] or (tenant not in covered and pattern != "*"):
                    assert_problem(answer, 403)
                else:
                    assert answer.status_code in (200, 201, 202), f"{method} {asked}: {answer.text}"


def _remove(door: Door) -> None:
    for action in door.call("GET", "/api/actions").json["data"]:
        door.call("DELETE", f"/api/actions/{action['id']}")
    for playbook in door.call("GET", "/api/playbooks").json["data"]:
        door.call("DELETE", f"/api/playbooks/{playbook['id']}")


def test_another_workspace_sees_nothing(door: Door) -> None:
    """What belongs to others is answered exactly as what does not exist, and is in no list."""
    things, stranger = Things(door), door.key(workspace="elsewhere")
    missing = {
        things.action: "act-missing",
        things.execution: "exec-missing",
        things.dispatch: "disp-missing",
        things.approval: "apr-missing",
        things.silence: "sil-missing",
        things.group: "grp-missing",
        things.recurring: "rec-missing",
        things.playbook: "pb-missing",
        things.bundle: "missing",
        things.run: "pexec-missing",
        things.key: "0123456789ab",
        things.user: "user-missing",
        things.record: "exec-gone",
        things.event: "evt/gone",
    }
    for method, rule, path in routes(door):
        if "<id:" not in rule and "<silence:" not in rule and "record_id" not in rule and "fingerprint" not in rule:
            continue
        body = _BODIES.get((method, path))
        theirs, nothing = things.path(rule), things.path(rule)
        for real, other in missing.items():
            nothing = nothing.replace(real, other)
        first = assert_problem(door.call(method, theirs, key=stranger, json=body), 404)
        second = assert_problem(door.call(method, nothing, key=stranger, json=body), 404)
        text = first["detail"]
        for real, other in missing.items():
            text = text.replace(real, other)
        assert (text, first["code"], first["errors"]) == (second["detail"], second["code"], second["errors"])
    for path in ("/api/actions", "/api/actions/executions", "/api/playbooks", "/api/playbooks/executions"):
        assert door.call("GET", path, key=stranger).json["data"] == []
    assert len(door.call("GET", "/api/keys", key=stranger).json["data"]) == 1
    assert door.call("GET", "/api/users", key=stranger).json["data"] == []
    assert door.call("GET", f"/api/actions/{things.action}").status_code == 200
    assert door.call("GET", f"/api/playbooks/{things.playbook}").status_code == 200
    shown = door.call("GET", f"/api/actions/executions/{things.execution}").json["data"]
    assert shown["status"] == "pending"
    assert door.call("GET", f"/api/playbooks/executions/{things.run}").json["status"] == "paused"


def test_the_same_id_in_two_workspaces_is_two_actions(door: Door) -> None:
    """A workspace's ids are its own."""
    mine = door.create(name="Mine", id="act-same")
    stranger = door.key(workspace="elsewhere")
    definition = {**_BODIES["POST", "/actions"], "id": "act-same"}
    assert door.call("POST", "/api/actions", key=stranger, json=definition).status_code == 201
    assert door.call("DELETE", "/api/actions/act-same", key=stranger).status_code == 204
    assert door.call("GET", "/api/actions/act-same").json["data"] == mine


def test_both_prefixes_serve_the_same(door: Door) -> None:
    """Every path under /api is there under /api/v1, with the same permission."""
    views = {rule.rule: door.app.view_functions[rule.endpoint] for rule in door.app.url_map.iter_rules()}
    plain = {path for path in views if path.startswith("/api/") and not path.startswith("/api/v1/")}
    assert plain
    for path in plain:
        assert views["/api/v1" + path.removeprefix("/api")] is views[path]
