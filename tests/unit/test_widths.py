"""The number of steps of a run in progress at once, shared among nested blocks and checked on write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import plan as graphs
from playbooks.checks.playbook import check
from playbooks.definitions.normalise import normalise
from playbooks.widths import MOST_LIVE, Widths
from tests.support.playbooks import delay, for_each, loop, parallel
from tests.support.random_playbooks import playbooks

ITEMS = "{{ parameters.items }}"


def each(step_id: str, at_once: int, *steps: dict[str, Any]) -> dict[str, Any]:
    """A for_each with that many iterations at once."""
    return for_each(step_id, ITEMS, *steps, max_concurrency=at_once)


def faults(*steps: dict[str, Any]) -> list[str]:
    """Where a playbook of these steps is at fault."""
    return [problem.pointer for problem in check({"name": "Wide", "steps": list(steps)})]


def widths(*steps: dict[str, Any], whole: int = MOST_LIVE) -> Widths:
    """The widths of a stored playbook of these steps, which may be older than the checks."""
    return Widths(graphs.compile(normalise({"name": "Wide", "steps": list(steps)})), whole)


def most_live(plan: graphs.Plan, shared: Widths, block: graphs.Block) -> int:
    """The steps of a block in progress at once, without containers."""
    found = 1
    for step_id in block.steps:
        node = plan.nodes[step_id]
        if node.type == "parallel":
            found = max(found, sum(most_live(plan, shared, branch) for branch in plan.branches(step_id)))
        elif node.type in ("loop", "for_each"):
            found = max(found, shared.iterations[step_id] * most_live(plan, shared, plan.blocks[step_id]))
    return found


def test_nested_loops_that_multiply_beyond_the_bound_are_refused() -> None:
    """Each loop that asks for too much together with those around it is named; what stays within is accepted."""
    rest = delay("rest", 0)
    assert faults(each("a", 50, each("b", 50, each("c", 50, rest)))) == [
        "/steps/0/steps/0/max_concurrency",
        "/steps/0/steps/0/steps/0/max_concurrency",
    ]
    assert faults(each("a", 50, each("b", 10, each("c", 1, rest)))) == []
    assert faults(each("a", 50, loop("b", 3, each("c", 11, rest)))) == ["/steps/0/steps/0/steps/0/max_concurrency"]


def test_branches_inside_of_iterations_count() -> None:
    """Fifty iterations of ten branches are the most there may be; branches alone, however many, are no fault."""
    branches = [[delay(f"d{number}", 0)] for number in range(11)]
    assert faults(each("a", 50, parallel("p", *branches[:10]))) == []
    assert faults(each("a", 50, parallel("p", *branches))) == ["/steps/0/max_concurrency"]
    many = [[delay(f"m{number}", 0)] for number in range(MOST_LIVE + 1)]
    assert faults(parallel("p", *many)) == []
    assert faults(each("a", 1, parallel("p", *many))) == []


@pytest.mark.parametrize("wrong", [0, -3, 51, 10**300, 2.5, "ten", True, None, [50]])
def test_a_faulty_number_is_named_once(wrong: Any) -> None:
    """Nothing is multiplied by what is no number of iterations."""
    found = faults(each("a", 10, for_each("b", ITEMS, delay("rest", 0), max_concurrency=wrong)))
    assert found == ([] if wrong is None else ["/steps/0/steps/0/max_concurrency"])


def test_what_was_stored_before_gets_fewer_iterations() -> None:
    """A stored playbook that asks for 125,000 iterations gets as many as allowed, from the outside to the inside."""
    shared = widths(each("a", 50, each("b", 50, each("c", 50, delay("rest", 0)))))
    assert shared.iterations == {"a": 50, "b": 10, "c": 1}
    assert shared.of_block["c"] == 1


def test_a_loop_leaves_room_for_what_is_inside() -> None:
    """A wide parallel inside cannot be made narrower, so the loop around it is."""
    branches = [[delay(f"d{number}", 0)] for number in range(100)]
    assert widths(each("a", 50, parallel("p", *branches))).iterations == {"a": 5}


def test_a_run_without_room_goes_on_iteration_by_iteration() -> None:
    """Where the runs around have used all places, each loop has one iteration: nothing waits for ever."""
    assert widths(each("a", 50, each("b", 50, delay("rest", 0))), whole=1).iterations == {"a": 1, "b": 1}


@given(playbooks(), st.integers(1, 20))
def test_no_playbook_gets_wider_than_its_part(definition: dict[str, Any], whole: int) -> None:
    """However blocks nest, no more than their part is in progress, or than single iterations would bring."""
    plan = graphs.compile(normalise(definition))
    one_by_one = Widths(plan, 1)
    least = most_live(plan, one_by_one, plan.blocks[""])
    assert set(one_by_one.iterations.values()) <= {1}
    assert most_live(plan, Widths(plan, whole), plan.blocks[""]) <= max(whole, least)
