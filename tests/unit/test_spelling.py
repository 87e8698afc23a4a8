"""Pointers of faults lead to where the author wrote the faulty part."""

from typing import Any

import pytest

from config.errors import Problem
from playbooks.checks.playbook import check
from playbooks.checks.spelling import as_written

_WAIT = {"id": "w", "type": "delay", "seconds": 1}


@pytest.mark.parametrize(
    ("steps", "pointer"),
    [
        ([{"id": "a", "type": "delay", "duration": "5 minutes"}], "/steps/0/duration"),
        ([{"id": "a", "type": "delay", "delay_seconds": "x"}], "/steps/0/delay_seconds"),
        ([{"id": "a", "type": "condition", "if": "1 +"}], "/steps/0/if"),
        ([{"id": "a", "type": "loop", "condition": "1 +", "steps": [_WAIT]}], "/steps/0/condition"),
        ([{**_WAIT, "next": "nowhere"}], "/steps/0/next"),
        ([{"id": "p", "type": "parallel", "steps": [_WAIT, {"id": "b", "type": "delay", "duration": "x"}]}],
         "/steps/0/steps/1/duration"),
        ([{"id": "p", "type": "parallel", "branches": [[_WAIT, {"id": "b", "type": "nix"}]]}],
         "/steps/0/branches/0/1/type"),
        ([{"id": "p", "type": "parallel", "branches": [{"steps": [{"id": "b", "type": "nix"}]}]}],
         "/steps/0/branches/0/steps/0/type"),
    ],
)  # fmt: skip
def test_a_fault_is_found_where_it_was_written(steps: list[dict[str, Any]], pointer: str) -> None:
    """Other spellings, and lists in the place of blocks, keep their place."""
    definition = {"name": "Any", "steps": steps}
    assert pointer in [problem.pointer for problem in as_written(check(definition), definition)]


def test_members_of_the_top_level_keep_their_spelling() -> None:
    """A trigger as text, and parameters by another name."""
    definition = {"name": "Any", "trigger": "finding", "variables": [{"name": "1"}], "steps": [_WAIT]}
    assert [problem.pointer for problem in as_written(check(definition), definition)] == [
        "/trigger",
        "/variables/0/name",
    ]


@pytest.mark.parametrize("pointer", ["", "/steps", "/steps/9/seconds", "/steps/x", "/nowhere/0", "/name/inner"])
def test_a_pointer_to_nothing_stays_harmless(pointer: str) -> None:
    """A pointer beyond the definition ends where the definition ends, or stays."""
    (found,) = as_written([Problem(pointer, "x")], {"name": "Any", "steps": [_WAIT]})
    assert pointer.startswith(found.pointer)
