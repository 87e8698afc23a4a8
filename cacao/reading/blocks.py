"""The blocks of a CACAO workflow: their steps, ids and links.

A CACAO workflow is a flat graph that means nested blocks: a branch runs to an ``end``, and then the successors of the
step that opened it follow. Here the branches of a condition are steps of the same block whose last link leads to the
condition's successor, and those of ``parallel`` and ``while-condition`` are blocks of their own. So a step is entered
together with its *sequel*, the step after its ``end``: a step reached with two different sequels is written twice, the
second time under another id.

The reader reads one block at a time, with a queue of the steps still to enter and no recursion over the document. A
link to a missing step, and a link that closes a cycle, becomes a question to a person. ``workflow`` writes each step.
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
#: longest id of a step, without and with its purpose; a number that makes it unique may follow
LONGEST_ID, _WITH_PURPOSE = 54, 58
#: steps visited in one document, also while branches are compared
_MAX_VISITS = 200_000
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


class TooLarge(Exception):  # noqa: N818
    """The workflow expands to more steps than a playbook may have."""


@dataclass(frozen=True)
class Remark:
    """One part of the document that is carried out otherwise, and why.

    ``code`` is a stable word.
    """

    code: str
    pointer: str
    message: str
    step_id: str = ""


@dataclass(frozen=True)
class PendingStep:
    """A step to write: both its ids, and its sequel.

    ``failing`` is the link for a failure that the step has no link for: that of the condition whose branch it is in.
    """

    cacao_id: str
    native_id: str
    sequel: str
    failing: str = ""


@dataclass
class BlockDraft:
    """A list of steps in the making; steps in ``stops`` end it."""

    depth: int
    stops: frozenset[str]
    steps: list[Json] = field(default_factory=list)
    asked: list[Json] = field(default_factory=list)
    entered: dict[tuple[str, str, str], str] = field(default_factory=dict)
    waiting: deque[PendingStep] = field(default_factory=deque)


class Blocks:
    """The blocks of one workflow, with the remarks about them."""

    def __init__(self, workflow: Mapping[str, Any], names: Names) -> None:
        self.workflow, self.names = workflow, names
        self.remarks: list[Remark] = []
        #: whether a part could not be resolved, so that the playbook must not run before a review
        self.stuck = False
        self._ids: dict[str, int] = {}
        self._count = 0
        self._visits = 0

    def write(self, block: BlockDraft, entry: PendingStep, step: Mapping[str, Any]) -> None:
        """Write a step into its block."""
        raise NotImplementedError

    def top(self, start: str, exception: str) -> tuple[list[Json], str | None]:
        """The steps of the top level, and the exception step.

        Raises:
            TooLarge: there are too many steps.
        """
        block = BlockDraft(0, frozenset())
        first = self.enter(block, start, END)
        self._empty(block, first)
        found = self.step(exception)
        into = self.enter(block, exception, END) if found is not None and found.get("type") != "end" else END
        steps = self._finished(block)
        return steps, into if into != END else None

    def block(self, around: BlockDraft, start: Any, stops: Iterable[str]) -> list[Json]:
        """The steps of an inner block, from ``start`` to its end."""
        block = BlockDraft(around.depth + 1, frozenset(stops))
        self._empty(block, self.enter(block, start, END))
        return self._finished(block)

    def _finished(self, block: BlockDraft) -> list[Json]:
        while block.waiting:
            entry = block.waiting.popleft()
            self.write(block, entry, self.workflow[entry.cacao_id])
        block.steps += block.asked
        self._cut_circles(block)
        return block.steps

    def _empty(self, block: BlockDraft, first: str) -> None:
        """Give a block without steps one that does nothing."""
        if first == END:
            block.steps.append(self.new("nothing", {"type": "delay", "seconds": 0, "on_success": END}))

    def step(self, cacao_id: Any) -> Json | None:
        """A step of the document, None where there is none."""
        found = self.workflow.get(cacao_id) if isinstance(cacao_id, str) else None
        return found if isinstance(found, dict) else None

    def enter(self, block: BlockDraft, cacao_id: Any, sequel: str, failing: str = "") -> str:
        """The link to a step, or to where its end leads."""
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
            block.waiting.append(PendingStep(cacao_id, block.entered[key], sequel, failing))
        return block.entered[key]

    def _nowhere(self, block: BlockDraft, cacao_id: str, sequel: str) -> str:
        text = f"The playbook leads to a step that it does not have, {cacao_id[:64]}."
        self.stuck = True
        return self.asked(block, "missing_step", "/workflow", text, sequel)

    def asked(self, block: BlockDraft, code: str, pointer: str, text: str, sequel: str) -> str:
        """The id of a question where the workflow cannot continue."""
        self.remarks.append(Remark(code, pointer, text))
        message = self.names.message(f"{text} Do what is meant by hand, then approve.")
        step = self.new("ask", {"type": "approval", "message": message, "on_success": sequel, "on_failure": "abort"})
        block.asked.append(step)
        return str(step["id"])

    def new_id(self, wanted: str) -> str:
        """A unique id for a step, close to the wanted one."""
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
        """A step that the document does not have."""
        return {"id": self.new_id(wanted), **members}

    def visit(self) -> None:
        """Count a visit of a step; a small document may cause many."""
        self._visits += 1
        if self._visits > _MAX_VISITS:
            raise TooLarge

    def _cut_circles(self, block: BlockDraft) -> None:
        """Replace each link that closes a cycle with a question."""
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

    def _cut(self, block: BlockDraft, step: Json, member: str, case: str, to: str) -> None:
        self.stuck = True
        text = f"{step['id']} leads back to {to}, which only a while-condition may do."
        asked = self.asked(block, "circle", below("/workflow", to), text, END)
        block.steps.append(block.asked[-1])
        if case:
            step["cases"] = {**step["cases"], case: asked}
        else:
            step[member] = asked


def successors(step: Mapping[str, Any]) -> list[str]:
    """All steps that a step of a document leads to or contains."""
    cases = step.get("cases")
    given = [step.get(one) for one in ("on_completion", "on_success", "on_failure", "on_true", "on_false")]
    given += [*listed(step.get("next_steps")), *(cases.values() if isinstance(cases, dict) else ())]
    return [one for one in given if isinstance(one, str)]


def _targets(step: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The links of a Tocsin step: member, case and target."""
    members = ("on_success", "on_failure", "on_timeout", "on_true", "on_false", "default")
    found = [(member, "", step[member]) for member in members if member in step]
    return found + [("cases", case, to) for case, to in step.get("cases", {}).items()]


def next_of(step: Mapping[str, Any]) -> Any:
    """The successor after success; None where the step names none."""
    return step.get("on_success", step.get("on_completion"))


def listed(value: Any) -> list[Any]:
    """The items of a list, none for any other value."""
    return value if isinstance(value, list) else []


def seconds_of(milliseconds: Any) -> int | float:
    """A CACAO duration (milliseconds) in seconds; 0 for none."""
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not math.isfinite(milliseconds):
        return 0
    seconds = min(max(milliseconds, 0) / 1000, MAX_WAIT_SECONDS)
    return int(seconds) if seconds == int(seconds) else seconds
