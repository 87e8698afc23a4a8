"""The branches of a block's conditions, and where they join.

Tocsin's conditions lead to steps of the same block; those of CACAO have branches that end, and then a successor. A
condition *joins* at the first step that all its branches reach (their nearest common post-dominator); the steps between
are its branches. A condition whose branches other steps enter too has no such form: it joins at the end of the block.

First the steps are sorted, each before its successors. Then, from the last to the first, the search finds where the
paths from each step meet. Then it visits the branches of each condition, inner conditions before outer ones. Nested
conditions are visited once per level, so visits are limited: a condition beyond the limit joins at the end of the
block, which is always correct.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from playbooks.plan import END, Block, Node

_BRANCHING = ("condition", "switch")
#: visits that the branches of nested conditions may cost, for each step and link
_VISITS = 40


@dataclass
class Regions:
    """The joins of conditions, and the condition around each step.

    ``joins``: condition → where its branches join; ``around``: step → the innermost condition around it.
    """

    joins: dict[str, str] = field(default_factory=dict)
    around: dict[str, str] = field(default_factory=dict)

    def ends(self, step_id: str, link: str) -> bool:
        """Whether a link leads to the end of the step's branch."""
        outer = self.around.get(step_id)
        return link == END or (outer is not None and self.joins[outer] == link)


def regions(block: Block, nodes: Mapping[str, Node], entered: Iterable[str]) -> Regions:
    """The branches of the conditions of one block.

    ``entered`` are steps that a run may enter without a link.
    """
    order = _order(block, nodes)
    following = {step_id: _branches(nodes[step_id]) | _failure(nodes[step_id]) for step_id in order}
    tree = _Tree(order, following)
    before: dict[str, set[str]] = {step_id: set() for step_id in order}
    for step_id in order:
        for link in following[step_id] - {END}:
            before[link].add(step_id)
    found, outside = Regions(), set(entered)
    left = _VISITS * sum(1 + len(links) for links in following.values())
    for step_id in reversed(order):  # inner conditions come first, so that the innermost one stays
        node = nodes[step_id]
        if node.type not in _BRANCHING:
            continue
        join = tree.meeting(_branches(node))
        inside, visits = _between(_branches(node), join, following, left)
        around = inside | {step_id}
        alone = (
            visits <= left and not inside & (outside | _failure(node)) and all(before[one] <= around for one in inside)
        )
        left -= visits
        found.joins[step_id] = join if alone else END
        if alone:
            for one in inside:
                found.around.setdefault(one, step_id)
    return found


def _branches(node: Node) -> set[str]:
    """The successors of a step unless it fails."""
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
    """The steps, each before its successors."""
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
    """The immediate post-dominator of each step: where its paths first meet.

    Each step also has a jump pointer to one far above it, at a distance that only its depth decides, so that a climb
    takes logarithmically many jumps.
    """

    def __init__(self, order: list[str], following: Mapping[str, set[str]]) -> None:
        self._above, self._far, self._depth = {END: END}, {END: END}, {END: 0}
        for step_id in reversed(order):
            self._hang(step_id, self.meeting(following[step_id]))

    def _hang(self, step_id: str, above: str) -> None:
        far, depth = self._far[above], self._depth
        even = depth[above] - depth[far] == depth[far] - depth[self._far[far]]
        self._above[step_id], self._far[step_id] = above, self._far[far] if even else above
        depth[step_id] = depth[above] + 1

    def meeting(self, links: set[str]) -> str:
        """Where the paths from several steps meet."""
        return functools.reduce(self._both, sorted(links))

    def _both(self, one: str, other: str) -> str:
        lower, upper = sorted((one, other), key=self._depth.__getitem__, reverse=True)
        while self._depth[lower] > self._depth[upper]:
            far = self._far[lower]
            lower = far if self._depth[far] >= self._depth[upper] else self._above[lower]
        while lower != upper:
            way = self._far if self._far[lower] != self._far[upper] else self._above
            lower, upper = way[lower], way[upper]
        return lower


def _between(starts: set[str], join: str, following: Mapping[str, set[str]], most: int) -> tuple[set[str], int]:
    """The steps between some and ``join``, and the visits they took.

    The search stops after ``most`` visits. It finds nothing where ``join`` is the end of the block, because no caller
    needs that.
    """
    found: set[str] = set()
    ahead = [link for link in starts if link not in (END, join)] if join != END else []
    visits = 0
    while ahead and visits <= most:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            visits += 1 + len(following[one])
            ahead += [link for link in following[one] if link not in (END, join)]
    return found, visits
