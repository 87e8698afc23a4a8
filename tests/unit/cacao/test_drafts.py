"""Documents of CACAO drafts are upgraded to version 2.0, and each change is reported."""

from typing import Any

import pytest

from cacao.checks.check import check
from cacao.reading.drafts import upgraded
from tests.support.cacao import Json, document, manual, sid

STEPS: Json = {
    "start.s": {"on_completion": "action.a"},
    "action.a": manual(on_completion="end.e"),
    "end.e": {},
}


def codes(given: Json) -> list[str]:
    return [one.code for one in upgraded(given)[1]]


def test_a_document_of_today_is_left_alone() -> None:
    """A document with members of its author's own, some with names that the drafts had."""
    given = document(STEPS, features={"x": 1}, signatures=[{"type": "jss"}])
    assert upgraded(given) == (given, [])


def test_what_has_gone_from_the_standard_is_left_out_of_a_draft() -> None:
    """With a word about each; signatures were made over the draft."""
    given = document(STEPS, features={"x": 1}, signatures=[{"type": "jss"}], spec_version="1.1")
    found, said = upgraded(given)
    assert found == document(STEPS)
    assert [one.code for one in said] == ["draft_version", "draft_features", "draft_signatures"]
    assert [one for one in check(found) if one.error] == []


def test_agents_under_both_names_are_all_kept() -> None:
    """Those of today win where both have one."""
    us, them = sid("organization.us"), sid("organization.them")
    old: Json = {us: {"type": "organization", "name": "Old"}, them: {"type": "organization", "name": "Them"}}
    given = document(STEPS, agents=old)
    found, _ = upgraded(given)
    assert codes(given) == ["draft_agents"]
    assert {key: one["name"] for key, one in found["agent_definitions"].items()} == {us: "Us", them: "Them"}
    assert "agents" not in found


@pytest.mark.parametrize(
    ("step", "changed", "code"),
    [
        ({"type": "single", "commands": []}, {"type": "action", "commands": []}, "draft_single"),
        ({"type": "playbook"}, {"type": "playbook-action"}, "draft_playbook"),
        ({"target_ids": ["x"]}, {"targets": ["x"]}, "draft_target_ids"),
        ({"target": "x"}, {"targets": ["x"]}, "draft_target"),
        ({"commands": [{"type": "openc2-json"}]}, {"commands": [{"type": "openc2-http"}]}, "draft_openc2-json"),
        (5, 5, None),
        (
            {"type": [], "commands": [5], "target": None},
            {"type": [], "commands": [5], "targets": [None]},
            "draft_target",
        ),
    ],
)
def test_each_word_of_the_drafts_is_known(step: Any, changed: Any, code: str | None) -> None:
    """Steps, targets and commands by their earlier names; what is nothing of the kind stays as it is."""
    found, said = upgraded({"workflow": {"x": step}})
    assert found == {"workflow": {"x": changed}}
    assert [one.code for one in said] == [code] * (code is not None)
