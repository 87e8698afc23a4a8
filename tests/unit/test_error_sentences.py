"""Monitors have a sentence for every error code, and it holds nothing but numbers."""

import ast
import re
from pathlib import Path

import pytest

from tasks.clock.error_sentences import OTHER, SENTENCES, sentence

ROOT = Path(__file__).parents[2]
#: what makes an error's record: its code is the first word among the arguments
_MAKERS = {"ProviderError", "StepError", "failed", "_failed", "failure", "of_run", "_broken", "_fail"}
#: the functions of these rooms describe, in requests, errors that no execution has
_EXECUTIONS = ("tasks/runs", "tasks/attempts", "tasks/clock", "tasks/control", "tasks/dry_run", "tasks/entrypoints")


def _codes() -> dict[str, Path]:
    found = {}
    for room in (*_EXECUTIONS, "providers"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in _MAKERS:
                    texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                    found |= {one: path for one in texts[:1] if re.fullmatch(r"[a-z_]+", str(one))}
    return found


def test_every_code_has_a_sentence() -> None:
    """A new error code needs a line in SENTENCES; without one Flower shows neither code nor reason."""
    codes = _codes()
    assert len(codes) > 30
    missing = {code: str(path.relative_to(ROOT)) for code, path in codes.items() if code not in SENTENCES}
    assert not missing, f"add these to SENTENCES in tasks/clock/error_sentences.py: {missing}"


@pytest.mark.parametrize("code", [*SENTENCES, "made_up_9c41"])
def test_an_error_is_shown_without_its_message(code: str) -> None:
    """Neither the message nor a detail that is no number is part of the sentence."""
    error = {"code": code, "message": "secret-1", "details": {"status": "secret-2", "exit_code": "secret-3"}}
    shown = sentence(error)
    assert "secret-" not in shown
    assert "{" not in shown
    assert shown == OTHER if code not in SENTENCES else shown.startswith(f"{code}: ")


def test_numbers_of_the_details_are_shown() -> None:
    """The status of an answer and the exit code of a script say nothing about values."""
    assert sentence({"code": "http_status", "details": {"status": 404}}) == "http_status: The receiver answered 404."
    assert sentence({"code": "script_failed", "details": {"exit_code": 7}}).endswith("exit code 7.")
    assert sentence(None) == OTHER
