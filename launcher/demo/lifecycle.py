"""The demo's event: an alert that fires, keeps another one quiet, and can be acknowledged."""

import http

from config.types import Json
from launcher.demo.client import Api
from launcher.terminal import Terminal

_SENT: Json = {"namespace": "soc", "provider": "mail", "payload": {}, "status": "firing"}
_CLUSTER: Json = {"action_type": "cluster_down", "metadata": {"labels": {"cluster": "web"}}}
_HOST: Json = {"action_type": "host_down", "metadata": {"labels": {"cluster": "web", "host": "web-02"}}}


def show(terminal: Terminal, api: Api, url: str, tenant: str, key_file: str) -> None:
    """Print what became of two alerts, and the command that acknowledges the first.

    An installation with rules of its own may have no state machine; then nothing is printed.
    """
    first, second = (_sent(api, tenant, what) for what in (_CLUSTER, _HOST))
    if first.get("outcome") != "state_changed":
        return
    fingerprint = first["fingerprint"]
    terminal.say(f"Event {fingerprint[:12]}… is {first['new_state']}: cluster_down of web")
    if second.get("outcome") == "suppressed":
        terminal.detail(f"inhibited host_down of web-02: {second['reason']}")
    headers = f'-H "Authorization: Bearer $(cat {key_file})" -H "Content-Type: application/json"'
    wanted = """-d '{"to_state": "acknowledged"}'"""
    terminal.detail(f"move      curl -X PUT {headers} {wanted} {url}/v1/events/{fingerprint}/transition")
    terminal.detail("history   GET /v1/events/… of the same fingerprint; GET /v1/events lists them")


def _sent(api: Api, tenant: str, what: Json) -> Json:
    """The outcome of a dispatch; nothing where it was not accepted."""
    status, answer = api.call("POST", "/v1/dispatch", {**_SENT, **what, "tenant": tenant})
    return answer if status == http.HTTPStatus.OK else {}
