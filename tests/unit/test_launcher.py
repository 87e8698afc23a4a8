"""The launcher's parts, each alone: ports, the embedded Redis, log lines, processes and what they leave."""

import functools
import http.server
import json
import os
import secrets
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.configuration.folder import load
from launcher import embedded_redis, environment, key, leftovers
from launcher.demo import actions as actions_of_demo
from launcher.demo import examples, playbooks, start
from launcher.demo.client import is_up
from launcher.demo.receiver import Receiver
from launcher.instance import Instance
from launcher.load import files
from launcher.log_lines import LogTail, last_lines, trouble_in_json
from launcher.services import Service, Services
from launcher.start import _sign_of_life, procfile
from launcher.terminal import LauncherError, Terminal
from playbooks.checks.playbook import check
from playbooks.definitions.actions import normalise
from providers.inner import log as log_provider
from store import access
from store.engine import db
from tests.support.gateway_folder import AROUND
from tests.support.processes import clean_environment
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listener():
    """A server that listens on a port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def services():
    """Services that are stopped after the test, whatever happens."""
    made = Services(Terminal())
    yield made
    made.stop()


# --- ports and environment


def test_a_taken_port_of_the_api_is_refused_with_a_remedy(listener, monkeypatch):
    """The API is where people expect it or nowhere: the one line names PORT=."""
    monkeypatch.setenv("TOCSIN_HOST", "127.0.0.1")
    monkeypatch.setenv("TOCSIN_PORT", str(listener))
    with pytest.raises(LauncherError, match=rf"Port {listener} .*PORT={listener + 1}"):
        environment.claim_ports()


def test_flower_moves_to_a_free_port_and_says_so(listener, monkeypatch):
    """A second Flower on the machine is no reason to stop; the new port is printed and passed on."""
    monkeypatch.setenv("TOCSIN_HOST", "127.0.0.1")
    monkeypatch.setenv("TOCSIN_PORT", "0")
    monkeypatch.setenv("TOCSIN_FLOWER_PORT", str(listener))
    notes = environment.claim_ports()
    port = int(os.environ["TOCSIN_FLOWER_PORT"])  # noqa: TID251 - that is where it is passed on
    assert port > listener
    assert str(listener) in notes
    assert str(port) in notes


def test_a_stranger_on_flowers_port_is_not_taken_for_flower(services, tmp_path, monkeypatch):
    """Only the started process counts as Flower: another server would get Flower's password."""
    (tmp_path / "healthcheck").write_text("OK")
    answering = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    stranger = http.server.HTTPServer(("127.0.0.1", 0), answering)
    threading.Thread(target=stranger.serve_forever, daemon=True).start()
    port = stranger.server_port
    place = SimpleNamespace(url="http://127.0.0.1:1", flower_url=f"http://127.0.0.1:{port}")
    services.start(Service("flower", "sleep 60", tmp_path))
    works = _sign_of_life("flower", "", place, services)
    assert is_up(f"{place.flower_url}/healthcheck")
    assert not works()
    stranger.shutdown()
    stranger.server_close()
    command = f"exec {sys.executable} -m http.server {port} --bind 127.0.0.1 --directory {tmp_path}"
    services.start(Service("flower's own", command, tmp_path))
    works = _sign_of_life("flower", "", place, {"flower": services["flower's own"]})
    eventually(works, 60, "its own server is seen")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "127.0.0.0/8,::1/128"),
        ({"TOCSIN_EGRESS_ALLOW": ""}, ""),
        ({"TOCSIN_EGRESS_ALLOW": "10.0.0.0/8"}, "10.0.0.0/8"),
    ],
)
def test_what_the_operator_set_wins_over_the_defaults(tmp_path, given, expected):
    """Loopback may be called unless the operator has said otherwise, also by saying nothing at all."""
    code = (
        "import json, os; from launcher import environment; place = environment.load();"
        "print(json.dumps([dict(os.environ), place.url, oct(place.var.stat().st_mode & 0o777)]))"
    )
    env = clean_environment(TOCSIN_VAR_DIR=str(tmp_path / "var"), PORT="18123", **given)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    environ, url, mode = json.loads(done.stdout)
    assert environ["TOCSIN_EGRESS_ALLOW"] == expected
    assert environ["TOCSIN_ENV"] == "development"
    assert url == "http://127.0.0.1:18123"
    assert environ["TOCSIN_PORT"] == "18123"
    assert mode == "0o700"
    assert environ["TOCSIN_FLOWER_AUTH"] == (tmp_path / "var/flower.auth").read_text().strip()
    assert stat.S_IMODE((tmp_path / "var/flower.auth").stat().st_mode) == 0o600


def test_the_gateways_examples_are_copied_where_there_is_no_configuration(tmp_path):
    """For the operator to change: a later start leaves them alone, a named folder and production get none."""
    code = "from launcher import environment; environment.load()"

    def start(var, **given):
        env = clean_environment(TOCSIN_VAR_DIR=str(tmp_path / var), PORT="18123", **given)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, check=True)
        return {path.relative_to(tmp_path / var).as_posix() for path in (tmp_path / var).rglob("*.yaml")}

    folder = ROOT / "examples" / "gateway"
    copied = {f"config/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.yaml")}
    assert {"config/providers.yaml", "config/rules/alerts.yaml"} < copied
    assert start("var") == copied
    (tmp_path / "var/config/rules/alerts.yaml").write_text("rules: []")
    (tmp_path / "var/config/chains.yaml").unlink()
    assert start("var") == copied - {"config/chains.yaml"}
    assert (tmp_path / "var/config/rules/alerts.yaml").read_text() == "rules: []"
    assert start("elsewhere", TOCSIN_CONFIG_DIR=str(tmp_path / "own")) == set()
    assert start("strict", TOCSIN_ENV="production", TOCSIN_SECRET_KEY=secrets.token_urlsafe(32)) == set()


def test_the_gateways_examples_have_no_faults():
    """They load as they are, and name nothing that is missing."""
    folder = ROOT / "examples/gateway"
    texts = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.yaml")}
    found = load(texts, AROUND)
    assert found.faults == []
    assert len(found.generation.rules) >= 5


# --- embedded Redis


def test_the_socket_is_in_var_where_its_path_fits(tmp_path):
    """A short plain path is used as it is."""
    assert embedded_redis.socket_path(Path("/srv/tocsin/var")) == Path("/srv/tocsin/var/redis.sock")


@pytest.mark.parametrize("name", ["x" * 120, "with space", "50%"])
def test_a_path_that_is_no_socket_address_moves_to_a_closed_folder(tmp_path, name):
    """Too long for a socket, or with characters that mean something in a URL: a folder of our own in /tmp."""
    path = embedded_redis.socket_path(tmp_path / name)
    try:
        assert len(os.fsencode(path)) <= 107
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path == embedded_redis.socket_path(tmp_path / name), "the next start finds the same place"
        path.parent.chmod(0o777)
        with pytest.raises(LauncherError, match="belongs to another account"):
            embedded_redis.socket_path(tmp_path / name)
    finally:
        path.parent.rmdir()


def test_redis_comes_up_on_a_socket_for_this_account_only(tmp_path, services):
    """The program that is found here starts with our options, answers, and keeps an append-only file."""
    path = tmp_path / "redis.sock"
    command = embedded_redis.command(embedded_redis.find_program(), tmp_path, path)
    services.start(Service("redis", command, tmp_path, quiet=True))
    eventually(lambda: embedded_redis.answers(path), 60, "Redis answers")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(tmp_path.glob("appendonly*"))


def test_each_kind_of_redis_has_a_file_of_its_own(tmp_path):
    """One server never reads what another, or another major version of itself, has written: it would not start."""
    printed = ("Redis server v=8.0.6 sha=0", "Valkey server v=8.1.4 sha=0", "Valkey server v=9.1.2 sha=0", "none")
    files = set()
    for number, text in enumerate(printed):
        program = a_server(tmp_path, f"server-{number}", text)
        files.add(embedded_redis.command(str(program), tmp_path, tmp_path / "redis.sock").split()[-1])
    assert files == {"appendonly-redis-8.aof", "appendonly-valkey-8.aof", "appendonly-valkey-9.aof", "appendonly.aof"}


def test_no_redis_anywhere_names_the_remedies(tmp_path, monkeypatch):
    """Without a program on PATH and without the wheel the message says what to install or set."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _name: None)
    with pytest.raises(LauncherError, match=r"redis-server.*TOCSIN_REDIS_URL"):
        embedded_redis.find_program()


def a_server(folder: Path, name: str, says: str) -> Path:
    """A program on the PATH that says which server it is."""
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    return program


def test_a_server_with_known_holes_is_passed_over_for_the_one_that_was_installed(tmp_path, monkeypatch):
    """The machine's own server is started when its release is sound, else the one that came with the installation."""
    monkeypatch.setenv("PATH", str(tmp_path))
    old = a_server(tmp_path, "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64 build=1")
    assert embedded_redis.inside_wheel(), "the installation brings one for this machine"
    assert embedded_redis.find_program() == embedded_redis.inside_wheel()
    newer = a_server(tmp_path, "valkey-server", "Valkey server v=8.1.4 sha=00000000:0 malloc=jemalloc bits=64 build=1")
    assert embedded_redis.find_program() == str(newer)
    newer.unlink()
    monkeypatch.setattr(embedded_redis, "find_spec", lambda _name: None)
    assert embedded_redis.find_program() == str(old), "better than none, on a socket that only this account can open"


# --- one at a time


def test_only_one_holds_an_instance_and_the_other_learns_where_it_is(tmp_path):
    """The second one is refused and reads what the first one wrote down."""
    first, second = Instance(tmp_path), Instance(tmp_path)
    assert first.take()
    assert not second.take()
    first.publish({"url": "http://127.0.0.1:1"})
    assert second.facts() == {"pid": os.getpid(), "url": "http://127.0.0.1:1"}
    first.release()
    assert second.take()
    second.release()


def test_a_lock_dies_with_its_owner(tmp_path):
    """After kill -9 the file is still there, but it locks no process out."""
    code = (
        "import time; from pathlib import Path; from launcher.instance import Instance;"
        f"held = Instance(Path({str(tmp_path)!r})); assert held.take(); print('held', flush=True); time.sleep(60)"
    )
    mine = Instance(tmp_path)
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "held\n"
        assert not mine.take()
        owner.kill()
    assert mine.take()
    mine.release()


def test_what_a_killed_launcher_left_is_found_by_its_mark_and_ended(tmp_path):
    """Processes of this var folder end, even those that ignore TERM; those of another one live on."""
    mine, other = ({environment.MARK: f"{tmp_path}{more}"} for more in ("", "-other"))
    stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    left = subprocess.Popen(["/bin/sh", "-c", stubborn], env=mine, stdout=subprocess.PIPE, start_new_session=True)
    neighbour = subprocess.Popen(["sleep", "60"], env=other)
    try:
        left.stdout.readline()
        assert left.pid in leftovers.find(tmp_path, tmp_path / "redis.sock")
        assert leftovers.end(tmp_path, tmp_path / "redis.sock", grace=0.2) >= 1
        assert left.wait(5) == -signal.SIGKILL
        assert neighbour.poll() is None
    finally:
        for process in (left, neighbour):
            process.kill()
            process.wait()
        left.stdout.close()


# --- log lines


def test_trouble_is_shown_once_and_ordinary_lines_never(tmp_path, monkeypatch):
    """Warnings and errors reach the terminal in one line each; repeats and information do not."""
    monkeypatch.setattr("launcher.log_lines._SECONDS", 0.0)
    log = tmp_path / "web.log"
    tail = LogTail(log)
    assert tail.news() == []
    lines = [
        json.dumps({"event": "served", "level": "info"}),
        json.dumps({"event": "database unavailable", "level": "warning", "reason": "timeout"}),
        json.dumps({"event": "playbook not started", "level": "warning", "playbook_id": "pb-x", "reason": "no act-y"}),
        json.dumps({"event": "failed", "level": "error", "exception": "Traceback ...\n  File\nKeyError: 'x'"}),
        "[2026-01-01] [7] [ERROR] Worker failed to boot.",
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "ModuleNotFoundError: No module named 'x'",
        "just words",
    ]
    log.write_text("\n".join(lines) + "\n")
    assert tail.news() == [
        "database unavailable: timeout",
        "playbook not started (pb-x): no act-y",
        "failed: KeyError: 'x'",
        "[2026-01-01] [7] [ERROR] Worker failed to boot.",
        "ModuleNotFoundError: No module named 'x'",
    ]
    with log.open("a") as file:
        file.write(lines[1] + "\n" + '{"event": "half')
    assert tail.news() == []
    with log.open("a") as file:
        file.write(' a line", "level": "error"}\n')
    assert tail.news() == ["half a line"]


def test_a_flood_of_trouble_is_a_few_lines(tmp_path):
    """One cause has many complaints; the terminal shows the first ones, the log has all."""
    log = tmp_path / "worker.log"
    log.write_text("".join(json.dumps({"level": "error", "event": f"number {n}"}) + "\n" for n in range(50)))
    tail = LogTail(log)
    assert tail.news() == ["number 0", "number 1", "number 2"]
    assert tail.news() == []


@pytest.mark.parametrize("line", ["{broken", "{}", '{"level": 3}', '{"level": "info", "event": "x"}'])
def test_json_without_trouble_says_nothing(line):
    """Whatever a process writes, the launcher only repeats what is meant as a warning or worse."""
    assert trouble_in_json(line) == ""


def test_what_a_provider_was_told_to_log_is_no_trouble():
    """The pager of the examples writes warnings; the log has them, the terminal is for trouble."""
    line = {"level": "warning", "event": "logged by a provider", "message": "page", "logger": log_provider.__name__}
    assert trouble_in_json(json.dumps(line)) == ""


def test_trouble_names_the_playbook_and_the_reason():
    """Who reads the terminal knows which playbook was not started, and why."""
    entry = {"event": "playbook not started", "playbook_id": "pb-x", "code": "action_missing", "reason": "It is gone."}
    line = json.dumps({**entry, "level": "warning"})
    assert trouble_in_json(line) == "playbook not started (pb-x): It is gone."


# --- processes


def test_every_process_of_the_procfile_is_known():
    """The launcher reads the Procfile that production uses."""
    assert {"release", "web", "flower"} <= set(procfile())


def test_a_process_that_dies_is_started_again_and_said(tmp_path, services, capsys):
    """One death is reported in one line and mended."""
    services.settled()
    services.start(Service("web", "echo up; exec sleep 60", tmp_path))
    first = services["web"].pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: services["web"].pid != first and services["web"].ended_with() is None, 10, "it runs again")
    assert "web was killed by signal 9: restarting it in 0.5 s" in capsys.readouterr().out


def test_a_process_that_keeps_dying_is_given_up_with_its_last_words(tmp_path, services, monkeypatch):
    """After five restarts the launcher fails and shows the end of the log."""
    monkeypatch.setattr(Service, "plan_restart", _hasty(Service.plan_restart))
    services.settled()
    services.start(Service("web", "echo last words; exit 3", tmp_path))
    assert services.failed.wait(10)
    with pytest.raises(LauncherError, match=r"(?s)web ended with exit code 3 \(6 times\).*last words"):
        services.check()
    assert last_lines(tmp_path / "web.log").count("last words") == 6


def _hasty(plan):
    """The same plan without its pauses."""

    def at_once(service):
        pause = plan(service)
        service.restart_at = None if pause is None else 0.0
        return pause

    return at_once


def test_a_process_that_dies_at_the_start_is_a_failure_at_once(tmp_path, services):
    """What cannot start is not tried again and again."""
    services.start(Service("web", "echo no port; exit 1", tmp_path))
    assert services.failed.wait(10)
    assert "no port" in services.reason


def test_stopping_leaves_no_descendant_and_takes_redis_last(tmp_path, monkeypatch):
    """Ctrl-C ends even what ignores TERM and what the processes have started themselves."""
    monkeypatch.setattr("launcher.services._GRACE", 5.0)
    ends = tmp_path / "ends"
    services = Services(Terminal())
    wait = "echo up; while :; do sleep 0.02; done"
    services.start(Service("redis", f"trap 'echo redis >> {ends}; exit' TERM; {wait}", tmp_path))
    services.start(Service("web", f"trap 'sleep 0.2; echo web >> {ends}; exit' TERM; {wait}", tmp_path))
    services.start(
        Service("worker", "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 61' & wait; sleep 62", tmp_path)
    )
    for name in ("redis", "web"):
        eventually((tmp_path / f"{name}.log").read_text, 60, f"{name} has set its trap")
    grandchild = int(eventually((tmp_path / "worker.log").read_text, 60, "the worker has started one more"))
    command = Path(f"/proc/{grandchild}/cmdline")
    assert b"sleep" in command.read_bytes()
    services.stop()
    assert ends.read_text().split() == ["web", "redis"]
    # Once ended it shows no command, until init has collected it; then there is no such file.
    eventually(lambda: not command.exists() or not command.read_bytes(), 60, "the grandchild has ended")


def test_an_earlier_log_is_kept_next_to_the_new_one(tmp_path):
    """The log of the run before can still be read after a restart."""
    (tmp_path / "web.log").write_text("before\n")
    service = Service("web", "echo now", tmp_path)
    service.start()
    eventually(lambda: service.ended_with() is not None, 60, "it has ended")
    assert (tmp_path / "web.log").read_text() == "now\n"
    assert (tmp_path / "web.log.1").read_text() == "before\n"


# --- keys


def test_the_first_key_is_all_that_is_printed(sqlite_database, capsys):
    """A script can take standard output as the key; it opens the workspace it was made for."""
    assert key.main(["--workspace", "blue", "--role", "viewer", "--name", "dashboard"]) == 0
    printed = capsys.readouterr().out
    with db.read() as connection:
        caller, _ = access.authenticate(connection, printed.strip())
    assert printed == printed.strip() + "\n"
    assert (caller.workspace_id, caller.role) == ("blue", "viewer")


def test_the_key_of_the_demo_is_made_once(sqlite_database, tmp_path):
    """The key in var/demo.key is used again as long as it works, and replaced when it does not."""
    path = tmp_path / "demo.key"
    first = start.demo_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert start.demo_key(path) == first
    with db.write() as connection:
        access.revoke_key(connection, start.WORKSPACE, first.split("_")[1], "somebody", force=True)
    second = start.demo_key(path)
    assert second != first
    assert path.read_text().strip() == second


# --- the demo's receiver


@pytest.fixture
def receiver(tmp_path):
    """The made-up systems, served."""
    server = Receiver(tmp_path / "port")
    server.start()
    yield server
    server.stop()


def post(server, path, key, **body):
    """Call a made-up system; returns the status and the answer."""
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Idempotency-Key": key})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def test_the_receiver_answers_a_repeated_call_as_before(receiver):
    """A repeated call (same Idempotency-Key) gets the ticket it had; what came in can be read back."""
    assert post(receiver, "/tickets", "a", title="t") == (200, {"received": True, "ticket": "DEMO-1"})
    assert post(receiver, "/tickets", "b")[1]["ticket"] == "DEMO-2"
    assert post(receiver, "/tickets", "a", title="t")[1]["ticket"] == "DEMO-1"
    with urllib.request.urlopen(f"{receiver.url}/requests", timeout=5) as answer:
        seen = json.load(answer)["requests"]
    assert [one["answer"]["ticket"] for one in seen] == ["DEMO-1", "DEMO-2", "DEMO-1"]
    assert seen[0]["body"] == {"title": "t"}


def test_the_receiver_is_found_where_it_was(tmp_path):
    """The next start takes the port of the last one, so that the demo's actions keep pointing to it."""
    urls = []
    for _ in range(2):
        server = Receiver(tmp_path / "port")
        server.server_close()
        urls.append(server.url)
    assert urls[0] == urls[1]


def test_the_made_up_systems_remember_what_was_done(receiver):
    """Blocking and unblocking, restricting, isolating: each shows in the state; a broken patch is refused."""
    post(receiver, "/firewall/block", "1", address="203.0.113.50")
    post(receiver, "/firewall/block", "2", address="203.0.113.51")
    post(receiver, "/firewall/unblock", "3", address="203.0.113.50")
    post(receiver, "/hosts/isolate", "4", host="laptop-7")
    assert post(receiver, "/patches", "5", host="db-01", patch="KB-1", phase="apply")[0] == 200
    assert post(receiver, "/patches", "6", host="db-01", patch="KB-broken", phase="apply")[0] == 422
    with urllib.request.urlopen(f"{receiver.url}/state", timeout=5) as answer:
        state = json.load(answer)
    assert state["blocked"] == ["203.0.113.51"]
    assert state["isolated"] == ["laptop-7"]
    assert state["patches"] == ["KB-1 on db-01: apply"]


# --- the example playbooks


def test_every_example_can_be_registered():
    """Each file holds definitions without faults; steps name actions of the examples, playbooks are named by file."""
    found = files.read(examples.FOLDER, {"SYSTEMS_URL": "http://127.0.0.1:1"})
    assert [one for one in found if one.faults] == []
    actions = {one.member.id: normalise(one.member.definition) for one in found if one.member.noun == "action"}
    known = set()
    for one in found:
        if one.member.noun == "playbook":
            assert one.member.id == f"pb-{one.path.stem}"
            assert check(one.member.definition, actions, known) == [], one.path.name
            known.add(one.member.id)
    assert len(known) >= 6
    assert {playbooks.SHOWN} <= known
    assert {actions_of_demo.SHOWN, "act-block-ip"} <= actions.keys()
