"""Comparisons whose sides do not fit together: named when written, explained when evaluated."""

from typing import Any

import pytest

from expressions.conditions.comparisons import kind_of
from expressions.conditions.evaluation import ConditionError, check, holds
from playbooks.checks.playbook import check as check_playbook

_KINDS = {"n": "number", "s": "text", "b": "boolean", "o": "object", "l": "list"}
_KNOWN = {*_KINDS, "parameters", "finding"}


@pytest.mark.parametrize(
    ("condition", "remedy"),
    [
        ("n == '5'", "write n == 5"),
        ("'5' < n", "write n > 5"),
        ("parameters.n != 'x'", "is always true: write string(parameters.n) != 'x'"),
        ("s > 5", "always fails: write int(s) > 5"),
        ("s == 5", "write s == '5'"),
        ("b == 'true'", "write b == true"),
        ("o == 'x'", "compare a member of it, such as o.id"),
        ("l == 'x'", "ask for an item of it: 'x' in l"),
        ("'x' in s", "write s.contains('x')"),
        ("s == n", "is never true"),
        ("true && n", "write for example n > 0"),
        ("!s", "write for example s != ''"),
        ("b ? n == '5' : b", "write n == 5"),
        ("n == -5 || n == '-5'", "write n == -5"),
        ("n + s == 'x'", "n is a number and s is text: + cannot join them; write string(n) + s"),
        ("s - 1 > n - 1", "s is text and 1 is a number: - takes numbers"),
        ("n.b == 1", "n is a number and has no member 'b'"),
        ("parameters.s.length > 1", "parameters.s is text and has no member 'length': write size(parameters.s)"),
        ("s in 5", "write s == 5"),
    ],
)
def test_sides_that_never_fit_are_a_fault_with_a_remedy(condition: str, remedy: str) -> None:
    """The declared types decide when a condition is written."""
    (fault,) = check(condition, _KNOWN, _KINDS)
    assert remedy in fault


@pytest.mark.parametrize(
    "condition",
    [
        "n == 5 && n > 4.5 && n >= -1",
        "s == 'x' && b && !b && o.name == 'x' && l == ['x']",
        "n == null || s != null",
        "n - 1 == 4 && size(s) > 3 && string(n) == '5' && int(s) > 5",
        "'x' in l && n in [1, 2] && 'k' in o",
        "[1].exists(n, n == 1)",
        "['a'].exists(n, n == 'a')",
        "finding.n == '5' && s == '{{ finding.title }}'",
        "s == (b ? 'x' : 'y')",
        "n == int('5')",
        "b == (n > 5)",
        "n + 1 > n * n - 2 && s + 'x' == 'x' + s && l + l == l && o.a.b == 1 && l[0].a == 1",
        "n - size(s) + 1 > 2 && n + int(s) > 1 && string(n) + s == s",
    ],
)
def test_sides_that_may_fit_are_no_fault(condition: str) -> None:
    """Computed values, members, macros' variables and null are left to the evaluation."""
    assert check(condition, _KNOWN, _KINDS) == []


@pytest.mark.parametrize(
    ("condition", "values", "words"),
    [
        ("n > 5", {"n": "7"}, "n is the text '7' and cannot be compared with 5: write int(n) > 5"),
        ("5 < n", {"n": "7"}, "n is the text '7' and cannot be compared with 5: write int(n) > 5"),
        ("n > '5'", {"n": 7}, "n is the number 7 and cannot be compared with '5': write n > 5"),
        ("n > 5", {"n": None}, "n is null and cannot be compared with 5: ask first, with n != null && …"),
        ("a < b", {"a": 1, "b": "x"}, "a is the number 1 and cannot be compared with text"),
        ("f.x > 5", {"f": {"x": [1]}}, "f.x is a list and cannot be compared with 5"),
        ("n && true", {"n": 1}, "n is the number 1, not true or false"),
        ("'a' in n", {"n": "abc"}, "n is text, not a list: write n.contains('a')"),
    ],
)
def test_values_that_cannot_be_compared_are_named(condition: str, values: dict[str, Any], words: str) -> None:
    """The message names the operand, its value where that tells nothing, and what to write."""
    with pytest.raises(ConditionError) as refused:
        holds(condition, values)
    assert words in str(refused.value)


@pytest.mark.parametrize("secret", ["hunter2", "tcn_0123456789ab_secret", "pass word"])
def test_text_that_may_be_a_secret_is_not_shown(secret: str) -> None:
    """Only text that is a number or a word of conditions appears in a message."""
    with pytest.raises(ConditionError) as refused:
        holds("n > 5", {"n": secret})
    assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ({"type": "integer"}, "number"),
        ({"type": "secret"}, "text"),
        ({}, "text"),
        ({"type": "enum", "options": ["a", "b"]}, "text"),
        ({"type": "enum", "options": [1, 2.5]}, "number"),
        ({"type": "enum", "options": ["a", 1]}, None),
        ({"type": "enum", "options": "faulty"}, None),
        ({"type": ["faulty"]}, None),
    ],
)
def test_the_kind_of_a_parameter(declared: dict[str, Any], kind: str | None) -> None:
    """Declarations that vary, or are faulty, say nothing."""
    assert kind_of(declared) == kind


def test_the_variable_of_a_loop_hides_a_parameter() -> None:
    """Inside a for_each the name means the item; outside it the declared type counts."""

    def ask(step_id: str) -> dict[str, Any]:
        return {"id": step_id, "type": "condition", "expression": "n == '5'"}

    loop = {"id": "each", "type": "for_each", "items": ["5"], "as": "n", "steps": [ask("inside")]}
    declared = [{"name": "n", "type": "integer"}]
    definition = {"name": "Any", "parameters": declared, "steps": [loop, ask("outside")]}
    assert [problem.pointer for problem in check_playbook(definition)] == ["/steps/1/expression"]


def test_the_expression_of_a_switch_may_give_any_value() -> None:
    """A switch compares a number or text with its cases itself."""
    switch = {"id": "s", "type": "switch", "expression": "n", "cases": {"5": "end"}}
    definition = {"name": "Any", "parameters": [{"name": "n", "type": "integer"}], "steps": [switch]}
    assert check_playbook(definition) == []
