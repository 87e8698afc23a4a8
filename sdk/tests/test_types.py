"""What type checkers say of typical uses: nothing; of typical mistakes: something, on their lines."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MYPY = ["-m", "mypy", "--strict", "--python-version", "3.11", "--no-error-summary", "--no-incremental"]
PLANTED = [n for n, line in enumerate((HERE / "misuses.py").read_text().splitlines(), 1) if "# misuse:" in line]


def blamed(command, folder):
    """The lines that a checker complains about, by file."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = re.findall(r"(\w+)\.py:(\d+)(?::\d+)?(?: -|:) error", done.stdout)
    return {(name, int(line)) for name, line in found}, done.stdout


@pytest.mark.gate
@pytest.mark.skipif(sys.version_info < (3, 10), reason="mypy runs on newer Pythons")
def test_mypy_passes_the_uses_and_finds_the_mistakes():
    """Mypy --strict understands sixty uses, and finds each of six mistakes."""
    pytest.importorskip("mypy")
    found, shown = blamed([sys.executable, *MYPY, "tests/uses.py", "tests/misuses.py"], HERE.parent)
    assert found == {("misuses", line) for line in PLANTED}, shown
    assert len(PLANTED) == 6


@pytest.mark.gate
def test_pyright_passes_the_uses_and_finds_the_mistakes():
    """Pyright, which editors use, says the same."""
    pyright = shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed")
    command = [pyright, "--pythonpath", sys.executable, "tests/uses.py", "tests/misuses.py"]
    found, shown = blamed(command, HERE.parent)
    assert found == {("misuses", line) for line in PLANTED}, shown


def test_there_are_sixty_uses():
    """The file of uses is not a handful."""
    text = (HERE / "uses.py").read_text()
    assert text.count("client.") + text.count("run.") >= 60
