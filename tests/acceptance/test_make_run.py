"""`make run` and `make demo` as real processes, in the tests' folders."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from launcher.environment import MARK
from providers.sandbox import sandbox
from tests.support import walkthrough
from tests.support.processes import ROOT, Process, born, clean_environment, descendants, free_port
from tests.support.services import missing
from tests.support.waiting import eventually

#: generous, because these tests share two cores with others
PATIENCE = 240
#: the pages that show commands with their answers; none depends on another
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/tutorials").glob("*.md"))]
#: the pages whose Python runs as it stands
IN_PYTHON = [ROOT / "README.md", ROOT / "sdk/README.md", ROOT / "docs/sdk.md"]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A var folder, ports, and the environment that names them."""
    if (reason := sandbox.probe()) is not None:
        missing(f"scripts cannot run here: {reason}")
    var = tmp_path_factory.mktemp("run") / "var"
    return {"TOCSIN_VAR_DIR": str(var), "PORT": str(free_port()), "TOCSIN_FLOWER_PORT": str(free_port())}


def command(name):
    return [sys.executable, "-m", "launcher", name]


def launch(name, env, **more):
    """Run a launcher to its end."""
    return subprocess.run(
        command(name),
        cwd=ROOT,
        env=clean_environment(**env, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def at_work(env):
    """Every process that a launcher has marked with the var folder."""
    mark = f"{MARK}={env['TOCSIN_VAR_DIR']}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append((entry / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def alive(family):
    """The processes that still run, without zombies, which have no command line."""
    found = []
    for pid, birth in family.items():
        with contextlib.suppress(OSError):
            if born(pid) == birth and Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def completed_demo(output):
    """Check that script and playbook completed and each shows its output."""
    return (
        re.search(r"Triage script: completed in \S+ s", output)
        and '"verdict": "brute-force"' in output
        and re.search(r"Playbook pb-critical-vuln-response: completed in \S+ s, 5 of 5 steps", output)
        and re.search(r"completed +Is it in production\? +\d+ ms +\{\"result\": true", output)
        and re.search(r"completed +Open a ticket +\d+ ms +.*\"ticket\": \"DEMO-\d+\"", output)
    )


@pytest.fixture(scope="module")
def running(home, tmp_path_factory):
    """A `run` that has come up while another process held Flower's port."""
    log = tmp_path_factory.mktemp("terminal") / "output"
    with socket.create_server(("127.0.0.1", int(home["TOCSIN_FLOWER_PORT"]))):
        process = Process(command("run"), log, env=clean_environment(**home))
        try:
            eventually(lambda: "Ctrl-C stops" in log.read_text() or not process.alive(), PATIENCE, "it serves")
            assert process.alive(), log.read_text()
            yield process
        finally:
            process.end()


def test_run_shows_real_completions_and_where_everything_is(home, running):
    """`make run` shows the demo's results, links, the key and a command."""
    output = running.log.read_text()
    assert completed_demo(output), output
    assert " gathers 2 alerts until " in output
    assert "sent twice: first executed, then deduplicated" in output
    assert re.search(
        r"simulate  curl .*/v1/rules/simulate  \(one more rule would decide [1-9]\d* of \d+ otherwise\)", output
    )
    assert "Meaning: rules compare texts by meaning (semantic_match) after " in output
    assert re.search(r"Health \w+: [1-9]\d* workers, whose event loops stood still for \d+ ms at most", output)
    assert re.search(r"Recurring action rec-\S+ sends a report at \S+Z, each minute", output)
    assert f"http://127.0.0.1:{home['PORT']}/docs" in output
    assert f"Port {home['TOCSIN_FLOWER_PORT']} is in use by another program: Flower takes" in output
    key_file = Path(home["TOCSIN_VAR_DIR"]) / "demo.key"
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert f"$(cat {key_file})" in output
    assert f"http://127.0.0.1:{home['PORT']}/api/playbooks/pb-critical-vuln-response/run" in output
    assert f"http://127.0.0.1:{home['PORT']}/api/events" in output


def test_run_leaves_a_user_who_can_sign_in(home, running):
    """What var/demo.user says is good for a token that sees the demo; only this account can read the file."""
    user_file = Path(home["TOCSIN_VAR_DIR"]) / "demo.user"
    assert user_file.stat().st_mode & 0o777 == 0o600
    assert f"{user_file}  (NAME:PASSWORD" in running.log.read_text()
    name, _, password = user_file.read_text().strip().partition(":")
    url = f"http://127.0.0.1:{home['PORT']}"
    signed_in = httpx.post(f"{url}/v1/auth/login", json={"username": name, "password": password}, timeout=30)
    assert signed_in.status_code == 200, signed_in.text
    headers = {"Authorization": f"Bearer {signed_in.json()['token']}"}
    assert httpx.get(f"{url}/api/playbooks", headers=headers).json()["data"]
    assert httpx.post(f"{url}/v1/auth/logout", headers=headers).json() == {"status": "logged_out"}
    assert httpx.get(f"{url}/api/playbooks", headers=headers).status_code == 401


def test_a_rule_of_the_examples_starts_a_chain_in_place_of_an_action(home, running):
    """The command that is shown for it: the execution has completed and names the run, whose steps page and ticket."""
    url = f"http://127.0.0.1:{home['PORT']}"
    pattern = rf"chain +curl .* -d '(\{{.*\}})' ({url}/api/actions/act-notify/trigger)"
    (shown,) = re.findall(pattern, running.log.read_text())
    headers = {"Authorization": f"Bearer {(Path(home['TOCSIN_VAR_DIR']) / 'demo.key').read_text().strip()}"}
    triggered = httpx.post(shown[1], json=json.loads(shown[0]), headers=headers, timeout=30)
    assert triggered.status_code == 202, triggered.text
    path = f"{url}/api/actions/executions/{triggered.json()['data']['execution_id']}"
    execution = httpx.get(path, headers=headers, timeout=30).json()["data"]
    assert (execution["status"], execution["output"]["chain_name"]) == ("completed", "page-and-ticket")
    run = f"{url}/api/playbooks/executions/{execution['output']['chain_id']}"

    def look():
        seen = httpx.get(run, headers=headers, timeout=30).json()["data"]
        steps = [(step["step_id"], step["status"]) for step in seen["steps"]]
        return seen["status"] == "completed" and steps == [("page", "completed"), ("ticket", "completed")]

    eventually(look, 30, "the chain has completed", every=0.3)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_happens(home, running, page, tmp_path):
    """Each command of README and tutorials gives the answer that the page shows; each answer is shown."""
    for program in ("curl", "jq"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    shown = walkthrough.read(page)
    assert len(shown.blocks) > 5
    url = f"http://127.0.0.1:{home['PORT']}"
    walkthrough.run(shown, tmp_path / "page", Path(home["TOCSIN_VAR_DIR"]), url, PATIENCE)
    assert [fault for fault in map(walkthrough.fault, shown.blocks) if fault] == []


@pytest.mark.parametrize("page", IN_PYTHON, ids=lambda page: page.parent.name + page.stem)
def test_the_python_of_a_page_runs(home, running, page, tmp_path):
    """The examples of a page, copied one after the other into a program, run without any configuration."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL))
    assert "from tocsin import Client" in code
    (tmp_path / "var").symlink_to(home["TOCSIN_VAR_DIR"])
    (tmp_path / "launcher").symlink_to(ROOT / "launcher")
    environment = clean_environment(XDG_CONFIG_HOME=str(tmp_path), PYTHONPATH=str(ROOT / "sdk"))
    words = [sys.executable, "-c", code]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout


def test_the_commands_of_the_pages_run(home, running, tmp_path):
    """The first commands of the README and of the command line's page work without any configuration."""
    (tmp_path / "var").symlink_to(home["TOCSIN_VAR_DIR"])
    (tmp_path / "launcher").symlink_to(ROOT / "launcher")
    environment = clean_environment(XDG_CONFIG_HOME=str(tmp_path), PYTHONPATH=str(ROOT / "sdk"), LC_ALL="C.UTF-8")
    commands = re.findall(r"^\$ \.venv/bin/tocsin (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    first = re.search(r"^```sh\n(.*?)^```$", (ROOT / "docs/cli.md").read_text(), re.MULTILINE | re.DOTALL)[1]
    commands += [line.removeprefix("tocsin ") for line in first.splitlines()]
    assert len(commands) > 6
    for one in dict.fromkeys(commands):
        words = [sys.executable, "-m", "tocsin._command", *one.split()]
        done = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, (one, done.stderr)
        if one.endswith("--watch"):
            assert " completed in " in done.stdout.splitlines()[-1], one


def test_flower_shows_the_demo(running):
    """The script, the playbook and its five steps are in Flower, although the demo ran while Flower started."""
    output = running.log.read_text()
    action, run_id = re.findall(r"accepted as (\S+)", output)[:2]
    url, user, password = re.search(r"Flower +(\S+) +\(log in with ([^:]+):([^)]+)\)", output).groups()

    def look():
        tasks = httpx.get(f"{url}/api/tasks", auth=(user, password), timeout=60).json()
        shown = [task["state"] for name, task in tasks.items() if name == action or name.partition(".")[0] == run_id]
        assert {task["name"] for task in tasks.values()} <= {"tocsin.run", "tocsin.begin", "tocsin.step"}
        return shown == ["SUCCESS"] * 7

    eventually(look, 30, "Flower shows the demo", every=0.3)


def test_a_second_run_points_to_the_first(home, running):
    """A second start says that one runs, prints the links and succeeds."""
    done = launch("run", home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"already running (process {running.pid})" in done.stdout
    assert f"http://127.0.0.1:{home['PORT']}/docs" in done.stdout


@pytest.mark.gate
def test_a_demo_during_a_run_is_performed_there(home, running):
    """`make demo` uses a serving `make run` and leaves it running."""
    done = launch("demo", home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert completed_demo(done.stdout), done.stdout
    assert running.alive()


def test_a_taken_port_is_said_in_one_line(home, running, tmp_path):
    """A taken port fails in one line with PORT= and leaves nothing."""
    other = {**home, "TOCSIN_VAR_DIR": str(tmp_path / "var")}
    done = launch("run", other)
    assert done.returncode == 1
    assert f"Port {home['PORT']} of 127.0.0.1 is in use by another program" in done.stdout
    assert "PORT=" in done.stdout
    assert at_work(other) == []


def test_ctrl_c_stops_everything(home, running):
    """Ctrl-C ends every started process, and the exit code is 0."""
    family = descendants([running.pid])
    assert len(family) > 6
    running.send(signal.SIGINT)
    assert running.popen.wait(PATIENCE) == 0, running.log.read_text()
    eventually(lambda: not alive(family), 10, "nothing that it started is left")
    assert at_work(home) == []


@pytest.mark.gate
def test_demo_after_a_kill_cleans_up_works_and_stops_by_itself(home, running, tmp_path):
    """The start after a kill -9 ends leftover processes, keeps the data."""
    running.end()
    key = (Path(home["TOCSIN_VAR_DIR"]) / "demo.key").read_text()
    killed = Process(command("run"), tmp_path / "output", env=clean_environment(**home))
    eventually(lambda: len(at_work(home)) >= 6, PATIENCE, "most processes have been started")
    killed.kill()
    assert at_work(home), "they outlive the launcher"
    done = launch("demo", home)
    assert re.search(r"An earlier start was killed: ended the \d+ processes", done.stdout), done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert completed_demo(done.stdout), done.stdout
    assert (Path(home["TOCSIN_VAR_DIR"]) / "demo.key").read_text() == key
    assert at_work(home) == []


@pytest.mark.gate
def test_a_database_that_cannot_be_had_is_said_with_the_log(home, tmp_path):
    """A failed start shows the end of the log and leaves nothing."""
    env = {**home, "TOCSIN_VAR_DIR": str(tmp_path / "var"), "PORT": str(free_port())}
    done = launch("demo", env, TOCSIN_DATABASE_URL=f"sqlite:////proc/{tmp_path.name}/tocsin.db")
    assert done.returncode == 1
    assert "Migrating the database failed. The end of" in done.stdout
    assert "cannot be made: No such file or directory" in done.stdout
    assert at_work(env) == []
