"""The set-up on a bare machine: finding a Python, making .venv, installing only when there is something to install."""

import ast
import configparser
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from launcher import bootstrap

ROOT = Path(__file__).parents[2]


def fake_python(folder, name, *, version_ok, venv_ok):
    """A program that answers the two questions that the set-up asks a Python."""
    script = folder / name
    script.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *version_info*) exit {0 if version_ok else 1};; *) exit {0 if venv_ok else 1};; esac\n'
    )
    script.chmod(0o755)


def test_the_set_up_can_be_read_by_old_pythons():
    """An old Python gets as far as saying that it is too old, so the file may use nothing newer than 3.8."""
    read = ast.parse((ROOT / "launcher/bootstrap.py").read_text(), feature_version=(3, 8))
    assert "find_python" in {node.name for node in read.body if isinstance(node, ast.FunctionDef)}


def test_the_set_up_needs_nothing_installed():
    """It runs before anything is installed: isolated from site-packages it still answers."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", ROOT / "launcher/bootstrap.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")


def test_an_old_python_without_a_newer_one_is_said_in_one_line(tmp_path, monkeypatch):
    """Where no Python is new enough the message names the version found and the packages to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    fake_python(tmp_path, "python3.12", version_ok=False, venv_ok=True)  # such as a pyenv shim without a version
    with pytest.raises(bootstrap.SetupError, match=r"3\.11 or newer.*3\.9.*apt install python3") as raised:
        bootstrap.find_python()
    assert "\n" not in str(raised.value)


def test_a_missing_venv_module_is_said_in_one_line(tmp_path, monkeypatch):
    """Debian's Python has neither ensurepip nor pip at first; the message names the package that brings one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    fake_python(tmp_path, "python3.11", version_ok=True, venv_ok=False)
    with pytest.raises(bootstrap.SetupError, match="apt install python3-venv"):
        bootstrap.find_python()


def test_a_newer_python_on_the_path_is_found_from_an_old_one(tmp_path, monkeypatch):
    """Started by an old python3, the set-up takes a new enough one that can make environments."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 2))
    fake_python(tmp_path, "python3.12", version_ok=True, venv_ok=False)
    fake_python(tmp_path, "python3.11", version_ok=True, venv_ok=True)
    assert bootstrap.find_python() == str(tmp_path / "python3.11")


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a set-up that only writes down what it would do; yields the list of that."""
    (tmp_path / "setup.cfg").write_text("[metadata]")
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "constraints.txt").write_text("")
    (tmp_path / "sdk").mkdir()
    (tmp_path / "sdk/pyproject.toml").write_text("")
    done = []
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv" / ".installed")
    monkeypatch.setattr(bootstrap, "_create", lambda: done.append("create"))

    def install(extras):
        done.append(extras)
        (tmp_path / ".venv/bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".venv/bin/activate").write_text(f"VIRTUAL_ENV={tmp_path}/.venv")
        link = tmp_path / ".venv/bin/python"
        link.unlink(missing_ok=True)
        link.symlink_to(sys.executable)
        stamp = {"fingerprint": bootstrap.fingerprint(), "extras": extras}
        bootstrap.STAMP.write_text(json.dumps(stamp))

    monkeypatch.setattr(bootstrap, "_install", install)
    return tmp_path, done


def test_the_second_start_installs_nothing(checkout):
    """What is installed is installed again only when a list changed or more is asked for, and never loses extras."""
    folder, done = checkout
    bootstrap.prepare(())
    bootstrap.prepare(())
    assert done == ["create", []]
    bootstrap.prepare(("test",))
    bootstrap.prepare(())
    assert done == ["create", [], ["test"]]
    (folder / "setup.cfg").write_text("[metadata]\nname = other")
    bootstrap.prepare(())
    assert done == ["create", [], ["test"], ["test"]]
    (folder / "sdk/pyproject.toml").write_text("[project]")
    bootstrap.prepare(())
    assert done == ["create", [], ["test"], ["test"], ["test"]]


def test_an_environment_from_elsewhere_is_made_again(checkout):
    """A copied or moved checkout holds scripts that name the old folder; a half-made one has none."""
    folder, done = checkout
    bootstrap.prepare(())
    (folder / ".venv/bin/activate").write_text("VIRTUAL_ENV=/somewhere/else/.venv")
    bootstrap.STAMP.unlink()
    bootstrap.prepare(())
    assert done == ["create", [], "create", []]


def test_make_alone_prints_what_can_be_made():
    """Each public target stands in the help with what it does."""
    done = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("run", "demo", "test", "test-fast", "lint", "bench", "chaos", "clean"):
        assert f"make {target} " in done.stdout


# --- what is installed is known


def test_every_package_is_named_with_its_version_and_hashes():
    """The list covers what server and SDK name, of all extras; nothing is installed that it does not vouch for."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    wanted = settings["options"]["install_requires"] + "".join(settings["options.extras_require"].values())
    sdk = tomllib.loads((ROOT / "sdk/pyproject.toml").read_text())["project"]
    lines = [*wanted.splitlines(), *sdk["dependencies"], *sdk["optional-dependencies"]["cli"]]
    names = {re.split(r"[\[<>=!;]", line)[0].strip().lower() for line in lines if line.strip()}
    lock = (ROOT / "constraints.txt").read_text()
    assert names
    for name in names:
        lines = bootstrap.pinned(name, lock).splitlines()
        assert "==" in lines[0]
        assert sum("--hash=sha256:" in line for line in lines) >= 1, name


def test_the_lines_about_one_package_end_with_it():
    """From a list with hashes one package is taken with all its hashes, and nothing of the next."""
    lock = (
        "a==1 \\\n    --hash=sha256:1\nuv==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n    # via b\nuvloop==3\n"
    )
    assert bootstrap.pinned("uv", lock) == "uv==2 \\\n    --hash=sha256:2 \\\n    --hash=sha256:3\n"


def test_a_change_of_the_list_is_a_reason_to_install(monkeypatch, tmp_path):
    """A developer who pulls a commit with other versions gets them with the next command."""
    before = bootstrap.fingerprint()
    (tmp_path / "sdk").mkdir()
    for name in ("setup.cfg", "pyproject.toml", "sdk/pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    assert bootstrap.fingerprint() == before
    with (tmp_path / "constraints.txt").open("a") as lock:
        lock.write("more==1\n")
    assert bootstrap.fingerprint() != before


def test_what_is_installed_and_imported_is_compiled_once(monkeypatch, tmp_path):
    """Packages are compiled when they are installed, our own modules once, whatever the shell says."""
    ran, became = [], []
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(bootstrap, "_install_uv", lambda _: True)
    monkeypatch.setattr(bootstrap, "_succeeds", lambda command: ran.append(command) or True)
    bootstrap._install(["test"])
    assert "--compile-bytecode" in ran[-1]
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(bootstrap.subprocess, "run", lambda _, **more: became.append(more["env"]) or done)
    bootstrap.become([["python"], ["python"]])
    monkeypatch.setattr(bootstrap.os, "execve", lambda *given: sys.exit(became.append(given[2])))
    with pytest.raises(SystemExit):
        bootstrap.become([["python"]])
    assert ["PYTHONDONTWRITEBYTECODE" in environment for environment in became] == [False] * 3
