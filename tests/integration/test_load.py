"""``python -m launcher.load``: a folder of definitions becomes actions and playbooks, or nothing does."""

import json
from pathlib import Path

import pytest

from config.settings import settings
from launcher.demo import examples
from launcher.load.__main__ import main
from store import access
from store.access import ROLES, Caller
from store.definitions import actions, playbooks
from store.engine import db
from tasks.definitions import actions as catalogue
from tests.support.processes import ROOT

SECOND = {"id": "act-second", "name": "Second", "type": "webhook", "executor": "webhook"}
ACTION = """\
id: act-tell
name: Tell
type: notification
executor: webhook
parameters:
  - {name: message, type: string, required: true}
config:
  url: https://chat.example.com/${ROOM}
  headers: {Authorization: "Bearer ${TOKEN}"}
  body: {text: "{{ message }}"}
"""
PLAYBOOK = """\
id: pb-tell
name: Tell them
version: 1.2.0
steps:
  - {id: one, type: action, action_ref: act-tell, parameters: {message: hello}}
"""
SET = ("--set", "ROOM=soc", "--set", "TOKEN=s3cr3t-s3cr3t")


@pytest.fixture(autouse=True)
def workspace(database: str) -> None:
    with db.write() as connection:
        access.ensure_workspace(connection, "default", "Default")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A playbook whose file comes before that of its action."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "tell.yml").write_text(PLAYBOOK)
    (tmp_path / "z.yaml").write_text(ACTION)
    return tmp_path


def stored() -> dict[str, str]:
    """Id → version of every action and playbook."""
    with db.read() as connection:
        return {
            name: one.revision.version
            for kind in (actions.kind, playbooks.kind)
            for name, one in kind.several(connection, "default", kind.ids(connection, "default", limit=100)).items()
        }


def load(folder: Path, *more: str) -> int:
    return main([str(folder), *SET, *more])


def test_a_folder_is_registered_and_a_second_time_changes_nothing(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """New, then unchanged: no revision, no audit row; the order of the files does not matter."""
    (folder / "more.json").write_text(json.dumps([{**SECOND, "config": {"url": "https://a.example.com/"}}]))
    assert load(folder) == 0
    said = capsys.readouterr().out
    assert f"new       playbook  pb-tell 1.2.0  ({folder / 'a' / 'tell.yml'})" in said
    assert said.endswith("3 new\n")
    assert stored() == {"act-tell": "1.0.0", "act-second": "1.0.0", "pb-tell": "1.2.0"}
    with db.read() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one()
    assert load(folder) == 0
    assert capsys.readouterr().out.endswith("3 unchanged\n")
    with db.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM audit").scalar_one() == before
        revisions = connection.exec_driver_sql("SELECT count(*) FROM action_revisions").scalar_one()
    assert revisions == 2


def test_what_has_changed_is_revised_again_and_again(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """The version goes up by itself past that of the file, and a higher one of the file counts."""
    assert load(folder) == 0
    for message, version in (("good bye", "1.3.0"), ("hello again", "1.4.0")):
        (folder / "a" / "tell.yml").write_text(PLAYBOOK.replace("hello", message))
        assert load(folder) == 0
        assert load(folder) == 0
        assert stored()["pb-tell"] == version
    assert "revised   playbook  pb-tell 1.3.0 → 1.4.0" in capsys.readouterr().out
    (folder / "a" / "tell.yml").write_text(PLAYBOOK.replace("1.2.0", "2.0.0"))
    assert load(folder) == 0
    assert stored()["pb-tell"] == "2.0.0"


def test_variables_come_from_outside_and_secrets_are_sealed(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config has their values, a token is masked; another token is a revision, a variable may be exported."""
    assert load(folder) == 0
    with db.read() as connection:
        config = actions.get(connection, "default", "act-tell").revision.definition["config"]
    assert config["url"] == "https://chat.example.com/soc"
    assert "s3cr3t" not in json.dumps(config)
    monkeypatch.setenv("TOKEN", "another-s3cr3t")
    assert main([str(folder), "--set", "ROOM=soc"]) == 0
    assert "revised   action    act-tell" in capsys.readouterr().out
    (folder / "z.yaml").write_text(ACTION.replace("https://chat", "https://${HOST}.${PORT}").replace("${T", "$${T"))
    assert main([str(folder), "--set", "ROOM=soc"]) == 1
    said = capsys.readouterr().out
    assert "/config/url: the variable HOST is not set: export it, or give --set HOST=VALUE" in said
    assert "the variable PORT is not set" in said
    assert "TOKEN" not in said


def test_a_script_keeps_its_own_variables(tmp_path: Path) -> None:
    """``${NAME}`` in a script is the shell's."""
    script = {"name": "S", "type": "script", "executor": "local"}
    config = {"interpreter": "bash", "script": 'echo "${HOME}"'}
    (tmp_path / "s.json").write_text(json.dumps({**script, "config": config}))
    assert main([str(tmp_path)]) == 0
    with db.read() as connection:
        assert actions.get(connection, "default", "act-s").revision.definition["config"] == config


def test_every_fault_of_every_file_is_named_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """Faults of form, of meaning and of reference, each with file and pointer; the sound ones are not registered."""
    (folder / "b.json").write_text('{"name": "x", "name": "y"}')
    (folder / "c.yaml").write_text("name: [\n")
    (folder / "d.yaml").write_text("services: {web: {}}\n")
    (folder / "e.yaml").write_text(
        "- {name: One, type: webhok, executor: webhook, colour: red}\n"
        "- {id: pb-e, name: E, steps: [{id: s, type: action, action_ref: act-tel}]}\n"
        "- {id: act-tell, name: Tell, type: webhook, executor: webhook, config: {url: 'https://a.example.com'}}\n"
    )
    (folder / "f.json").write_text('{"type": "playbook", "spec_version": "cacao-2.0", "id": "playbook--1"}')
    (folder / ".hidden.yaml").write_text("[")
    assert load(folder) == 1
    said = capsys.readouterr().out
    for fault in (
        "b.json\n          (the whole): The file names a member twice",
        "c.yaml\n          (the whole): The file is not YAML",
        "d.yaml\n          (the whole): is neither a playbook (which has steps) nor an action",
        "/0/colour: there is no member 'colour'",
        "/0/type: Invalid action type 'webhok'",
        "/1/steps/0/action_ref: there is no action 'act-tel'; did you mean 'act-tell'?",
        "/2/id: the collection has another action 'act-tell'",
        "f.json\n          (the whole): is a CACAO document",
    ):
        assert fault in said, said
    assert said.endswith("; nothing was written\n")
    assert stored() == {}


def test_a_playbook_is_checked_against_the_actions_of_the_folder(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """An action that changes its parameters and the playbook that follows it are taken together, or refused."""
    assert load(folder) == 0
    (folder / "z.yaml").write_text(ACTION.replace("message", "text"))
    assert load(folder) == 1
    assert "/steps/0/parameters" in capsys.readouterr().out
    assert stored()["act-tell"] == "1.0.0"
    (folder / "a" / "tell.yml").write_text(PLAYBOOK.replace("message", "text"))
    assert load(folder) == 0
    assert stored() == {"act-tell": "1.1.0", "pb-tell": "1.3.0"}


def test_playbooks_of_the_folder_may_run_each_other(tmp_path: Path) -> None:
    """Each may name one that is new, too, whatever the order."""
    for name, other in (("a", "b"), ("b", "c"), ("c", None)):
        steps = [{"id": "s", "type": "playbook", "playbook_ref": f"pb-{other}"}] if other else []
        steps.append({"id": "d", "type": "delay", "seconds": 1})
        (tmp_path / f"{name}.json").write_text(json.dumps({"id": f"pb-{name}", "name": name, "steps": steps}))
    assert main([str(tmp_path)]) == 0
    assert set(stored()) == {"pb-a", "pb-b", "pb-c"}


def test_a_dry_run_says_the_same_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """The outcomes are those of the real load after it."""
    assert load(folder, "--dry-run") == 0
    predicted = capsys.readouterr().out
    assert predicted.endswith("2 new; nothing was written\n")
    assert stored() == {}
    assert load(folder) == 0
    assert capsys.readouterr().out == predicted.replace("; nothing was written", "")


def test_a_definition_that_is_switched_off_here_stays_off(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """A file that does not say ``enabled`` leaves the switch alone; one that does turns it."""
    assert load(folder) == 0
    caller = Caller(key_id="k", workspace_id="default", role="admin", permissions=ROLES["admin"])
    catalogue.set_enabled(caller, "act-tell", enabled=False, force=True)
    assert load(folder) == 0
    assert capsys.readouterr().out.endswith("2 unchanged\n")
    (folder / "z.yaml").write_text(ACTION + "enabled: true\n")
    assert load(folder) == 0
    assert capsys.readouterr().out.endswith("1 revised, 1 unchanged\n")
    with db.read() as connection:
        assert actions.get(connection, "default", "act-tell").enabled
    assert stored()["act-tell"] == "1.0.0"


def test_a_change_by_another_caller_meanwhile_undoes_the_whole_load(
    folder: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was checked before that change is not written, and neither is the rest."""
    assert load(folder) == 0
    (folder / "z.yaml").write_text(ACTION.replace("Tell", "Tell it"))
    (folder / "new.json").write_text(json.dumps({**SECOND, "config": {"url": "https://a.example.com/"}}))
    caller = Caller(key_id="k", workspace_id="default", role="admin", permissions=ROLES["admin"])
    change = db.change

    def late(work):
        catalogue.revise(caller, "act-tell", {"description": "changed meanwhile"}, whole=False)
        return change(work)

    monkeypatch.setattr(db, "change", late)
    assert load(folder) == 1
    assert "Nothing was written, because another caller was faster" in capsys.readouterr().err
    assert stored() == {"act-tell": "1.0.1", "pb-tell": "1.2.0"}


def test_a_workspace_must_exist(folder: Path, capsys: pytest.CaptureFixture) -> None:
    """A misspelt workspace is named with those that there are."""
    assert load(folder, "--workspace", "defalt") == 2
    assert "There is no workspace 'defalt' (there are: default)" in capsys.readouterr().err


def test_a_folder_must_be_one(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    """A missing folder is refused, an empty one has nothing to register."""
    assert main([str(tmp_path / "absent")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no definitions\n"


def test_the_examples_are_registered(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without their functions or the address of their systems they are refused, with both they are taken."""
    assert main([str(examples.FOLDER)]) == 1
    said = capsys.readouterr().out
    assert "the variable SYSTEMS_URL is not set" in said
    assert "/config/handler: no function of this name" in said
    assert stored() == {}
    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(ROOT / "examples/actions"))
    settings.cache_clear()
    assert main([str(examples.FOLDER), "--set", "SYSTEMS_URL=https://systems.example.com"]) == 0
    assert capsys.readouterr().out.endswith("22 new\n")
