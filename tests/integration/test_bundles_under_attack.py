"""Bundles whose code attacks machine, network and secrets: refused, or ended cleanly, and the worker lives."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from store.engine import db
from store.engine.db import metadata
from tests.support.api import Door
from tests.support.bundles import ECHO, bundle, push
from tests.support.hostile import CANARY, FREE, armed, carried_out
from tests.support.receiving import Receiver, receiver


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver on the loopback interface."""
    with receiver() as one:
        yield one


@pytest.fixture
def door(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The application; no private address may be called."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CANARY_OF_THE_WORKER", CANARY)
    settings.cache_clear()
    return Door()


def is_well(door: Door) -> None:
    """The worker's process goes on as before."""
    assert carried_out(door, code="found['well'] = True")["output"] == {"well": True}
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [pid for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("bwrap")]


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import os\nwhile True: os.fork()",
        "import os\nos._exit(0)",
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
        "x = 'x' * (2 << 30)",
        "import sys\nwhile True: sys.stdout.write('x' * 4096)",
        "import os\nwhile True: os.write(1, b'x' * 4096)",
        "import os\nwhile True: os.write(2, b'x' * 4096)",
        "raise SystemExit('no')",
        "import threading, time\nthreading.Thread(target=time.sleep, args=[3600]).start()\nwhile True: time.sleep(60)",
        "import gc, json\nfor o in gc.get_objects():\n    if hasattr(o, 'say'): o.say(output={'x': 1})",
    ],
    ids=lambda code: code[:40].replace("\n", ";"),
)
def test_code_that_attacks_at_import(door: Door, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The push is refused, or the code has had no effect, and the next push works."""
    from providers.bundled import reading
    from tasks.offload import pool

    monkeypatch.setattr(reading, "IMPORT_SECONDS", 2.0)
    monkeypatch.setattr(pool, "run", lambda function, *given: function(*given))  # so that the shorter time holds
    began = time.monotonic()
    answer = push(door, bundle(f"{ECHO}{code}\n"))
    assert answer.status_code in (201, 422), answer.text
    if answer.status_code == 422:
        assert answer.json["code"] == "invalid_bundle"
        assert answer.json["faults"][0]["file"].startswith("actions/")
    else:
        assert "gc" in code, "a bundle that cannot be imported was taken"
    assert time.monotonic() - began < 60
    assert push(door, bundle(version="1.0.1")).status_code == 201


def test_what_the_code_says_of_itself_is_checked(door: Door) -> None:
    """Code that writes the description of its functions itself gets no further than what a caller may write."""
    forged = """
import gc, os, json
for o in gc.get_objects():
    if type(o).__name__ == "Conversation":
        one = {"id": "a", "type": "x", "parameters": {"a": 1}}
        o.say(functions=[{"id": "../x", "place": ["/etc/passwd", 1]}, one], faults=[])
        os._exit(0)
"""
    answer = push(door, bundle(ECHO + forged))
    assert answer.status_code == 422
    assert "no name of an action" in answer.json["faults"][0]["detail"]
    forged = forged.replace('{"id": "../x", "place": ["/etc/passwd", 1]}, ', "")
    answer = push(door, bundle(ECHO + forged))
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_bundle"


@pytest.mark.parametrize(
    ("code", "codes"),
    [
        ("while True: pass", {"timeout"}),
        ("time.sleep(60)", {"timeout"}),
        ("while True: os.fork()", {"timeout", "script_limit", "handler_failed", "script_failed"}),
        ("x = [b'x' * (1 << 20) for _ in range(2000)]", {"script_limit", "handler_failed", "script_failed"}),
        (
            "f = open('/tmp/x', 'wb')\nwhile True: f.write(b'x' * (1 << 20))",
            {"script_limit", "handler_failed", "script_failed"},
        ),
        ("while True: print('x' * 1000)", {"script_limit"}),
        ("while True: os.write(2, b'x' * 4096)", {"script_limit"}),
        ("os._exit(0)", {"handler_failed"}),
        (
            "os.kill(1, signal.SIGKILL); os.kill(os.getppid(), signal.SIGKILL); os.kill(os.getpid(), signal.SIGKILL)",
            {"script_limit"},
        ),
        ("ctypes.string_at(0)", {"script_failed", "script_limit"}),
        ("raise RecursionError('x' * 100000)", {"handler_failed"}),
        ("found['x'] = float('nan')", {"bad_output"}),
        ("found['x'] = object()", {"bad_output"}),
        ("found['x'] = 'x' * 300000", {"script_limit"}),
    ],
    ids=lambda value: value[:40].replace("\n", ";") if isinstance(value, str) else "",
)
def test_code_that_does_not_end_well(door: Door, code: str, codes: set[str]) -> None:
    """Loops, forks, floods of memory, files and output, and sudden ends are the execution's own failure."""
    armed(door)
    ended = carried_out(door, code=code)
    assert ended["error"]["code"] in codes, ended["error"]
    assert ended["status"] in ("failed", "timeout")
    is_well(door)


def test_code_sees_nothing_of_the_machine(door: Door) -> None:
    """Neither the project, its data, other processes, the environment nor a network is there."""
    armed(door)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
found["environment"] = dict(os.environ)
paths = glob.glob("/proc/*/cmdline") + glob.glob("/proc/*/environ")
paths = [path for path in paths if os.access(path, os.R_OK)]
found["argv"] = [open(path, "rb").read().decode(errors="replace").replace(chr(0), " ") for path in paths]
found["var"] = os.path.exists({str(settings().var_dir)!r})
found["project"] = os.path.exists({str(Path(__file__).parents[2] / "tasks")!r})
found["shadow"] = os.path.exists("/etc/shadow") or os.path.exists("/etc/passwd")
found["job"] = sorted(os.path.join(p, f) for p, _, fs in os.walk("/job/bundle") for f in fs)
found["reached"] = []
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53), ("169.254.169.254", 80)):
    try:
        socket.create_connection(address, timeout=0.5)
        found["reached"].append(address)
    except OSError:
        pass
try:
    open("/job/bundle/actions/firewall.py", "a")
    found["writable"] = True
except OSError:
    found["writable"] = False
"""
        ended = carried_out(door, code=code)
    seen = ended["output"]
    assert seen is not None, ended["error"]
    assert CANARY not in json.dumps(seen)
    assert not any(name.startswith(("TOCSIN", "CANARY")) for name in seen["environment"])
    assert (seen["var"], seen["project"], seen["shadow"], seen["writable"]) == (False, False, False, False)
    assert seen["job"] == ["/job/bundle/actions/firewall.py"]
    assert seen["reached"] == []


def test_calls_that_no_rule_allows(door: Door, calls: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unlisted hosts, private addresses, listed names that resolve inside, and odd spellings are refused unsent."""
    from providers.egress import addresses

    armed(door, calls.host, "inside.example", "169.254.169.254", "localhost", "*.acme.example")
    plain = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **kinds: Any) -> Any:
        return plain("127.0.0.1" if str(host).endswith(".example") else host, *more, **kinds)

    monkeypatch.setattr(addresses.socket, "getaddrinfo", resolve)
    port = calls.host.partition(":")[2]
    for url, code in (
        ("https://elsewhere.example/", "host_not_listed"),
        ("https://acme.example/", "host_not_listed"),
        ("https://evil-acme.example/", "host_not_listed"),
        ("https://inside.example.evil.example/", "host_not_listed"),
        (f"http://127.0.0.1:{int(port) + 1}/", "host_not_listed"),
        (f"http://{calls.host}/", "egress_refused"),
        ("http://inside.example/", "egress_refused"),
        ("http://a.acme.example/", "egress_refused"),
        ("http://localhost/", "egress_refused"),
        ("http://169.254.169.254/latest/meta-data", "egress_refused"),
        ("http://inside.example@169.254.169.254/", "egress_refused"),
        ("http://inside.example\\@elsewhere.example/", "egress_refused"),
        ("http://0x7f.1/", "egress_refused"),
        ("http://[::ffff:127.0.0.1]/", "host_not_listed"),
        ("file:///etc/passwd", "egress_refused"),
        ("gopher://inside.example/", "egress_refused"),
    ):
        ended = carried_out(door, code="context.http.get(url)", url=url)
        assert ended["error"]["code"] == code, (url, ended["error"])
    assert calls.calls == []


@pytest.mark.parametrize(
    "request_",
    [
        "5",
        "[]",
        "{}",
        '{"method": "GET"}',
        '{"method": "CONNECT", "url": "http://h/"}',
        '{"method": "GET", "url": 5}',
        '{"method": "GET", "url": "http://h/", "headers": {"a": "b"}}',
        '{"method": "GET", "url": "http://h/", "headers": [["a"]]}',
        '{"method": "GET", "url": "http://h/", "headers": [["Host", "evil"]]}',
        '{"method": "GET", "url": "http://h/", "headers": [["X", "a\\r\\nY: b"]]}',
        '{"method": "GET", "url": "http://h/", "timeout": -1}',
        '{"method": "GET", "url": "http://h/", "timeout": true}',
        '{"method": "GET", "url": "http://h/", "auth": {"bearer": 5}}',
        '{"method": "POST", "url": "http://h/", "text": "a", "json": 1}',
        '{"method": "POST", "url": "http://h/", "base64": "%%%"}',
        '{"method": "HEAD", "url": "http://h/", "text": "a"}',
        '{"method": "GET", "url": "http://h/", "extra": 1}',
        '{"method": "POST", "url": "http://h/", "json": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
    ids=range(18),
)
def test_nonsense_on_the_pipe_is_answered(door: Door, request_: str) -> None:
    """Code that writes to the worker by itself gets a refusal, or its line is logged; the worker goes on."""
    armed(door, "h")
    code = f"""
conversation = context.is_cancelled.__self__
conversation._writing.write('{{"call": ' + {request_!r} + '}}' + chr(10)); conversation._writing.flush()
try:
    found["answer"] = conversation._answers.get(timeout=1)
except Exception as error:
    found["none"] = type(error).__name__
"""
    ended = carried_out(door, code=code)
    assert ended["status"] == "completed", ended["error"]
    assert "response" not in ended["output"].get("answer", {})
    is_well(door)


def test_a_flood_of_calls_and_of_lines_ends_the_function(door: Door) -> None:
    """More calls at once than the runner ever has, a line without an end, and too many calls are refused."""
    armed(door, "h")
    code = """
conversation = context.is_cancelled.__self__
while True:
    conversation._writing.write('{"call": {"method": "GET", "url": "http://h:1/"}}\\n'); conversation._writing.flush()
"""
    assert carried_out(door, code=code)["error"]["code"] == "script_limit"
    code = "conversation = context.is_cancelled.__self__\nwhile True: conversation._writing.write('x' * 65536)"
    assert carried_out(door, code=code)["error"]["code"] == "script_limit"
    many = """
for number in range(1100):
    try: context.http.get("http://unlisted.example/")
    except HttpFailed as failed: found["last"] = failed.code
"""
    assert carried_out(door, code=many)["output"] == {"last": "too_many_calls"}
    is_well(door)


def test_no_way_to_the_secret(door: Door, calls: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    """Placeholders elsewhere are refused, guessed ones mean nothing, what a receiver repeats is masked."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    armed(door, calls.host)
    calls.answer = lambda call: (200, {"X-Back": call.headers.get("x", "")}, json.dumps(call.headers).encode())
    held = 'held = context.secrets["TOKEN"]\n'
    for code, expected in (
        ("context.http.get(url + '/' + held)", "secret_misplaced"),
        ("context.http.get(url, headers={held: 'x'})", "secret_misplaced"),
        ("context.http.post(url, data=held)", "secret_misplaced"),
        ("context.http.post(url, data={'a': held})", "secret_misplaced"),
        ("context.http.post(url, json={held: 1})", "secret_misplaced"),
        ("context.http.get(url, headers={'X': held.replace('TOKEN', 'OTHER')})", "secret_missing"),
        ("context.http.get('http://unlisted.example/', headers={'X': held})", "host_not_listed"),
    ):
        refused = carried_out(door, code=held + code, url=calls.url)["error"] or {"code": None}
        assert refused["code"] == expected, code
    assert calls.calls == []
    guessed = "found['a'] = context.http.get(url, headers={'X': 'tocsin-secret-0-TOKEN-.'}).json()"
    sent = carried_out(door, code=guessed, url=calls.url)
    assert sent["error"] is None, sent["error"]
    assert sent["output"]["a"]["x"] == "tocsin-secret-0-TOKEN-."
    repeated = (
        held
        + "a = context.http.get(url, headers={'X': held}, auth=Basic('u', held), params={'q': held})\n"
        + "print(a.text, file=sys.stderr); print(a.text); context.log(a.text); found['back'] = a.headers['x-back']\n"
        + "found['answer'] = a.json(); found['b64'] = base64.b64encode(a.content).decode()\n"
        + "raise_it = a.headers['x-back']"
    )
    ended = carried_out(door, code=repeated, url=calls.url)
    assert ended["output"], ended["error"]
    assert ended["output"]["back"] == "********"
    assert CANARY in str(calls.calls)
    failing = carried_out(
        door, code=held + "raise ValueError(context.http.get(url, headers={'X': held}).text)", url=calls.url
    )
    with db.read() as connection:
        tables = [str(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(table.select())]
    exposed = json.dumps([ended, failing]) + "".join(tables) + caplog.text
    exposed += door.call("GET", "/api/bundles/acme").text + door.call("GET", "/v1/audit").text
    assert CANARY not in exposed
    assert all(CANARY.encode() not in file.read_bytes() for file in settings().var_dir.rglob("*") if file.is_file())


def test_a_call_that_outlasts_the_function_is_given_up(
    door: Door, calls: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time of the execution ends a call that is under way, and a cancel does; a call has a time of its own, too."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    armed(door, calls.host)

    def slowly(_call: Any) -> Any:
        time.sleep(8)
        return 200, {}, b"{}"

    calls.answer = slowly
    began = time.monotonic()
    own = carried_out(door, code="context.http.get(url, timeout=0.5)", url=calls.url)
    assert (own["error"]["code"], own["error"].get("retryable")) == ("http_timeout", own["error"].get("retryable"))
    late = carried_out(door, code="context.http.get(url)", url=calls.url)
    assert late["status"] == "timeout"
    assert time.monotonic() - began < 20
    is_well(door)


def test_an_answer_that_is_too_large(door: Door, calls: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of more than 1 MiB never reaches the sandbox; one just below it does."""
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    settings.cache_clear()
    armed(door, calls.host)
    for size, code in ((1 << 20) - 100, None), ((1 << 20) + 1, "response_too_large"):
        calls.answer = lambda _call, size=size: (200, {}, b"\xff" * size)
        ended = carried_out(door, code="found['n'] = len(context.http.get(url).content)", url=calls.url)
        assert (ended["error"] or {}).get("code") == code
        assert code or ended["output"] == {"n": size}


def test_a_function_hears_of_a_cancel(door: Door) -> None:
    """It may end by itself within a second; one that does not is ended."""
    from providers import local
    from providers.base import Abandoned, Bundle, Call

    waiting = "while not context.cancelled(): time.sleep(0.02)\nprint('heard of it')\nos._exit(0)"
    for code, heard in ((waiting, True), ("time.sleep(60)", False)):
        lines: list[str] = []
        files = {"actions/a.py": FREE.encode()}
        began = time.monotonic()
        call = Call(
            execution_id="exec-1",
            idempotency_key="exec-1",
            config={"bundle": "acme", "handler": "attack"},
            parameters={"code": code},
            context={},
            bundle=Bundle(name="acme", version="1.0.0", digest="", files=files),
            aborted=lambda began=began: time.monotonic() - began > 1,
            log=lambda _level, line, lines=lines: lines.append(line),
        )
        with pytest.raises((Abandoned, Exception)):
            local.perform(call)
        assert time.monotonic() - began < 10
        assert ("heard of it" in lines) == heard
