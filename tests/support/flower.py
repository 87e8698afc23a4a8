"""Flower next to a running product, as the Procfile starts it."""

import httpx

from tests.support.stack import FLOWER_LOGIN, Stack
from tests.support.waiting import eventually


class Flower:
    """The page of the product's workers and tasks."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = f"http://127.0.0.1:{stack.environment['TOCSIN_FLOWER_PORT']}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.stack.start("flower")
        eventually(self._answers, 30, "Flower answers", every=0.2)

    def wait_for_tasks(self) -> None:
        """Wait until all workers report tasks: control its ticks, others calls."""
        api = self.stack.api
        action_id, calls = api.create_action(config={"url": f"{self.stack.sink.url}/ok?flower"}), []

        def sees_a_call() -> bool:
            calls.append(api.trigger(action_id))
            return bool(set(calls) & self.tasks().keys())

        eventually(sees_a_call, 40, "Flower sees tasks", every=1)

    def _answers(self) -> bool:
        try:
            return self.get("/api/workers").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str) -> httpx.Response:
        """GET with the right password."""
        return httpx.get(f"{self.url}{path}", auth=FLOWER_LOGIN, timeout=60)

    def tasks(self) -> dict[str, dict]:
        """What it shows of tasks, by task id."""
        return self.get("/api/tasks").json()
