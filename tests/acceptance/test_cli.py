"""The command line against the running product: from files to the end of a run, as scripts and people call it."""

import json
import threading
import time
import uuid

import pytest
import yaml
from terminal import Done, on_terminal, plain
from tocsin.cli import main

from tests.acceptance.test_sdk import restarting
from tests.support.playbooks import Kit, approval, delay
from tests.support.stack import Stack


@pytest.fixture
def stack(first_stack: Stack) -> Stack:
    """The running product; nothing here depends on the kind of database."""
    return first_stack


@pytest.fixture
def tocsin(stack, monkeypatch, capsys):
    """Call the command line as an admin, or with another key."""
    monkeypatch.setenv("TOCSIN_URL", stack.url)

    def call(*words, key=None):
        monkeypatch.setenv("TOCSIN_API_KEY", key or stack.api.key)
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Done(code, *capsys.readouterr())

    return call


def name():
    """A name of its own."""
    return f"cli {uuid.uuid4().hex[:10]}"


def test_from_two_files_to_the_end_of_a_run(stack, tocsin, tmp_path):
    """Action and playbook are applied from files, the run is followed, and its exit code is that of its end."""
    action = {
        "name": name(),
        "type": "webhook",
        "executor": "webhook",
        "parameters": [{"name": "times", "type": "integer", "required": True}],
        "config": {"url": f"{stack.sink.url}/echo", "method": "POST", "body": {"times": "{{ times }}"}},
    }
    (tmp_path / "action.yaml").write_text(yaml.safe_dump(action))
    applied = tocsin("actions", "apply", tmp_path / "action.yaml", "-o", "json")
    assert (applied.code, applied.err) == (0, "")
    act = applied.json["id"]
    assert tocsin("trigger", act, "-p", "times=3", "--watch", "-o", "json").json["output"]["body"] == '{"times":3}'
    refused = tocsin("trigger", act, "-p", "times=3", "-p", "tims=4")
    assert refused.code == 6
    assert "tims" in refused.err

    step = {"id": "first", "type": "action", "action_ref": act, "parameters": {"times": "{{ times }}"}}
    playbook = {"name": name(), "parameters": [{"name": "times", "type": "integer"}], "steps": [step]}
    (tmp_path / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    assert tocsin("playbooks", "validate", tmp_path / "playbook.yaml").out.endswith(": valid\n")
    simulated = tocsin("playbooks", "simulate", tmp_path / "playbook.yaml", "-p", "times=2", "-o", "json")
    assert simulated.json["predicted_status"] == "completed"
    found = tocsin("playbooks", "apply", tmp_path / "playbook.yaml", "-o", "id").out.strip()
    target = name()
    done = tocsin("run", found, "-p", "times=5", "--target", target, "--watch")
    assert done.code == 0
    lines = done.out.splitlines()
    assert any("✓ first completed" in line for line in lines)
    run = lines[0].split()[0]
    assert lines[-1].startswith(f"✓ {run} completed in ")
    assert tocsin("runs", "list", "--target", target, "-o", "id").out == f"{run}\n"
    assert tocsin("runs", "steps", run, "-o", "json").json[0]["output"]["body"] == '{"times":5}'
    near = tocsin("playbooks", "get", f"{found}x")
    assert near.code == 3
    assert found in near.err


def test_a_run_waits_for_a_decision_and_is_cancelled(stack, tocsin):
    """``--until paused`` stops at the approval; another person approves without naming the step; cancelled is 8."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"), approval("ask"), delay("rest", 60))
    done = tocsin("run", playbook, "--target", name(), "--until", "paused", "--timeout", "60")
    assert done.code == 0
    run = done.out.split()[0]
    assert "ask waiting" in done.out
    assert f"decide: tocsin approve {run} ask" in done.err
    late = tocsin("watch", run, "--timeout", "0.2")
    assert late.code == 7
    decided = tocsin("approve", run, "--note", "user told", key=stack.nursery.make_key())
    assert (decided.code, decided.err) == (0, f"ask of {run} is approved.\n")
    assert tocsin("approve", run, "ask", key=stack.nursery.make_key()).code == 5
    assert tocsin("runs", "cancel", run).code == 2
    assert tocsin("runs", "cancel", run, "--yes").code == 0
    assert tocsin("watch", run).code == 8


def test_a_failed_run_says_where(stack, tocsin):
    """The last line names the step and what went wrong; the exit code is 1."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("broken", "status/404"))
    done = tocsin("run", playbook, "--target", name(), "--watch")
    assert done.code == 1
    assert " failed" in done.out.splitlines()[-1]
    assert "broken" in done.out


def test_keys_and_who_calls(stack, tocsin):
    """A key is made, tells who it is, may not do more than its role, and is revoked."""
    made = tocsin("keys", "create", name(), "--role", "viewer", "--expires-at", "1h", "-o", "json").json
    assert tocsin("whoami", "-o", "json", key=made["key"]).json["role"] == "viewer"
    assert tocsin("keys", "list", key=made["key"]).code == 4
    assert tocsin("keys", "revoke", made["id"], "--yes").code == 0
    assert tocsin("whoami", key=made["key"]).code == 4
    assert tocsin("doctor").code == 0


def test_the_tree_of_a_real_run_on_a_terminal(stack):
    """On a terminal the run is drawn, and its picture stays with all steps completed."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"), kit.act("second"))
    words = ["run", playbook, "--target", name(), "--watch"]
    code, drawn = on_terminal(stack, *words, columns=100, key=stack.api.key)
    assert code == 0
    last = plain(drawn).rstrip().splitlines()[-3:]
    assert ["✓ first" in last[0], "✓ second" in last[1], " completed in " in last[2]] == [True] * 3


@pytest.mark.gate
def test_a_restart_during_watching_goes_unnoticed(stack, tocsin):
    """The API is killed and started again while a run is watched: each change is told once, and the end is known."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"), delay("rest", 3), kit.act("last"))
    run = tocsin("run", playbook, "--target", name(), "-o", "id").out.strip()
    with restarting(stack, after=0.5):
        done = tocsin("watch", run, "-o", "jsonl")
    assert done.code == 0
    told = [json.loads(line) for line in done.out.splitlines()]
    steps = [(one["step"], one["status"]) for one in told if one.get("type") == "step_changed"]
    assert len(steps) == len(set(steps)), "a change was told twice"
    assert {("first", "completed"), ("rest", "completed"), ("last", "completed")} <= set(steps)
    assert told[-1]["status"] == "completed"


@pytest.mark.gate
def test_the_stream_is_tailed(stack, tocsin):
    """``stream tail`` writes what happens as it happens."""
    kit = Kit(stack)
    playbook = kit.playbook(kit.act("first"))

    def run_soon() -> None:
        time.sleep(1)
        stack.api.run(playbook)

    thread = threading.Thread(target=run_soon)
    thread.start()
    done = tocsin("stream", "tail", "-n", "1", "-o", "jsonl")
    thread.join()
    assert done.code == 0
    assert json.loads(done.out)["type"]


def test_a_custom_action_from_nothing_to_a_trigger_and_back(stack, tocsin, tmp_path, monkeypatch):
    """Begun, pushed, triggered by a worker in the sandbox, changed, pushed again, and set back."""
    monkeypatch.chdir(tmp_path)
    bundle = f"acme-{uuid.uuid4().hex[:8]}"
    assert tocsin("bundles", "new", bundle).code == 0
    code = '''from tocsin.actions import action


@action()
def add(left: int, right: int = 1) -> dict:
    """Add two numbers."""
    return {"sum": left + right, "by": "first"}
'''
    source = tmp_path / bundle / "actions" / "lookup.py"
    source.write_text(code)
    tried = tocsin("actions", "test", f"{source}::add", "-p", "left=2", "-o", "json")
    assert (tried.code, tried.json) == (0, {"sum": 3, "by": "first"})
    foreseen = tocsin("bundles", "push", bundle, "--dry-run", "-o", "json")
    assert foreseen.code == 0, foreseen.err
    assert tocsin("bundles", "show", bundle).code == 3
    assert tocsin("bundles", "push", bundle).code == 0
    act = f"act-{bundle}-add"

    def summed():
        done = tocsin("trigger", act, "-p", "left=40", "-p", "right=2", "--watch", "-o", "json")
        assert done.code == 0, done.err
        return done.json["output"]

    assert summed() == {"sum": 42, "by": "first"}
    source.write_text(code.replace("first", "second"))
    assert tocsin("bundles", "push", bundle).code == 5
    manifest = tmp_path / bundle / "bundle.toml"
    manifest.write_text(manifest.read_text().replace("0.1.0", "0.2.0"))
    assert tocsin("bundles", "push", bundle).code == 0
    assert summed()["by"] == "second"
    assert tocsin("bundles", "activate", bundle, "0.1.0").code == 0
    assert summed()["by"] == "first"
    assert tocsin("bundles", "delete", bundle, "--yes").code == 0
    assert tocsin("trigger", act, "-p", "left=1").code == 3
