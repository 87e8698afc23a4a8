"""How far a run has come: the state each step of a definition is shown in, from the rows of the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import plan as graphs
from playbooks.checks.playbook import check
from playbooks.definitions.normalise import normalise
from playbooks.progress import counts, current, progress


def action(step_id, **more):
    return {"id": step_id, "type": "action", "action_ref": "act-a", **more}


def compiled(*steps, **more):
    definition = {"name": "Test", "steps": list(steps), **more}
    assert check(definition) == []
    return graphs.compile(normalise(definition))


def row(step_id, status, iteration="", parent=None, at=0):
    return {
        "id": ".".join(filter(None, ["pexec-1", step_id, iteration])),
        "step_id": step_id,
        "iteration": iteration,
        "status": status,
        "parent_id": parent and f"pexec-1.{parent}",
        "created_at": at,
    }


def shown(plan, status, *rows):
    return {state.node.id: state.status for state in progress(plan, status, rows)}


STRAIGHT = compiled(action("a"), action("b"), action("c"))
BRANCHED = compiled(
    action("first"),
    {"id": "choose", "type": "condition", "expression": "true", "on_true": "yes", "on_false": "no"},
    action("yes", on_success="last"),
    action("no", on_success="last"),
    action("last"),
)
NESTED = compiled(
    {
        "id": "both",
        "type": "parallel",
        "branches": [
            [action("l1"), action("l2", on_success="end", on_failure="l3"), action("l3")],
            [action("r1"), {"id": "each", "type": "for_each", "items": [1, 2], "steps": [action("e1"), action("e2")]}],
        ],
    },
    action("after"),
)


def test_a_run_that_has_not_begun_has_only_pending_steps():
    """Everything may still come."""
    assert set(shown(NESTED, "pending").values()) == {"pending"}
    assert [state.rows_count for state in progress(STRAIGHT, "pending", [])] == [0, 0, 0]


def test_steps_show_their_rows_and_those_ahead_are_pending():
    """In the order of the definition, whatever the order of the rows."""
    states = progress(STRAIGHT, "running", [row("b", "running", at=2), row("a", "completed", at=1)])
    assert [(state.node.id, state.status) for state in states] == [
        ("a", "completed"),
        ("b", "running"),
        ("c", "pending"),
    ]
    assert [state.rows_count for state in states] == [1, 1, 0]
    assert states[2].row is None
    assert counts(states) == (1, 3)
    assert current(states) == "b"


@pytest.mark.parametrize(
    ("status", "rest"), [("completed", "skipped"), ("failed", "skipped"), ("cancelled", "cancelled")]
)
def test_nothing_is_pending_in_a_run_that_has_ended(status, rest):
    """What was never entered is skipped, or cancelled with the run."""
    states = progress(STRAIGHT, status, [row("a", "failed")])
    assert [state.status for state in states] == ["failed", rest, rest]
    assert current(states) is None


def test_the_branch_that_was_not_taken_is_skipped_at_once():
    """Both are pending until the condition is decided."""
    assert shown(BRANCHED, "running", row("first", "running")) == {
        "first": "running",
        "choose": "pending",
        "yes": "pending",
        "no": "pending",
        "last": "pending",
    }
    decided = [row("first", "completed", at=1), row("choose", "completed", at=2), row("yes", "waiting", at=3)]
    assert shown(BRANCHED, "running", *decided) == {
        "first": "completed",
        "choose": "completed",
        "yes": "waiting",
        "no": "skipped",
        "last": "pending",
    }


def test_between_two_steps_the_one_entered_last_decides():
    """A run under way of which no step is: what may follow its last step is pending."""
    assert shown(STRAIGHT, "running", row("a", "completed", at=1), row("b", "completed", at=1))["c"] == "pending"
    assert shown(BRANCHED, "running", row("choose", "completed"))["no"] == "pending"


def test_the_exception_step_is_pending_until_the_run_ends():
    """Any step may still fail."""
    plan = compiled(action("a"), action("b", on_success="end"), action("undo"), exception_step="undo")
    assert shown(plan, "running", row("b", "running"))["undo"] == "pending"
    assert shown(plan, "completed", row("b", "completed"))["undo"] == "skipped"
    failed = shown(plan, "running", row("a", "failed", at=1), row("undo", "running", at=2))
    assert failed == {"a": "failed", "b": "skipped", "undo": "running"}


def test_blocks_live_as_long_as_the_step_around_them():
    """A branch goes its own way; what a skipped container holds is skipped."""
    rows = [row("both", "running"), row("l1", "completed", parent="both"), row("r1", "running", parent="both")]
    first = shown(NESTED, "running", *rows, row("l2", "running", parent="both"))
    assert first["l3"] == "pending"
    assert (first["each"], first["e1"], first["after"]) == ("pending", "pending", "pending")
    second = shown(NESTED, "running", *rows, row("l2", "completed", parent="both"))
    assert second["l3"] == "skipped"
    skipped = shown(NESTED, "running", row("both", "skipped"), row("after", "running", at=1))
    assert {skipped[inner] for inner in ("l1", "l2", "l3", "r1", "each", "e1", "e2")} == {"skipped"}


def test_a_branch_that_has_yet_to_begin_is_pending():
    """Its step around it is under way."""
    states = shown(NESTED, "running", row("both", "running"), row("r1", "running", parent="both"))
    assert states["l1"] == states["l2"] == states["l3"] == "pending"


def test_the_last_iteration_of_a_loop_is_shown():
    """Ten comes after nine, and a step that no iteration has reached yet may still be entered."""
    rows = [row("both", "running"), row("each", "running", parent="both")]
    rows += [row("e1", "completed", f"{number}", "each") for number in range(10)]
    rows += [row("e1", "running", "10", "each")]
    states = {state.node.id: state for state in progress(NESTED, "running", rows)}
    assert (states["e1"].status, states["e1"].row["iteration"], states["e1"].rows_count) == ("running", "10", 11)
    assert states["e2"].status == "pending"
    assert current(list(states.values())) == "e1"
    assert current(progress(NESTED, "running", rows[:2])) == "both"


def test_a_queued_step_is_the_current_one_when_none_runs():
    """A step that waits for a worker is where the run is; one that was never entered is not."""
    assert current(progress(STRAIGHT, "running", [row("a", "completed"), row("b", "pending", at=1)])) == "b"
    assert current(progress(STRAIGHT, "pending", [])) is None


def test_rows_of_steps_that_are_not_in_the_definition_are_passed_over():
    """They say nothing about its steps."""
    assert shown(STRAIGHT, "running", row("zzz", "running"))["a"] == "pending"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(NESTED.nodes)),
            st.sampled_from(
                ["pending", "running", "waiting", "completed", "failed", "timeout", "skipped", "cancelled"]
            ),
            st.sampled_from(["", "0", "3.1"]),
        ),
        max_size=12,
    ),
    st.sampled_from(["pending", "running", "paused", "completed", "failed", "cancelled"]),
)
def test_every_step_has_a_state_whatever_the_rows(drawn, status):
    """One state per step, in order; a step with a row shows the status of one of its rows."""
    rows = [row(step_id, state, iteration, at=at) for at, (step_id, state, iteration) in enumerate(drawn)]
    states = progress(NESTED, status, rows)
    assert [state.node.id for state in states] == list(NESTED.nodes)
    for state in states:
        own = {one["status"] for one in rows if one["step_id"] == state.node.id}
        assert state.status in (own or {"pending", "skipped", "cancelled"})
        assert own or state.status != "pending" or status in ("pending", "running", "paused")
