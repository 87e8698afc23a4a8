"""The pytest plugin, as an author uses it: in a pytest process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.receiving import Receiver, receiver

CANARY = "c4nary-s3cret"

ACTIONS = '''
from typing import Annotated
from tocsin.actions import Context, Secret, action

@action()
def lookup(url: str, token: Annotated[str, Secret] = "", *, context: Context) -> dict:
    """Look something up."""
    context.log("for " + context.target)
    answer = context.http.get(url, headers={"X-Token": token}, params={"q": token})
    return {"status": answer.status, "body": answer.json()}
'''

TESTS = """
import pytest
from pathlib import Path
from tocsin.actions import ActionError

URL = Path(__file__).with_name("url").read_text()

def test_lookup(run_action, http_recording):
    log = []
    output = run_action("lookup.py::lookup", url=URL, token="c4nary-s3cret", target="web-01", log=log)
    assert output["status"] == 200
    assert log == [("INFO", "for web-01")]
    assert http_recording.asked[0]["method"] == "GET"

def test_by_hand(run_action, http_recording):
    http_recording.add("GET", URL, status=404, json={"gone": True}, request={"params": [["q", ""]]})
    assert run_action("lookup.py::lookup", url=URL) == {"status": 404, "body": {"gone": True}}

def test_bad_parameters(run_action):
    with pytest.raises(ActionError, match="expected string"):
        run_action("lookup.py::lookup", url=5)
"""


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as one:
        yield one


def run_pytest(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tocsin.actions.pytest_plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        *words,
    ]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "sdk"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # noqa: TID251
    return subprocess.run(
        [*command, str(folder)], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_test_is_recorded_once_and_then_needs_no_receiver(tmp_path: Path, calls: Receiver) -> None:
    """A test without a recording names the option; with it the call is made and kept; then it passes alone."""
    (tmp_path / "lookup.py").write_text(ACTIONS)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "url").write_text(calls.url + "/ask")
    before = run_pytest(tmp_path)
    assert before.returncode == 1
    assert "1 failed, 2 passed" in before.stdout
    assert "run pytest with --tocsin-record" in before.stdout
    assert calls.calls == []
    recorded = run_pytest(tmp_path, "--tocsin-record", "-k", "lookup and not hand and not bad")
    assert recorded.returncode == 0, recorded.stdout
    assert calls.calls[0].path == f"/ask?q={CANARY}"
    kept = (tmp_path / "recordings" / "test_it.test_lookup.json").read_text()
    assert CANARY not in kept
    assert json.loads(kept)["calls"][0]["request"]["params"] == [["q", "********"]]
    calls.calls.clear()
    after = run_pytest(tmp_path)
    assert after.returncode == 0, after.stdout
    assert calls.calls == []
