"""What has changed between two definitions."""

from typing import Any

import pytest

from playbooks.differences import MAX_CHANGES, differences


def said(old: Any, new: Any) -> list[tuple[str, str, Any, Any]]:
    """Each difference as (op, pointer, from, to)."""
    return [(one["op"], one["pointer"], one["from"], one["to"]) for one in differences(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("changed", "/a", 1, 2)]),
        ({"a": 1}, {}, [("removed", "/a", 1, None)]),
        ({}, {"a": None}, [("added", "/a", None, None)]),
        ({"a": 1}, {"a": True}, [("changed", "/a", 1, True)]),
        ({"a/b": {"c~": 1}}, {"a/b": {"c~": 2}}, [("changed", "/a~1b/c~0", 1, 2)]),
        ({"a": {"b": 1}}, {"a": [1]}, [("changed", "/a", {"b": 1}, [1])]),
        (
            {"tags": ["a", "b"]},
            {"tags": ["a", "c", "d"]},
            [("changed", "/tags/1", "b", "c"), ("added", "/tags/2", None, "d")],
        ),
        ({"tags": ["a", "b"]}, {"tags": ["a"]}, [("removed", "/tags/1", "b", None)]),
    ],
)
def test_members_and_items_are_compared(old: Any, new: Any, expected: Any) -> None:
    """Added, removed and changed values, each with its pointer."""
    assert said(old, new) == expected


def test_a_step_that_is_put_in_between_changes_no_other() -> None:
    """Steps are recognised by their id, parameters by their name."""
    one, two, three = ({"id": name, "type": "delay", "seconds": 1} for name in ("one", "two", "three"))
    assert said({"steps": [one, three]}, {"steps": [one, two, three]}) == [("added", "/steps/1", None, two)]
    assert said({"steps": [one, two, three]}, {"steps": [one, {**three, "seconds": 2}]}) == [
        ("removed", "/steps/1", two, None),
        ("changed", "/steps/1/seconds", 1, 2),
    ]
    before, after = {"parameters": [{"name": "a"}]}, {"parameters": [{"name": "b"}, {"name": "a", "required": True}]}
    assert said(before, after) == [
        ("added", "/parameters/0", None, {"name": "b"}),
        ("added", "/parameters/1/required", None, True),
    ]


def test_another_order_is_a_change_of_its_own() -> None:
    """Steps that changed places are named in both orders."""
    one, two = {"id": "one"}, {"id": "two"}
    assert said({"steps": [one, two]}, {"steps": [two, one]}) == [("changed", "/steps", ["one", "two"], ["two", "one"])]


def test_the_list_of_changes_is_bounded() -> None:
    """Of very different definitions the first thousand changes are named."""
    assert len(differences({}, {str(number): number for number in range(2 * MAX_CHANGES)})) == MAX_CHANGES
