"""The demo's group: alerts that a rule of the examples gathers, and how to flush it."""

import http

from config.types import Json
from launcher.demo.client import Api
from launcher.terminal import Terminal

#: alerts of one cluster, by two hosts
_HOSTS = ("db-1", "db-2")


def _alert(tenant: str, host: str) -> Json:
    key = {"namespace": "soc", "tenant": tenant, "provider": "tickets", "action_type": "cluster_alert"}
    payload = {"host": host, "alert": "replication lag", "severity": "high"}
    what = {"status": "firing", "fingerprint": f"lag:{host}", "metadata": {"cluster": "eu-1"}}
    return {**key, "payload": payload, **what}


def show(terminal: Terminal, api: Api, url: str, tenant: str, key_file: str) -> None:
    """Print one group that gathers, and the command that flushes it.

    An installation with rules of its own may have none; then nothing is printed.
    """
    outcome: Json = {}
    for host in _HOSTS:
        status, outcome = api.call("POST", "/v1/dispatch", _alert(tenant, host))
        if status != http.HTTPStatus.OK or outcome.get("outcome") != "grouped":
            return
    terminal.say(f"Group {outcome['group_id']} gathers {outcome['group_size']} alerts until {outcome['notify_at']}")
    command = f'curl -X DELETE -H "Authorization: Bearer $(cat {key_file})"'
    terminal.detail(f"flush     {command} {url}/v1/groups/{outcome['group_id']}")
    terminal.detail("see       the same with GET; GET /v1/groups lists what gathers")
