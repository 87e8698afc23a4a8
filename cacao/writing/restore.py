"""Undoes the rewriting done on import, before the export of a workflow.

An import replaces a condition that Tocsin cannot evaluate with a question to a person: an ``if-condition`` becomes an
approval, a ``while-condition`` asks before each iteration, a comparison without an answer asks after it has failed. A
step that waits and is no action becomes a delay and the step; one with several commands becomes a step for each. The
document has none of this. So where none of it was edited, the playbook is exported as if it had the condition itself,
the step that waits, and the one step; a later import rewrites them in the same way.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cacao.writing.workflow import HELD, PLACE
from config.types import Json
from playbooks import plan as plans
from playbooks.plan import END, Node, Plan, every_step

#: members of Tocsin's steps that a document does not express
_UNSAID = frozenset({"retry", "max_iterations", "interval_seconds", "max_concurrency"})


def restored(
    now: Mapping[str, Any],
    before: Mapping[str, Any],
    kinds: Mapping[str, str],
    pauses: Mapping[str, str],
    chains: Mapping[str, list[str]],
) -> Json:
    """A definition without the steps that the import added.

    ``kinds``: step → the type of its source in the document. ``pauses``: delay step → the step it is for. ``chains``:
    first step of an action → the other steps of the same action.
    """
    return _Restoring(now, before, kinds, pauses, chains).definition()


def behaviour(step: Mapping[str, Any]) -> Json:
    """The members that say what a step does, wherever it stands."""
    return {name: value for name, value in step.items() if name not in PLACE | HELD | _UNSAID}


class _Restoring:
    def __init__(
        self,
        now: Mapping[str, Any],
        before: Mapping[str, Any],
        kinds: Mapping[str, str],
        pauses: Mapping[str, str],
        chains: Mapping[str, list[str]],
    ) -> None:
        self.now, self.kinds = now, kinds
        self.plan: Plan = plans.compile(now)
        was = {step["id"]: behaviour(step) for step in every_step(before["steps"])}
        nodes = self.plan.nodes.values()
        self.same = {node.id for node in nodes if node.id in was and behaviour(node.step) == was[node.id]}
        self.ways = Counter(link for node in nodes for link in node.links())
        found = {self._question(node) for node in nodes if node.id in self.same}
        self.questions = {one for one in found if one not in kinds and self._untouched(one, "approval")}
        entered = {self.plan.exception_step, *(block.first for block in self.plan.blocks.values())}
        self.only = {step_id for step_id, count in self.ways.items() if count == 1} - entered
        self.pauses = {
            pause: own
            for pause, own in pauses.items()
            if self._untouched(pause, "delay") and self.plan.nodes[pause].on_success == own and own in self.only
        }
        self.waits = {own: self.plan.nodes[pause].step["seconds"] for pause, own in self.pauses.items()}
        self.chains = {first: rest for first, rest in chains.items() if self._chained(first, rest)}

    def _untouched(self, step_id: str | None, kind: str) -> bool:
        """Whether a step exists, is of this type, unconditional and unchanged."""
        if step_id is None or step_id not in self.same:
            return False
        node = self.plan.nodes[step_id]
        return node.type == kind and "when" not in node.step

    def _chained(self, first: str, rest: list[str]) -> bool:
        """Whether these steps still form one chain and fail alike."""
        if not rest or not {first, *rest} <= self.same or not self.only.issuperset(rest):
            return False
        nodes = [self.plan.nodes[one] for one in (first, *rest)]
        ends = {(node.on_failure, node.step.get("timeout_seconds")) for node in nodes}
        led = all(node.on_success == following for node, following in zip(nodes, rest, strict=False))
        alone = not any("when" in node.step or node.step.get("delay_seconds") for node in nodes[1:])
        return len(ends) == 1 and led and alone

    def _question(self, node: Node) -> str | None:
        """The step that may be this one's question.

        It leads where this step does, and no other step leads to it.
        """
        kind = self.kinds.get(node.id)
        if kind == "if-condition" and node.type == "condition" and node.on_failure not in (None, END):
            asked, links = str(node.on_failure), (node.on_true, node.on_false)
            ways = 1
        elif kind == "while-condition" and node.type == "loop" and len(self.plan.blocks[node.id].steps) > 1:
            asked, following = self.plan.blocks[node.id].steps[:2]
            links, ways = (following, END), 0
        else:
            return None
        step = self.plan.nodes[asked]
        return asked if (step.on_success, step.on_failure) == links and self.ways[asked] == ways else None

    def definition(self) -> Json:
        """The definition, with every link written out."""
        steps = {step["id"]: step for step in every_step(self.now["steps"])}
        exception = self.now.get("exception_step")
        return {**self.now, "steps": self._block(self.now["steps"], steps), "exception_step": self._to(exception)}

    def _to(self, link: Any) -> Any:
        """The target of a link, past its delay step if any."""
        return self.pauses.get(link, link)

    def _block(self, block: list[Json], steps: Mapping[str, Any]) -> list[Json]:
        """The steps of a block; one that waits replaces its delay step."""
        gone = {*self.questions, *self.waits, *(one for rest in self.chains.values() for one in rest)}
        left = [self._to(step["id"]) for step in block if step["id"] not in gone]
        return [self._step(steps[step_id], steps) for step_id in left]

    def _step(self, step: Mapping[str, Any], steps: Mapping[str, Any]) -> Json:
        node = self.plan.nodes[step["id"]]
        failure = "abort" if node.on_failure is None or node.on_failure in self.questions else self._to(node.on_failure)
        last = self.plan.nodes[self.chains[node.id][-1]] if node.id in self.chains else node
        made = {**step, "on_success": self._to(last.on_success), "on_failure": failure}
        if node.id in self.waits:
            made["delay_seconds"] = self.waits[node.id]
        if node.type == "condition":
            made |= {"on_true": self._to(node.on_true), "on_false": self._to(node.on_false)}
        elif node.type == "switch":
            made |= {
                "cases": {case: self._to(to) for case, to in node.cases.items()},
                "default": self._to(node.default),
            }
        elif node.type == "approval":
            made |= self._asked(node, made["on_success"], failure)
        elif "branches" in step:
            made["branches"] = [{**branch, "steps": self._block(branch["steps"], steps)} for branch in step["branches"]]
        elif "steps" in step:
            made["steps"] = self._block(step["steps"], steps)
        return made

    def _asked(self, node: Node, yes: str, no: str) -> Json:
        """A question as the condition that it is in the document.

        Only its time-out where it is none.
        """
        late = "abort" if node.on_timeout is None else self._to(node.on_timeout)
        if node.id not in self.same or self.kinds.get(node.id) != "if-condition" or no == "abort":
            return {"on_timeout": late}
        failure = late if "on_timeout" in node.step else "abort"
        return {"type": "condition", "expression": "true", "on_true": yes, "on_false": no, "on_failure": failure}
