"""The table of error codes has the codes that the sources raise, all of them and no others."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.http import errors
from config.error_codes.entry import ErrorCode
from config.error_codes.table import CODES, PAGES, page

ROOT = Path(__file__).parents[2]
_ROOMS = ("api", "config", "gateway", "playbooks", "providers", "store", "tasks", "worker")
#: what makes an error of a request: its code is an argument of that name
_ERRORS = {"CallerError", "InvalidRequest", "NotFound", "ProviderNotFound", "Forbidden", "Conflict", "Gone"}
_ERRORS |= {"Unprocessable", "NotConfigured", "NotYours", "Refusal"}
#: what makes an error's record: its code is the first word among the arguments
_MAKERS = {"ProviderError", "StepError", "failed", "_failed", "failure", "of_run", "_broken", "_fail", "HttpFailed"}
#: kind of a definition → the code of its faults is made of that word
_NOUNS = ("action", "playbook")
#: codes that a variable carries, and where it is set: functions that answer records of errors
_CARRIED = re.compile(r'"code": "([a-z_]+)",\s*"message":')
#: codes of other things than errors: what a simulation takes for granted, notes of an import, lines of a log
_NO_ERRORS = ("examples.py", "schemas.py", "replay_schemas.py", "import_export_schemas.py")
_WORD = re.compile(r"[a-z][a-z_]+")


def _classes(tree: ast.Module) -> Iterator[str]:
    """The code that a class of errors gives all of its kind, alone or along with its status."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for statement in node.body:
            if not isinstance(statement, ast.Assign):
                continue
            target = statement.targets[0]
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            values = statement.value.elts if isinstance(statement.value, ast.Tuple) else [statement.value]
            for name, value in zip(names, values, strict=False):
                if getattr(name, "id", "") == "code" and isinstance(value, ast.Constant):
                    yield value.value


def _constants(tree: ast.Module) -> dict[str, str]:
    """The texts that names of the module stand for, also of several names at once."""
    found = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
            pairs = (
                zip(target.elts, statement.value.elts, strict=False)
                if isinstance(target, ast.Tuple) and isinstance(statement.value, ast.Tuple)
                else [(target, statement.value)]
            )
            found |= {getattr(name, "id", ""): value.value for name, value in pairs if isinstance(value, ast.Constant)}
    return found


def _calls(tree: ast.Module) -> Iterator[str]:
    """The codes of errors that are made in a module."""
    known = _constants(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in _MAKERS:
            texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
            yield from (one for one in texts[:1] if _WORD.fullmatch(str(one)))
        for given in node.keywords:
            if given.arg == "code" and (name in _ERRORS or name == "__init__"):
                value = known.get(getattr(given.value, "id", ""), getattr(given.value, "value", None))
                if isinstance(value, str):
                    yield value


def raised() -> dict[str, str]:
    """Code → a module that answers it or ends an execution with it."""
    found = {f"invalid_{noun}": "tasks/definitions/versioned.py" for noun in _NOUNS}
    found |= dict.fromkeys(errors.CODES.values(), "api/http/errors.py")
    for room in _ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "error_codes" in path.parts or "versions" in path.parts:
                continue
            text = path.read_text()
            tree = ast.parse(text)
            codes = {*_classes(tree), *_calls(tree)}
            if path.name not in _NO_ERRORS:
                codes |= set(_CARRIED.findall(text))
            found |= dict.fromkeys(codes, str(path.relative_to(ROOT)))
    return found


def test_every_code_of_the_sources_is_in_the_table() -> None:
    """A new code needs its row in ``config/error_codes``: what it means, and what to do."""
    found = raised()
    assert len(found) > 100
    assert {code: path for code, path in found.items() if code not in CODES} == {}


def test_every_code_of_the_table_is_in_the_sources() -> None:
    """A row without a source would explain what never happens."""
    found = raised()
    texts = "\n".join(
        path.read_text() for room in ("api", "config", "providers", "tasks") for path in (ROOT / room).rglob("*.py")
    )
    assert [code for code in CODES if code not in found and f'"{code}"' not in _without_table(texts)] == []


def _without_table(texts: str) -> str:
    """The sources without the rows of the table."""
    rows = {path.read_text() for path in (ROOT / "config/error_codes").rglob("*.py")}
    for row in rows:
        texts = texts.replace(row, "")
    return texts


@pytest.mark.parametrize("row", CODES.values(), ids=CODES)
def test_a_row_says_what_it_means_and_what_to_do(row: ErrorCode) -> None:
    """In sentences; it is answered with an error's status, or ends executions, or both."""
    assert _WORD.fullmatch(row.code)
    assert row.statuses or row.ends
    assert all(400 <= status < 600 for status in row.statuses)
    for text in (row.sentence(), row.remedy):
        assert text.endswith("."), text
        assert not set("{}") & set(re.sub(r"`[^`]*`", "", text)), text


def test_a_code_without_a_page_leads_to_the_list() -> None:
    """A function of the operator may make up codes."""
    assert page("in_use") == f"{PAGES}/in_use"
    assert page("made_up_9c41") == PAGES
