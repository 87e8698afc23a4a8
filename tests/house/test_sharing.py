"""How the tests share the processes that run them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CONFTEST = "from tests.support.sharing import pytest_xdist_make_scheduler\n"
_TESTS = """
import os, pathlib, pytest

@pytest.mark.parametrize("number", range(20))
def test_it(number):
    with pathlib.Path(__file__).with_suffix(".log").open("a") as log:
        print(os.environ["PYTEST_XDIST_WORKER"], file=log)
"""
_WAITING = """
import pathlib, time

def test_it():
    awaited, give_up = pathlib.Path(__file__).parents[1] / "unit/test_last.log", time.monotonic() + 20
    while not awaited.exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
"""
_PASSING = "def test_one(): pass\ndef test_two(): pass\ndef test_three(): pass\n"


def _run(directory: Path, tests: dict[str, str]) -> list[set[str]]:
    """Run these files in two processes; where those have run that keep a log."""
    (directory / "conftest.py").write_text(_CONFTEST)
    paths = [directory / name for name in tests]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(tests[str(path.relative_to(directory))])
    shared = ["-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder", "--import-mode", "importlib"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", *shared, "."]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # noqa: TID251
    kept |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # each would be imported three times
    ran = subprocess.run(command, cwd=directory, env=kept, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    logs = [path.with_suffix(".log") for path in paths]
    return [set(log.read_text().split()) for log in logs if log.exists()]


def test_a_file_stays_in_one_process(tmp_path: Path) -> None:
    """Each file runs in one process, and the processes share the files."""
    processes = _run(tmp_path, {f"test_{name}.py": _TESTS for name in ("one", "two", "three", "four")})
    assert [len(each) for each in processes] == [1] * 4
    assert set().union(*processes) == {"gw0", "gw1"}


def test_tests_that_wait_run_next_to_tests_that_compute(tmp_path: Path) -> None:
    """One process begins with acceptance tests, the other with the unit tests, which come last in order."""
    waiting = {f"acceptance/test_{name}.py": _WAITING for name in ("one", "two")}
    assert len(_run(tmp_path, {**waiting, "unit/test_last.py": _TESTS})) == 1


def test_a_file_goes_to_the_process_that_is_free(tmp_path: Path) -> None:
    """A process with two tests to run is given no further file, which another can begin sooner."""
    waiting = {"acceptance/test_one.py": f"{_WAITING}\ndef test_next():\n    pass\n"}
    (ran,) = _run(tmp_path, {**waiting, "unit/test_first.py": _PASSING, "unit/test_last.py": _TESTS})
    assert len(ran) == 1
