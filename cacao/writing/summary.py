"""Compute ``playbook_processing_summary`` from the workflow."""

from collections.abc import Iterator, Mapping
from typing import Any

from cacao.model.graph import member
from cacao.reading.blocks import listed

#: feature → the type of the steps that need it
_STEPS = {
    "external_playbooks": "playbook-action",
    "parallel_processing": "parallel",
    "if_logic": "if-condition",
    "while_logic": "while-condition",
    "switch_logic": "switch-condition",
}


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """The summary of the document's workflow.

    A feature that the workflow lacks is false where the document already names it, else left out. Members about other
    parts (markings, signatures) stay.
    """
    said = dict(member(document, "playbook_processing_summary"))
    for feature, there in _features(document):
        if there or feature in said:
            said[feature] = there
    return said


def _features(document: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    steps = [step for step in member(document, "workflow").values() if isinstance(step, dict)]
    kinds = [step.get("type") for step in steps]
    commands = [one.get("type") for step in steps for one in listed(step.get("commands")) if isinstance(one, dict)]
    yield "manual_playbook", bool(commands) and all(kind == "manual" for kind in commands)
    yield from ((feature, kind in kinds) for feature, kind in _STEPS.items())
    yield "temporal_logic", any(step.get("delay") or step.get("timeout") for step in steps)
    yield "extensions", True  # ours, at least
