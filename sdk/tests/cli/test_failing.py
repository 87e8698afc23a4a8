"""What goes wrong is one clear line with the right exit code, and never a traceback."""

import json
import os
import subprocess
import sys

import pytest
from scripted_server import KEY, Reply, problem
from terminal import SDK, run_of, shell
from tocsin.cli.failures import MEANINGS


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (401, "unauthorized", 4),
        (403, "forbidden", 4),
        (404, "not_found", 3),
        (409, "already_ended", 5),
        (412, "changed", 5),
        (413, "too_large", 6),
        (422, "invalid_values", 6),
        (500, "internal", 9),
    ],
)
def test_each_refusal_has_its_exit_code(tocsin, server, status, word, code):
    """The exit code says what kind of refusal it is; JSON says all of it."""
    server.replies = [problem(status, word, errors=[{"pointer": "/a", "detail": "is wrong"}])]
    done = tocsin("runs", "cancel", "pexec-1", "--yes")
    assert done.code == code
    assert done.err.splitlines()[:2] == [f"Error: It is {word}.", "  /a: is wrong"]
    done = tocsin("runs", "cancel", "pexec-1", "--yes", "-o", "json")
    told = json.loads(done.err)["error"]
    assert (told["code"], told["status"], told["exit_code"], told["request_id"]) == (word, status, code, "r-1")
    assert done.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "lst"], "There is no command 'lst'. Did you mean 'list'?"),
        (["rnus"], "Did you mean 'runs'?"),
        (["runs", "list", "--since", "yesterday"], "is no time"),
        (["runs", "list", "--limit", "0"], "0"),
        (["runs", "list", "--stauts", "failed"], "--status"),
        (["runs", "get"], "RUN_ID"),
        (["runs", "get", ""], "'' is not a run_id"),
        (["runs", "get", ".."], "'..' is not a run_id"),
        (["runs"], "tocsin runs takes a verb: list, get, watch"),
        (["-o", "xml", "runs", "list"], "xml"),
        (["silences", "create", "--matchers", "{"], "is no JSON"),
        (["api", "GET", "api"], "begins with one slash"),
    ],
)
def test_what_is_not_understood_is_2(tocsin, server, words, said):
    """A misspelt command line is told what is meant, and nothing is called."""
    server.replies = [Reply(500)]
    done = tocsin(*words)
    assert done.code == 2
    assert said in done.err
    assert (server.requests, done.out) == ([], "")


def test_an_unknown_id_comes_with_the_nearest(tocsin, routes):
    """The ids that there are tell which one was meant."""
    routes["GET /api/playbooks"] = {"data": [{"id": "pb-isolate", "name": "I"}, {"id": "pb-triage", "name": "T"}]}
    done = tocsin("playbooks", "get", "pb-isolat")
    assert done.code == 3
    assert done.err.splitlines()[0] == "Error: It is not_found; did you mean pb-isolate?"


@pytest.mark.parametrize(
    ("text", "place"),
    [("a: [1\nb: 2\n", ":2:2"), ("a: 1\n\tb: 2\n", ":2:1"), ("a: b: c\n", ":1:5"), ("a: &x [*x, \x00]\n", "")],
)
def test_bad_yaml_is_found_by_line_and_column(tocsin, server, tmp_path, text, place):
    """A file that cannot be read says where."""
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    server.replies = [Reply(500)]
    done = tocsin("playbooks", "apply", str(file))
    assert (done.code, server.requests) == (6, [])
    assert f"{file}{place}" in done.err
    assert len(done.err.splitlines()) == 1


def test_no_server_and_no_configuration(tocsin, monkeypatch, tmp_path):
    """A server that is not there is 9, one that nobody has named is 2."""
    done = tocsin("--url", "http://127.0.0.1:1", "runs", "list")
    assert done.code == 9
    assert "127.0.0.1:1" in done.err
    assert len(done.err.splitlines()) == 1
    monkeypatch.delenv("TOCSIN_URL")
    monkeypatch.chdir(tmp_path)
    done = tocsin("runs", "list", "-o", "json")
    assert done.code == 2
    assert json.loads(done.err)["error"]["code"] == "configuration"


def test_what_nobody_has_foreseen_is_one_line(tocsin, monkeypatch):
    """A fault of the command line itself is told as one, without a traceback."""
    monkeypatch.setattr("tocsin.cli.session.Session.call", lambda *_, **__: 1 / 0)
    done = tocsin("runs", "get", "pexec-1")
    assert done.code == 9
    assert done.err.startswith("Error: This is a fault of the command line: ZeroDivisionError")
    assert len(done.err.splitlines()) == 1


def test_a_closed_pipe_ends_quietly(server):
    """``| head`` ends the command without a word."""
    rows = [{"execution_id": f"pexec-{n}", "status": "completed"} for n in range(5000)]
    server.replies = [Reply(200, {"data": rows, "meta": {}})]
    path = os.pathsep.join([str(SDK), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "TOCSIN_URL": server.url, "TOCSIN_API_KEY": KEY, "PYTHONPATH": path}
    command = [sys.executable, "-m", "tocsin._command", "runs", "list", "-o", "jsonl"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


def test_no_locale_and_forty_columns(server):
    """Without a locale marks and names are ASCII; in 40 columns ids stay whole."""
    run = run_of("completed", playbook_name="Größe — 大きさ")
    server.replies = [Reply(200, {"data": [run], "meta": {}})]
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "40"}
    done = shell(server, "runs", "list", **bare)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert done.stdout.splitlines()[1].startswith("pexec-1  + completed")
    assert all(len(line) <= 40 for line in done.stdout.splitlines())
    server.replies = [Reply(200, {"data": run})]
    done = shell(server, "runs", "get", "pexec-1", "-o", "json", **bare)
    assert json.loads(done.stdout)["playbook_name"] == "Größe — 大きさ"


def test_the_exit_codes_are_told(tocsin):
    """``help exit-codes`` has each of them."""
    done = tocsin("help", "exit-codes")
    assert done.code == 0
    assert [int(line.split()[0]) for line in done.out.splitlines()] == list(MEANINGS)
