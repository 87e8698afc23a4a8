"""The graph of a playbook: where each link of each step leads, and what is known beforehand of how a run goes."""

import pytest
from hypothesis import given

from playbooks import plan as graphs
from playbooks.checks.playbook import check
from playbooks.definitions.normalise import normalise
from playbooks.plan import END, LONGEST_STRETCH, every_step
from tests.support.random_playbooks import blocks_of, every, playbooks
from tests.support.reference import ahead, target


def act(step_id, **more):
    return {"id": step_id, "type": "action", "action_ref": "act-a", **more}


def compiled(*steps, **more):
    definition = {"name": "Test", "steps": list(steps), **more}
    assert check(definition) == []
    return graphs.compile(normalise(definition))


def test_steps_follow_one_another_in_the_order_of_the_list():
    """Without links each step leads to the next, the last to the end, and a failure nowhere: the block fails."""
    nodes = compiled(act("a"), act("b"), act("c")).nodes
    assert [node.on_success for node in nodes.values()] == ["b", "c", END]
    assert [node.on_failure for node in nodes.values()] == [None, None, None]
    assert [node.index for node in nodes.values()] == [0, 1, 2]


def test_a_target_of_a_branch_is_entered_by_its_branch_only():
    """What any branch leads to is passed over by steps without a link; a plain on_success does not do that."""
    nodes = compiled(
        act("a", on_failure="x"),
        {"id": "q", "type": "condition", "expression": "true", "on_true": "y"},
        {"id": "s", "type": "switch", "expression": "'1'", "cases": {"1": "z"}, "default": "next"},
        act("x"),
        act("y", on_success="b"),
        act("z"),
        act("b"),
    ).nodes
    assert nodes["a"].on_success == "q"
    assert (nodes["q"].on_true, nodes["q"].on_false) == ("y", "s")
    assert (dict(nodes["s"].cases), nodes["s"].default) == ({"1": "z"}, "b")
    assert [nodes[step].on_success for step in "xyzb"] == ["b", "b", "b", END]


@pytest.mark.parametrize(
    ("members", "leads_to"),
    [
        ({}, None),
        ({"on_failure": "abort", "continue_on_error": True}, None),
        ({"continue_on_error": True}, "b"),
        ({"continue_on_error": True, "on_success": "c"}, "c"),
        ({"on_failure": "continue", "on_success": "c"}, "c"),
        ({"on_failure": "next", "on_success": "c"}, "b"),
        ({"on_failure": "end"}, END),
        ({"on_failure": "c"}, "c"),
    ],
)
def test_where_a_failure_leads(members, leads_to):
    """The words of on_failure, and its default."""
    choose = {"id": "choose", "type": "condition", "expression": "true", "on_false": "b"}
    steps = [choose, act("a", **members), act("b", on_success="c"), act("c")]
    if leads_to == "b":  # entered in passing, and so no target of a branch
        del choose["on_false"]
    assert compiled(*steps).nodes["a"].on_failure == leads_to


def test_a_playbook_that_continues_ignores_failures_unless_a_step_says_otherwise():
    """on_failure continue of the playbook stands in for that of its steps, those inside others included."""
    nodes = compiled(
        act("a"),
        act("b", on_failure="abort"),
        {"id": "each", "type": "for_each", "items": [1], "steps": [act("c"), act("d")]},
        on_failure="continue",
    ).nodes
    assert [nodes[step].on_failure for step in ("a", "b", "each", "c", "d")] == ["b", None, END, "d", END]


def test_an_approval_has_a_third_way():
    """Without a decision it goes on as after a rejection, unless on_timeout says where."""
    nodes = compiled(
        {"id": "first", "type": "approval", "on_failure": "no"},
        {"id": "second", "type": "approval", "on_reject": "no", "on_timeout": "late", "timeout_seconds": 5},
        act("yes", on_success="end"),
        act("no", on_success="end"),
        act("late"),
    ).nodes
    assert (nodes["first"].on_timeout, nodes["second"].on_timeout) == ("no", "late")
    assert nodes["second"].links() == {"yes", "no", "late"}


def test_blocks_are_named_after_the_steps_that_hold_them():
    """The top level, each branch, each body; a branch may be forgiven."""
    plan = compiled(
        {
            "id": "both",
            "type": "parallel",
            "branches": [
                {"steps": [act("a"), {"id": "again", "type": "loop", "while": "true", "steps": [act("b")]}]},
                {"steps": [act("c")], "on_failure": "continue"},
            ],
        },
        act("after"),
    )
    found = {block.id: (block.container, block.steps, block.forgiven) for block in plan.blocks.values()}
    assert found == {
        "": (None, ("both", "after"), False),
        "both/0": ("both", ("a", "again"), False),
        "both/1": ("both", ("c",), True),
        "again": ("again", ("b",), False),
    }
    assert [block.id for block in plan.branches("both")] == ["both/0", "both/1"]
    assert [plan.straight(block) for block in plan.branches("both")] == [False, True]
    assert list(plan.nodes) == ["both", "a", "again", "b", "c", "after"]


def test_a_stretch_ends_where_it_is_not_known_what_comes():
    """Plain actions on the way of success; one with a condition or a delay, or of another type, ends it."""
    plan = compiled(act("a"), act("b"), act("c", when="true"), act("d"), act("e", delay_seconds=1), act("f"))
    assert [plan.stretch(step) for step in "abcdef"] == [["a", "b"], ["b"], [], ["d"], [], ["f"]]
    many = compiled(*(act(f"s{number}") for number in range(2 * LONGEST_STRETCH)))
    assert many.stretch("s10") == [f"s{number}" for number in range(10, 10 + LONGEST_STRETCH)]


def test_what_follows_the_exception_step_is_exceptional():
    """The step itself and all that may come behind it; no other step leads to it by itself."""
    plan = compiled(act("a"), act("b"), act("sorry", on_success="tell"), act("tell"), exception_step="sorry")
    assert plan.exceptional == {"sorry", "tell"}
    assert plan.nodes["b"].on_success == "tell"
    assert compiled(act("a")).exceptional == frozenset()


def test_a_step_needs_what_its_templates_and_conditions_read():
    """Steps and variables by name, and the step before, wherever they are read."""
    plan = compiled(
        act("first-step", outputs={"seen": "{{ output.x }}"}),
        act("b", parameters={"deep": [{"x": "{{ steps.first-step.output.x }} {{ vars.seen }}"}]}),
        act("c", when="steps.first-step.status == 'completed'", target="{{ previous_step.output.y }}"),
    )
    assert plan.variables == {"seen": ["first-step"]}
    needs = {step: plan.needs(step) for step in plan.nodes}
    read = {step: (set(found.steps), dict(found.setters), found.previous) for step, found in needs.items()}
    assert read["b"] == ({"first-step"}, {"seen": ["first-step"]}, False)
    assert read["c"] == ({"first-step"}, {}, True)
    assert read["first-step"] == (set(), {}, False)
    assert {step: set(found.wanted) for step, found in needs.items()} == {
        "first-step": set(),
        "b": {"first-step"},
        "c": {"first-step"},
    }


@given(playbooks())
def test_every_link_leads_where_the_reference_says(definition):
    """Of random playbooks: valid, and the same graph as an interpreter of the description finds."""
    form = {"name": "random", **definition}
    assert check(form) == []
    plan = graphs.compile(normalise(form))
    assert list(plan.nodes) == [step["id"] for step in every_step(normalise(form)["steps"])]
    blocks = [definition["steps"], *(block for step in every(definition["steps"]) for block in blocks_of(step))]
    for steps in blocks:
        for step in steps:
            node = plan.nodes[step["id"]]
            for link in ("on_success", "on_failure"):
                assert (getattr(node, link) or "abort") == target(definition, steps, step, link)
            if step["type"] == "condition":
                assert node.on_true == target(definition, steps, step, "on_true")
                assert node.on_false == target(definition, steps, step, "on_false")
            if step["type"] == "switch":
                for case, leads_to in node.cases.items():
                    assert leads_to == target(definition, steps, step, f"case {case}")
                assert node.default == target(definition, steps, step, "case ?")
            assert ahead(definition, steps, step["id"]) >= node.links()
    if plan.exception_step:
        assert plan.exceptional == ahead(definition, definition["steps"], plan.exception_step)
