"""A rotation of the secret key by docs/operations.md loses nothing."""

import secrets
import threading
from pathlib import Path

import httpx
import pytest

from tests.support.client import Api
from tests.support.stack import NAMES, Stack

TOKEN = [{"name": "token", "type": "secret", "required": True}]


class Load:
    """Triggers an action with a secret and a secret parameter until stopped."""

    def __init__(self, stack: Stack, canary: str) -> None:
        self.api = Api(stack.url, stack.api.key)
        self.canary = canary
        config = {
            "url": f"{stack.sink.url}/echo/rotation",
            "headers": {"Authorization": f"Bearer {canary}"},
            "body": {"token": "{{ token }}"},
        }
        self.action = stack.api.create_action(config=config, parameters=TOKEN)
        self.accepted: list[str] = []
        self.fault: BaseException | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._over.wait(0.05):
                key, values = secrets.token_hex(8), {"token": self.canary}
                self.accepted.append(self.api.insist(self.action, values, key=key))
        except BaseException as fault:
            self.fault = fault

    def stop(self) -> None:
        """Trigger no more."""
        self._over.set()
        self._thread.join()
        self.api.close()


def restart(stack: Stack, keys: str) -> None:
    """Restart each process gracefully with these keys."""
    for name in NAMES:
        stack.end(name)
        stack.start(name, TOCSIN_SECRET_KEYS=keys, TOCSIN_SECRET_KEY="")
        stack.wait_ready(name)


@pytest.mark.wide
def test_the_key_is_changed_while_the_product_works() -> None:
    """Executions complete during the rotation; afterwards the old key is unused."""
    canary = secrets.token_hex(16)
    with Stack("") as stack:
        old, new = (Path(stack.directory) / "var/secret.key").read_text().strip(), secrets.token_urlsafe(32)
        load = Load(stack, canary)
        try:
            for keys in (f"{old},{new}", f"{new},{old}"):
                restart(stack, keys)
            printed = stack.run_once("reseal", ["python", "-m", "launcher.reseal"], TOCSIN_SECRET_KEYS=f"{new},{old}")
            restart(stack, new)
            before = len(load.accepted)
            stack.api.insist(load.action, {"token": canary}, key="last")
        finally:
            load.stop()
        assert load.fault is None
        assert len(load.accepted) >= before > 0
        rows = stack.wait_ended(load.accepted, 60)
        assert {row["status"] for row in rows.values()} == {"completed"}
        assert "api_keys: 1 renewed" in printed
        assert httpx.get(f"{stack.url}/api/actions", headers={"X-API-Key": stack.api.key}).status_code == 200
        files = [path for path in stack.directory.rglob("*") if path.is_file() and path.name != "sink.jsonl"]
        shown = {path.name: path.read_bytes().decode("latin-1") for path in files}
        assert [name for name, text in shown.items() if any(each in text for each in (canary, new))] == []
