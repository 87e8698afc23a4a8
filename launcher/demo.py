"""The demo: real actions, triggered through the HTTP API as any client would, with their real output.

In order of time: a workspace ``demo`` and a key for it are made (or found again); the example actions are
registered; one that calls the built-in ticket system and one that runs a script in the sandbox are triggered and
followed to their end; then come the addresses of everything.
"""

import json
from pathlib import Path
from typing import Any

from launcher.client import Api, Json, fetch
from launcher.demo_actions import Showpiece, block_ip, showpieces
from launcher.environment import Place, write_private
from launcher.log_lines import last_lines
from launcher.terminal import Terminal

WORKSPACE = "demo"
#: how long one execution may take, seconds: enough for a worker that has yet to start on a slow machine
_PATIENCE = 45.0
_SHOWN_CHARACTERS = 300


def demo_key(path: Path) -> str:
    """A working admin key of the demo's workspace: the one in the file, else a new one, which is put there."""
    from store import access, db  # takes its time to load: not before the processes have been started

    key = path.read_text().strip() if path.exists() else ""
    with db.read() as connection:
        known = access.authenticate(connection, key) if key else None
    if known and known[0].workspace_id == WORKSPACE and known[0].may("admin"):
        return key
    with db.write() as connection:
        access.ensure_workspace(connection, WORKSPACE, "Demo")
        _, key = access.create_key(
            connection,
            workspace_id=WORKSPACE,
            name="demo",
            role="admin",
            scopes=[],
            expires_at=None,
            actor="launcher",
        )
    write_private(path, key + "\n")
    return key


def show(terminal: Terminal, place: Place, url: str, receiver: str) -> bool:
    """Perform the demo against the API at ``url``; returns whether everything completed with output."""
    api = Api(url, demo_key(place.var / "demo.key"))
    pieces = showpieces(receiver)
    for definition in [*(piece.definition for piece in pieces), *_optional(place)]:
        api.put_action(definition)
    done = [_perform(terminal, place, api, piece, receiver) for piece in pieces]  # a failure hides no other piece
    return all(done)


def _optional(place: Place) -> list[Json]:
    """The example that needs the folder of examples, where that is the actions folder."""
    return [block_ip()] if (place.settings.actions_dir / "block_ip.py").exists() else []


def _perform(terminal: Terminal, place: Place, api: Api, piece: Showpiece, receiver: str) -> bool:
    """Trigger one action and tell how it went."""
    name = piece.definition["name"]
    execution_id = api.trigger(piece.definition["id"], piece.trigger)
    terminal.say(f"{name}: accepted as {execution_id}")
    execution = api.outcome(execution_id, _PATIENCE)
    status, output = execution["status"], execution["output"]
    if status == "completed" and output:
        terminal.say(f"{name}: completed in {execution['duration_seconds']} s", "good")
        for line in execution["logs"]:
            terminal.detail(f"log       {line['message']}"[:_SHOWN_CHARACTERS], "quiet")
        terminal.detail(f"output    {_short(output)}")
        if piece.definition["executor"] == "webhook":
            _show_received(terminal, receiver, output)
        return True
    terminal.say(f"{name}: {status}", "bad")
    error = execution["error"] or {}
    if error.get("code") == "sandbox_unavailable":
        terminal.detail(f"{error['message']}. Scripts are refused rather than run unprotected.")
    elif error:
        terminal.detail(f"{error.get('code')}: {error.get('message')}")
    else:
        log = place.var / "log" / f"{piece.served_by}.log"
        terminal.detail(f"It did not end with output in {_PATIENCE:.0f} s. The end of {place.shown(log)}:")
        terminal.detail(last_lines(log), "quiet")
    return False


def _show_received(terminal: Terminal, receiver: str, output: Json) -> None:
    """What the ticket system says that it has received for this ticket."""
    seen = fetch(f"{receiver}/requests").get("requests", [])
    mine = [one for one in seen if one.get("ticket") == output.get("ticket")]
    if mine:
        terminal.detail(f"receiver  got {mine[-1]['method']} {mine[-1]['path']} {_short(mine[-1]['body'])}")


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN_CHARACTERS]


def links(terminal: Terminal, place: Place, facts: Json) -> None:
    """Where everything is, and a command to try."""
    url, key_file = facts["url"], place.shown(place.var / "demo.key")
    given = facts["flower_auth_given"]
    password = "TOCSIN_FLOWER_AUTH says" if given else (place.var / "flower.auth").read_text().strip()
    terminal.detail(f"API docs  {url}/docs")
    terminal.detail(f"Flower    {facts['flower_url']}  (log in as {password})")
    if not (place.var / "demo.key").exists():
        return
    terminal.detail(f"API key   {key_file}  (admin of the workspace {WORKSPACE})")
    terminal.detail(f'Try it    curl -H "Authorization: Bearer $(cat {key_file})" {url}/api/actions')
    if _optional(place):
        body = json.dumps({"parameters": {"ip": "203.0.113.50"}})
        terminal.detail(
            f'          curl -H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json" '
            f"-d '{body}' {url}/api/actions/act-block-ip/trigger"
        )
