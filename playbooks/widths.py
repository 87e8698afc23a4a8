"""The number of steps in progress at once, shared among nested blocks.

A run may have ``MOST_LIVE`` steps in progress: every block gets a part of that, from the outside to the inside. A step
takes one place at a time; the branches of a parallel step divide their block's part; a for_each has as many iterations
as fit, each with an equal part. A playbook that a step starts gets the part of its block, so that the number holds for
all runs that start each other. Nothing is counted while a run goes on, and nothing ever waits for a place: a loop
always has room for one iteration, and the branches of a parallel step always begin together.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from playbooks.definitions import fields
from playbooks.definitions.places import PlacedStep
from playbooks.definitions.step_types import MAX_CONCURRENCY
from playbooks.plan import Block, Plan

#: steps in progress at once, of one run and those that it starts
MOST_LIVE = 500


class Widths:
    """The part of each block of a plan in the run's total."""

    def __init__(self, plan: Plan, total: int) -> None:
        self._plan = plan
        self._least: dict[str, int] = {}
        #: block → its steps that may be in progress at once, with those inside them
        self.of_block: dict[str, int] = {"": max(1, total)}
        #: for_each → its iterations that may be in progress at once
        self.iterations: dict[str, int] = {}
        self._share_out(plan.blocks[""])

    def _share_out(self, block: Block) -> None:
        mine = self.of_block[block.id]
        for step_id in block.steps:
            node = self._plan.nodes[step_id]
            if node.type == "parallel":
                branches = self._plan.branches(step_id)
                all_of_them = sum(self._least_of(branch) for branch in branches)
                for branch in branches:
                    self._give(branch, mine * self._least_of(branch) // all_of_them)
            elif node.type in ("loop", "for_each"):
                body = self._plan.blocks[step_id]
                room = max(1, mine // self._least_of(body))
                iterations = min(node.step.get("max_concurrency", 1), room) if node.type == "for_each" else 1
                self.iterations[step_id] = iterations
                self._give(body, mine // iterations)

    def _give(self, block: Block, number: int) -> None:
        self.of_block[block.id] = max(1, number)
        self._share_out(block)

    def _least_of(self, block: Block) -> int:
        """The steps in progress at once where each loop has one iteration."""
        if block.id not in self._least:
            self._least[block.id] = max((self._least_of_step(step_id) for step_id in block.steps), default=1)
        return self._least[block.id]

    def _least_of_step(self, step_id: str) -> int:
        node = self._plan.nodes[step_id]
        if node.type == "parallel":
            return sum(self._least_of(branch) for branch in self._plan.branches(step_id))
        return self._least_of(self._plan.blocks[step_id]) if node.type in ("loop", "for_each") else 1


def too_wide(found: list[PlacedStep]) -> Iterator[tuple[PlacedStep, int]]:
    """The for_each steps whose ``max_concurrency`` asks for too many steps.

    Steps around and branches inside multiply it. Each comes with the number of steps that would be in progress at once.
    ``found`` are the steps of a definition, faulty or not, in reading order.
    """
    least = _least(found)
    for place in found:
        wanted = asked(place.step)
        if wanted == 1:
            continue
        around = math.prod(asked(outer.step) for outer in _around(place))
        number = around * wanted * least[place]
        if number > MOST_LIVE:
            yield place, number


def asked(step: Mapping[str, Any]) -> int:
    """The iterations of a step in progress at once, by its definition.

    1 for a step without iterations or with a faulty number.
    """
    wanted = step.get("max_concurrency", 1) if step.get("type") == "for_each" else 1
    return min(wanted, MAX_CONCURRENCY) if fields.is_whole(wanted, 1, wanted) else 1


def _around(place: PlacedStep) -> Iterator[PlacedStep]:
    outer = place.block.around
    while outer is not None:
        yield outer
        outer = outer.block.around


def _least(found: list[PlacedStep]) -> dict[PlacedStep, int]:
    """Place → steps in progress inside it, with one iteration per loop."""
    least: dict[PlacedStep, int] = {}
    blocks: dict[PlacedStep, dict[str, int]] = {}
    for place in reversed(found):  # inner steps come before their containers
        least[place] = max(1, sum(blocks.pop(place, {}).values()))
        outer, block = place.block.around, place.block.pointer
        if outer is not None:
            inside = blocks.setdefault(outer, {})
            inside[block] = max(inside.get(block, 1), least[place])
    return least
