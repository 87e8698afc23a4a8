"""What help and completion load, told by name and not by a clock; and what a shell completes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_server import KEY, Reply

SDK = Path(__file__).parents[2]
HEAVY = {"httpx", "httpcore", "rich", "yaml", "asyncio", "ssl", "tocsin.models", "tocsin.errors", "tocsin._sync.client"}


def run(code, server=None, **more):
    """A fresh Python; what it prints."""
    path = os.pathsep.join([str(SDK), os.environ.get("PYTHONPATH", "")])
    known = {"TOCSIN_URL": server.url, "TOCSIN_API_KEY": KEY} if server else {}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "PYTHONPATH": path, **known, **more},
    )
    return done.stdout


def loaded(*words, server=None, **more):
    """The modules that are loaded after a command."""
    code = f"import sys\nfrom tocsin.cli import main\nmain({list(words)!r})\nprint('loaded:', *sys.modules)"
    return set(run(code, server, **more).rpartition("loaded:")[2].split())


def nouns(modules):
    return {one for one in modules if one.startswith("tocsin.cli.nouns.")}


def test_help_loads_no_noun_and_nothing_heavy():
    """``--help`` tells all nouns and imports none of them."""
    found = loaded("--help")
    assert found.isdisjoint(HEAVY)
    assert nouns(found) == set()


@pytest.mark.parametrize("words", [("runs", "--help"), ("runs", "list", "--help"), ("trigger", "--help")])
def test_help_on_a_verb_loads_its_noun_alone(words):
    """Help on a noun or a verb loads no HTTP client."""
    found = loaded(*words)
    assert found.isdisjoint(HEAVY)
    assert len(nouns(found)) == 1


def test_completion_of_commands_loads_nothing_heavy():
    """What is completed at each Tab is quick: the names of commands take no HTTP client."""
    code = "import sys\nfrom tocsin.cli import main\nmain([])\nprint('loaded:', *sys.modules)"
    out = run(code, _TOCSIN_COMPLETE="bash_complete", COMP_WORDS="tocsin pl", COMP_CWORD="1")
    words, _, modules = out.rpartition("loaded:")
    assert words.split() == ["plain,playbooks"]
    assert set(modules.split()).isdisjoint(HEAVY)


def test_a_call_loads_no_second_command_line(server):
    """A command that calls loads neither httpx's own command line nor rich nor the asynchronous half."""
    server.replies = [Reply(200, {"data": [], "meta": {}})]
    found = loaded("runs", "list", server=server)
    assert "httpx" in found
    assert found.isdisjoint({"rich", "pygments", "yaml", "tocsin._async.client"})


@pytest.mark.parametrize(
    ("shell", "words", "number", "expected"),
    [
        ("bash", "tocsin runs get pexec-", "3", "plain,pexec-1"),
        pytest.param("zsh", "tocsin runs get pexec-", "3", "plain\npexec-1\ncompleted", marks=pytest.mark.gate),
        pytest.param("fish", "tocsin runs get", "pexec-", "plain,pexec-1\tcompleted", marks=pytest.mark.gate),
        pytest.param("bash", "tocsin runs ca", "2", "plain,cancel", marks=pytest.mark.gate),
        pytest.param("bash", "tocsin runs list -o js", "4", "plain,json\nplain,jsonl", marks=pytest.mark.gate),
    ],
)
def test_shells_complete_commands_and_ids(server, shell, words, number, expected):
    """Ids come from the server, commands and choices from the command line."""
    server.replies = [Reply(200, {"data": [{"execution_id": "pexec-1", "status": "completed"}], "meta": {}})]
    code = "from tocsin.cli import main\nmain([])"
    out = run(code, server, _TOCSIN_COMPLETE=f"{shell}_complete", COMP_WORDS=words, COMP_CWORD=number)
    assert out.strip() == expected


@pytest.mark.gate
def test_completion_without_a_server_is_silent():
    """A shell that completes shows no errors."""
    more = {"_TOCSIN_COMPLETE": "bash_complete", "COMP_WORDS": "tocsin runs get p", "COMP_CWORD": "3"}
    code = "from tocsin.cli import main\nmain([])"
    assert run(code, **more, TOCSIN_URL="http://127.0.0.1:1", TOCSIN_API_KEY=KEY).strip() == ""


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_code_for_a_shell_is_printed(tocsin, shell):
    """``completion`` prints what the shell reads."""
    done = tocsin("completion", shell)
    assert done.code == 0
    assert "_TOCSIN_COMPLETE" in done.out
