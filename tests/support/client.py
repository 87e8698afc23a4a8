"""A short caller of the product's REST interface."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

from tests.support import answers
from tests.support.waiting import eventually

TERMINAL = {"completed", "failed", "timeout", "cancelled"}


class Api:
    """One API key at one address; unexpected answers fail the test."""

    def __init__(self, url: str, key: str, *, documented: bool = True) -> None:
        """``documented`` says that its answers are held against its OpenAPI document."""
        self.key = key
        self._another = ""
        self.http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            event_hooks={"response": [answers.heard]} if documented else {},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=0),
        )

    def close(self) -> None:
        """Close the connections."""
        self.http.close()

    def health(self) -> httpx.Response:
        """GET /health."""
        return self.http.get("/health")

    def pace(self) -> float:
        """How long a request without waits takes now, seconds: the machine's share."""
        asked = time.monotonic()
        self.http.get("/api/actions?per_page=1")
        return time.monotonic() - asked

    def create_action(self, **definition: Any) -> str:
        """Add an action, by default a webhook; returns its id."""
        whole = {"name": f"test {uuid.uuid4().hex[:12]}", "type": "webhook", "executor": "webhook", **definition}
        answer = self.http.post("/api/actions", json=whole)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id"]

    def post_trigger(
        self, action_id: str, parameters: dict[str, Any] | None = None, *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """POST the trigger and return whatever is answered."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"parameters": parameters or {}, **more}
        return self.http.post(f"/api/actions/{action_id}/trigger", json=body, headers=headers)

    def trigger(self, action_id: str, parameters: dict[str, Any] | None = None, **more: Any) -> str:
        """Trigger an action; returns the execution's id."""
        answer = self.post_trigger(action_id, parameters, **more)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["execution_id"]

    def insist(self, action_id: str, parameters: dict[str, Any], *, key: str, seconds: float = 60) -> str:
        """Trigger with one Idempotency-Key until the server accepts it."""
        return _insist(lambda: self.post_trigger(action_id, parameters, key=key), seconds)

    def execution(self, execution_id: str) -> dict[str, Any]:
        """The execution as the API shows it."""
        answer = self.http.get(f"/api/actions/executions/{execution_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def ended(self, execution_id: str, seconds: float = 60) -> dict[str, Any]:
        """The execution once it is in a terminal state."""

        def look() -> dict[str, Any] | None:
            seen = self.execution(execution_id)
            return seen if seen["status"] in TERMINAL else None

        return eventually(look, seconds, f"{execution_id} has ended")

    def in_status(self, execution_id: str, status: str, seconds: float = 60) -> dict[str, Any]:
        """The execution once it has this status."""

        def look() -> dict[str, Any] | None:
            seen = self.execution(execution_id)
            return seen if seen["status"] == status else None

        return eventually(look, seconds, f"{execution_id} is {status}")

    def cancel(self, execution_id: str) -> httpx.Response:
        """POST the cancel and return whatever is answered."""
        return self.http.post(f"/api/actions/executions/{execution_id}/cancel", json={})

    def decide(self, execution_id: str, word: str, note: str = "") -> httpx.Response:
        """POST ``approve`` or ``reject`` and return whatever is answered."""
        return self.http.post(f"/api/actions/executions/{execution_id}/{word}", json={"note": note})

    def create_playbook(self, **definition: Any) -> str:
        """Add a playbook, by default with the trigger ``manual``; returns its id."""
        whole = {"name": f"test {uuid.uuid4().hex[:12]}", "trigger": "manual", **definition}
        answer = self.http.post("/api/playbooks", json=whole)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id"]

    def post_run(
        self, playbook_id: str, parameters: dict[str, Any] | None = None, *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        """POST the run of a playbook and return whatever is answered."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"parameters": parameters or {}, **more}
        return self.http.post(f"/api/playbooks/{playbook_id}/run", json=body, headers=headers)

    def run(self, playbook_id: str, parameters: dict[str, Any] | None = None, **more: Any) -> str:
        """Run a playbook; returns the run's id."""
        answer = self.post_run(playbook_id, parameters, **more)
        assert answer.status_code == 202, answer.text
        return answer.json()["data"]["execution_id"]

    def insist_on_run(self, playbook_id: str, *, key: str, seconds: float = 60) -> str:
        """Run with one Idempotency-Key until the server accepts it."""
        return _insist(lambda: self.post_run(playbook_id, key=key), seconds)

    def run_row(self, run_id: str) -> dict[str, Any]:
        """The run as the API shows it."""
        answer = self.http.get(f"/api/playbooks/executions/{run_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def run_ended(self, run_id: str, seconds: float = 60) -> dict[str, Any]:
        """The run once it is in a terminal state."""

        def look() -> dict[str, Any] | None:
            seen = self.run_row(run_id)
            return seen if seen["status"] in TERMINAL else None

        return eventually(look, seconds, f"{run_id} has ended")

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """The steps of a run as the API shows them."""
        answer = self.http.get(f"/api/playbooks/executions/{run_id}/steps")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def post_to_run(self, run_id: str, word: str, **body: Any) -> httpx.Response:
        """POST ``cancel``, ``pause``, ``resume`` or ``retry`` and return whatever is answered."""
        return self.http.post(f"/api/playbooks/executions/{run_id}/{word}", json=body)

    def decide_step(self, run_id: str, step_id: str, word: str, note: str = "", **more: Any) -> httpx.Response:
        """POST ``approve`` or ``reject`` for a run's step; returns the answer."""
        path = f"/api/playbooks/executions/{run_id}/steps/{step_id}/{word}"
        return self.http.post(path, json={"note": note, **more}, headers=self._as_another())

    def _as_another(self) -> dict[str, str]:
        """The headers of a second account, which decides about this one's runs."""
        if not self._another:
            wanted = {"name": "second person", "role": "operator"}

            def make() -> httpx.Response | None:
                answer = self.http.post("/api/keys", json=wanted)
                return answer if answer.status_code in (201, 403) else None

            made = eventually(make, 60, "a second key is made")
            only_admins_make_keys = made.status_code == 403
            self._another = self.key if only_admins_make_keys else made.json()["data"]["key"]
        return {"Authorization": f"Bearer {self._another}"}


def _insist(post: Callable[[], httpx.Response], seconds: float) -> str:
    """Repeat a request until it is accepted; returns the id."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            answer = post()
            if answer.status_code == 202:
                return answer.json()["data"]["execution_id"]
            assert answer.status_code >= 500, answer.text
        except httpx.TransportError:
            assert time.monotonic() < give_up, "the API did not come back"
        assert time.monotonic() < give_up, "the API did not recover"
        time.sleep(0.1)
