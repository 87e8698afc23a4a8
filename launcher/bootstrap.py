"""Sets up a bare machine: ``python3 launcher/bootstrap.py COMMAND [WORDS]``.

The commands are ``run``, ``demo``, ``test``, ``lint``, ``bench`` and others (``COMMANDS``). In order of time: find a
Python that is new enough; make ``.venv`` unless it is there; install what ``setup.cfg`` and ``sdk/pyproject.toml`` name
in the versions, and with the hashes, of ``constraints.txt``, unless that was done before and all are unchanged; become
the command. Needs the
standard library only, and runs on old Pythons as far as it takes to say in one line that they are too old.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
#: version and hashes of every package, of all extras and platforms; ``make lock`` renews it
LOCK = ROOT / "constraints.txt"
#: what says which packages are needed, of the server and of the SDK
LISTS = ("setup.cfg", "pyproject.toml", "sdk/pyproject.toml")
#: the SDK with its command line, which is installed with the server
SDK = "./sdk[cli]"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
OLDEST = (3, 11)
CANDIDATES = ("python3.12", "python3.11", "python3.13", "python3.14")
BEGUN = time.monotonic()

#: two wait for processes of the product while two compute: that keeps two processors busy; "-n 0" (ARGS) runs all in
#: one, for a debugger
SIDE_BY_SIDE = ["-n", "4", "--dist", "loadgroup", "--no-loadscope-reorder"]

#: the tests that other commands run: ``make chaos``, the gate
DEFAULT = "not chaos and not gate and not wide"
#: what needs no Redis, no PostgreSQL and no process of the product
FAST = ["tests/unit", "tests/contract", "tests/house", "-k", "not postgresql"]

#: random documents, which can be as many as there is time for
FUZZ = ["tests/unit/cacao/test_laws.py", "tests/integration/test_odd_values.py"]
FUZZ += ["tests/unit/gateway/test_laws.py", "tests/unit/gateway/test_hostile_folders.py"]

#: every extra, platform and Python at once, in the newest versions that setup.cfg allows
RENEWING = ["--quiet", "--upgrade", "--all-extras", "--universal", "--python-version", "3.11", "--generate-hashes"]
RENEWING += ["--custom-compile-command", "make lock"]

#: command → the extras it needs, and the programs it becomes, one after the other
COMMANDS = {
    "run": ((), [["python", "-m", "launcher", "run"]]),
    "demo": ((), [["python", "-m", "launcher", "demo"]]),
    "test": (("test",), [["python", "-m", "pytest", "-m", DEFAULT, *SIDE_BY_SIDE]]),
    "test-fast": (("test",), [["python", "-m", "pytest", "-m", DEFAULT, *FAST, *SIDE_BY_SIDE]]),
    "chaos": (("test",), [["python", "-m", "pytest", "-m", "chaos", *SIDE_BY_SIDE]]),
    "fuzz": (
        ("test",),
        [["python", "-m", "pytest", "--hypothesis-profile", "fuzz", "--timeout", "3600", *FUZZ, *SIDE_BY_SIDE]],
    ),
    "bench": (("test",), [["python", "tests/bench/run.py"]]),
    "sdk": (("test",), [["python", f"sdk/tools/{tool}.py"] for tool in ("generate", "sync", "commands")]),
    "lint": (
        ("lint", "test"),
        [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", "."], ["lint-imports"]],
    ),
    "lock": ((), [["uv", "pip", "compile", *RENEWING, "--output-file", LOCK.name, "setup.cfg", "sdk/pyproject.toml"]]),
    "audit": (("release",), [["pip-audit", "--require-hashes", "--disable-pip", "--requirement", LOCK.name]]),
    "sbom": (
        ("release",),
        [["cyclonedx-py", "requirements", "--output-reproducible", "--output-file", "sbom.cdx.json", LOCK.name]],
    ),
}


class SetupError(Exception):
    """The machine lacks something; the message says what to install."""


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - BEGUN:5.1f}s] {text}", flush=True)


def find_python() -> str:
    """The path of a Python that is new enough, preferably this one.

    It can make virtual environments.

    Raises:
        SetupError: there is none.
    """
    mine = sys.version_info[:2]
    if mine >= OLDEST and _can_make_venv(sys.executable):
        return sys.executable
    found = [path for path in map(shutil.which, CANDIDATES) if path and _is_new_enough(path)]
    if mine >= OLDEST:
        found.append(sys.executable)
    for path in found:
        if _can_make_venv(path):
            return path
    if found:
        raise SetupError("Python's venv module is missing: apt install python3-venv, then try again")
    have = "{}.{}".format(*mine)
    raise SetupError(f"Python 3.11 or newer is needed and only {have} was found: apt install python3 python3-venv")


def _is_new_enough(python: str) -> bool:
    return _succeeds([python, "-c", f"import sys; sys.exit(sys.version_info < {OLDEST})"])


def _can_make_venv(python: str) -> bool:
    return _has_pip(python) or _succeeds([python, "-c", "import venv, ensurepip"])


def _has_pip(python: str) -> bool:
    """Whether a Python has a pip that installs into other environments.

    That is faster than giving each environment its own.
    """
    code = "import sys, venv, pip; sys.exit([*map(int, pip.__version__.split('.')[:2])] < [22, 3])"
    return _succeeds([python, "-c", code])


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words


def fingerprint() -> str:
    """The fingerprint of an installation: package lists, and its place.

    The place counts because scripts name their folder.
    """
    parts = [(ROOT / name).read_bytes() for name in (*LISTS, LOCK.name)]
    return hashlib.sha256(b"\0".join([*parts, str(VENV).encode()])).hexdigest()


def installed() -> tuple[str, set[str]]:
    """Fingerprint and extras of the installation; empty when there is none."""
    try:
        stamp = json.loads(STAMP.read_text())
        return str(stamp["fingerprint"]), set(stamp["extras"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", set()


def prepare(extras: tuple[str, ...]) -> None:
    """Install into ``.venv`` the server with these extras, and the SDK.

    Raises:
        SetupError: it cannot be done; the message says why.
    """
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # two first starts at once: one installs, the other finds it installed
        known, have = installed()
        if known == fingerprint() and have.issuperset(extras):
            return
        if not _usable():
            _create()
        _install(sorted(have.union(extras)))
    finally:
        os.close(folder)


def _usable() -> bool:
    """Whether ``.venv`` works and was made in this very place."""
    try:
        here = os.fsencode(VENV) in (VENV / "bin" / "activate").read_bytes()
    except OSError:
        return False
    return here and _is_new_enough(str(VENV / "bin" / "python"))


def _create() -> None:
    python = find_python()
    if VENV.is_symlink() or VENV.is_file():
        raise SetupError(f"{VENV} is not a folder; remove it, then try again")
    if VENV.exists():
        say("The folder .venv is unusable (moved or incomplete): creating it again")
        shutil.rmtree(VENV)
    say(f"First start: creating .venv with {python}")
    options = ["--without-pip"] if _has_pip(python) else []
    _run([python, "-m", "venv", *options, str(VENV)], "Creating .venv failed")


def _install(extras: list[str]) -> None:
    """Install with uv, which is many times faster, else with pip.

    uv does not work with some private indexes.
    """
    what = f".[{','.join(extras)}]" if extras else "."
    say(f"Installing the packages of constraints.txt{' with ' + ', '.join(extras) if extras else ''}")
    python = str(VENV / "bin" / "python")
    pip = [python, "-m", "pip"] if _has_pip(python) else [find_python(), "-m", "pip", "--python", python]
    pip += ["--disable-pip-version-check", "--quiet", "install"]
    uv = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", python]
    uv += ["--constraints", str(LOCK), "--build-constraints", str(LOCK)]
    uv.append("--compile-bytecode")  # as pip does; else the processes that start together each compile the same
    if SYSTEM_CERTIFICATES.exists():
        uv.append("--system-certs")  # as pip does; a company's own authority is known there only
    if not (_install_uv(pip) and _succeeds([*uv, "-e", what, "-e", SDK])):
        say("Installing with pip, which takes longer")
        complaint = "Installing failed (the first start needs a network)"
        # pip hashes what it takes from lists only, so it takes the whole list, and then nothing for the checkout itself
        _run([*pip, "--require-hashes", "-r", str(LOCK)], complaint)
        _run([*pip, "--no-deps", "--no-build-isolation", "-e", what, "-e", SDK], complaint)
    STAMP.write_text(json.dumps({"fingerprint": fingerprint(), "extras": extras}))
    say("Installed")


def _install_uv(pip: list[str]) -> bool:
    """Make pip install uv as ``constraints.txt`` names it; whether that worked."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(pinned("uv", LOCK.read_text()))
        wanted.flush()
        return _succeeds([*pip, "--require-hashes", "-r", wanted.name])


def pinned(name: str, lock: str) -> str:
    """The lines of one package in a list with hashes."""
    lines = lock.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    last = next(number for number, line in enumerate(lines) if number >= first and not line.endswith("\\"))
    return "\n".join(lines[first : last + 1]) + "\n"


def _run(command: list[str], complaint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 - our own words
    if done.returncode:
        last = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()][-3:]
        raise SetupError(f"{complaint}: {' | '.join(last)}")


def become(programs: list[list[str]]) -> int:
    """Run the programs from ``.venv``; a single one replaces this process."""
    binaries = VENV / "bin"
    environment = dict(os.environ)  # noqa: TID251 - nothing is installed yet that could read settings
    environment["PATH"] = f"{binaries}:{environment.get('PATH', os.defpath)}"
    environment.pop("PYTHONHOME", None)
    # without bytecode each of the processes, a dozen in tests a minute, would compile all that it imports once more
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    commands = [[str(binaries / name), *words] for name, *words in programs]
    if len(commands) == 1:
        os.execve(commands[0][0], commands[0], environment)  # noqa: S606 - our own words
    codes = [subprocess.run(command, check=False, env=environment).returncode for command in commands]  # noqa: S603
    return 1 if any(codes) else 0


def main(arguments: list[str]) -> int:
    """Set up, then run the command.

    Further words go to its (last) program.
    """
    if not arguments or arguments[0] not in COMMANDS:
        print("usage: bootstrap.py " + "|".join(COMMANDS) + " [WORDS]", file=sys.stderr)
        return 2
    extras, programs = COMMANDS[arguments[0]]
    os.chdir(ROOT)
    try:
        prepare(extras)
    except SetupError as error:
        print(f"make {arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    more = ["--since", str(BEGUN)] if arguments[0] in ("run", "demo") else []
    return become([*programs[:-1], [*programs[-1], *more, *arguments[1:]]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
