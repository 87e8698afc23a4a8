"""The demo: an action and a playbook, with their real output.

Both are started through the HTTP API as any client would. In order of time: a workspace ``demo``, a key and a user for
it are made (or found again); the example actions and playbooks are registered; a script is run in the sandbox, then a
playbook is run against the made-up systems, each step shown as it happens; then come what waits, gathers and recurs,
how texts compare, how the processes are, and the addresses of everything, with commands to try.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.types import Json
from launcher.demo import (
    actions,
    approvals,
    decisions,
    examples,
    groups,
    health,
    lifecycle,
    meaning,
    playbooks,
    recurring,
)
from launcher.demo.client import Api
from launcher.environment import Installation, write_private
from launcher.log_lines import last_lines
from launcher.terminal import Terminal

WORKSPACE = "demo"
#: grants over everything, as a row keeps them
ALL_TENANTS = json.dumps([{part: ["*"] for part in ("tenants", "namespaces", "providers", "actions")}])
#: how long one execution may take, seconds: enough for a worker that has yet to start on a slow machine
_PATIENCE = 45.0
_SHOWN_CHARACTERS = 300
#: a notification in whose place a rule of the examples starts a chain
_ON_CALL = {"channel": "#on-call", "message": "Root login on web-02"}


def demo_key(
    path: Path, role: str = "admin", name: str = "demo", scopes: Sequence[str] = (), grants: str | None = None
) -> str:
    """A working key of the demo's workspace.

    It is the one in the file, else a new one, which is put there.
    """
    # both load slowly: import them after the processes have been started
    from store import access
    from store.engine import db

    key = path.read_text().strip() if path.exists() else ""
    with db.read() as connection:
        known = access.authenticate(connection, key) if key else None
    if known and (known[0].workspace_id, known[0].role, known[0].grants) == (WORKSPACE, role, grants):
        return key
    with db.write() as connection:
        access.ensure_workspace(connection, WORKSPACE, "Demo")
        _, key = access.create_key(
            connection,
            workspace_id=WORKSPACE,
            name=name,
            role=role,
            scopes=list(scopes),
            expires_at=None,
            actor="launcher",
            grants=grants,
        )
    write_private(path, key + "\n")
    return key


def demo_user(path: Path, grants: str | None) -> None:
    """A user of the demo, who can sign in.

    The file says with what: ``NAME:PASSWORD``.
    """
    # all of them load slowly: import them after the processes have been started
    from launcher import user
    from store.callers import passwords, users
    from store.engine import db

    name, _, password = path.read_text().strip().partition(":") if path.exists() else ("", "", "")
    with db.read() as connection:
        row = users.get(connection, WORKSPACE)
    good = row is not None and row.disabled_at is None and users.is_vouched_for(row) and row.grants == grants
    if row is not None and good and name == WORKSPACE and passwords.verify(row.password_hash, password):
        return
    password = user.make(WORKSPACE, workspace=WORKSPACE, role="admin", grants=grants, reset=True, actor="launcher")
    write_private(path, f"{WORKSPACE}:{password}\n")


def show(terminal: Terminal, place: Installation, url: str, receiver: str) -> bool:
    """Run the demo against the API at ``url``; whether everything completed."""
    everywhere = ALL_TENANTS if place.settings.development else None
    api = Api(url, demo_key(place.var / "demo.key", grants=everywhere))
    demo_user(place.var / "demo.user", everywhere)
    # the person who has started what contains harm does not approve it: this is the second person of the demo
    demo_key(
        place.var / "approver.key", "operator", "second person", ("read:playbooks", "read:actions", "decide:approvals")
    )
    registered = examples.register(WORKSPACE, receiver)
    terminal.say(f"Examples registered from {place.shown(examples.FOLDER)}: {registered}")
    performed = _perform(terminal, place, api)  # a failure does not hide the playbook
    completed = playbooks.show(terminal, api, _PATIENCE) and performed
    decisions.show(terminal, api, url, WORKSPACE, place.shown(place.var / "demo.key"))
    approvals.show(terminal, api, url, WORKSPACE, place.shown(place.var / "approver.key"))
    lifecycle.show(terminal, api, url, WORKSPACE, place.shown(place.var / "demo.key"))
    groups.show(terminal, api, url, WORKSPACE, place.shown(place.var / "demo.key"))
    recurring.show(terminal, api, url, WORKSPACE, place.shown(place.var / "demo.key"))
    meaning.show(terminal, api, url, place.shown(place.var / "demo.key"))
    health.show(terminal, api, url, place.shown(place.var / "demo.key"))
    return completed


def _perform(terminal: Terminal, place: Installation, api: Api) -> bool:
    """Trigger one action and print its result."""
    name = actions.NAME
    execution_id = api.trigger(actions.SHOWN, actions.TRIGGER)
    terminal.say(f"{name}: accepted as {execution_id}")
    execution = api.outcome(execution_id, _PATIENCE)
    status, output = execution["status"], execution["output"]
    if status == "completed" and output:
        terminal.say(f"{name}: completed in {execution['duration_seconds']} s", "good")
        for line in execution["logs"]:
            terminal.detail(f"log       {line['message']}"[:_SHOWN_CHARACTERS], "quiet")
        terminal.detail(f"output    {_short(output)}")
        return True
    terminal.say(f"{name}: {status}", "bad")
    error = execution["error"] or {}
    if error.get("code") == "sandbox_unavailable":
        terminal.detail(f"{error['message']}. Tocsin refuses scripts that it cannot isolate.")
    elif error:
        terminal.detail(f"{error.get('code')}: {error.get('message')}")
    else:
        log = place.var / "log" / f"{actions.SERVED_BY}.log"
        terminal.detail(f"It did not complete within {_PATIENCE:.0f} s. The end of {place.shown(log)}:")
        terminal.detail(last_lines(log), "quiet")
    return False


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN_CHARACTERS]


def links(terminal: Terminal, place: Installation, facts: Json) -> None:
    """Print the addresses of everything, and a command to try."""
    url, key_file = facts["url"], place.shown(place.var / "demo.key")
    given = facts["flower_auth_given"]
    password = "TOCSIN_FLOWER_AUTH" if given else (place.var / "flower.auth").read_text().strip()
    terminal.detail(f"API docs  {url}/docs")
    terminal.detail(f"Flower    {facts['flower_url']}  (log in with {password})")
    if not (place.var / "demo.key").exists():
        return
    terminal.detail(
        f"API key   {key_file}  (admin of workspace {WORKSPACE}; approver.key next to it can only decide approvals)"
    )
    if (place.var / "demo.user").exists():
        terminal.detail(f"User      {place.shown(place.var / 'demo.user')}  (NAME:PASSWORD for POST /v1/auth/login)")
    if "receiver" in facts:
        terminal.detail(
            f"Demo      {facts['receiver']}/state  (the simulated systems: what is blocked, isolated, patched)"
        )
    curl = f'curl -H "Authorization: Bearer $(cat {key_file})"'
    for heading, words in _CLI:
        terminal.detail(f"{heading:<10}.venv/bin/tocsin {words}")
    terminal.detail(f"HTTP      {curl} {url}/api/playbooks")
    for heading, path, body in _commands():
        command = f"{curl} -H \"Content-Type: application/json\" -d '{json.dumps(body)}' {url}{path}"
        terminal.detail(f"{heading:<10}{command}")


#: what to enter first, at the command line
_CLI = (
    ("Try it", "run pb-critical-vuln-response --target web-02 --watch"),
    ("", "trigger act-block-ip -p ip=203.0.113.50 --watch"),
    ("", "bundles push examples/bundles/acme-firewall --dry-run"),
    ("", "--help"),
)


def _dispatch(payload: Json) -> Json:
    """An alert to dispatch: by the rules of the examples the second one is a duplicate, and a critical one a page."""
    key = {"namespace": "soc", "tenant": WORKSPACE, "provider": "mail", "action_type": "send_alert"}
    return {**key, "payload": payload}


def _commands() -> list[tuple[str, str, Json]]:
    """The commands to try: a word for each, path and body."""
    finding = {"title": "Exposed admin port", "severity": "critical", "asset": {"id": "web-02", "tags": ["production"]}}
    return [
        ("  run", f"/api/playbooks/{playbooks.SHOWN}/run", {"target_asset_id": playbooks.ASSET}),
        ("  event", "/api/events", {"event": "finding.new", "data": {"finding": finding}}),
        ("  action", "/api/actions/act-block-ip/trigger", {"parameters": {"ip": "203.0.113.50"}}),
        ("  send", "/v1/dispatch", _dispatch({"host": "web-02", "alert": "disk full"})),
        ("  chain", "/api/actions/act-notify/trigger", {"parameters": _ON_CALL}),
    ]
