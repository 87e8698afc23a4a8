"""The demo's HTTP client, in the standard library.

It makes no call that an operator could not make with curl.
"""

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from config.types import Json
from launcher.terminal import LauncherError

#: seconds an execution's state is waited for in one request
_WAIT = 5
_TIMEOUT = 15.0
#: how long a server that does not accept connections (being restarted) is tried again, seconds
_PATIENCE = 10.0
#: the terminal states
ENDED = frozenset({"completed", "failed", "timeout", "cancelled"})
# No proxies: everything called here is on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Api:
    """The API at one address, called with one key."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key

    def call(self, method: str, path: str, body: Json | str | None = None) -> tuple[int, Json]:
        """Send a request; returns status and body of the answer.

        It returns them whatever the status; a text is sent as YAML.

        Raises:
            LauncherError: nothing answers, or not in JSON.
        """
        headers = {"Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers["Content-Type"] = "application/yaml" if isinstance(body, str) else "application/json"
        data = None if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        request = urllib.request.Request(self._url + path, data, headers, method=method)  # noqa: S310 - our own URL
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                return _answer(request)
            except (OSError, http.client.HTTPException, ValueError) as error:
                if time.monotonic() > give_up:
                    raise LauncherError(f"{method} {path} failed: {error}") from error
                time.sleep(0.2)

    def trigger(self, action_id: str, body: Json) -> str:
        """Trigger an action; returns the id of the execution.

        Raises:
            LauncherError: the API refuses it.
        """
        return self._begin(f"/api/actions/{action_id}/trigger", body)

    def run(self, playbook_id: str, body: Json) -> str:
        """Start a playbook; returns the id of the run.

        Raises:
            LauncherError: the API refuses it.
        """
        return self._begin(f"/api/playbooks/{playbook_id}/run", body)

    def _begin(self, path: str, body: Json) -> str:
        status, answer = self.call("POST", path, body)
        if status != http.HTTPStatus.ACCEPTED:
            raise LauncherError(f"POST {path} was refused: {reason(answer)}")
        return str(answer["data"]["execution_id"])

    def read(self, path: str) -> Any:
        """The data in the answer to a GET.

        Raises:
            LauncherError: the API refuses it.
        """
        status, answer = self.call("GET", path)
        if status != http.HTTPStatus.OK:
            raise LauncherError(f"GET {path} was refused: {reason(answer)}")
        return answer["data"]

    def outcome(self, execution_id: str, patience: float) -> Json:
        """The execution when it has ended, or after ``patience`` seconds."""
        give_up = time.monotonic() + patience
        while True:
            wait = max(0, min(_WAIT, int(give_up - time.monotonic())))
            status, answer = self.call("GET", f"/api/actions/executions/{execution_id}?wait={wait}")
            execution: Json = answer.get("data", {})
            if status == http.HTTPStatus.OK and (execution["status"] in ENDED or time.monotonic() > give_up):
                return execution
            if status != http.HTTPStatus.OK and time.monotonic() > give_up:
                raise LauncherError(f"the execution {execution_id} cannot be read: {reason(answer)}")
            time.sleep(0.05)


def is_up(url: str) -> bool:
    """Whether a server answers there with success."""
    try:
        with _open(url, timeout=2) as answer:
            return bool(answer.status == http.HTTPStatus.OK)
    except (OSError, http.client.HTTPException):
        return False


def reason(answer: Json) -> str:
    """The message of an error body, with its faults."""
    faults = [f"{fault.get('pointer', '')}: {fault.get('detail', '')}" for fault in answer.get("errors") or []]
    return " | ".join([str(answer.get("detail") or answer), *faults])


def _answer(request: urllib.request.Request) -> tuple[int, Json]:
    try:
        with _open(request, timeout=_TIMEOUT) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:  # an OSError, too, but it carries an answer
        with refused:
            return refused.code, json.load(refused)
