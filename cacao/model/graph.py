"""The workflow of a CACAO document as a graph of steps.

A workflow is flat, but composite steps nest like blocks: ``on_true``, ``on_false``, ``cases`` and ``next_steps`` name
the first step of a branch, which ends at an end step; then the composite's own successors follow. So a link either
opens a branch or continues the present one. The document may be any JSON: values that are no step or no identifier are
left out here, the check of the shapes reports them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cacao.model.findings import below
from cacao.model.vocabulary import SUCCESSORS


@dataclass(frozen=True)
class Link:
    """A link from one step to another."""

    #: JSON pointer of the member that names the target
    pointer: str
    target: str
    branch: bool


class Graph:
    """The steps and the links between them."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.steps: dict[str, Mapping[str, Any]] = {
            str(name): step for name, step in member(document, "workflow").items() if isinstance(step, dict)
        }
        self._pointers = {name: below("/workflow", name) for name in self.steps}
        self.links = {name: list(_links(self.pointer(name), step)) for name, step in self.steps.items()}
        known = {name: [link for link in links if link.target in self.steps] for name, links in self.links.items()}
        #: the links to existing steps: those that continue the branch, and those that open one
        self.onward = {name: [link for link in links if not link.branch] for name, links in known.items()}
        self.opening = {name: [link for link in links if link.branch] for name, links in known.items()}
        #: step → the steps it leads to by either kind of link
        self.following = {name: [link.target for link in links] for name, links in known.items()}
        #: the entry points of the workflow: member → step
        self.entries = {
            name: step
            for name in ("workflow_start", "workflow_exception")
            if isinstance(step := document.get(name), str) and step in self.steps
        }

    def pointer(self, name: str) -> str:
        """The JSON pointer of a step."""
        return self._pointers[name]

    def type_of(self, name: str) -> str:
        """The type of a step, "" if it has none."""
        found = self.steps[name].get("type")
        return found if isinstance(found, str) else ""


def member(parent: Any, name: str) -> Mapping[str, Any]:
    """The object at this member, empty if there is none."""
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def _links(pointer: str, step: Mapping[str, Any]) -> Iterator[Link]:
    for name in SUCCESSORS:
        if isinstance(step.get(name), str):
            yield Link(below(pointer, name), step[name], branch=False)
    for place, target in _branches(pointer, step):
        if isinstance(target, str):
            yield Link(place, target, branch=True)


def _branches(pointer: str, step: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    kind = step.get("type")
    if kind in ("if-condition", "while-condition"):
        yield below(pointer, "on_true"), step.get("on_true")
    if kind == "if-condition":
        yield below(pointer, "on_false"), step.get("on_false")
    if kind == "switch-condition":
        place = below(pointer, "cases")
        yield from ((below(place, name), target) for name, target in member(step, "cases").items())
    if kind == "parallel" and isinstance(step.get("next_steps"), list):
        place = below(pointer, "next_steps")
        yield from ((below(place, index), target) for index, target in enumerate(step["next_steps"]))
