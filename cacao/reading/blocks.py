"""The blocks of a CACAO workflow: which steps belong together, under which ids, and where each leads.

A CACAO workflow is a flat graph that means nested blocks: a branch runs to an ``end``, and then the step it belongs to
goes on. Here the branches of a condition are steps of the same block whose last link leads on behind the condition, and
those of ``parallel`` and ``while-condition`` are blocks of their own. So a step is entered together with what follows
its ``end``: a step that is reached with two different sequels stands twice, the second time under another id.

One block is read at a time, with a list of what is still to be entered and no recursion over what a document may hold.
What leads nowhere, or back to where it came from, becomes a question to a person. How a step is written is for
``flow``.
"""

import math
import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cacao.model.identity import own_of
from cacao.reading.names import Names
from config.types import Json
from playbooks.checks.faults import below
from playbooks.definitions.step_types import LINK_WORDS, MAX_STEPS, MAX_WAIT_SECONDS

END = "end"
#: of an id: what it is about, and with what it is there for; what makes it differ from others comes behind
LONGEST_ID, _WITH_PURPOSE = 54, 58
#: steps looked at while branches are compared
_MAX_VISITS = 200_000
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


class TooLarge(Exception):  # noqa: N818
    """The workflow unfolds into more steps than a playbook may have."""


@dataclass(frozen=True)
class Remark:
    """Something of the document that is not carried out as it stands, and why; ``code`` is a stable word."""

    code: str
    pointer: str
    message: str
    step_id: str = ""


@dataclass(frozen=True)
class Entry:
    """A step that is to be written: its id in the document and here, and where its ``end`` leads.

    ``failing`` is where it leads when it fails and does not say so itself: that of the condition whose branch it is in.
    """

    cacao_id: str
    native_id: str
    sequel: str
    failing: str = ""


@dataclass
class Block:
    """One list of steps while it is made; ``stops`` are the steps at which it ends."""

    depth: int
    stops: frozenset[str]
    steps: list[Json] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    entered: dict[tuple[str, str, str], str] = field(default_factory=dict)
    waiting: deque[Entry] = field(default_factory=deque)


class Blocks:
    """The blocks of one workflow, with the remarks about them."""

    def __init__(self, workflow: Mapping[str, Any], names: Names) -> None:
        self.workflow, self.names = workflow, names
        self.remarks: list[Remark] = []
        #: whether it holds what cannot be resolved, so that it must not run as it is
        self.stuck = False
        self._ids: dict[str, int] = {}
        self._count = 0
        self._visits = 0

    def write(self, block: Block, entry: Entry, step: Mapping[str, Any]) -> None:
        """Write a step into its block."""
        raise NotImplementedError

    def top(self, start: str, exception: str) -> tuple[list[Json], str | None]:
        """The steps of the top level, and the one that is entered when a run would fail.

        Raises:
            TooLarge: they are too many.
        """
        block = Block(0, frozenset())
        first = self.enter(block, start, END)
        self._empty(block, first)
        found = self.step(exception)
        into = self.enter(block, exception, END) if found is not None and found.get("type") != "end" else END
        steps = self._finished(block)
        return steps, into if into != END else None

    def block(self, around: Block, start: Any, stops: Iterable[str]) -> list[Json]:
        """The steps of a block inside another, from ``start`` to an end or to one of ``stops``."""
        block = Block(around.depth + 1, frozenset(stops))
        self._empty(block, self.enter(block, start, END))
        return self._finished(block)

    def _finished(self, block: Block) -> list[Json]:
        while block.waiting:
            entry = block.waiting.popleft()
            self.write(block, entry, self.workflow[entry.cacao_id])
        block.steps += block.asked
        self._cut_circles(block)
        return block.steps

    def _empty(self, block: Block, first: str) -> None:
        """A block needs a step: where there is nothing to do, one that does nothing."""
        if first == END:
            block.steps.append(self.new("nothing", {"type": "delay", "seconds": 0, "on_success": END}))

    def step(self, cacao_id: Any) -> Json | None:
        """A step of the document; None where there is none."""
        found = self.workflow.get(cacao_id) if isinstance(cacao_id, str) else None
        return found if isinstance(found, dict) else None

    def enter(self, block: Block, cacao_id: Any, sequel: str, failing: str = "") -> str:
        """The link that leads to a step of the document in this block, or to where its end leads."""
        passed: set[str] = set()
        while True:
            self.visit()
            if isinstance(cacao_id, str) and cacao_id in block.stops:
                return END
            step = self.step(cacao_id)
            if step is None or cacao_id in passed:
                return self._nowhere(block, str(cacao_id), sequel)
            if step.get("type") not in ("start", "end") or seconds_of(step.get("delay")):
                break
            if step["type"] == "end":
                return sequel
            passed.add(cacao_id)
            cacao_id = next_of(step)
            if cacao_id is None:
                return sequel
        key = (cacao_id, sequel, failing)
        if key not in block.entered:
            ours = own_of(step)
            block.entered[key] = self.new_id(ours.step_id if ours else cacao_id)
            block.waiting.append(Entry(cacao_id, block.entered[key], sequel, failing))
        return block.entered[key]

    def _nowhere(self, block: Block, cacao_id: str, sequel: str) -> str:
        text = f"The playbook leads to a step that it does not have, {cacao_id[:64]}."
        self.stuck = True
        return self.asked(block, "missing_step", "/workflow", text, sequel)

    def asked(self, block: Block, code: str, pointer: str, text: str, sequel: str) -> str:
        """The id of a question that stands where the workflow cannot go on."""
        self.remarks.append(Remark(code, pointer, text))
        message = self.names.message(f"{text} Do what is meant by hand, then approve.")
        step = self.new("ask", {"type": "approval", "message": message, "on_success": sequel, "on_failure": "abort"})
        block.asked.append(step)
        return str(step["id"])

    def new_id(self, wanted: str) -> str:
        """An id of ours for a step: that of the document, or one like it where that is taken."""
        plain = _UNFIT.sub("_", wanted)[:_WITH_PURPOSE]
        plain = f"_{plain}" if not plain or plain[0] == "-" or plain in LINK_WORDS else plain
        while True:
            number = self._ids[plain] = self._ids.get(plain, 0) + 1
            made = plain if number == 1 else f"{plain}_{number}"
            if number == 1 or made not in self._ids:
                self._ids.setdefault(made, 1)
                self._count += 1
                if self._count > MAX_STEPS:
                    raise TooLarge
                return made

    def new(self, wanted: str, members: Json) -> Json:
        """A step of ours that the document does not have."""
        return {"id": self.new_id(wanted), **members}

    def visit(self) -> None:
        """Count one more look at a step: a small document may lead to very many."""
        self._visits += 1
        if self._visits > _MAX_VISITS:
            raise TooLarge

    def _cut_circles(self, block: Block) -> None:
        """Make a question of each link that leads back to where it came from."""
        steps = {str(step["id"]): step for step in block.steps}
        colour: dict[str, int] = {}
        for root in list(steps):
            stack: list[tuple[str, list[tuple[str, str, str]]]] = []
            if root not in colour:
                colour[root] = 1
                stack.append((root, _targets(steps[root])))
            while stack:
                own, links = stack[-1]
                if not links:
                    colour[own] = 2
                    stack.pop()
                    continue
                member, case, to = links.pop()
                if colour.get(to) == 1:
                    self._cut(block, steps[own], member, case, to)
                elif to in steps and to not in colour:
                    colour[to] = 1
                    stack.append((to, _targets(steps[to])))

    def _cut(self, block: Block, step: Json, member: str, case: str, to: str) -> None:
        self.stuck = True
        text = f"{step['id']} leads back to {to}, which only a while-condition may do."
        asked = self.asked(block, "circle", below("/workflow", to), text, END)
        block.steps.append(block.asked[-1])
        if case:
            step["cases"] = {**step["cases"], case: asked}
        else:
            step[member] = asked


def successors(step: Mapping[str, Any]) -> list[str]:
    """All steps that a step of a document names as following it or belonging to it."""
    cases = step.get("cases")
    given = [step.get(one) for one in ("on_completion", "on_success", "on_failure", "on_true", "on_false")]
    given += [*listed(step.get("next_steps")), *(cases.values() if isinstance(cases, dict) else ())]
    return [one for one in given if isinstance(one, str)]


def _targets(step: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The links of a step of ours: member, case, where it leads."""
    members = ("on_success", "on_failure", "on_timeout", "on_true", "on_false", "default")
    found = [(member, "", step[member]) for member in members if member in step]
    return found + [("cases", case, to) for case, to in step.get("cases", {}).items()]


def next_of(step: Mapping[str, Any]) -> Any:
    """What follows a step that has succeeded; None where it does not say."""
    return step.get("on_success", step.get("on_completion"))


def listed(value: Any) -> list[Any]:
    """The items of a list; none of what is no list."""
    return value if isinstance(value, list) else []


def seconds_of(milliseconds: Any) -> int | float:
    """A CACAO length of time (ms) in seconds; 0 for none."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not math.isfinite(milliseconds):
        return 0
    seconds = min(max(milliseconds, 0) / 1000, MAX_WAIT_SECONDS)
    return int(seconds) if seconds == int(seconds) else seconds
