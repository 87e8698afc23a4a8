"""Actions are tried without a server: described, called, recorded, replayed and isolated."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tocsin.actions import trying

from tests.support.receiving import Receiver, receiver

CANARY = "c4nary-s3cret/+ä"
TOKEN = "t0ken-of-the-firewall"

ACTIONS = '''
import os, socket
from typing import Annotated
from tocsin.actions import Basic, Bearer, Context, HttpFailed, Range, Retry, Secret, action
from ._addresses import clean

@action(type="remediation", retry=3, timeout=30, tags=["firewall"])
def block_ip(
    ip: str, hours: Annotated[int, Range(1, 720)] = 24, url: str = "", password: Annotated[str, Secret] = "", *,
    context: Context,
) -> dict:
    """Block an address at the firewall."""
    print("blocking", ip)
    answer = context.http.post(
        url + "/rules",
        json={"src": clean(ip), "hours": hours, "password": password},
        params={"user": "ada", "token": password},
        headers={"X-Signature": password, "X-Plain": password},
        auth=Basic("ada", password),
    )
    if answer.status == 423:
        raise Retry("the policy is locked", after=10)
    return {"rule": answer.raise_for_status().json(), "target": context.target}

@action()
def look(*, context: Context) -> dict:
    """What can be seen."""
    try:
        socket.create_connection(("1.1.1.1", 53), timeout=1)
        reached = True
    except OSError:
        reached = False
    return {"reached": reached, "files": os.path.exists("/etc/passwd"), "environment": sorted(os.environ)}

@action()
def with_secret(url: str, *, context: Context) -> dict:
    context.log("the token is " + context.secrets["FW_TOKEN"])
    answer = context.http.get(url, auth=Bearer(context.secrets["FW_TOKEN"]))
    return {"status": answer.status, "held": context.secrets["FW_TOKEN"], "key": context.secrets["KEY"]}
'''


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as one:
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of actions that is part of no bundle."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "firewall.py").write_text(ACTIONS)
    (folder / "_addresses.py").write_text("def clean(ip):\n    return ip.strip()\n")
    return folder / "firewall.py"


@pytest.fixture
def bundled(tmp_path: Path, calls: Receiver, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same file in a bundle, which may call the receiver and has two secrets."""
    folder = tmp_path / "bundle" / "actions"
    folder.mkdir(parents=True)
    (folder / "firewall.py").write_text(ACTIONS)
    (folder / "_addresses.py").write_text("def clean(ip):\n    return ip.strip()\n")
    (folder.parent / "bundle.toml").write_text(
        f'name = "fw"\nversion = "1.0.0"\nhosts = ["{calls.host}"]\n'
        "[secrets]\nFW_TOKEN = {}\nKEY = { reveal = true }\n"
    )
    monkeypatch.setenv("TOCSIN_SECRET_FW_TOKEN", TOKEN)
    return folder / "firewall.py"


def test_a_file_is_described(file: Path) -> None:
    """Each function has what the catalogue is told of it."""
    first, *others = trying.schema(file)
    assert [one["id"] for one in others] == ["look", "with_secret"]
    assert (first["type"], first["timeout_seconds"], first["retry"]) == ("remediation", 30, {"max_attempts": 3})
    assert [one["name"] for one in first["parameters"]] == ["ip", "hours", "url", "password"]
    assert first["output"] == {"type": "object"}


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1\ny = 1 / 0\n", "odd.py, line 2: ZeroDivisionError"),
        ("def f(:\n", "odd.py, line 1: SyntaxError"),
        ("from tocsin.actions import action\n\n@action()\ndef f(x: bytes): ...\n", "odd.py, line 3: TypeError: f:"),
        ("x = 1\n", "has no action"),
    ],
)
def test_a_file_that_cannot_be_tried_says_where(tmp_path: Path, source: str, says: str) -> None:
    """A file that fails to load names the line; one without a marked function says what is missing."""
    (tmp_path / "odd.py").write_text(source)
    with pytest.raises(trying.Unusable, match=r"odd\.py") as caught:
        trying.schema(tmp_path / "odd.py")
    assert says in str(caught.value)
    with pytest.raises(trying.Unusable, match="no such file"):
        trying.schema(tmp_path / "absent.py")


def test_a_function_is_found_by_name(file: Path) -> None:
    """A file with several functions needs the name of one; an unknown name lists those there are."""
    assert trying.find(f"{file}::look").handler.name == "look"
    for where in (file, f"{file}::absent"):
        with pytest.raises(trying.Unusable, match=r"block_ip, look, with_secret$"):
            trying.find(where)


def test_parameters_of_a_command_line_have_their_types(file: Path, tmp_path: Path) -> None:
    """A value is read as its type says; ``:=`` gives JSON, ``=@`` the content of a file; faults are named."""
    handler = trying.find(f"{file}::block_ip").handler
    (tmp_path / "body").write_text("from a file")
    words = ["ip=203.0.113.50", "hours=5", f"url=@{tmp_path / 'body'}", "password:=null"]
    given = trying.values_of(handler, words)
    assert given == {"ip": "203.0.113.50", "hours": 5, "url": "from a file", "password": None}
    for word, says in (("ip", "name=value"), ("adress=1", "no parameter of block_ip"), ("hours=long", "not JSON")):
        with pytest.raises(ValueError, match=says):
            trying.values_of(handler, [word])


def test_a_call_is_refused_unless_it_is_asked_for(file: Path, calls: Receiver) -> None:
    """Without a recording no call leaves the machine; the error names the options."""
    trial = trying.attempt(trying.find(f"{file}::block_ip"), {"ip": "203.0.113.5", "url": calls.url})
    assert trial.error is not None
    assert trial.error.code == "not_recorded"
    assert "--live" in trial.error.message
    assert "--record" in trial.error.message
    assert calls.calls == []


def test_what_is_recorded_is_replayed_without_a_receiver(file: Path, calls: Receiver, tmp_path: Path) -> None:
    """A recording answers as the receiver did, each call once; another call is not recorded; secrets are not in it."""
    subject, recording = trying.find(f"{file}::block_ip"), tmp_path / "recordings" / "block.json"
    given = {"ip": " 203.0.113.5", "url": calls.url, "password": CANARY}
    first = trying.attempt(subject, given, record=recording, target="web-01")
    assert first.error is None
    [arrived] = calls.calls
    assert arrived.json() == {"src": "203.0.113.5", "hours": 24, "password": CANARY}
    assert arrived.headers["idempotency-key"].startswith("try-")
    kept = recording.read_text()
    assert "c4nary" not in kept
    assert "********" in kept
    assert json.loads(kept)["calls"][0]["response"]["status"] == 200
    again = trying.attempt(subject, given, replay=recording, target="web-01")
    shown = {"rule": {"path": "/rules?user=ada&token=********"}, "target": "web-01"}
    assert (again.output, again.error) == (shown, None)
    assert again.log == [("INFO", "blocking  203.0.113.5")]
    assert len(calls.calls) == 1
    other = trying.attempt(subject, {**given, "hours": 25}, replay=recording)
    assert other.error is not None
    assert f"--record {recording}" in other.error.message
    with pytest.raises(trying.Unusable, match="no such recording"):
        trying.attempt(subject, given, replay=tmp_path / "absent.json")


def test_a_failure_that_is_recorded_is_replayed(file: Path, calls: Receiver, tmp_path: Path) -> None:
    """A wish for another attempt, and a call without an answer, fail alike in a replay."""
    subject = trying.find(f"{file}::block_ip")
    calls.answer = lambda _call: (423, {}, b"")
    for url in (calls.url, "http://127.0.0.1:1"):
        given = {"ip": "203.0.113.5", "url": url}
        first = trying.attempt(subject, given, record=tmp_path / "one.json").error
        second = trying.attempt(subject, given, replay=tmp_path / "one.json").error
        assert first is not None
        assert second is not None
        assert (first.code, first.message, first.retryable) == (second.code, second.message, second.retryable)
        assert first.retryable


def test_a_redirect_is_not_followed(file: Path, calls: Receiver) -> None:
    """A function sees the redirect itself, as on a worker."""
    calls.answer = lambda _call: (302, {"Location": "http://127.0.0.1:1/"}, b"{}")
    trial = trying.attempt(trying.find(f"{file}::block_ip"), {"ip": "1", "url": calls.url}, is_live=True)
    assert trial.error is not None
    assert trial.error.code == "http_status"
    assert "answered 302" in trial.error.message


def test_the_code_of_a_bundle_holds_a_placeholder(bundled: Path, calls: Receiver, tmp_path: Path) -> None:
    """The receiver gets the secret; the function, its log and the recording do not, unless the manifest reveals it."""
    subject = trying.find(f"{bundled}::with_secret")
    trial = trying.attempt(subject, {"url": calls.url}, record=tmp_path / "one.json", secrets={"KEY": "k"})
    assert trial.error is None
    assert calls.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    seen = json.dumps([trial.output, trial.log, trial.calls]) + (tmp_path / "one.json").read_text()
    assert TOKEN not in seen
    assert trial.output["key"] == "value-of-KEY"


def test_a_bundle_calls_its_hosts_only(bundled: Path, calls: Receiver) -> None:
    """A host that bundle.toml does not list is refused before anything is sent."""
    elsewhere = calls.url.replace("127.0.0.1", "localhost")
    trial = trying.attempt(trying.find(f"{bundled}::with_secret"), {"url": elsewhere}, is_live=True)
    assert trial.error is not None
    assert trial.error.code == "host_not_listed"
    assert calls.calls == []


def test_a_trial_in_the_sandbox(bundled: Path, calls: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function has neither network, files nor environment; its calls are made for it all the same."""
    monkeypatch.setenv("CANARY", CANARY)
    seen = trying.attempt(trying.find(f"{bundled}::look"), {}, sandbox=True)
    assert seen.error is None
    assert (seen.output["reached"], seen.output["files"]) == (False, False)
    assert "CANARY" not in seen.output["environment"]
    trial = trying.attempt(trying.find(f"{bundled}::with_secret"), {"url": calls.url}, is_live=True, sandbox=True)
    assert trial.error is None
    assert calls.calls[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert trial.log[0][1].startswith("the token is tocsin-secret-")


def test_a_recording_of_something_else(file: Path, tmp_path: Path) -> None:
    """A file that is no recording is named, not replayed."""
    for text in ("{", "[]", '{"recording": 2, "calls": []}', '{"recording": 1, "calls": [{}]}'):
        (tmp_path / "one.json").write_text(text)
        with pytest.raises(trying.Unusable, match=r"one\.json"):
            trying.attempt(trying.find(f"{file}::look"), {}, replay=tmp_path / "one.json")
