"""Files of Python functions reach a running product: added, changed, half-written, broken, mended, removed."""

import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.support.client import TERMINAL
from tests.support.stack import Stack
from tests.support.waiting import eventually

HEAD = "from providers.functions import action\n"


@pytest.fixture
def folder(sqlite_stack: Stack):
    """The first folder of functions of a running product, which does not exist before the test."""
    folder = sqlite_stack.directory / "functions"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def function(name: str, answer: str) -> str:
    return f"{HEAD}@action()\ndef {name}():\n    return {answer!r}\n"


def write_slowly(path: Path, whole: threading.Event) -> None:
    """Write a file that is valid at first, without the function, and whole two seconds later."""
    with path.open("w") as writer:
        writer.write(HEAD)
        writer.flush()
        time.sleep(2)  # longer than a file must stay as it is, shorter than a process waits for it
        whole.set()
        writer.write(function("mine", "three"))


class Product:
    """What a caller of the API sees of a function."""

    def __init__(self, stack: Stack) -> None:
        self.http = stack.api.http

    def refusal(self, name: str) -> str:
        """Make an action of a function; returns why that is refused, or nothing."""
        wanted = {"id": f"act-{name}", "name": name, "type": "remediation", "executor": "local"}
        answer = self.http.post("/api/actions", json={**wanted, "config": {"handler": name}})
        return "" if answer.status_code == 201 else answer.text

    def outcome(self, name: str, **more: object) -> dict:
        """The end of an execution."""
        body = {"parameters": {}, **more}
        accepted = self.http.post(f"/api/actions/act-{name}/trigger", json=body).json()["data"]
        path = f"/api/actions/executions/{accepted['execution_id']}?wait=20"

        def look() -> dict | None:
            shown = self.http.get(path).json()["data"]
            return shown if shown["status"] in TERMINAL else None

        return eventually(look, 60, "the execution ends")

    def answers(self, name: str, word: str, **more: object) -> None:
        """Wait until the function answers so; every execution before must have completed too."""

        def look() -> bool:
            ended = self.outcome(name, **more)
            assert ended["status"] == "completed", ended
            return ended["output"]["result"] == word

        eventually(look, 20, f"{name} answers {word}", every=0.2)

    def faults(self) -> list[str]:
        """The names of the files that ``/health`` calls broken."""
        return [Path(fault["file"]).name for fault in self.http.get("/health").json()["function_files"]["faults"]]


@pytest.mark.gate
def test_function_files_reach_a_running_product(sqlite_stack: Stack, folder: Path) -> None:
    """No process is started again; no half-written file is taken; a broken one takes nothing else away."""
    product = Product(sqlite_stack)
    before = {name: process.pid for name, process in sqlite_stack.running.items()}
    (folder / "mine.py").write_text(function("mine", "one"))
    (folder / "other.py").write_text(function("other", "one"))
    assert product.refusal("mine") == product.refusal("other") == ""
    assert "no function of this name" in product.refusal("absent")
    product.answers("mine", "one")
    product.answers("mine", "one", sandbox=True)
    (folder / "mine.py").write_text(function("mine", "two"))
    product.answers("mine", "two")
    product.answers("mine", "two", sandbox=True)

    whole, slow = threading.Event(), threading.Thread(target=lambda: write_slowly(folder / "mine.py", whole))
    slow.start()
    try:
        while not whole.is_set():  # a process that has not had it before waits for the whole file
            shown = product.outcome("mine")["output"]
            assert shown == {"result": "two"} or (whole.is_set() and shown == {"result": "three"})
    finally:
        slow.join()
    product.answers("mine", "three")

    (folder / "mine.py").write_text(HEAD + "def broken(:\n")
    (folder / "other.py").write_text(function("other", "two"))
    product.answers("other", "two")
    eventually(lambda: product.faults() == ["mine.py"], 60, "/health names the file")
    assert product.http.get("/health").json()["status"] == "degraded"
    eventually(lambda: "mine.py, line 2: SyntaxError" in sqlite_stack.log("scripts"), 60, "the worker's log names it")
    assert "mine.py, line 2: SyntaxError" in sqlite_stack.log("web")
    assert product.outcome("mine")["output"] == {"result": "three"}  # the last good version

    (folder / "mine.py").write_text(function("mine", "four"))
    product.answers("mine", "four")
    eventually(lambda: product.faults() == [], 60, "/health is well again")
    (folder / "mine.py").unlink()
    ended = eventually(
        lambda: end if (end := product.outcome("mine"))["status"] == "failed" else None, 20, "the function is gone"
    )
    assert ended["error"]["code"] == "unknown_handler"
    product.answers("other", "two")
    assert {name: process.pid for name, process in sqlite_stack.running.items()} == before
