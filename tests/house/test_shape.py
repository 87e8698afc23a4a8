"""Files and functions are small, imports point down, names are unique."""

import ast
import functools
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.house import drawing
from tests.house.sources import nodes, tree

ROOT = Path(__file__).parents[2]
PACKAGES = (
    "api",
    "cacao",
    "config",
    "event_loop",
    "expressions",
    "gateway",
    "launcher",
    "playbooks",
    "providers",
    "store",
    "tasks",
    "worker",
)
#: of the SDK what is written by hand: the rest is made by ``sdk/tools``
MADE = {"models.py", "_operations.py", "errors.py"}
SDK = [
    path
    for path in sorted((ROOT / "sdk").rglob("*.py"))
    if not {"_sync", "tests", "build"} & set(path.parts) and path.name not in MADE
]
SOURCES = [*(path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))), *SDK]


@functools.cache
def _functions(path):
    return [node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_no_file_is_longer_than_400_lines():
    """A file that grows past 400 lines holds more than one thing."""
    long = {str(path.relative_to(ROOT)): n for path in SOURCES if (n := len(path.read_text().splitlines())) > 400}
    assert not long


def test_no_function_is_longer_than_60_lines():
    """No function has more than 60 lines: it fits a screen."""
    long = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in SOURCES
        if "migrations" not in path.parts
        for node in _functions(path)
        if node.end_lineno - node.lineno + 1 > 60
    ]
    assert not long


def test_most_files_and_functions_are_small():
    """The median file has at most 160 lines, 90% of functions 30."""
    files = sorted(len(path.read_text().splitlines()) for path in SOURCES if path.name != "__init__.py")
    assert files[len(files) // 2] <= 160
    functions = sorted(node.end_lineno - node.lineno + 1 for path in SOURCES for node in _functions(path))
    assert functions[len(functions) * 9 // 10] <= 30


def test_a_folder_can_be_read_at_a_glance():
    """A folder holds at most 16 modules."""
    modules = Counter(path.parent for path in SOURCES if path.name != "__init__.py" and "migrations" not in path.parts)
    assert not {str(folder.relative_to(ROOT)): number for folder, number in modules.items() if number > 16}


def test_a_word_that_three_modules_share_is_a_folder():
    """No three modules of a folder begin with the same word."""
    words = Counter((path.parent, path.stem.partition("_")[0]) for path in SOURCES if path.name != "__init__.py")
    assert not [
        f"{folder.relative_to(ROOT)}/{word}_*" for (folder, word), number in words.items() if word and number > 2
    ]


def test_only_entry_points_are_called_by_celery():
    """Tasks are declared in ``tasks/entrypoints``, and every module there declares one."""
    declaring = {path for path in SOURCES if re.search(r"^@(app\.task|shared_task)\b", path.read_text(), re.MULTILINE)}
    rooms = ROOT / "tasks/entrypoints"
    assert declaring == {path for path in rooms.glob("*.py") if path.name != "__init__.py"}


def test_status_is_written_where_it_is_audited():
    """Three functions set ``status`` of executions, each with its audit row; that of approvals is another one."""

    def sets_status(node):
        if isinstance(node, ast.Call):
            return (
                isinstance(node.func, ast.Attribute)
                and node.func.attr == "values"
                and any(word.arg == "status" for word in node.keywords)
            )
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)] if isinstance(node, ast.Dict) else []
        return "status" in keys

    writers = {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path in SOURCES
        if path.is_relative_to(ROOT / "store") and "migrations" not in path.parts and path.name != "approvals.py"
        for function in _functions(path)
        if any(isinstance(node, ast.Attribute) and ast.unparse(node) == "sa.update" for node in ast.walk(function))
        and any(map(sets_status, ast.walk(function)))
    }
    assert writers == {
        "store/executions/transitions.py:moving",
        "store/executions/combined.py:_ending",
        "store/executions/ending.py:_cancel",
    }


def test_what_ends_an_execution_makes_its_record():
    """Each writer of a status has the columns of the record in its statement, but for the one that ends runs only."""
    for path, name in (("executions/transitions.py", "moving"), ("executions/ending.py", "_cancel")):
        [function] = [one for one in _functions(ROOT / "store" / path) if one.name == name]
        assert "end_record.columns(executions" in ast.unparse(function), name
    [ends_runs] = [one for one in _functions(ROOT / "store/executions/combined.py") if one.name == "_ending"]
    assert "moved.c.run_id" in ast.unparse(ends_runs)


def test_every_module_says_what_it_is_for():
    """Each module opens with a docstring."""
    assert not [str(path) for path in SOURCES if not ast.get_docstring(tree(path))]


def test_every_test_tells_its_behaviour():
    """Each test has a docstring that states the behaviour it holds."""
    silent = [
        f"{path.name}:{node.name}"
        for folder in ("tests", "sdk/tests")
        for path in sorted((ROOT / folder).rglob("test_*.py"))
        for node in _functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert not silent


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_claims_our_names(package):
    """Our top-level names resolve to this checkout, not to an installed distribution."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert Path(spec.origin).is_relative_to(ROOT)
    owners = set(importlib.metadata.packages_distributions().get(package, [])) - {"tocsin-server"}
    assert not owners, f"{package} is claimed by {owners}"


def test_imports_point_down():
    """The import contracts in setup.cfg hold: layers, purity, SQL, Celery, outside calls."""
    if importlib.util.find_spec("importlinter") is None:
        pytest.skip("import-linter is not installed (make lint installs it)")
    ran = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "sdk")},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout


def test_the_drawing_of_the_rooms_is_current():
    """docs/architecture.svg shows the present packages and imports (``python -m tests.house.drawing``)."""
    current = drawing.PAGE.read_text() == drawing.drawn()
    assert current, "draw it again: .venv/bin/python -m tests.house.drawing"
