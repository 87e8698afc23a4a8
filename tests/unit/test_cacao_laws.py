"""What holds for any CACAO document: it can be kept, it comes back as it came, and one edit is one difference.

The documents are random, with every type of step, command, agent, authentication and marking. ``make fuzz`` takes more
of them.
"""

import copy
import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playbooks import actions, checks
from playbooks.cacao import lens
from playbooks.cacao.check import check
from playbooks.cacao.inward import Converted, convert
from playbooks.plan import every_step
from tests.support.cacao import NOW, Json
from tests.support.cacao_documents import documents

LATER = "2026-12-01T00:00:00.000Z"
#: how many documents each law is held against; the profile of ``make fuzz`` says more
NUMBER = max(settings.default.max_examples, 300 if os.environ.get("CI") else 0)  # noqa: TID251
many = settings(
    max_examples=NUMBER,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def faults(found: Converted) -> list[Any]:
    """Why the playbook could not be kept."""
    known = {name: actions.normalise(one) for name, one in found.actions.items()}
    playbooks = {
        str(step["playbook_ref"]) for step in every_step(found.definition["steps"]) if step["type"] == "playbook"
    }
    broken = [problem for one in found.actions.values() for problem in actions.check(actions.normalise(one))]
    return [*broken, *checks.check(found.definition, known, playbooks)]


@many
@given(document=documents())
def test_a_valid_document_becomes_a_playbook_that_can_be_kept(document: Json) -> None:
    """Whatever a faultless document holds, it makes a definition without faults, and leaves the document alone."""
    before = copy.deepcopy(document)
    found = convert(document, now=NOW)
    assert faults(found) == []
    assert document == before
    assert convert(document, now=NOW) == found


@many
@given(document=documents())
def test_what_was_not_changed_comes_back_as_it_came(document: Json) -> None:
    """Export after import is the document, value by value, through JSON too."""
    before = convert(document, now=NOW).definition
    kept = json.loads(json.dumps(document))
    assert lens.put(kept, before, {**before, "version": "1.0.9", "enabled": False}, modified=LATER) == document


def _renamed(definition: Json, number: int) -> None:
    steps = list(every_step(definition["steps"]))
    dict(steps[number % len(steps)])  # a step of any block
    steps[number % len(steps)].update(name="Another name")  # type: ignore[attr-defined]


EDITS: dict[str, Any] = {
    "name": lambda definition, _number: definition.update(name="Another name"),
    "description": lambda definition, _number: definition.update(description="About something else"),
    "tags": lambda definition, number: definition.update(tags=["other", f"number-{number}"]),
    "step": _renamed,
    "trigger": lambda definition, _number: definition.update(trigger={"event": "finding.new", "conditions": {}}),
    "minutes": lambda definition, number: definition.update(timeout_minutes=1 + number),
}


@many
@given(document=documents(), edit=st.sampled_from(sorted(EDITS)), number=st.integers(0, 1000))
def test_one_edit_is_one_difference(document: Json, edit: str, number: int) -> None:
    """After one member was edited here the export is valid, and importing it gives the edited playbook and no other."""
    before = convert(document, now=NOW).definition
    now = copy.deepcopy(before)
    EDITS[edit](now, number)
    out = lens.put(document, before, now, modified=LATER)
    assert [one for one in check(out) if one.error] == []
    assert lens.content(convert(out, now=NOW).definition) == lens.content(now)
    if edit in ("name", "description", "tags") and before != now:
        changed = {key for key in out.keys() | document.keys() if out.get(key) != document.get(key)}
        property_ = {"tags": "labels"}.get(edit, edit)
        assert changed <= {property_, "modified", "signatures"}


@pytest.mark.parametrize("edit", sorted(EDITS))
def test_every_edit_changes_something(edit: str) -> None:
    """The edits of these tests are edits."""
    definition: Json = {"name": "a", "description": "b", "tags": [], "steps": [{"id": "x", "type": "delay"}]}
    now = copy.deepcopy(definition)
    EDITS[edit](now, 7)
    assert now != definition
