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


def test_a_file_stays_in_one_process(tmp_path: Path) -> None:
    """Each file runs in one process, and the processes share the files."""
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    names = ["one", "two", "three", "four"]
    for name in names:
        (tmp_path / f"test_{name}.py").write_text(_TESTS)
    shared = ["-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "xdist", *shared, "."]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}  # noqa: TID251
    kept |= {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # each would be imported three times
    ran = subprocess.run(command, cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    processes = [set((tmp_path / f"test_{name}.log").read_text().split()) for name in names]
    assert [len(each) for each in processes] == [1] * len(names)
    assert set().union(*processes) == {"gw0", "gw1"}
