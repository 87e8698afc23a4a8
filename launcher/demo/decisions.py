"""The demo's decisions: one alert, sent twice, of which a rule stops the second; and where decisions can be seen."""

import http
import json

from config.types import Json
from launcher.demo.client import Api
from launcher.terminal import Terminal

_HOST = "db-01"
#: outcomes of the second: a silence of a demo before may still be in force
_STOPPED = ("deduplicated", "silenced")
#: a change of the rules to try on what came
_TRIED: Json = {
    "hours": 1,
    "rules": {
        "add": [
            {
                "name": "quiet",
                "priority": 1,
                "condition": {"field": "action.payload.host", "eq": _HOST},
                "action": {"type": "suppress"},
            }
        ]
    },
}
_SILENCE = {
    "matchers": [{"name": "host", "value": _HOST}],
    "duration_seconds": 600,
    "comment": f"{_HOST} is being patched",
}


def _alert(tenant: str) -> Json:
    key = {"namespace": "soc", "tenant": tenant, "provider": "mail", "action_type": "send_alert"}
    return {**key, "payload": {"host": _HOST, "alert": "disk full"}, "metadata": {"host": _HOST}}


def show(terminal: Terminal, api: Api, url: str, tenant: str, key_file: str) -> None:
    """Print what became of the two, and the commands that explain, silence, simulate, trip and check.

    An installation with rules of its own may let both pass, or have no such provider; then nothing is printed.
    """
    sent = [api.call("POST", "/v1/dispatch", _alert(tenant)) for _ in range(2)]
    (_, first), (status, second) = sent
    if status != http.HTTPStatus.OK or second.get("outcome") not in _STOPPED:
        return
    terminal.say(f"Alert disk full of {_HOST}, sent twice: first {first['outcome']}, then {second['outcome']}")
    curl = f'curl -H "Authorization: Bearer $(cat {key_file})"'
    terminal.detail(f"why       {curl} {url}/v1/audit/{second['action_id']}/why")
    silence = f"-H \"Content-Type: application/json\" -d '{json.dumps(_SILENCE)}'"
    terminal.detail(f"silence   {curl} {silence} {url}/v1/silences")
    terminal.detail(f"verify    {curl} {url}/v1/audit/verify")
    terminal.detail(
        "records   GET /v1/audit lists what was decided; verify checks their seals; GET /v1/rules lists the rules"
    )
    status, tried = api.call("POST", "/v1/rules/simulate", _TRIED)
    if status == http.HTTPStatus.OK:
        command = f"{curl} -H \"Content-Type: application/json\" -d '{json.dumps(_TRIED)}' {url}/v1/rules/simulate"
        others = f"one more rule would decide {tried['changed']} of {tried['decided']} otherwise"
        terminal.detail(f"simulate  {command}  ({others})")
    terminal.detail(f"breakers  {curl} {url}/admin/circuit-breakers")
    terminal.detail("trip      POST …/circuit-breakers/flaky/trip opens this one, …/reset closes it")
