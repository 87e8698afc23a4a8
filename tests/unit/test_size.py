"""How much work a definition makes is counted before it is looked into, and what is hidden counts as well."""

from typing import Any

import pytest

from expressions.template_syntax import parse
from expressions.values import TemplateError
from playbooks.checks import playbook
from playbooks.checks.size import MAX_VALUES, MAX_WORDS, code_words, size
from playbooks.definitions.step_types import MAX_STEPS

DELAY = {"id": "a", "type": "delay", "seconds": 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no template at all, however long. " * 20, 0),
        ("{{ a }}", 5),
        ("{{ steps.lookup.output.score }}", 11),
        ("Of this text only {{ a.b }} counts, and {{ c | default('much text') }}.", 7 + 13),
        ("a brace { and } alone", 0),
    ],
)
def test_words_and_signs_of_expressions_count_and_prose_does_not(text: str, words: int) -> None:
    """Two braces are two signs."""
    assert code_words(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "+1" * 100,
        "{{ {'a': {{ b }} " + "+1" * 100 + " }}",
        "{{ '}}' " + "+1" * 100 + " }}",
        '{{ "{{ a }}" ' + "+1" * 100 + " }}",
        "{{ {{a}} " + "+1" * 100 + " }}",
        "{% set a = '{{ b }}' " + "+1" * 100 + " %}",
        "{{ 'a\\'}}' " + "+1" * 100 + " }}",
        "{{- a " + "+1" * 100 + " -}}",
    ],
)
def test_nothing_that_is_read_as_code_can_hide(text: str) -> None:
    """Wherever an expression seems to end."""
    assert code_words(text) >= 200


def test_what_the_templates_refuse_unread_does_not_count() -> None:
    """A text that is longer than any template is refused for its length."""
    text = "{{ a }}" * 10_000
    assert code_words(text) == 0
    with pytest.raises(TemplateError, match="longer"):
        parse(text)


def _steps(number: int) -> list[dict[str, Any]]:
    return [{**DELAY, "id": f"s{index}"} for index in range(number)]


@pytest.mark.parametrize(
    ("definition", "pointer", "words"),
    [
        ({"steps": [[]] * (MAX_STEPS + 1)}, "/steps", "at most 5000 steps"),
        (
            {"steps": [{"id": "p", "type": "parallel", "branches": [[]] * (MAX_STEPS + 1)}]},
            "/steps",
            "at most 5000 steps",
        ),
        ({"steps": [{"id": "p", "type": "loop", "while": "a", "steps": _steps(MAX_STEPS)}]}, "/steps", "5000 steps"),
        ({"steps": [DELAY], "tags": [[]] * (MAX_VALUES + 1)}, "", "at most 100000 keys and values"),
        ({"steps": [{**DELAY, "name": ["{{" + " a" * 4000 + " }}"] * 60}]}, "", "at most 200000 words and signs"),
        ({"steps": [DELAY], "tags": {f"{{{{ a{n}{'+1' * 50} }}}}": 1 for n in range(2000)}}, "", "words and signs"),
        ({"steps": [DELAY], "tags": ["__a__:value" * 1000] * 50}, "", "at most 200000 words and signs"),
        ({"steps": [{**DELAY, "when": "a" + "&&a" * 1000}] * 80}, "", "at most 200000 words and signs"),
    ],
)
def test_what_is_too_much_is_refused_before_it_is_looked_into(definition: Any, pointer: str, words: str) -> None:
    """One fault, which says what there is too much of."""
    [problem] = playbook.check({"name": "Much", **definition})
    assert problem.pointer == pointer
    assert words in problem.detail


def test_as_many_steps_as_there_may_be_are_looked_into() -> None:
    """The limit itself is within it, in one list and inside a step."""
    assert playbook.check({"name": "Most", "steps": _steps(MAX_STEPS)}) == []
    assert size({"steps": [{"id": "p", "type": "parallel", "branches": [_steps(MAX_STEPS - 1)]}]}).fault is None


def test_counting_stops_where_there_is_too_much() -> None:
    """It takes no longer than for a definition that is just small enough."""
    assert size({"steps": [DELAY], "a": ["{{" + "+1" * 8000] * 500}).words < MAX_WORDS + 20_000
    assert size({"steps": [DELAY], "a": [[1] * 1000] * 500}).values < MAX_VALUES + 1_000
