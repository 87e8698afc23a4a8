"""The steps of a definition with their places.

They are listed block by block, down to the greatest depth allowed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from playbooks.definitions.step_types import MAX_DEPTH


@dataclass(frozen=True, eq=False)
class StepList:
    """A list of steps.

    ``around`` is the step that contains it, ``names`` are those only its steps may use, ``repeats`` says that a loop is
    around it.
    """

    pointer: str
    around: "PlacedStep | None" = None
    names: frozenset[str] = field(default_factory=frozenset)
    repeats: bool = False

    @property
    def words(self) -> str:
        """The name of the block in messages."""
        if self.around is None:
            return "the top level"
        where = "a branch" if self.around.step.get("type") == "parallel" else "the body"
        return f"{where} of '{self.around.step.get('id')}'"


@dataclass(frozen=True, eq=False)
class PlacedStep:
    """A step, faulty or not, and its place.

    ``depth`` counts the steps around it.
    """

    pointer: str
    step: dict[str, Any]
    block: StepList
    depth: int


def places(form: Mapping[str, Any]) -> Iterator[PlacedStep]:
    """Every step that is an object, in reading order."""
    yield from _within(form.get("steps"), StepList("/steps"), 0)


def _within(steps: Any, block: StepList, depth: int) -> Iterator[PlacedStep]:
    for index, step in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(step, dict):
            place = PlacedStep(f"{block.pointer}/{index}", step, block, depth)
            yield place
            if depth < MAX_DEPTH:
                for inner, inner_steps in _blocks(place):
                    yield from _within(inner_steps, inner, depth + 1)


def _blocks(place: PlacedStep) -> Iterator[tuple[StepList, Any]]:
    step, around = place.step, place.block
    if step.get("type") == "parallel" and isinstance(step.get("branches"), list):
        for number, branch in enumerate(step["branches"]):
            if isinstance(branch, dict):
                pointer = f"{place.pointer}/branches/{number}/steps"
                yield StepList(pointer, place, around.names, around.repeats), branch.get("steps")
    elif step.get("type") == "loop":
        yield StepList(f"{place.pointer}/steps", place, around.names | {"index"}, repeats=True), step.get("steps")
    elif step.get("type") == "for_each":
        item = step.get("as", "item")
        names = around.names | {"index", item if isinstance(item, str) else "item"}
        yield StepList(f"{place.pointer}/steps", place, names, repeats=True), step.get("steps")
