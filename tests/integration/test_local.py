"""The executor local: scripts in the sandbox, functions in the worker and in the sandbox."""

import json
import os
import socket
import time
from pathlib import Path

import pytest

from config.settings import settings
from providers import local
from providers.base import Abandoned, Call, ProviderError, TimedOut
from providers.handlers import snapshot
from providers.sandbox import script

ACTIONS = '''
import logging, os, socket, sys
from typing import Annotated
from providers.functions import Context, Retry, Secret, action
from ._helper import double

@action()
def add(a: int, b: int = 1, *, context: Context) -> dict:
    """Add two numbers."""
    print("adding", a, b)
    logging.getLogger("operator").warning("watch out")
    context.log("for " + context.target)
    return {"sum": a + b, "twice": double(a + b), "pid": os.getpid()}

@action()
def call_home(port: int) -> str:
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return "reached"

@action()
def again() -> None:
    raise Retry("busy", after=7)

@action()
def vanish() -> None:
    os._exit(4)

@action()
def look() -> dict:
    return {"environment": dict(os.environ), "shadow": os.path.exists("/etc/shadow"),
            "others": os.path.exists("/job/project/providers/sandbox/sandbox.py")}
'''


@pytest.fixture(autouse=True)
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An installation with an actions folder that only its owner may enter."""
    folder = tmp_path / "actions"
    folder.mkdir(mode=0o700)
    (folder / "mine.py").write_text(ACTIONS)
    (folder / "_helper.py").write_text("def double(x):\n    return 2 * x\n")
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(folder))
    monkeypatch.setenv("CANARY_IN_ENVIRONMENT", "canary")
    monkeypatch.setattr(snapshot, "SETTLES", 0.0)  # the files have just been written, and are finished
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def call(config: dict, lines: list | None = None, **more) -> Call:
    kept = [] if lines is None else lines
    return Call(
        execution_id="exe-1",
        idempotency_key="key-1",
        config=config,
        parameters=more.pop("parameters", {}),
        context={"target": "10.0.0.9"},
        log=lambda level, line: kept.append((level, line)),
        **more,
    )


def bash(text: str) -> dict:
    return {"interpreter": "bash", "script": text}


def test_a_bash_script_reads_variables_and_answers_json() -> None:
    """Parameters are variables; the last JSON line is the output, whatever comes after; the rest is log."""
    lines: list = []
    text = """
        echo "blocking $PARAM_IP for $PARAM_HOURS"
        echo "{\\"ip\\": \\"$PARAM_IP\\", \\"key\\": \\"$TOCSIN_IDEMPOTENCY_KEY\\"}"
        echo careful >&2
        echo "done for $TOCSIN_TARGET in $TOCSIN_EXECUTION_ID"
    """
    output = local.perform(call(bash(text), lines, parameters={"ip": "1.2.3.4", "hours": 24}))
    assert output == {"ip": "1.2.3.4", "key": "key-1"}
    assert lines == [
        ("INFO", "blocking 1.2.3.4 for 24"),
        ("INFO", "done for 10.0.0.9 in exe-1"),
        ("WARNING", "careful"),
    ]


def test_a_python_script_reads_standard_input() -> None:
    """All parameters, also large ones and those with odd characters, are on standard input as JSON."""
    text = "import json, os, sys\np = json.load(sys.stdin)\n"
    text += "print(json.dumps([len(p['big']), len(p['nul']), 'PARAM_BIG' in os.environ, os.environ['PARAM_ODD_NAME']]))"
    parameters = {"big": "x" * 200_000, "nul": "a\0b", "odd-name": ["é"]}
    output = local.perform(call({"interpreter": "python", "script": text}, parameters=parameters))
    assert output == {"result": [200_000, 3, False, '["\\u00e9"]']}


@pytest.mark.parametrize(
    ("prints", "output"),
    [
        ("", {}),
        ("hello", {}),
        ("5", {"result": 5}),
        ("[1]\nbye", {"result": [1]}),
        ('{"a": 1}\n\n', {"a": 1}),
        ("NaN", {}),
        ('"\\u0000"', {}),
        ('"\\\\u0000"', {"result": "\\u0000"}),
    ],
)
def test_what_counts_as_output(prints: str, output: dict) -> None:
    """No JSON is an empty output; JSON that is not an object is put under "result"; NaN and NUL are neither."""
    assert local.perform(call(bash(f"cat <<'END'\n{prints}\nEND"))) == output


def test_attackers_text_is_data() -> None:
    """Values full of shell and template syntax reach the script unchanged and nothing in them runs."""
    evil = "$(touch /tmp/owned); `id` '\"; exit 9 # {{ 7*7 }} ${PATH}\n() { :; }; echo owned"
    text = "python3 -c \"import json,os; print(json.dumps([os.environ['PARAM_X'], os.listdir('/tmp')]))\""
    assert local.perform(call(bash(text), parameters={"x": evil})) == {"result": [evil, []]}
    assert local.perform(call(bash("echo '\"{{ parameters.x }}\"'"), parameters={"x": "1"})) == {
        "result": "{{ parameters.x }}"
    }


def test_an_exit_code_is_a_failure() -> None:
    """A script that ends with another code than 0 has failed; the error names the code, the log has its output."""
    lines: list = []
    with pytest.raises(ProviderError) as caught:
        local.perform(call(bash("echo trying; echo '{}' ; exit 3"), lines))
    assert (caught.value.code, caught.value.details) == ("script_failed", {"exit_code": 3})
    assert not caught.value.retryable
    assert lines == [("INFO", "trying")]


def test_how_a_script_is_stopped() -> None:
    """Too long is a time-out, not ours any more is abandoned, over a limit is script_limit."""
    with pytest.raises(TimedOut):
        local.perform(call(bash("sleep 60"), expires_at=time.monotonic() + 0.3))
    with pytest.raises(Abandoned):
        local.perform(call(bash("sleep 60"), aborted=lambda: True))
    with pytest.raises(ProviderError, match="256 KiB") as caught:
        local.perform(call(bash("yes")))
    assert caught.value.code == "script_limit"


def test_nothing_runs_when_the_checkpoint_refuses() -> None:
    """An execution that is not ours any more starts neither a script nor a function."""

    def refuse() -> None:
        raise Abandoned

    lines: list = []
    for config in (bash("echo started"), {"handler": "add"}):
        for mode in ("live", "sandbox"):
            with pytest.raises(Abandoned):
                local.perform(call(config, lines, parameters={"a": 1}, checkpoint=refuse, mode=mode))
    assert lines == []


def test_a_sandboxed_script_is_reported() -> None:
    """In mode sandbox the script runs all the same and the report says how it ended, without its text."""
    one = call(bash("echo '{\"blocked\": true}'"), mode="sandbox")
    assert local.perform(one) == {"blocked": True}
    (command,) = one.report.commands_executed
    assert (command["interpreter"], command["exit_code"]) == ("bash", 0)
    assert set(command) == {"interpreter", "exit_code", "seconds"}


def test_a_function_runs_in_the_worker_when_live() -> None:
    """A live function gets its parameters and context; what it prints and logs is the execution's log."""
    lines: list = []
    output = local.perform(call({"handler": "add"}, lines, parameters={"a": 2}))
    assert output == {"sum": 3, "twice": 6, "pid": os.getpid()}
    assert lines == [("INFO", "adding 2 1"), ("WARNING", "watch out"), ("INFO", "for 10.0.0.9")]


def test_a_function_runs_isolated_in_mode_sandbox() -> None:
    """The same function, the same log, but in another process that sees neither files nor environment."""
    lines: list = []
    one = call({"handler": "add"}, lines, parameters={"a": 2}, mode="sandbox")
    output = local.perform(one)
    assert (output["sum"], output["twice"]) == (3, 6)
    assert output["pid"] != os.getpid()
    assert lines == [("INFO", "adding 2 1"), ("WARNING", "watch out"), ("INFO", "for 10.0.0.9")]
    assert one.report.commands_executed[0]["handler"] == "add"
    seen = local.perform(call({"handler": "look"}, mode="sandbox"))
    assert "CANARY_IN_ENVIRONMENT" not in seen["environment"]
    assert (seen["shadow"], seen["others"]) == (False, False)


def test_a_sandboxed_function_reaches_no_server() -> None:
    """A port that a live function reaches is closed to the same function in mode sandbox."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        parameters = {"port": server.getsockname()[1]}
        assert local.perform(call({"handler": "call_home"}, parameters=parameters)) == {"result": "reached"}
        with pytest.raises(ProviderError, match="ConnectionRefusedError") as caught:
            local.perform(call({"handler": "call_home"}, parameters=parameters, mode="sandbox"))
    assert caught.value.code == "handler_failed"


def test_a_sandboxed_function_fails_like_a_live_one() -> None:
    """Retry and bad parameters mean the same inside; a process that vanishes is a failure, not an output."""
    for mode in ("live", "sandbox"):
        with pytest.raises(ProviderError, match="busy") as caught:
            local.perform(call({"handler": "again"}, mode=mode))
        assert (caught.value.retryable, caught.value.retry_after) == (True, 7)
        with pytest.raises(ProviderError, match="needs the parameter a"):
            local.perform(call({"handler": "add"}, mode=mode))
        with pytest.raises(ProviderError, match="no function absent"):
            local.perform(call({"handler": "absent"}, mode=mode))
    with pytest.raises(ProviderError) as caught:
        local.perform(call({"handler": "vanish"}, mode="sandbox"))
    assert caught.value.details == {"exit_code": 4}


@pytest.mark.parametrize(
    ("config", "pointer", "says"),
    [
        ({}, "", "give either"),
        ({"handler": "add", "script": "x"}, "", "not both"),
        ({"handler": "ad"}, "/handler", "did you mean add?"),
        ({"handler": "quite_different"}, "/handler", "known are: add, again"),
        ({"handler": 5}, "/handler", "no function"),
        ({"interpreter": "perl", "script": "x"}, "/interpreter", "bash or python"),
        ({"interpreter": "bash", "script": " "}, "/script", "must be the text"),
        ({"interpreter": "bash", "script": "é" * 40_000}, "/script", "at most 65536 bytes"),
        ({"handler": "add", "retries": 3}, "/retries", "it is the action's own 'retry.max_attempts'"),
    ],
)
def test_faults_of_a_config(config: dict, pointer: str, says: str) -> None:
    """Each fault is named by its pointer with a remedy."""
    (problem,) = local.check(config, set())
    assert problem.pointer == pointer
    assert says in problem.detail


def test_a_good_config_has_no_faults() -> None:
    """A known function, and a script of exactly the largest size, are accepted."""
    assert local.check({"handler": "add"}, set()) == []
    assert local.check(bash("#" * script.SCRIPT_BYTES), set()) == []


def test_a_plan_says_what_would_run_without_the_values() -> None:
    """A plan names the function or the script's size and the parameters, and holds no value of them."""
    scripted = local.plan(call(bash("echo"), parameters={"token": "s3cret"}))
    named = local.plan(call({"handler": "add"}, parameters={"a": "s3cret"}))
    assert (scripted["interpreter"], scripted["script_bytes"], scripted["parameters"]) == ("bash", 4, ["token"])
    assert (named["handler"], named["description"], named["parameters"]) == ("add", "Add two numbers.", ["a"])
    assert "s3cret" not in json.dumps([scripted, named])


def test_a_sandboxed_function_calls_nobody_by_its_context(installation: Path) -> None:
    """``context.http`` goes by the rules of the installation when live; in mode sandbox the call is in the report."""
    (installation / "calling.py").write_text(
        "from tocsin.actions import Context, action\n"
        "@action()\ndef tell(url: str, *, context: Context) -> dict:\n"
        "    return {'status': context.http.post(url, json={'n': 1}).status}\n"
    )
    one = call({"handler": "tell"}, parameters={"url": "http://127.0.0.1:9/x"}, mode="sandbox")
    assert local.perform(one) == {"status": 200}
    [intercepted] = one.report.intercepted_calls
    assert (intercepted["method"], intercepted["url"], intercepted["body"]) == (
        "POST",
        "http://127.0.0.1:9/x",
        {"n": 1},
    )
    with pytest.raises(ProviderError) as refused:
        local.perform(call({"handler": "tell"}, parameters={"url": "http://127.0.0.1:9/x"}))
    assert refused.value.code == "egress_refused"
