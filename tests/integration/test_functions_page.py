"""docs/functions.md says the truth: its examples run, its tables are those of the code, its imports work."""

import doctest
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import settings
from providers import local
from providers.base import Call, ProviderError
from providers.functions import Context, load
from providers.sandbox.capture import LINE_BYTES, LINES
from tests.support.processes import ROOT

PAGE = (ROOT / "docs/functions.md").read_text()
#: (language, text) of each fenced block, in order
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SOURCES = [text for language, text in BLOCKS if language == "python"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An actions folder with a file for each example."""
    folder = tmp_path / "actions"
    folder.mkdir()
    for number, source in enumerate(SOURCES):
        (folder / f"example_{number}.py").write_text(source)
    monkeypatch.setenv("TOCSIN_ENV", "development")
    monkeypatch.setenv("TOCSIN_VAR_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("TOCSIN_ACTIONS_DIR", str(folder))
    settings.cache_clear()
    yield folder
    settings.cache_clear()


def test_the_examples_do_what_the_page_shows(folder: Path) -> None:
    """Each block of code loads, and each session that follows prints what stands there."""
    names: dict[str, Any] = {"folder": folder}
    parser, runner, shown = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False), 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/functions.md", "exec"), names)
        elif language == "pycon":
            session = parser.get_doctest(text, names, "docs/functions.md", None, 0)
            runner.run(session, clear_globs=False)
            names.update(session.globs)
            shown += len(session.examples)
    assert shown > 10
    assert runner.summarize(verbose=False).failed == 0


def test_the_schemas_are_those_of_the_functions(folder: Path) -> None:
    """What the page shows as parameters is what an action takes from the function above."""
    found, last, compared = load(folder), "", 0
    for language, text in BLOCKS:
        if language == "python":
            last = re.findall(r"^def (\w+)\(", text, re.MULTILINE)[-1]
        elif language == "json":
            assert found[last].parameters == json.loads(text)
            compared += 1
    assert compared == 2


def test_the_page_has_every_public_name_and_limit() -> None:
    """Each name that a user may import is explained, and the bounds are those of the code."""
    for name in ("action", "Context", "Secret", "Retry"):
        assert f"### `{name}`" in PAGE
    assert f"{LINES} lines of at most {LINE_BYTES // 1024} KB" in PAGE
    assert f"up to {local._ACTIONS_BYTES >> 20} MiB" in PAGE
    for member in ("execution_id", "target", "idempotency_key", "log"):
        assert hasattr(Context("", "", ""), member)
        assert re.search(rf"^\| `{member}\b", PAGE, re.MULTILINE)


def _in_the_sandbox(handler: str, parameters: dict[str, Any]) -> Any:
    return local.perform(
        Call(
            execution_id="exec-1",
            idempotency_key="exec-1",
            config={"handler": handler},
            parameters=parameters,
            context={"target": "web-01"},
            log=lambda _level, _line: None,
            mode="sandbox",
        )
    )


def test_what_may_be_imported_in_the_sandbox(folder: Path) -> None:
    """The standard library, ``providers.functions`` and the folder's own files are there; the rest of Tocsin is not."""
    (folder / "_shared.py").write_text("WORD = 'shared'\n")
    (folder / "imports.py").write_text(
        "import importlib\nfrom providers.functions import action\nfrom ._shared import WORD\n"
        "@action()\ndef try_import(module: str) -> str:\n    importlib.import_module(module)\n    return WORD\n"
    )
    for module in ("sqlite3", "zoneinfo", "providers.functions"):
        assert _in_the_sandbox("try_import", {"module": module}) == {"result": "shared"}
    for module in ("store.engine.db", "config.settings", "tasks.app"):
        with pytest.raises(ProviderError, match="ModuleNotFoundError") as caught:
            _in_the_sandbox("try_import", {"module": module})
        assert caught.value.code == "handler_failed"


def test_an_example_runs_in_the_sandbox(folder: Path) -> None:
    """The first example answers there what it answers in the worker."""
    given = {"user": "ada", "token": "t0ken"}
    assert _in_the_sandbox("disable_user", given) == {"user": "ada", "disabled": True, "forced": False}
