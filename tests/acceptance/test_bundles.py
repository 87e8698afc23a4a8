"""Bundles on the running product: pushed, carried out by the real worker, and secret everywhere."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bundles import HEAD, bundle
from tests.support.client import TERMINAL
from tests.support.receiving import Receiver, receiver
from tests.support.stack import Stack
from tests.support.waiting import eventually

CANARY = "c4nary-of-the-running-product"


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as one:
        yield one


def source(url: str, more: str = "") -> str:
    """A function that tells the receiver, with its secret."""
    return f'''{HEAD}import time
@action(retry=3)
def tell(seconds: float = 0, *, context: Context) -> dict:
    """Tell the receiver."""
    print("the token is", context.secrets["TOKEN"])
    answer = context.http.post("{url}/tell", json={{"n": 1}}, auth=Bearer(context.secrets["TOKEN"]))
    time.sleep(seconds)
    return {{"status": answer.status{more}}}
'''


class Product:
    """What a caller of the API sees of the bundle."""

    def __init__(self, stack: Stack, calls: Receiver, name: str) -> None:
        self.http, self.calls, self.name = stack.api.http, calls, name

    def push(self, version: str, more: str = "", wishes: str = "retry=3") -> None:
        """Push a version."""
        archive = bundle(
            source(self.calls.url, more).replace("retry=3", wishes),
            name=self.name,
            version=version,
            hosts=(self.calls.host,),
            secrets="TOKEN = {}",
        )
        answer = self.http.post("/api/bundles", content=archive, headers={"Content-Type": "application/zip"})
        assert answer.status_code == 201, answer.text
        kept = self.http.put(f"/api/bundles/{self.name}/secrets/TOKEN", json={"value": CANARY})
        assert kept.status_code == 204

    def trigger(self, **parameters: Any) -> str:
        """Trigger its function."""
        path = f"/api/actions/act-{self.name}-tell/trigger"
        return str(self.http.post(path, json={"parameters": parameters}).json()["data"]["execution_id"])

    def ended(self, execution: str) -> dict[str, Any]:
        """An execution, at its end."""
        path = f"/api/actions/executions/{execution}?wait=20"

        def look() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.http.get(path).json()["data"]
            return shown if shown["status"] in TERMINAL else None

        return eventually(look, 60, f"{execution} ends")


def everything_said(stack: Stack) -> bytes:
    """The logs, the data, and the command lines and environments of all processes of the product."""
    files = [path for path in stack.directory.rglob("*") if path.is_file() and path.stat().st_size < 64 << 20]
    said = [path.read_bytes() for path in files]
    for entry in Path("/proc").iterdir():
        for name in ("cmdline", "environ"):
            try:
                said.append(
                    (entry / name).read_bytes() if entry.name.isdigit() and int(entry.name) != os.getpid() else b""
                )
            except OSError:
                continue
    return b"\n".join(said)


def test_a_bundle_is_pushed_changed_and_taken_back(sqlite_stack: Stack, calls: Receiver) -> None:
    """The real worker has each version without a restart; its secret is at the receiver and nowhere else."""
    product = Product(sqlite_stack, calls, "accepted")
    product.push("1.0.0")
    first = product.ended(product.trigger())
    assert (first["status"], first["output"]) == ("completed", {"status": 200}), first
    assert calls.calls[0].headers["authorization"] == f"Bearer {CANARY}"
    product.push("2.0.0", ', "version": 2')
    assert product.ended(product.trigger())["output"] == {"status": 200, "version": 2}
    back = product.http.post("/api/bundles/accepted/activate", json={"version": "1.0.0"})
    assert back.status_code == 200
    assert product.ended(product.trigger())["output"] == {"status": 200}
    said = json.dumps(first) + product.http.get("/api/bundles/accepted").text + product.http.get("/v1/audit").text
    assert CANARY not in said
    assert CANARY.encode() not in everything_said(sqlite_stack)


def test_a_worker_that_dies_in_a_function_repeats_it_with_the_same_key(sqlite_stack: Stack, calls: Receiver) -> None:
    """The next attempt makes the call again, under the key of the first; no process of the sandbox stays behind."""
    product = Product(sqlite_stack, calls, "killed")
    product.push("1.0.0")
    execution = product.trigger(seconds=3)
    eventually(lambda: calls.calls, 30, "the call arrives")
    sqlite_stack.kill("scripts")
    sqlite_stack.restart("scripts")
    assert product.ended(execution)["status"] == "completed"
    keys = {call.headers["idempotency-key"] for call in calls.calls}
    assert (keys, len(calls.calls) >= 2) == ({execution}, True)


def test_a_function_that_must_not_be_repeated_is_not(sqlite_stack: Stack, calls: Receiver) -> None:
    """A worker that dies while the function is under way leaves a call that was made once, and says that it was."""
    product = Product(sqlite_stack, calls, "once")
    product.push("1.0.0", wishes="retry=3, idempotent=False")
    execution = product.trigger(seconds=3)
    eventually(lambda: calls.calls, 30, "the call arrives")
    sqlite_stack.kill("scripts")
    sqlite_stack.restart("scripts")
    ended = product.ended(execution)
    assert (ended["status"], ended["error"]["outcome_unknown"]) == ("failed", True), ended
    assert len(calls.calls) == 1


def test_a_cancel_ends_a_function(sqlite_stack: Stack, calls: Receiver) -> None:
    """A function that sleeps is ended; its execution stays cancelled."""
    product = Product(sqlite_stack, calls, "cancelled")
    product.push("1.0.0")
    execution = product.trigger(seconds=50)
    eventually(lambda: calls.calls, 30, "the call arrives")
    assert product.http.post(f"/api/actions/executions/{execution}/cancel").status_code == 200
    assert product.ended(execution)["status"] == "cancelled"
    assert product.ended(product.trigger())["status"] == "completed"
