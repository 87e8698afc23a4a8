"""Two runs of a playbook compared."""

from typing import Any

import pytest

from playbooks.comparison import compare


def step(step_id: str = "one", status: str = "completed", iteration: str = "", **more: Any) -> dict[str, Any]:
    """A step of a run."""
    base = {"type": "action", "input": {}, "output": None}
    return {"step_id": step_id, "status": status, "iteration": iteration, **base, **more}


def verdicts(before: list[Any], after: list[Any], *, predicted: bool = True) -> dict[tuple[str, str], str]:
    """(step, iteration) → verdict."""
    compared = compare(before, after, predicted=predicted)
    assert compared["same"] is all(one["verdict"] == "same" for one in compared["steps"])
    return {(one["step_id"], one["iteration"]): one["verdict"] for one in compared["steps"]}


def only(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The comparison of runs of one step."""
    (found,) = compare([before], [after], predicted=True)["steps"]
    return found


def test_steps_are_found_in_both_runs() -> None:
    """Each step gets a verdict; those of the first run come first."""
    before = [step("a"), step("b"), step("c")]
    after = [step("d"), step("a"), step("b", "failed")]
    assert verdicts(before, after) == {
        ("a", ""): "same",
        ("b", ""): "differs",
        ("c", ""): "only_in_first",
        ("d", ""): "only_in_second",
    }
    assert list(verdicts(before, after)) == [("a", ""), ("b", ""), ("c", ""), ("d", "")]


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([step(status="skipped")], [], "same"),
        ([], [step(status="skipped")], "same"),
        ([step(status="skipped", input={"a": 1})], [step(status="skipped")], "same"),
        ([step(status="skipped")], [step()], "differs"),
        ([step()], [step(status="skipped")], "differs"),
        ([step()], [step(status="running")], "differs"),
        ([step()], [step(status="timeout")], "differs"),
    ],
)
def test_a_step_that_was_skipped_is_like_one_never_reached(before: Any, after: Any, verdict: str) -> None:
    """Any other difference in status is reported."""
    assert verdicts(before, after) == {("one", ""): verdict}


def test_parameters_are_compared_member_by_member() -> None:
    """Each difference says where it is and what was predicted."""
    found = only(step(input={"a": {"b": 1, "c": [1, 2]}}), step(input={"a": {"b": 2, "c": [1]}}))
    assert found["differences"] == [
        {"pointer": "/input/a/b", "predicted": 1, "actual": 2},
        {"pointer": "/input/a/c/1", "predicted": 2, "actual": None},
    ]
    assert found["assumed"] == []


@pytest.mark.parametrize(
    ("predicted", "actual"),
    [
        ("<steps.look.output.ip>", "192.0.2.1"),
        ("<steps.look.output.ip>", ["any", {"thing": None}]),
        ("<steps.look.output[0].a-b>", None),
        ("Host <steps.look.output.ip> is bad", "Host 192.0.2.1 is bad"),
        ("<steps.a.output> and <steps.b.output>", "1 and 2"),
        ("a <steps.a.output> b <steps.b.output> c", "a  b  c"),
    ],
)
def test_what_could_not_be_known_is_no_difference(predicted: str, actual: Any) -> None:
    """A placeholder is reported as assumed, with the actual value."""
    found = only(step(input={"a": [predicted]}), step(input={"a": [actual]}))
    assert (found["verdict"], found["differences"]) == ("same", [])
    assert found["assumed"] == [{"pointer": "/input/a/0", "predicted": predicted, "actual": actual}]


@pytest.mark.parametrize(
    ("predicted", "actual"),
    [
        ("Host <steps.look.output.ip> is bad", "Host 192.0.2.1 is good"),
        ("Host <steps.look.output.ip> is bad", 5),
        ("ab<steps.a.output>ba", "aba"),
        ("a <steps.a.output> b <steps.b.output> c", "a c"),
        ("<b>bold</b>", "<i>bold</i>"),
    ],
)
def test_what_does_not_fit_is_a_difference(predicted: str, actual: Any) -> None:
    """What was known of the text must be there."""
    found = only(step(input={"a": predicted}), step(input={"a": actual}))
    assert found["differences"] == [{"pointer": "/input/a", "predicted": predicted, "actual": actual}]


def test_items_with_names_that_could_not_be_known_are_assumed() -> None:
    """A list is held against the other item by item."""
    before = step(input={"a": [{"name": "<steps.look.output.n>", "x": 1}]})
    found = only(before, step(input={"a": [{"name": "n", "x": 1}]}))
    assert [one["pointer"] for one in found["assumed"]] == ["/input/a/0/name"]
    assert found["verdict"] == "same"


def test_the_way_that_was_taken_is_compared() -> None:
    """Of a decision what follows counts, of other steps the output does not."""
    before = step(type="condition", output={"result": True, "next": "a"})
    found = only(before, step(type="condition", output={"result": False, "next": "b"}))
    assert found["differences"] == [{"pointer": "/output/next", "predicted": "a", "actual": "b"}]
    assert only(step(output={"simulated": True}), step(output={"ok": 1}))["verdict"] == "same"


def test_later_iterations_are_held_against_the_last_that_was_predicted() -> None:
    """A dry run makes one iteration; between real runs every iteration counts."""
    before = [step(iteration="0")]
    after = [step(iteration="0"), step(iteration="1"), step("one", "failed", "2")]
    expected = {("one", "0"): "same", ("one", "1"): "same", ("one", "2"): "differs"}
    assert verdicts(before, after) == expected
    assert verdicts(before, after, predicted=False)["one", "1"] == "only_in_second"
    assert verdicts([step(status="skipped", iteration="0")], after)["one", "1"] == "only_in_second"


def test_a_hostile_text_is_compared_in_proportion_to_its_length() -> None:
    """Many placeholders in a long text take no longer than reading it."""
    predicted = "<steps.a.output>a" * 5_000
    assert only(step(input={"a": predicted}), step(input={"a": "a" * 200_000 + "b"}))["verdict"] == "differs"
