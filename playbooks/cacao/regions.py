"""Which steps of a block are branches of a condition, and where these come together again.

Our conditions lead to steps of the same block; those of CACAO have branches that end, and then lead on. A condition
*joins* at the first step that all its branches come to (their nearest common post-dominator); what lies between are
its branches. A condition whose branches are entered from elsewhere too has no such form: it joins at the end of the
block.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from playbooks.plan import END, Block, Node

_BRANCHING = ("condition", "switch")


@dataclass
class Regions:
    """``joins``: condition → where its branches come together; ``around``: step → the innermost condition around it."""

    joins: dict[str, str] = field(default_factory=dict)
    around: dict[str, str] = field(default_factory=dict)

    def ends(self, step_id: str, link: str) -> bool:
        """Whether a link of a step leads to the end of the branch that it is in."""
        outer = self.around.get(step_id)
        return link == END or (outer is not None and self.joins[outer] == link)


def regions(block: Block, nodes: Mapping[str, Node], entered: Iterable[str]) -> Regions:
    """The branches of the conditions of one block; ``entered`` are steps that no link leads to, but a run may."""
    order = _order(block, nodes)
    following = {step_id: _branches(nodes[step_id]) | _failure(nodes[step_id]) for step_id in order}
    tree = _Tree(order, following)
    before: dict[str, set[str]] = {step_id: set() for step_id in order}
    for step_id in order:
        for link in following[step_id] - {END}:
            before[link].add(step_id)
    found, outside = Regions(), set(entered)
    for step_id in order:  # outer conditions come first, so that the innermost one stays
        node = nodes[step_id]
        if node.type not in _BRANCHING:
            continue
        join = tree.meeting(_branches(node))
        inside = _between(_branches(node), join, following)
        alone = not inside & (outside | _failure(node)) and all(before[one] <= inside | {step_id} for one in inside)
        found.joins[step_id] = join if alone else END
        if alone:
            found.around.update(dict.fromkeys(inside, step_id))
    return found


def _branches(node: Node) -> set[str]:
    """Where a step leads to unless it fails."""
    if node.type == "condition":
        links = {node.on_true, node.on_false}
    elif node.type == "switch":
        links = {*node.cases.values(), node.default}
    else:
        links = {node.on_success, node.on_timeout or END} if node.type == "approval" else {node.on_success}
    return links | {node.on_success} if "when" in node.step else links


def _failure(node: Node) -> set[str]:
    return set() if node.on_failure is None else {node.on_failure}


def _order(block: Block, nodes: Mapping[str, Node]) -> list[str]:
    """The steps, each before those that it leads to."""
    found: list[str] = []
    seen: set[str] = set()
    for first in block.steps:
        stack = [(first, iter(sorted(nodes[first].links())))] if first not in seen else []
        seen.add(first)
        while stack:
            step_id, links = stack[-1]
            link = next((one for one in links if one not in seen), None)
            if link is None:
                found.append(step_id)
                stack.pop()
            else:
                seen.add(link)
                stack.append((link, iter(sorted(nodes[link].links()))))
    return found[::-1]


class _Tree:
    """The immediate post-dominator of each step: where all ways from it meet first."""

    def __init__(self, order: list[str], following: Mapping[str, set[str]]) -> None:
        self._above: dict[str, str] = {}
        self._depth = {END: 0}
        for step_id in reversed(order):
            meeting = self.meeting(following[step_id])
            self._above[step_id], self._depth[step_id] = meeting, self._depth[meeting] + 1

    def meeting(self, links: set[str]) -> str:
        """Where the ways from several steps meet."""
        return functools.reduce(self._both, sorted(links))

    def _both(self, one: str, other: str) -> str:
        while one != other:
            if self._depth[one] >= self._depth[other]:
                one = self._above[one]
            else:
                other = self._above[other]
        return one


def _between(starts: set[str], join: str, following: Mapping[str, set[str]]) -> set[str]:
    """The steps from some on that come before another."""
    found: set[str] = set()
    ahead = [link for link in starts if link not in (END, join)]
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += [link for link in following[one] if link not in (END, join)]
    return found
