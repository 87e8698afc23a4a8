"""The graph of a playbook: each step's successors, block by block.

``compile`` reads a definition that is free of faults (``playbooks.checks.playbook``) and resolves every link once, also
the implicit ones; the engine, the dry run and the status view all use the result. A *block* is a flat list of steps
that links do not leave: the top level, each branch of a parallel step, the body of a loop. A run is at one step of a
block at a time.

After a step that names no successor, the next step of its list follows that is not the target of a branch (``on_true``,
``on_failure``, a case ...): such a step is entered by its branch only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from expressions import references
from playbooks.definitions.step_types import CONDITIONS, TEMPLATES

#: the end of a block, as the target of a link
END = "end"
#: steps of one chain; each message of a chain carries all that follow, so it is kept short
LONGEST_STRETCH = 50

_BRANCH_LINKS = ("on_true", "on_false", "on_failure", "on_timeout", "default")
_WORDS = frozenset({"next", "end", "abort", "continue"})


@dataclass(frozen=True, kw_only=True)
class Node:
    """A step and its links, each a step id or ``END``.

    A failure link may be None: then the block fails.
    """

    id: str
    index: int
    name: str
    type: str
    step: Mapping[str, Any]
    block: str
    on_success: str
    on_failure: str | None
    on_true: str
    on_false: str
    cases: Mapping[str, str]
    default: str
    on_timeout: str | None

    @property
    def plain(self) -> bool:
        """Whether the step is an action without a condition or delay."""
        return self.type == "action" and "when" not in self.step and not self.step.get("delay_seconds")

    def links(self) -> set[str]:
        """Every step that may follow."""
        found = {self.on_failure, self.on_timeout} if self.type == "approval" else {self.on_failure}
        if self.type == "condition":
            found |= {self.on_true, self.on_false}
        elif self.type == "switch":
            found |= {*self.cases.values(), self.default}
        if self.type not in ("condition", "switch") or "when" in self.step:
            found.add(self.on_success)
        return {link for link in found if link is not None and link != END}


@dataclass(frozen=True, kw_only=True)
class Block:
    """The steps among which links may lead.

    ``forgiven`` says that its failure does not count.
    """

    id: str
    container: str | None
    steps: tuple[str, ...]
    forgiven: bool

    @property
    def first(self) -> str:
        """The step that it begins with."""
        return self.steps[0] if self.steps else END


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The parts of a run that a step's templates and conditions read."""

    steps: frozenset[str]
    variables: frozenset[str]
    previous: bool
    #: variable → the steps that set it
    setters: Mapping[str, list[str]] = field(default_factory=dict)
    #: every step whose record is needed for these
    wanted: frozenset[str] = frozenset()


@dataclass(kw_only=True)
class Plan:
    """A compiled playbook."""

    nodes: dict[str, Node] = field(default_factory=dict)
    blocks: dict[str, Block] = field(default_factory=dict)
    exception_step: str | None = None
    #: variable → the steps whose ``outputs`` set it
    variables: dict[str, list[str]] = field(default_factory=dict)
    _needs: dict[str, Needs] = field(default_factory=dict)

    def branches(self, step_id: str) -> list[Block]:
        """The blocks of a parallel step, in order."""
        count = len(self.nodes[step_id].step["branches"])
        return [self.blocks[f"{step_id}/{number}"] for number in range(count)]

    def stretch(self, step_id: str) -> list[str]:
        """The plain steps from this one on, one after the other."""
        found: list[str] = []
        while step_id != END and self.nodes[step_id].plain and len(found) < LONGEST_STRETCH:
            found.append(step_id)
            step_id = self.nodes[step_id].on_success
        return found

    def straight(self, block: Block) -> bool:
        """Whether the block is a single sequence of plain steps."""
        return block.first != END and self.stretch(block.first) == list(block.steps)

    @cached_property
    def grows(self) -> bool:
        """Whether a run may have more steps than its definition.

        Iterations and started playbooks multiply them.
        """
        return any(node.type in ("loop", "for_each", "playbook") for node in self.nodes.values())

    @cached_property
    def exceptional(self) -> frozenset[str]:
        """The exception step and all steps that follow it."""
        found: set[str] = set()
        ahead = {self.exception_step} - {None}
        while ahead:
            step_id = str(ahead.pop())
            found.add(step_id)
            ahead |= self.nodes[step_id].links() - found
        return frozenset(found)

    def needs(self, step_id: str) -> Needs:
        """The records of other steps that this one needs to be entered."""
        if step_id not in self._needs:
            needs = _needs(self.nodes[step_id].step)
            setters = {name: self.variables.get(name, []) for name in needs.variables}
            wanted = needs.steps.union(*setters.values()) & self.nodes.keys()
            self._needs[step_id] = replace(needs, setters=setters, wanted=frozenset(wanted))
        return self._needs[step_id]


def compile(definition: Mapping[str, Any]) -> Plan:  # noqa: A001 - the word for it
    """The plan of a normalised definition that is free of faults."""
    plan = Plan(exception_step=definition.get("exception_step"))
    forgiving = definition["on_failure"] == "continue"
    made = dict(_nodes(definition["steps"], "", {plan.exception_step}, forgiving=forgiving))
    plan.blocks[""] = Block(id="", container=None, steps=_ids(definition["steps"]), forgiven=False)
    for step in every_step(definition["steps"]):
        for block_id, inner, forgiven in inner_blocks(step):
            made |= _nodes(inner, block_id, set(), forgiving=forgiving)
            plan.blocks[block_id] = Block(id=block_id, container=step["id"], steps=_ids(inner), forgiven=forgiven)
        for name in step.get("outputs", {}):
            plan.variables.setdefault(name, []).append(step["id"])
    for index, step in enumerate(every_step(definition["steps"])):
        plan.nodes[step["id"]] = replace(made[step["id"]], index=index)
    return plan


def _ids(steps: list[Any]) -> tuple[str, ...]:
    return tuple(step["id"] for step in steps)


def every_step(steps: list[Any]) -> Iterator[Mapping[str, Any]]:
    """All steps in the order of the document, containers before their contents."""
    for step in steps:
        yield step
        for _, inner, _ in inner_blocks(step):
            yield from every_step(inner)


def inner_blocks(step: Mapping[str, Any]) -> list[tuple[str, list[Any], bool]]:
    """The blocks inside a step: id, steps, and whether failures are forgiven."""
    if step["type"] == "parallel":
        return [
            (f"{step['id']}/{number}", branch["steps"], branch.get("on_failure") == "continue")
            for number, branch in enumerate(step["branches"])
        ]
    if step["type"] in ("loop", "for_each"):
        return [(step["id"], step["steps"], False)]
    return []


def _nodes(steps: list[Any], block: str, entered: set[str | None], *, forgiving: bool) -> Iterator[tuple[str, Node]]:
    """The steps of one block; ``entered`` are targets of links elsewhere."""
    targets = _branch_targets(steps) | entered
    following = END
    for step in reversed(steps):
        yield step["id"], _node(step, block, following, forgiving=forgiving)
        if step["id"] not in targets:
            following = step["id"]


def _branch_targets(steps: list[Any]) -> set[str | None]:
    found: set[str | None] = set()
    for step in steps:
        found.update(step.get(link) for link in _BRANCH_LINKS)
        found.update(step.get("cases", {}).values())
    return found - _WORDS - {None}


def _node(step: Mapping[str, Any], block: str, following: str, *, forgiving: bool) -> Node:
    def link(name: str) -> str:
        target: str = step.get(name) or "next"
        return {"next": following, "continue": success}.get(target, target)

    success = following
    success = link("on_success")

    def failing(name: str, otherwise: str | None) -> str | None:
        if not step.get(name):
            return otherwise
        return None if step[name] == "abort" else link(name)

    failure = failing("on_failure", success if step.get("continue_on_error") or forgiving else None)
    return Node(
        id=step["id"],
        index=0,
        name=step["name"],
        type=step["type"],
        step=step,
        block=block,
        on_success=success,
        on_failure=failure,
        on_true=link("on_true"),
        on_false=link("on_false"),
        cases={case: following if target == "next" else target for case, target in step.get("cases", {}).items()},
        default=link("default"),
        on_timeout=failing("on_timeout", failure),
    )


def _needs(step: Mapping[str, Any]) -> Needs:
    paths = references.paths([step[name] for name in TEMPLATES if name in step])
    for name in CONDITIONS:
        if name in step:
            paths |= references.condition_paths(step[name])
    return Needs(
        steps=frozenset(path[1] for path in paths if path[0] == "steps" and len(path) > 1),
        variables=frozenset(path[1] for path in paths if path[0] == "vars" and len(path) > 1),
        previous=any(path[0] == "previous_step" for path in paths),
    )
