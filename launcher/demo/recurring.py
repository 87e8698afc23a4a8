"""The demo's recurring action: a report each minute for some minutes, and how to watch it go out."""

import http
from urllib.parse import urlencode

from config.types import Json
from launcher.demo.client import Api
from launcher.terminal import Terminal

_NAMESPACE, _NAME = "soc", "Demo report"
_WANTED: Json = {
    "name": _NAME,
    "namespace": _NAMESPACE,
    "provider": "mail",
    "action_type": "report",
    "cron_expr": "* * * * *",
    "max_executions": 10,
    "payload": {"subject": "Open findings"},
}


def show(terminal: Terminal, api: Api, url: str, tenant: str, key_file: str) -> None:
    """Print when the report goes out next, and the command that follows what is sent.

    One of an earlier start that is not over goes on. An installation with providers of its own may have none that the
    report could take; then nothing is printed.
    """
    scope = {"namespace": _NAMESPACE, "tenant": tenant}
    status, known = api.call("GET", f"/v1/recurring?{urlencode({**scope, 'status': 'active'})}")
    if status != http.HTTPStatus.OK:
        return
    found = next((one for one in known["recurring_actions"] if one.get("name") == _NAME), None)
    if found is None:
        status, found = api.call("POST", "/v1/recurring", {**_WANTED, **scope})
        if status != http.HTTPStatus.CREATED:
            return
    terminal.say(f"Recurring action {found['recurring_id']} sends a report at {found['next_execution']}, each minute")
    headers = f'-H "Authorization: Bearer $(cat {key_file})"'
    terminal.detail(f"watch     curl -N {headers} '{url}/v1/stream?{urlencode(scope)}'")
    terminal.detail(f"stop      curl -X DELETE {headers} {url}/v1/recurring/{found['recurring_id']}")
