"""The demo's approval: a dispatch that a rule of the examples holds back, and how to decide about it."""

import http

from config.types import Json
from launcher.demo.client import Api
from launcher.terminal import Terminal

#: starts the containment playbook of the examples, by the provider that stands for it
_ASKED: Json = {
    "namespace": "soc",
    "provider": "contain",
    "action_type": "contain",
    "payload": {"address": "203.0.113.50"},
}


def show(terminal: Terminal, api: Api, url: str, tenant: str, key_file: str) -> None:
    """Print one approval that waits, and the command that decides about it.

    An installation with rules of its own may have none; then nothing is printed.
    """
    waiting = _waiting(api, tenant)
    if waiting is None:
        api.call("POST", "/v1/dispatch", {**_ASKED, "tenant": tenant})
        waiting = _waiting(api, tenant)
    if waiting is None:
        return
    terminal.say(f"Approval {waiting['id']} waits: {waiting['message']}")
    headers = f'-H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json"'
    note = """-d '{"note": "seen"}'"""
    terminal.detail(f"approve   curl -X POST {headers} {note} {url}/api/approvals/{waiting['id']}/approve")
    terminal.detail("reject    the same with …/reject; GET /v1/approvals lists what waits")


def _waiting(api: Api, tenant: str) -> Json | None:
    """An approval by a rule that waits in this tenant."""
    status, answer = api.call("GET", f"/v1/approvals?tenant={tenant}")
    found = answer.get("approvals", []) if status == http.HTTPStatus.OK else []
    return next((one for one in found if one["origin"] == "rule"), None)
