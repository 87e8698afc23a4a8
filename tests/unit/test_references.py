"""References: every path that templates and conditions read, found without running them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expressions.conditions.evaluation import ConditionError, evaluate
from expressions.references import condition_paths, paths
from expressions.templates import TemplateError, check, render, render_json, render_text

TICKET = ("steps", "create-ticket", "output", "issue_key")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("{{ steps.create-ticket.output.issue_key }}", {TICKET}),
        ("{{ steps['create-ticket'].output.issue_key }} {{finding.title}}", {TICKET, ("finding", "title")}),
        ("{{ finding.tags[0] }}", {("finding", "tags", "0")}),
        ("{{ a.b | default(c.d) | replace('x', e) }}", {("a", "b"), ("c", "d"), ("e",)}),
        ("{{ steps | json }}", {("steps",)}),
        ("{{ 'steps.a-b' }} steps.a-b {% raw %}{{ steps.a-b }}{% endraw %}{# {{ x }} #}", set()),
        ("no template", set()),
        (None, set()),
        (3, set()),
        ({"{{ k.x }}": ["{{ a }}", {"deep": "{{ b.c }}"}, 1, None]}, {("k", "x"), ("a",), ("b", "c")}),
        (("{{ a }}",), {("a",)}),
    ],
)
def test_paths_of_templates(source, found):
    """The paths in a text, and in all texts and keys of containers."""
    assert paths(source) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("steps.create-ticket.output.issue_key == 'steps.x.y'", {TICKET}),
        ("steps['create-ticket'].output.issue_key == \"a\"", {TICKET}),
        ('steps["create-ticket"]["output"].issue_key == null', {TICKET}),
        ("{{ steps.create-ticket.output.issue_key }} == 1 && {{ a.b | default(c) }}", {TICKET, ("a", "b"), ("c",)}),
        ("'{{ finding.title }}!' == 'x'", {("finding", "title")}),
        ("steps[finding.title].output == 1", {("steps",), ("finding", "title")}),
        ("steps['a' + 'b'].output == 1", {("steps",)}),
        ("steps.exists(s, steps[s].status == 'failed')", {("steps",)}),
        ("has(finding.owner.name)", {("finding", "owner", "name")}),
        ("size(finding.tags) > 1 && finding.title.startsWith('x')", {("finding", "tags"), ("finding", "title")}),
        ("items.exists(x, x.a == b.c)", {("items",), ("b", "c")}),
        ("items.exists(x, true) && x.a", {("items",), ("x", "a")}),
        ("a.filter(x, x.b).map(x, x.c)[0].d == e ? f : g", {("a",), ("e",), ("f",), ("g",)}),
        ("{'k': v}.k.steps.a", {("v",)}),
        ("true // finding.title", set()),
    ],
)
def test_paths_of_conditions(source, found):
    """The paths an expression reads; a key that is not written out ends the path before it."""
    assert condition_paths(source) == found


def test_texts_that_cannot_be_read():
    """What is no template and no condition is an error, not an empty answer."""
    with pytest.raises(TemplateError):
        paths("{{ a( }}")
    with pytest.raises(ConditionError):
        condition_paths("a == (")


@pytest.mark.parametrize("step", ["create-ticket", "a--b", "a-1", "2fa", "1", "block-ip-2fa", "007-x", "a_b-c"])
def test_step_ids_in_templates(step):
    """Any step id can be written with a dot, in every kind of template and in conditions."""
    context = {"steps": {step: {"output": {"x": 5}}}}
    source = f"{{{{ steps.{step}.output.x }}}}"
    assert render(source, context) == 5
    assert render(f"n: {{{{steps.{step}.output.x|string}}}}", context) == "n: 5"
    assert render_text(f"{{{{- steps.{step}.output.x -}}}}", context) == "5"
    assert render_json(f'{{"x": {source}}}', context) == '{"x": 5}'
    assert check(source, {"steps"}) == []
    assert evaluate(f"steps.{step}.output.x", context) == 5
    assert paths(source) == condition_paths(f"steps.{step}.output.x == 1") == {("steps", step, "output", "x")}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("steps.a-b {{ 'steps.a-b' }}", "steps.a-b steps.a-b"),
        ('{{ "say steps.a-b" }}{# steps.a-b #}', "say steps.a-b"),
        ("{{ steps.a-b }} {% raw %}{{ steps.a-b }}{% endraw %}", "1 {{ steps.a-b }}"),
        ("{%- raw -%} {{ steps.a-b }} {%- endraw -%} {{- steps.a-b -}} \n", "{{ steps.a-b }}1"),
        ("{{ steps.a-b | replace('1', 'steps.c-d') }}\n", "steps.c-d\n"),
    ],
)
def test_texts_keep_their_dashes(source, text):
    """Only code is read this way: texts, raw blocks and what stands outside of expressions stay as they are."""
    assert render_text(source, {"steps": {"a-b": 1}}) == text


@pytest.mark.parametrize("source", ["{{ finding.a-b }}", "{{ a - b }}", "{{ x.steps.a-b }}", "{{ mysteps.a-b }}"])
def test_other_dashes_are_still_subtractions(source):
    """A dash is part of a name after ``steps.`` alone; elsewhere the fault says what to write."""
    (problem,) = check(source)
    assert "subtractions" in problem.detail


@given(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,20}[A-Za-z0-9_]", fullmatch=True), st.text(max_size=20))
def test_every_step_id_is_found(step, around):
    """An id of any shape is read whole, whatever text stands next to the expression."""
    found = condition_paths(f"steps['{step}'].status == 'x'")
    assert found == {("steps", step, "status")}
    if not set("{}") & set(around):
        assert paths(f"{around}{{{{ steps['{step}'].status }}}}") == found
