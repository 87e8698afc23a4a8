"""Bundles: pushed, compared, activated forward and back, given secrets, and carried out by workers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from store.bundles.archives import bundle_archives
from store.bundles.secrets import bundle_secrets
from store.engine import db
from store.engine.db import metadata
from tasks.entrypoints import actions
from tests.support.api import Door, assert_problem
from tests.support.bundles import ECHO, HEAD, bundle, loose, manifest, packed, push, pushed
from tests.support.driven import drive
from tests.support.receiving import Receiver, receiver

CANARY = "c4nary-s3cret-of-the-firewall"

CALLING = (
    HEAD
    + '''
@action(retry=2)
def block(ip: Annotated[str, Length(1, 50)], *, context: Context) -> dict:
    """Block an address."""
    context.log("with " + context.secrets["FW_TOKEN"])
    print("printed", context.secrets["FW_TOKEN"])
    answer = context.http.post(
        URL + "/rules",
        json={"src": ip, "token": context.secrets["FW_TOKEN"]},
        params={"t": context.secrets["FW_TOKEN"]},
        headers={"X-Token": "v=" + context.secrets["FW_TOKEN"]},
        auth=Basic("api", context.secrets["FW_TOKEN"]),
    )
    return {"rule": answer.raise_for_status().json(), "held": context.secrets["FW_TOKEN"]}
'''
).replace("from tocsin.actions import *", "from typing import Annotated\nfrom tocsin.actions import *")


@pytest.fixture
def calls() -> Iterator[Receiver]:
    """A receiver, which repeats everything that it gets."""
    with receiver() as one:
        one.answer = lambda call: (
            200,
            {"X-Seen": call.headers.get("x-token", "")},
            json.dumps({"headers": call.headers, "path": call.path, "body": call.body.decode()}).encode(),
        )
        yield one


@pytest.fixture
def everywhere(database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The application on each kind of database; calls to this machine are allowed."""
    return _allowed(monkeypatch, tmp_path)


@pytest.fixture
def here(sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Door:
    """The same where the kind makes no difference."""
    return _allowed(monkeypatch, tmp_path)


def _allowed(monkeypatch: pytest.MonkeyPatch, var: Path) -> Door:
    monkeypatch.setenv("TOCSIN_EGRESS_ALLOW", "127.0.0.0/8")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(var / "var"))
    settings.cache_clear()
    return Door()


def carried_out(door: Door, action_id: str, **body: Any) -> dict[str, Any]:
    """An execution that a worker has carried out."""
    execution = door.trigger(action_id, **body)
    actions.run.apply(args=[execution])
    shown: dict[str, Any] = door.call("GET", f"/api/actions/executions/{execution}").json["data"]
    return shown


def calling(calls: Receiver, version: str = "1.0.0", hosts: tuple[str, ...] | None = None, **more: Any) -> bytes:
    """A bundle whose function calls the receiver with its secret."""
    source = CALLING.replace("URL", repr(calls.url))
    listed = (calls.host,) if hosts is None else hosts
    return bundle(source, name="fw", version=version, hosts=listed, secrets=more.get("secrets", "FW_TOKEN = {}"))


def everything_stored() -> str:
    """All texts of all tables, and all bytes; but for the keys, whose use is noted."""
    tables = [table for table in metadata.sorted_tables if table.name != "api_keys"]
    with db.read() as connection:
        return "\n".join(str(tuple(row)) for table in tables for row in connection.execute(table.select()))


def test_a_function_of_a_bundle_is_an_action(everywhere: Door) -> None:
    """A push answers what the bundle is; its functions are in the catalogue and carried out."""
    data = pushed(everywhere, bundle())
    assert (data["name"], data["version"], data["active"]) == ("acme", "1.0.0", True)
    assert [one["action_id"] for one in data["functions"]] == ["act-acme-echo"]
    assert (data["functions"][0]["file"], data["functions"][0]["line"]) == ("actions/firewall.py", 2)
    action = everywhere.call("GET", "/api/actions/act-acme-echo").json["data"]
    assert (action["type"], action["executor"], action["description"]) == ("enrichment", "local", "Say it again.")
    assert action["config"] == {"bundle": "acme", "digest": data["digest"], "handler": "echo"}
    ended = carried_out(everywhere, "act-acme-echo", parameters={"text": "hello"})
    assert (ended["status"], ended["output"]) == ("completed", {"text": "hello"})


def test_nobody_but_an_admin_pushes(here: Door) -> None:
    """An operator may read bundles, and neither push, activate, delete nor set secrets."""
    pushed(here, bundle())
    operator = here.key(role="operator")
    assert here.call("GET", "/api/bundles/acme", key=operator).status_code == 200
    assert_problem(push(here, bundle(version="1.1.0"), key=operator), 403)
    for method, path, body in (
        ("POST", "/api/bundles/acme/activate", {"version": "1.0.0"}),
        ("PUT", "/api/bundles/acme/secrets/X", {"value": "x"}),
        ("DELETE", "/api/bundles/acme", None),
    ):
        assert_problem(here.call(method, path, key=operator, json=body), 403)


def test_nobody_writes_such_an_action_by_hand(here: Door) -> None:
    """The config of a bundle's action comes from a push: else a caller could run a version that was taken back."""
    data = pushed(here, bundle())
    config = {"bundle": "acme", "digest": data["digest"], "handler": "echo"}
    answer = here.call(
        "POST", "/api/actions", json={"name": "Mine", "type": "script", "executor": "local", "config": config}
    )
    body = assert_problem(answer, 400)
    assert body["errors"][0]["pointer"] == "/config/bundle"
    assert here.call("PATCH", "/api/actions/act-acme-echo", json={"tags": ["mine"]}).status_code == 200


def test_a_dry_run_shows_hosts_and_secrets_first_and_stores_nothing(here: Door) -> None:
    """The difference to the active version names hosts, secrets, functions and parameters."""
    pushed(here, bundle(hosts=("old.example",), secrets="OLD = {}"))
    source = ECHO.replace('text: str = ""', "text: int = 0, more: str = ''") + "@action()\ndef fresh() -> dict: ...\n"
    content = bundle(source, version="1.1.0", hosts=("new.example",), secrets="NEW = { reveal = true }")
    before = everything_stored()
    answer = push(here, content, "?dry_run=true")
    assert answer.status_code == 200
    changes = answer.json["data"]["changes"]
    assert list(changes)[:4] == ["before", "after", "hosts", "secrets"]
    assert changes["hosts"] == {"added": ["new.example"], "removed": ["old.example"]}
    assert changes["secrets"] == {"added": ["NEW"], "removed": ["OLD"], "revealed": ["NEW"], "without_value": ["NEW"]}
    assert changes["actions"]["added"] == ["act-acme-fresh"]
    [changed] = changes["actions"]["changed"]
    assert changed["parameters"] == {"added": ["more"], "removed": [], "changed": ["text"]}
    assert everything_stored() == before


def test_versions_go_forward_and_back(everywhere: Door) -> None:
    """A version never changes; activation switches the actions, and takes away those that a version lacks."""
    door = everywhere
    first = pushed(door, bundle())
    second_content = bundle(
        ECHO.replace('{"text": text}', '{"text": text, "two": 2}') + "@action()\ndef extra(): ...\n", version="2.0.0"
    )
    second = pushed(door, second_content)
    assert carried_out(door, "act-acme-echo")["output"] == {"text": "", "two": 2}
    assert door.call("GET", "/api/actions/act-acme-extra").status_code == 200
    back = door.call("POST", "/api/bundles/acme/activate", json={"version": "1.0.0"})
    assert (back.status_code, back.json["data"]["active"]) == (200, True)
    assert carried_out(door, "act-acme-echo")["output"] == {"text": ""}
    assert door.call("GET", "/api/actions/act-acme-extra").status_code == 404
    assert door.call("POST", "/api/bundles/acme/activate", json={"version": "2.0.0"}).status_code == 200
    assert carried_out(door, "act-acme-echo")["output"]["two"] == 2
    again = push(door, second_content)
    assert (again.status_code, again.json["data"]["digest"]) == (200, second["digest"])
    other = assert_problem(push(door, bundle(version="2.0.0")), 409)
    assert other["code"] == "version_exists"
    listed = door.call("GET", "/api/bundles/acme/versions").json
    assert [(one["version"], one["active"]) for one in listed["data"]] == [("2.0.0", True), ("1.0.0", False)]
    assert door.call("GET", "/api/bundles/acme/versions/1.0.0").json["data"]["digest"] == first["digest"]
    assert_problem(door.call("POST", "/api/bundles/acme/activate", json={"version": "3.0.0"}), 404)
    trail = [
        (row.event, json.loads(row.details)["version"])
        for row in _audit()
        if row.event in ("bundle.pushed", "bundle.activated")
    ]
    assert trail == [
        ("bundle.pushed", "1.0.0"),
        ("bundle.activated", "1.0.0"),
        ("bundle.pushed", "2.0.0"),
        ("bundle.activated", "2.0.0"),
        ("bundle.activated", "1.0.0"),
        ("bundle.activated", "2.0.0"),
    ]
    assert {json.loads(row.details)["digest"] for row in _audit() if row.event == "bundle.pushed"} == {
        first["digest"],
        second["digest"],
    }


def _audit() -> list[Any]:
    with db.read() as connection:
        table = metadata.tables["audit"]
        return list(connection.execute(table.select().where(table.c.subject == "acme").order_by(table.c.id)))


def test_a_run_ends_with_the_version_that_it_began_with(everywhere: Door) -> None:
    """The revision of an action pins the content: a run that began before an activation goes on with the old one."""
    pushed(everywhere, bundle())
    playbook = everywhere.create_playbook(
        name="Twice",
        steps=[{"id": "say", "type": "action", "action_ref": "act-acme-echo", "parameters": {"text": "x"}}],
    )["id"]
    run = everywhere.call("POST", f"/api/playbooks/{playbook}/run", json={}).json["data"]["execution_id"]
    pushed(everywhere, bundle(ECHO.replace('{"text": text}', '{"new": text}'), version="2.0.0"))
    later = everywhere.call("POST", f"/api/playbooks/{playbook}/run", json={}).json["data"]["execution_id"]
    outputs = []
    for one in (run, later):
        assert drive(one) == "completed"
        steps = everywhere.call("GET", f"/api/playbooks/executions/{one}/steps").json["data"]
        outputs.append(steps[0]["output"])
    assert outputs == [{"text": "x"}, {"new": "x"}]


def test_a_function_that_playbooks_use_stays(here: Door) -> None:
    """A version without it is not activated, unless that is forced; nor is the bundle deleted."""
    pushed(here, bundle())
    here.create_playbook(name="Uses it", steps=[{"id": "say", "type": "action", "action_ref": "act-acme-echo"}])
    without = bundle(ECHO.replace("def echo", "def other"), version="2.0.0")
    refused = assert_problem(push(here, without), 409)
    assert refused["code"] == "in_use"
    assert here.call("GET", "/api/bundles/acme").json["data"]["active_version"] == "1.0.0"
    assert_problem(here.call("DELETE", "/api/bundles/acme"), 409)
    assert push(here, without, "?force=true").status_code == 201
    assert here.call("DELETE", "/api/bundles/acme").status_code == 204


def test_a_bundle_is_deleted_with_all_that_it_has(everywhere: Door) -> None:
    """Versions, bytes, secrets and actions go; what is pinned to it and has not begun fails and says why."""
    door = everywhere
    pushed(door, bundle(secrets="KEY = {}"))
    assert door.call("PUT", "/api/bundles/acme/secrets/KEY", json={"value": "v"}).status_code == 204
    execution = door.trigger("act-acme-echo")
    assert_problem(door.call("DELETE", "/api/bundles/acme/versions/1.0.0"), 409)
    assert door.call("DELETE", "/api/bundles/acme").status_code == 204
    assert_problem(door.call("GET", "/api/bundles/acme"), 404)
    assert_problem(door.call("GET", "/api/actions/act-acme-echo"), 404)
    with db.read() as connection:
        for table in (bundle_archives, bundle_secrets):
            assert connection.execute(table.select()).all() == []
    actions.run.apply(args=[execution])
    error = door.call("GET", f"/api/actions/executions/{execution}").json["data"]["error"]
    assert error["code"] == "bundle_missing"


def test_another_workspace_sees_nothing_of_it(here: Door) -> None:
    """Names are a workspace's own: another one may have a bundle of the same name, with other content and secrets."""
    pushed(here, bundle(secrets="KEY = {}"))
    foreign = here.key(workspace="other")
    for path in ("/api/bundles/acme", "/api/bundles/acme/versions", "/api/bundles/acme/versions/1.0.0"):
        assert_problem(here.call("GET", path, key=foreign), 404)
    assert here.call("GET", "/api/bundles", key=foreign).json["data"] == []
    assert_problem(here.call("PUT", "/api/bundles/acme/secrets/KEY", key=foreign, json={"value": "v"}), 404)
    assert_problem(here.call("DELETE", "/api/bundles/acme", key=foreign), 404)
    assert push(here, bundle(ECHO + "# other\n"), key=foreign).status_code == 201


def test_the_worker_fills_in_secrets_that_the_code_never_sees(everywhere: Door, calls: Receiver) -> None:
    """The receiver gets the secret in header, authentication, query and body; nothing else anywhere has it."""
    door = everywhere
    pushed(door, calling(calls))
    missing = carried_out(door, "act-fw-block", parameters={"ip": "203.0.113.5"})
    assert missing["error"]["code"] == "secret_missing"
    assert door.call("PUT", "/api/bundles/fw/secrets/FW_TOKEN", json={"value": CANARY}).status_code == 204
    shown = door.call("GET", "/api/bundles/fw").text
    assert '"is_set":true' in shown
    ended = carried_out(door, "act-fw-block", parameters={"ip": "203.0.113.5"})
    assert ended["status"] == "completed", ended
    [call] = calls.calls
    assert call.json() == {"src": "203.0.113.5", "token": CANARY}
    assert call.path == f"/rules?t={CANARY}"
    assert call.headers["x-token"] == f"v={CANARY}"
    assert call.headers["idempotency-key"] == ended["execution_id"]
    assert ended["output"]["held"].startswith("tocsin-secret-")
    assert "********" in json.dumps(ended["output"]["rule"])
    assert CANARY not in json.dumps(ended) + shown + everything_stored()
    for file in (settings().var_dir / "bundles").rglob("*"):
        assert not file.is_file() or CANARY.encode() not in file.read_bytes()


def test_a_revealed_secret_is_masked_in_what_the_function_says(here: Door, calls: Receiver) -> None:
    """Where the manifest says so the code has the value; output and log are masked all the same."""
    said = 'print(k)\n    return {"n": len(k), "k": k}\n'
    source = HEAD + f'@action()\ndef sign(*, context: Context) -> dict:\n    k = context.secrets["K"]\n    {said}'
    pushed(here, bundle(source, secrets="K = { reveal = true }"))
    here.call("PUT", "/api/bundles/acme/secrets/K", json={"value": CANARY})
    ended = carried_out(here, "act-acme-sign")
    assert ended["output"] == {"n": len(CANARY), "k": "********"}
    assert CANARY not in json.dumps(ended) + everything_stored()


def test_a_sandboxed_execution_calls_nobody(here: Door, calls: Receiver) -> None:
    """Its calls are in the report, without secrets; a dry run does not start the code."""
    pushed(here, calling(calls))
    here.call("PUT", "/api/bundles/fw/secrets/FW_TOKEN", json={"value": CANARY})
    ended = carried_out(here, "act-fw-block", parameters={"ip": "203.0.113.5"}, sandbox=True)
    assert ended["status"] == "completed", ended
    [call] = ended["sandbox_report"]["intercepted_calls"]
    assert (call["method"], call["body"]["src"]) == ("POST", "203.0.113.5")
    assert CANARY not in json.dumps(ended)
    planned = carried_out(here, "act-fw-block", parameters={"ip": "203.0.113.5"}, dry_run=True)
    assert planned["output"]["hosts"] == [calls.host]
    assert calls.calls == []


def test_a_worker_with_another_folder_takes_the_bytes_from_the_database(here: Door) -> None:
    """A folder that is new, or was changed, or has more in it than it should, is written again before it is used."""
    data = pushed(here, bundle())
    assert carried_out(here, "act-acme-echo")["status"] == "completed"
    folder = settings().var_dir / "bundles" / data["digest"]
    evil = ECHO.replace('{"text": text}', '{"text": "evil"}')
    for change in (
        lambda: (folder / "actions/firewall.py").write_text(evil),
        lambda: (folder / "actions/more.py").write_text(evil.replace("def echo", "def echo2")),
        lambda: (folder / "bundle.toml").write_text(manifest(hosts=("evil.example",))),
        (folder / "bundle.toml").unlink,
    ):
        change()
        assert carried_out(here, "act-acme-echo", parameters={"text": "good"})["output"] == {"text": "good"}
        assert not (folder / "actions/more.py").exists()
        assert (folder / "actions/firewall.py").read_text() == ECHO
    shutil.rmtree(folder.parent)  # as on a machine that has never carried it out
    assert carried_out(here, "act-acme-echo", parameters={"text": "good"})["output"] == {"text": "good"}
    assert (folder / "bundle.toml").exists()
    with db.write() as connection:
        connection.execute(bundle_archives.update().values(content=bundle(evil)))
    shutil.rmtree(folder.parent)
    assert carried_out(here, "act-acme-echo")["error"]["code"] == "bundle_missing"


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"", 400, "must be the archive"),
        (b"PK\x03\x04 and nothing", 415, "no zip archive"),
        (b"hello", 415, "no zip archive"),
        (b"x" * (8 * 1024 * 1024 + 1), 413, "at most 8,388,608"),
    ],
)
def test_what_is_no_archive(here: Door, content: bytes, status: int, says: str) -> None:
    """Nothing, something else, and too much are refused before anything is read."""
    body = assert_problem(push(here, content), status)
    assert says in body["detail"]
    assert_problem(push(here, bundle(), headers={"Content-Type": "application/json"}), 415)


def faults_of(door: Door, content: bytes) -> list[tuple[str, int | None, str]]:
    """The faults that a push names."""
    before = everything_stored()
    answer = push(door, content)
    assert answer.status_code == 422, answer.text
    body = answer.json
    assert body["code"] == "invalid_bundle"
    assert everything_stored() == before
    return [(one["file"], one["line"], one["detail"]) for one in body["faults"]]


def test_each_fault_has_its_file_and_line(here: Door) -> None:
    """All faults of a stage are named at once: of the manifest, of the sources, of the functions."""
    toml = 'name = "Acme"\nversion = "1"\nhosts = ["https://h/"]\ncolour = 1\n'
    toml += "[secrets]\nlower = {}\nA = { reval = true }\n"
    faults = faults_of(here, packed({"bundle.toml": toml, "actions/a.py": ECHO}))
    assert [(file, line) for file, line, _ in faults] == [("bundle.toml", line) for line in (4, 1, 2, 3, 6, 7)]
    assert faults_of(here, packed({"bundle.toml": "name = \n", "actions/a.py": ECHO}))[0][:2] == ("bundle.toml", 1)
    source = HEAD + "\n@action()\ndef f(x: bytes): ...\n"
    [fault] = faults_of(here, bundle(source))
    assert fault[:2] == ("actions/firewall.py", 3)
    assert "JSON does not have" in fault[2]
    [fault] = faults_of(here, bundle("x = (\n"))
    assert fault[:2] == ("actions/firewall.py", 1)
    [fault] = faults_of(here, bundle(HEAD + "\n\nraise RuntimeError('at import')\n"))
    assert fault == ("actions/firewall.py", 4, "RuntimeError: at import")
    patterned = HEAD + "from typing import Annotated\n@action()\ndef f(x: Annotated[str, Pattern('(?=a)')]): ...\n"
    [fault] = faults_of(here, bundle(patterned))
    assert fault[:2] == ("actions/firewall.py", 3)
    assert "RE2" in fault[2]
    twice = bundle(more={"actions/second.py": ECHO})
    assert faults_of(here, twice)[0][:2] == ("actions/second.py", 2)
    assert faults_of(here, packed({"bundle.toml": manifest()}))[0][0] == "actions/"
    assert faults_of(here, packed({"actions/a.py": ECHO}))[0][0] == "bundle.toml"
    assert "mark a function" in faults_of(here, bundle("x = 1\n"))[0][2]
    old = packed({"bundle.toml": 'python = "<3.9"\n' + manifest(), "actions/a.py": ECHO})
    assert "wants Python" in faults_of(here, old)[0][2]


def test_an_id_of_another_action_is_not_taken_over(here: Door) -> None:
    """A function whose action has the id of a hand-made one is refused."""
    here.create(id="act-acme-echo", name="Mine")
    refused = assert_problem(push(here, bundle()), 409)
    assert refused["code"] == "id_taken"
    assert here.call("GET", "/api/actions/act-acme-echo").json["data"]["executor"] == "webhook"


def test_names_that_lead_elsewhere_and_code_of_machines(here: Door) -> None:
    """Links, paths that leave the bundle, native code, too many files and too many bytes are refused by name."""
    import stat
    import zipfile

    link = zipfile.ZipInfo("actions/link.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    device = zipfile.ZipInfo("actions/null.py")
    device.external_attr = (stat.S_IFCHR | 0o666) << 16
    for entry, content, says in (
        (link, b"/etc/passwd", "link"),
        (device, b"", "special file"),
        ("../outside.py", b"", "leads out"),
        ("/etc/cron.d/x", b"", "leads out"),
        ("actions/../../x.py", b"", "leads out"),
        ("actions\\x.py", b"", "leads out"),
        ("C:/x.py", b"", "leads out"),
        ("actions/./x.py", b"", "leads out"),
        ("actions/FIREWALL.py", b"", "twice"),
        ("actions/x.so", b"", "native"),
        ("vendor/x.abi3.so.1", b"", "native"),
        ("vendor/data.bin", b"\x7fELF....", "native"),
        ("actions/x.pyc", b"", "native"),
        ("vendor/__pycache__/x.py", b"", "compiled"),
        ("elsewhere/x.py", b"", "not expected"),
        ("setup.sh", b"", "not expected"),
        ("actions/.hidden.py", b"", "a name that bundles do not take"),
        ("actions/\u0430.py", b"", "a name that bundles do not take"),
        ("actions/nul.py", b"a = 1\nb = '\0'\n", "NUL"),
    ):
        faults = faults_of(here, loose((entry, content)))
        assert says in faults[0][2], (entry, faults)
    many = [(f"vendor/f{number}.py", b"") for number in range(500)]
    assert "500 are the most" in faults_of(here, loose(*many))[0][2]
    large = bytes(17 * 1024 * 1024)
    bomb = packed({"bundle.toml": manifest(), "actions/a.py": ECHO, "vendor/a.bin": large, "vendor/b.bin": large})
    assert len(bomb) < 100_000
    assert "32 MiB" in faults_of(here, bomb)[0][2]
